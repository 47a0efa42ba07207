from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET

from architect.accounts.models import User
from architect.dashboard.request_pages import list_requests, newer_requests, show_request
from llm_providers.models import Request

private = cache_control(private=True, no_store=True)


@require_GET
@login_required
@private
def requests(request: HttpRequest) -> HttpResponse:
    """The list; all of its state is in the address."""
    listed = list_requests(_person(request), request.GET.dict())
    return render(request, "dashboard/requests.html", {"listed": listed, "q": request.GET.get("q", "")})


@require_GET
@login_required
@private
def new_requests(request: HttpRequest) -> HttpResponse:
    """Says that there are newer ones than a page shows; they are never put under somebody's pointer."""
    wishes = request.GET.dict()
    than = wishes.pop("than", "")
    count = newer_requests(_person(request), wishes, than=than)
    return render(request, "dashboard/_new_requests.html", {"count": count, "than": than, "query": _query(request)})


@require_GET
@login_required
@private
def request_detail(request: HttpRequest, public_id: str) -> HttpResponse:
    try:
        shown = show_request(_person(request), public_id)
    except Request.DoesNotExist:
        raise Http404("no such request, or none of yours") from None
    return render(request, "dashboard/request.html", {"shown": shown, "line": shown.line})


def _query(request: HttpRequest) -> str:
    """The filters alone."""
    kept = request.GET.copy()
    kept.pop("than", None)
    return kept.urlencode()


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User), "the views ask for a signed-in person"  # noqa: S101
    return request.user
