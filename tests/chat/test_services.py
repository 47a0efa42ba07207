from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils.timezone import now

from architect.chat import services
from architect.chat.errors import EmptyMessage, NotFound, RunActive, TooLong, TooManyRuns
from architect.chat.models import Conversation, Delta, Message, Run, RunState
from architect.chat.prompts import path_ids, request_of
from architect.chat.queries import earlier_turns, turns_of
from architect.chat.runs import LiveRun
from architect.chat.services import RunEnd
from llm_providers.types import Began, PrivacyLabel, Serving
from tests.queries import queries_of

pytestmark = pytest.mark.django_db


def begin(person, text="Hi", *, conversation=None, client_id=None):
    return services.begin_turn(
        owner_id=person.pk,
        conversation_id=conversation,
        client_id=client_id or uuid4(),
        text=text,
        model="auto",
    )


def answer(turn, text="Hello"):
    end(turn, RunEnd(RunState.DONE, text))


def end(turn, outcome, **options):
    return services.end_run(turn.run_id, outcome, html=services.html_of(outcome), **options)


@pytest.fixture
def talked(person):
    """A conversation of 40 turns and their answers, and its last turn."""
    turn = begin(person, "Question 0")
    answer(turn, "Answer 0")
    for number in range(1, 40):
        turn = begin(person, f"Question {number}", conversation=turn.conversation_id)
        answer(turn, f"Answer {number}")
    return Conversation.objects.get()


def test_a_turn_is_two_messages_and_a_run(person):
    turn = begin(person)

    sent, empty = Message.objects.order_by("depth")
    assert (sent.role, sent.content, sent.state) == ("user", "Hi", "complete")
    assert (empty.role, empty.content, empty.state) == ("assistant", "", "streaming")
    assert Run.objects.get().state == "queued"
    assert Conversation.objects.get().active_leaf_id == turn.message_id


@pytest.mark.parametrize(("text", "failure"), [("", EmptyMessage), (" \n\0", EmptyMessage), ("x" * 200_001, TooLong)])
def test_a_text_that_cannot_be_sent_leaves_nothing(person, text, failure):
    with pytest.raises(failure):
        begin(person, text)

    assert not Conversation.objects.exists()


def test_one_answer_at_a_time_in_a_conversation(person):
    turn = begin(person)

    with pytest.raises(RunActive):
        begin(person, conversation=turn.conversation_id)


def test_three_answers_at_a_time_for_a_person(person):
    for _ in range(3):
        begin(person)

    with pytest.raises(TooManyRuns):
        begin(person)


def test_an_unknown_conversation_is_not_found(person):
    with pytest.raises(NotFound):
        begin(person, conversation=uuid4())


def test_a_run_ends_once(person):
    turn = begin(person)

    first = end(turn, RunEnd(RunState.DONE, "whole"))
    second = end(turn, RunEnd(RunState.INTERRUPTED, "half"))

    assert (first, second) == (True, False)
    assert Message.objects.get(role="assistant").content == "whole"


def test_a_run_whose_process_is_gone_is_settled_with_what_was_stored(person):
    turn = begin(person)
    services.take_up(turn.run_id, process=uuid4())
    Delta.objects.create(run_id=turn.run_id, first_seq=1, last_seq=2, fragments=[["r", "hm"], ["t", "Hel"]])
    Delta.objects.create(run_id=turn.run_id, first_seq=3, last_seq=3, fragments=[["t", "lo"]])
    Run.objects.update(heartbeat_at=now() - timedelta(seconds=16))

    settled = services.settle_stale_runs()

    message = Message.objects.get(role="assistant")
    assert settled == 1
    assert (message.content, message.reasoning, message.state) == ("Hello", "hm", "interrupted")
    assert not Delta.objects.exists()


def test_the_process_that_makes_an_answer_has_the_last_word(person):
    turn = begin(person)
    process = uuid4()
    services.take_up(turn.run_id, process=process)
    Run.objects.update(heartbeat_at=now() - timedelta(seconds=16))
    services.settle_stale_runs()

    end(turn, RunEnd(RunState.DONE, "whole"), by=process)

    assert Message.objects.get(role="assistant").content == "whole"
    assert Run.objects.get().state == "done"


def test_pieces_whose_first_commit_was_never_heard_of_are_stored_once(person):
    turn = begin(person)
    heard_of = Delta(run_id=turn.run_id, first_seq=1, last_seq=1, fragments=[["t", "Hel"]])
    again_with_more = Delta(run_id=turn.run_id, first_seq=1, last_seq=2, fragments=[["t", "Hel"], ["t", "lo"]])

    for delta in (heard_of, again_with_more):
        services.store_fragments([delta], running=[turn.run_id], columns={})

    assert [(piece.seq, piece.text) for piece in services.stored_fragments(turn.run_id)] == [(1, "Hel"), (2, "lo")]


def test_what_is_learned_of_a_run_while_it_is_stored_is_stored_next(person):
    turn = begin(person)
    live = LiveRun(turn.run_id, turn.conversation_id, tell=lambda frame: None)
    live.take(Began("req_1"))
    stored = dict(live.unstored_columns)
    live.take(Serving("ollama", "m", is_local=True, is_test=False, attempt=1))

    live.mark_stored(0, stored)

    assert live.unstored_columns.keys() == {"provider_name", "model_used", "is_local", "is_test"}


def test_a_question_asked_again_after_a_failure_is_one_turn_for_the_model(person):
    failed = begin(person, "First try")
    end(failed, RunEnd(RunState.FAILED, ""))
    again = begin(person, "Second try", conversation=failed.conversation_id)

    request = request_of(Run.objects.get(pk=again.run_id))

    assert [(message.role, message.text) for message in request.messages] == [("user", "First try\n\nSecond try")]


def test_the_name_of_a_model_is_cut_to_what_a_row_holds(person):
    services.begin_turn(owner_id=person.pk, conversation_id=None, client_id=uuid4(), text="Hi", model="m\0" + "x" * 300)

    assert Run.objects.get().model_asked == "m" + "x" * 249


def test_a_run_with_a_fresh_heartbeat_is_left_alone(person):
    turn = begin(person)
    services.take_up(turn.run_id, process=uuid4())

    assert services.settle_stale_runs() == 0


def test_a_run_is_taken_up_by_one_process(person):
    turn = begin(person)

    assert [services.take_up(turn.run_id, process=uuid4()) for _ in range(2)] == [True, False]


def test_stop_is_asked_for_by_the_owner_alone(person, django_user_model):
    turn = begin(person)
    eve = django_user_model.objects.create_user("eve")

    with pytest.raises(NotFound):
        services.request_stop(turn.run_id, owner_id=eve.pk)

    assert Run.objects.get().stop_requested_at is None


def test_the_strictest_label_on_the_path_counts(person):
    turn = begin(person)
    Message.objects.filter(pk=turn.user_message_id).update(privacy="private")
    run = Run.objects.select_related("message__conversation").get()

    assert request_of(run).privacy is PrivacyLabel.PRIVATE


def test_the_path_is_one_query_however_long(talked, django_assert_num_queries):
    with django_assert_num_queries(1):
        ids = path_ids(talked.active_leaf_id)

    assert len(ids) == 80


def test_a_page_shows_the_last_turns_and_can_show_the_earlier_ones(talked):
    shown, earlier_count = turns_of(talked)
    earlier, still_earlier = earlier_turns(talked, before=shown[0].message_id)

    assert len(shown) == 30
    assert shown[-1].text == "Answer 39"
    assert earlier_count == 50
    assert (len(earlier), still_earlier) == (50, 0)
    assert earlier[0].text == "Question 0"


def test_a_page_costs_as_many_queries_for_forty_turns_as_for_one(client, person, talked):
    client.force_login(person)
    short = begin(person)
    answer(short)

    counts = [queries_of(client, f"/chat/{pk}/") for pk in (short.conversation_id, talked.pk)]

    assert counts[0] == counts[1] <= 15


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("How are you? Fine.", "How are you?"),
        ("**Bold** `code` and more", "Bold code and more"),
        ("first line\nsecond", "first line"),
        ("x" * 100, "x" * 59 + "…"),
        ("###", "New conversation"),
    ],
)
def test_a_title_is_the_first_sentence(text, title):
    assert services.first_words(text) == title


def test_a_conversation_of_another_person_is_not_found(client, person, django_user_model):
    turn = begin(person)
    client.force_login(django_user_model.objects.create_superuser("eve"))

    for path in ("", "transcript/", f"earlier/{turn.message_id}/"):
        assert client.get(f"/chat/{turn.conversation_id}/{path}").status_code == 404


def test_a_form_that_is_refused_keeps_what_was_typed(client, person):
    client.force_login(person)
    for _ in range(3):
        begin(person)

    answered = client.post("/chat/send/", {"text": "keep me", "model": "auto"})

    assert answered.status_code == 409
    assert "keep me" in answered.content.decode()
    assert "answers are being written for you already" in answered.content.decode()


def test_begin_turn_leaves_nothing_when_its_transaction_is_undone(person):
    with pytest.raises(ValueError, match="undone"), transaction.atomic():
        begin(person)
        raise ValueError("undone")

    assert not Conversation.objects.exists()
