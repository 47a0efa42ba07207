import uuid
from typing import Any, cast

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_POST

from architect.chat import services
from architect.chat.errors import ChatError, NotFound
from architect.chat.models import Conversation, Run
from architect.chat.queries import conversation_groups, earlier_turns, model_choices, turns_of
from architect.chat.runs import run_supervisor
from architect.lib.requests import HtmxHttpRequest
from architect.live.topics import watched

own_words = cache_control(private=True, no_store=True)
may_chat = permission_required("chat.add_conversation", raise_exception=True)


@require_GET
@may_chat
@own_words
def index(request: HttpRequest) -> HttpResponse:
    """A new conversation; it is made by its first message."""
    return render(request, "chat/page.html", _page(request, None))


@require_GET
@may_chat
@own_words
def conversation(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    return render(request, "chat/page.html", _page(request, _readable(request, conversation_id)))


@require_GET
@may_chat
@own_words
def transcript(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """The turns alone, for a page whose conversation was changed elsewhere."""
    found = _readable(request, conversation_id)
    turns, earlier_count = turns_of(found)
    context = {"conversation": found, "turns": turns, "earlier_count": earlier_count}
    return render(request, "chat/_turns.html", context)


@require_GET
@may_chat
@own_words
def earlier(request: HttpRequest, conversation_id: uuid.UUID, before: uuid.UUID) -> HttpResponse:
    """The turns before the first one that is shown."""
    found = _readable(request, conversation_id)
    turns, earlier_count = earlier_turns(found, before=before)
    context = {"conversation": found, "turns": turns, "earlier_count": earlier_count}
    return render(request, "chat/_turns.html", context)


@require_GET
@may_chat
@own_words
def conversation_list(request: HtmxHttpRequest) -> HttpResponse:
    return render(request, "chat/_list.html", _list(request, current=_current(request)))


@require_POST
async def send(request: HttpRequest) -> HttpResponse:
    """Sends without a socket: the page is shown again, with the answer as far as it has come."""
    person = await request.auser()
    if not await person.ahas_perm("chat.add_conversation"):
        return HttpResponse("You may not chat here.", status=403, content_type="text/plain")
    try:
        turn = await database_sync_to_async(services.begin_turn)(
            owner_id=cast("int", person.pk),
            conversation_id=_posted_id(request, "conversation"),
            client_id=_posted_id(request, "client_id") or uuid.uuid4(),
            text=request.POST.get("text", ""),
            model=request.POST.get("model") or "auto",
        )
    except NotFound as failure:
        raise Http404(str(failure)) from failure
    except ChatError as failure:
        return await database_sync_to_async(_refused)(request, str(failure))
    run_supervisor().start(turn.run_id, conversation_id=turn.conversation_id)
    return redirect("chat:conversation", turn.conversation_id)


@require_POST
@may_chat
def stop(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Stops without a socket; the process that makes the answer sees it at its next flush."""
    try:
        services.request_stop(run_id, owner_id=_person_id(request))
    except NotFound as failure:
        raise Http404(str(failure)) from failure
    return redirect("chat:conversation", Run.objects.get(pk=run_id).message.conversation_id)


def _page(request: HttpRequest, shown: Conversation | None) -> dict[str, Any]:
    turns, earlier_count = turns_of(shown) if shown else ([], 0)
    return {
        "conversation": shown,
        "turns": turns,
        "earlier_count": earlier_count,
        "models": model_choices(),
        "chosen_model": shown.model_asked if shown else settings.CHAT_DEFAULT_MODEL,
        "client_id": uuid.uuid4(),
        "max_chars": settings.CHAT_MAX_MESSAGE_CHARS,
        "live": watched(services.topic_of(_person_id(request)), user_id=_person_id(request)),
        **_list(request, current=shown.pk if shown else None),
    }


def _list(request: HttpRequest, *, current: uuid.UUID | None) -> dict[str, Any]:
    return {"conversations": conversation_groups(_person_id(request), current=current)}


def _current(request: HtmxHttpRequest) -> uuid.UUID | None:
    """Which conversation the page that asks for the list is showing, by its address."""
    try:
        return uuid.UUID((request.htmx.current_url_abs_path or "").strip("/").rpartition("/")[2])
    except ValueError:
        return None


def _readable(request: HttpRequest, conversation_id: uuid.UUID) -> Conversation:
    found = Conversation.objects.readable_by(_person_id(request)).filter(pk=conversation_id).first()
    if found is None:
        raise Http404("There is no such conversation.")
    if services.settle_stale_runs(conversation_id=conversation_id):
        found.refresh_from_db()
    return found


def _person_id(request: HttpRequest) -> int:
    """Who asks; the middleware lets nobody in who is not signed in."""
    return cast("int", request.user.pk)


def _posted_id(request: HttpRequest, field: str) -> uuid.UUID | None:
    raw = request.POST.get(field, "")
    try:
        return uuid.UUID(raw) if raw else None
    except ValueError:
        raise Http404(f"{field} is not an id.") from None


def _refused(request: HttpRequest, text: str) -> HttpResponse:
    """The page once more, with the reason and what was typed."""
    messages.error(request, text)
    conversation_id = _posted_id(request, "conversation")
    shown = _readable(request, conversation_id) if conversation_id else None
    context = {**_page(request, shown), "draft": request.POST.get("text", "")}
    return render(request, "chat/page.html", context, status=409)
