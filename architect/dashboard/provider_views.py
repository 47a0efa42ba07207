"""The providers page and what its buttons do; each act is a service of the room below."""

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import trigger_client_event

from architect.accounts.models import User
from architect.dashboard.provider_cards import provider_cards
from architect.lib.requests import HtmxHttpRequest
from architect.live.topics import watched
from llm_providers.health.discovery import discover
from llm_providers.models import Breaker, Provider
from llm_providers.routing.keeper import TOPIC
from llm_providers.services import force_breaker, reset_breaker
from llm_providers.switching import Outcome, Switched, switch, wish_of

private = cache_control(private=True, no_store=True)
may_see = permission_required("llm_providers.view_provider", raise_exception=True)
may_change = permission_required("llm_providers.change_provider", raise_exception=True)
_HAPPENED = (Outcome.DONE, Outcome.ALREADY_SO)


@require_GET
@may_see
@private
@vary_on_headers("HX-Request")
def providers(request: HtmxHttpRequest) -> HttpResponse:
    return _page(request)


@require_POST
@may_change
@private
def switch_provider(request: HtmxHttpRequest, name: str) -> HttpResponse:
    provider = get_object_or_404(Provider, name=name)
    wish = wish_of(request.POST.get("wish", ""), reason=request.POST.get(f"reason-{name}", ""))
    if wish is None:
        raise Http404("no such wish")
    switched = switch(provider.pk, wish, person=_person(request))
    if request.htmx and switched.outcome is Outcome.UNCONFIRMED:
        return _card(request, name, switched)
    if request.htmx:  # a note of its own outlives the next look at the card
        tone = "success" if switched.outcome in _HAPPENED else "danger"
        return trigger_client_event(_card(request, name), "a:toast", {"text": switched.text, "tone": tone})
    if switched.outcome in _HAPPENED:
        messages.success(request, switched.text)
        return _back_to(name)
    return _page(request, switched, status=409)


@require_POST
@may_change
@private
def test_provider(request: HtmxHttpRequest, name: str) -> HttpResponse:
    """Asks it now, by its free call, whether it is there and what it offers."""
    discover(get_object_or_404(Provider, name=name))
    return _card(request, name) if request.htmx else _back_to(name)


@require_POST
@may_change
@private
def change_breaker(request: HtmxHttpRequest, name: str, breaker_id: int, act: str) -> HttpResponse:
    """`act` is reset, open or closed."""
    breaker = get_object_or_404(Breaker, pk=breaker_id, provider__name=name)
    if act not in ("reset", "open", "closed"):
        raise Http404("no such act")
    if act == "reset":
        reset_breaker(breaker, person=_person(request))
    else:
        force_breaker(breaker, act, person=_person(request))
    return _card(request, name) if request.htmx else _back_to(name)


def _page(request: HtmxHttpRequest, said: Switched | None = None, *, status: int = 200) -> HttpResponse:
    template = "dashboard/_providers.html" if request.htmx else "dashboard/providers.html"
    person = _person(request)
    context = {"cards": provider_cards(said=said), "live": watched(TOPIC, user_id=person.pk)}
    return render(request, template, context, status=status)


def _card(request: HttpRequest, name: str, said: Switched | None = None) -> HttpResponse:
    cards = provider_cards(only=name, said=said)
    return render(request, "dashboard/_provider_card.html", {"card": cards[0]})


def _back_to(name: str) -> HttpResponse:
    return redirect(f"{reverse('dashboard:providers')}#provider-{name}")


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User), "the views ask for a permission"  # noqa: S101
    return request.user
