from typing import cast

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from architect.accounts.errors import SetupLinkInvalid
from architect.accounts.forms import FirstAccountForm, ProfileForm, ThemeForm
from architect.accounts.models import User
from architect.accounts.services import check_setup_link, create_first_account


@login_not_required
@never_cache
@require_http_methods(["GET", "POST"])
def welcome(request: HttpRequest, token: str = "") -> HttpResponse:
    """Makes the first account from the one-time link."""
    try:
        check_setup_link(token)
        form = FirstAccountForm(request.POST or None)
        if request.method != "POST" or not form.is_valid():
            status = 200 if request.method == "GET" else 422
            return render(request, "accounts/welcome.html", {"form": form}, status=status)
        person = create_first_account(
            token=token, username=form.cleaned_data["username"], password=form.cleaned_data["password1"]
        )
    except SetupLinkInvalid as failure:
        return render(request, "accounts/welcome.html", {"problem": str(failure)}, status=410)
    login(request, person)
    return redirect("dashboard:home")


@never_cache
@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    form = ProfileForm(request.POST or None, instance=cast("User", request.user))
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Your settings are saved."))
        return redirect("accounts:profile")
    status = 422 if request.method == "POST" else 200
    return render(request, "accounts/profile.html", {"form": form}, status=status)


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    form = ThemeForm(request.POST, instance=cast("User", request.user))
    if not form.is_valid():
        return HttpResponse("theme is light, dark or system", status=422, content_type="text/plain")
    form.save()
    # A page that was sent without a script is shown again; a script has changed its page already.
    is_navigation = request.headers.get("Sec-Fetch-Mode") == "navigate"
    return redirect("dashboard:home") if is_navigation else HttpResponse(status=204)
