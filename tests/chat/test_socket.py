"""The chat as a browser meets it: real web processes, real sockets, a provider that does as it is told."""

import asyncio
from uuid import uuid4

import pytest
import websockets
from channels.db import database_sync_to_async
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.db import connection

from architect.accounts.models import User
from architect.chat import services
from architect.chat.models import Conversation, Delta, Message, Run
from llm_providers.models import Request, RequestContent
from tests.chat_tab import LONG, ChatTab
from tests.fakes.behaviour import Answer, Fault
from tests.processes import cookie_of

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_question_is_answered_in_pieces_and_kept_whole(web, cookie, provider):
    provider.reply = Answer(words=("Hello ", "**you**", "."), repeat=3)
    async with ChatTab(web.origin, cookie) as tab:
        accepted = await tab.send("Hi. How are you?")
        shown = await tab.text_of(accepted["run"])

    run = await Run.objects.select_related("message__conversation").aget()
    end = tab.ends[accepted["run"]]
    assert end["t"] == "done"
    assert shown == run.message.content == provider.reply.text
    assert "<strong>you</strong>" in end["html"]
    assert run.message.conversation.title == "Hi."
    assert (run.state, run.provider_name, run.model_used, run.is_local) == ("done", "ollama", "m", True)
    assert (run.input_tokens, run.output_tokens, run.last_seq) == (17, 5, tab.seqs[accepted["run"]])
    assert not await Delta.objects.aexists()


async def test_the_answer_ends_on_screen_only_when_its_record_is_final(web, cookie):
    async with ChatTab(web.origin, cookie) as tab:
        accepted = await tab.send("Hi")
        await tab.text_of(accepted["run"])

        request = await Request.objects.aget()

    assert request.state == "ok"
    assert request.public_id == (await Run.objects.aget()).request_id
    assert request.purpose == "chat"


async def test_the_whole_path_is_sent_to_the_model(web, cookie, provider):
    async with ChatTab(web.origin, cookie) as tab:
        await tab.text_of((await tab.send("First question"))["run"])
        await tab.text_of((await tab.send("Second question"))["run"])

    turns = [(turn["role"], turn["content"]) for turn in provider.requests[-1].json()["messages"]]
    assert turns == [
        ("user", "First question"),
        ("assistant", provider.reply.text),
        ("user", "Second question"),
    ]


async def test_a_reload_in_mid_answer_shows_the_whole_text(web, cookie, provider):
    provider.reply = LONG
    async with ChatTab(web.origin, cookie) as tab:
        accepted = await tab.send("Write a lot")
        while tab.seqs.get(accepted["run"], 0) < 5:
            await tab.next()

    async with ChatTab(web.origin, cookie) as reloaded:
        await reloaded.open(accepted["c"], {accepted["run"]: 0})
        shown = await reloaded.text_of(accepted["run"])

    assert shown == LONG.text


async def test_a_tab_on_another_process_shows_the_same_text(web, second_web, cookie, provider):
    provider.reply = LONG
    async with ChatTab(web.origin, cookie) as tab, ChatTab(second_web.origin, cookie) as other:
        accepted = await tab.send("Write a lot")
        await other.open(accepted["c"], {accepted["run"]: 0})

        mine, theirs = await asyncio.gather(tab.text_of(accepted["run"]), other.text_of(accepted["run"]))

    assert mine == LONG.text
    # The end may come before the last fragments were read; then its frame brings the whole.
    assert LONG.text.startswith(theirs)
    assert other.ends[accepted["run"]]["html"] == tab.ends[accepted["run"]]["html"]


async def test_stop_reaches_the_model_from_another_process(web, second_web, cookie, provider):
    provider.reply = LONG
    async with ChatTab(web.origin, cookie) as tab, ChatTab(second_web.origin, cookie) as other:
        accepted = await tab.send("Write a lot")
        await tab.until("delta")
        await other.open(accepted["c"])
        await other.tell(t="stop", run=accepted["run"])
        shown = await tab.text_of(accepted["run"])

    run = await Run.objects.select_related("message").aget()
    request = await Request.objects.aget()
    assert provider.requests[0].closed.wait(1)
    assert tab.ends[accepted["run"]]["t"] == "stopped"
    assert (run.state, request.state) == ("stopped", "cancelled")
    assert run.message.content == shown != LONG.text


async def test_nobody_looking_is_no_reason_to_stop(web, cookie, provider):
    provider.reply = LONG
    async with ChatTab(web.origin, cookie) as tab:
        accepted = await tab.send("Write a lot")

    async with ChatTab(web.origin, cookie) as back:
        await back.open(accepted["c"], {accepted["run"]: 0})
        await back.text_of(accepted["run"])

    assert (await Message.objects.aget(role="assistant")).content == LONG.text


async def test_the_same_send_five_times_is_one_message(web, cookie, provider):
    client_id = str(uuid4())
    async with ChatTab(web.origin, cookie) as tab, ChatTab(web.origin, cookie) as other:
        accepted = await asyncio.gather(
            *(chosen.send("Once", client_id=client_id) for chosen in (tab, other)),
        )
        for _ in range(3):
            accepted.append(await tab.send("Once", client_id=client_id))
        await tab.text_of(accepted[0]["run"])

    assert len({frame["run"] for frame in accepted}) == 1
    assert await Conversation.objects.acount() == 1
    assert len(provider.requests) == 1


async def test_a_second_question_waits_for_the_first_answer(web, cookie, provider):
    provider.reply = LONG
    async with ChatTab(web.origin, cookie) as tab:
        accepted = await tab.send("Write a lot")
        refused = await tab.send("And this?")
        await tab.tell(t="stop", run=accepted["run"])
        await tab.until("stopped")

    assert refused["code"] == "run_active"


async def test_a_broken_answer_keeps_its_text_and_says_why(web, cookie, provider):
    provider.fault = Fault.CUT_AFTER_CONTENT
    async with ChatTab(web.origin, cookie) as tab:
        accepted = await tab.send("Hi")
        shown = await tab.text_of(accepted["run"])

    end = tab.ends[accepted["run"]]
    assert (end["t"], end["error"]["kind"]) == ("failed", "cut")
    assert shown == "Grüße from the" == (await Message.objects.aget(role="assistant")).content


async def test_no_model_at_all_is_an_answer_with_every_reason(web, cookie, provider):
    provider.fault = Fault.REFUSE
    async with ChatTab(web.origin, cookie) as tab:
        accepted = await tab.send("Hi")
        await tab.text_of(accepted["run"])

    assert tab.ends[accepted["run"]]["error"]["text"] == "No model answered. ollama/m: the connection was refused."


async def test_another_persons_conversation_is_as_good_as_none(web, cookie, provider):
    async with ChatTab(web.origin, cookie) as tab:
        accepted = await tab.send("My secret")
        await tab.text_of(accepted["run"])
    eve = await database_sync_to_async(second_cookie)()

    async with ChatTab(web.origin, eve) as other:
        answers = [await other.open(accepted["c"])]
        for frame in ({"t": "stop"}, {"t": "resume", "after_seq": 0}):
            await other.tell(run=accepted["run"], **frame)
            answers.append(await other.until("error"))
        other.conversation = accepted["c"]
        answers.append(await other.send("Hello?"))

    assert [answer["code"] for answer in answers] == ["not_found"] * 4


async def test_bad_frames_are_answered_and_the_socket_stays_open(web, cookie):
    async with ChatTab(web.origin, cookie) as tab:
        codes = []
        for raw in ("no json", "[]", '{"t": 5}', '{"t":"dance"}', '{"t":"send"}', '{"t":"open","c":"x"}'):
            await tab._socket.send(raw)
            codes.append((await tab.until("error"))["code"])
        await tab.tell(t="send", c=None, id=str(uuid4()), text="   ", model="auto")
        codes.append((await tab.until("error"))["code"])
        await tab.tell(t="ping", n=7)
        pong = await tab.until("pong")

    assert codes == ["bad_message"] * 7
    assert pong["n"] == 7


async def test_nul_in_a_text_is_dropped_and_not_a_failure(web, cookie):
    async with ChatTab(web.origin, cookie) as tab:
        accepted = await tab.send("a\0b")
        await tab.text_of(accepted["run"])

    assert (await Message.objects.aget(role="user")).content == "ab"
    assert (await RequestContent.objects.aget()).prompt == [{"role": "user", "text": "ab"}]


@pytest.mark.parametrize(
    ("origin", "signed_in", "code"),
    [(None, False, 4401), ("http://evil.example", True, 4403), ("http://localhost:5678", True, 4403)],
)
async def test_strangers_and_foreign_pages_are_sent_away(web, cookie, origin, signed_in, code):
    headers = {"Origin": origin or web.origin, **({"Cookie": cookie} if signed_in else {})}

    async with websockets.connect(f"ws://localhost:{web.port}/ws/chat/", additional_headers=headers) as socket:
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()

    assert closed.value.rcvd.code == code


async def test_a_frame_that_is_too_large_ends_the_socket(web, cookie):
    async with ChatTab(web.origin, cookie) as tab:
        await tab.tell(t="send", c=None, id=str(uuid4()), text="x" * 1_400_000, model="auto")

        with pytest.raises(websockets.ConnectionClosed) as closed:
            await tab.until("accepted")

    assert closed.value.rcvd.code == 4413


def second_cookie():
    return cookie_of(User.objects.create_superuser("eve", password="x"))


def viewers_cookie():
    viewer = User.objects.create_user("vera")
    viewer.groups.add(Group.objects.get(name="viewer"))
    return cookie_of(viewer)


async def test_who_may_not_chat_gets_no_socket(web):
    cookie = await database_sync_to_async(viewers_cookie)()
    headers = {"Origin": web.origin, "Cookie": cookie}

    async with websockets.connect(f"ws://localhost:{web.port}/ws/chat/", additional_headers=headers) as socket:
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()

    assert closed.value.rcvd.code == 4403


async def closing_code(tab):
    with pytest.raises(websockets.ConnectionClosed) as closed:
        while True:
            await tab.next()
    return closed.value.rcvd.code


async def test_a_socket_ends_with_the_session_that_opened_it(web, cookie):
    async with ChatTab(web.origin, cookie) as tab:
        await Session.objects.all().adelete()
        await tab.tell(t="send", c=None, id=str(uuid4()), text="Still here?", model="auto")

        assert await closing_code(tab) == 4401

    assert not await Message.objects.aexists()


async def test_a_deactivated_person_is_sent_away_at_the_next_frame(web, cookie, person):
    async with ChatTab(web.origin, cookie) as tab:
        await User.objects.filter(pk=person.pk).aupdate(is_active=False)
        await tab.tell(t="ping", n=1)

        assert await closing_code(tab) == 4401


async def test_a_database_that_fails_is_an_answer_and_the_socket_stays_open(web, cookie):
    async with ChatTab(web.origin, cookie) as tab:
        await database_sync_to_async(rename)("chat_message", "chat_message_away")
        try:
            refused = await tab.send("Hi")
        finally:
            await database_sync_to_async(rename)("chat_message_away", "chat_message")
        accepted = await tab.send("Hi again")
        await tab.text_of(accepted["run"])

    assert refused["code"] == "retry"
    assert tab.ends[accepted["run"]]["t"] == "done"


def rename(table, name):
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO {name}")


async def test_a_run_that_nobody_took_up_begins_with_the_next_send(web, cookie, person):
    client_id = uuid4()
    left = await database_sync_to_async(services.begin_turn)(
        owner_id=person.pk, conversation_id=None, client_id=client_id, text="Hi", model="auto"
    )
    async with ChatTab(web.origin, cookie) as tab:
        accepted = await tab.send("Hi", client_id=str(client_id))
        await tab.text_of(accepted["run"])

    assert accepted["run"] == str(left.run_id)
    assert (await Run.objects.aget()).state == "done"


async def test_a_run_of_another_process_is_left_to_it(web, cookie, person):
    client_id = uuid4()
    taken = await database_sync_to_async(services.begin_turn)(
        owner_id=person.pk, conversation_id=None, client_id=client_id, text="Hi", model="auto"
    )
    await database_sync_to_async(services.take_up)(taken.run_id, process=uuid4())
    async with ChatTab(web.origin, cookie) as tab:
        await tab.send("Hi", client_id=str(client_id))
        await tab.tell(t="ping", n=1)
        await tab.until("pong")

    assert (await Run.objects.aget()).state == "running"
