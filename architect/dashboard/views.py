from typing import Any, cast

from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import Error as DatabaseFailure
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_GET, require_safe
from django.views.decorators.vary import vary_on_headers

from architect.accounts.models import User
from architect.dashboard.neighbours import SYSTEMS, look_around
from architect.dashboard.queries import home_state
from architect.lib.requests import HtmxHttpRequest
from architect.live.topics import watched
from llm_providers.models import Provider
from llm_providers.routing.keeper import TOPIC

private = cache_control(private=True, no_store=True)


@login_not_required
@require_GET
@private
@vary_on_headers("HX-Request")
def home(request: HtmxHttpRequest) -> HttpResponse:
    """The state of the house; before there is an account, the way to the first one."""
    if not request.user.is_authenticated:
        target = "accounts:sign_in" if User.objects.exists() else "accounts:welcome"
        return redirect(target)
    template = "dashboard/_state.html" if request.htmx else "dashboard/home.html"
    return render(request, template, _home(request))


@require_GET
def models_help(request: HttpRequest) -> HttpResponse:
    return render(request, "dashboard/models_help.html", {"models_dir": settings.MODELS_DIR})


@require_GET
@private
def neighbours(request: HttpRequest) -> HttpResponse:
    """Who answers at the well-known ports; looked at when it is asked for, for a second at most."""
    own_port = int(settings.PORT)
    found = async_to_sync(look_around)(settings.UI_PROBE_HOSTS, own_port=own_port)
    known = {provider.base_url: provider for provider in Provider.objects.all()}
    names = {one.system.name for one in found}
    context = {
        "found": [(one, known.get(one.base_url)) for one in found],
        "missing": [system for system in SYSTEMS if system.name not in names and system.command],
    }
    return render(request, "dashboard/_neighbours.html", context)


@login_not_required
@require_GET
def favicon(_request: HttpRequest) -> HttpResponse:
    """Browsers ask for it on pages that name no icon, such as those of the admin."""
    return redirect(static("img/mark.svg"))


@login_not_required
@never_cache
@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """The process answers; it says nothing about the database."""
    return HttpResponse("ok", content_type="text/plain")


@login_not_required
@never_cache
@require_safe
def readyz(_request: HttpRequest) -> HttpResponse:
    """Whether pages can be served: the database answers and is up to date."""
    try:
        executor = MigrationExecutor(connection)
        behind = bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except DatabaseFailure:
        return JsonResponse({"ready": False, "reason": "the database does not answer"}, status=503)
    if behind:
        return JsonResponse({"ready": False, "reason": "the database is behind: run manage.py migrate"}, status=503)
    return JsonResponse({"ready": True})


def _home(request: HttpRequest) -> dict[str, Any]:
    user_id = cast("int", request.user.pk)
    sees_all = request.user.has_perm("llm_providers.view_request")
    return {"state": home_state(user_id=user_id, sees_all=sees_all), "live": watched(TOPIC, user_id=user_id)}
