from datetime import timedelta

import pytest
from django.db import OperationalError, ProgrammingError
from django.utils.timezone import now

from architect.lib.group_commit import group_commit
from llm_providers.client import UnifiedLLMClient
from llm_providers.errors import RecordUnavailable
from llm_providers.models import Attempt, Request, RequestContent
from llm_providers.records import rows, spool, sweeper
from llm_providers.records.rows import AttemptRow, ContentRow
from tests.fakes.openai import FakeOpenAI
from tests.llm_providers.requests import ask, serve

pytestmark = pytest.mark.django_db(transaction=True)
FIELDS = {
    "principal": "system",
    "purpose": "chat",
    "capability": "chat",
    "privacy": "internal",
    "wanted_model": "auto",
}


@pytest.fixture
def var(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    return tmp_path


@pytest.fixture
def fake():
    with FakeOpenAI() as server:
        serve("ollama", server.base_url)
        yield server


def begun(public_id, *, lease_until, answer=""):
    """A request as a killed process leaves it."""
    fields = {**FIELDS, "public_id": public_id, "started_at": now(), "lease_until": lease_until}
    rows.insert_attempt(rows.insert_request(fields, []), AttemptRow(1, "ollama", "m", is_local=True, started_at=now()))
    RequestContent.objects.filter(request__public_id=public_id).update(answer=answer)


def test_what_a_killed_process_left_is_interrupted_with_the_text_it_had():
    begun("req_a", lease_until=now() - timedelta(seconds=1), answer="so far so good")

    sweeper.sweep()

    request = Request.objects.get()
    assert (request.state, request.lease_until, request.usage_source) == ("interrupted", None, "estimated")
    assert request.output_tokens == 4
    assert request.finished_at is not None
    assert Attempt.objects.get().state == "partial"


def test_a_request_that_never_got_a_word_is_interrupted_too():
    begun("req_a", lease_until=now() - timedelta(seconds=1))

    sweeper.sweep()

    assert Request.objects.get().state == "interrupted"
    assert Attempt.objects.get().state == "failed"


def test_a_request_under_lease_is_left_alone():
    begun("req_a", lease_until=now() + timedelta(seconds=5))

    sweeper.sweep()

    assert Request.objects.get().state == "begun"


def test_a_checkpoint_renews_the_lease_and_keeps_the_text():
    begun("req_a", lease_until=now())

    rows.checkpoint("req_a", content=ContentRow("half", "", []), at=now())

    sweeper.sweep()
    assert Request.objects.get().state == "running"
    assert RequestContent.objects.get().answer == "half"


def test_the_end_wins_over_a_sweeper_that_was_too_quick():
    begun("req_a", lease_until=now() - timedelta(seconds=1))
    sweeper.sweep()

    rows.apply_final(rows.FinalRows("req_a", {"state": "ok"}, ContentRow("whole", "", []), []))

    assert Request.objects.get().state == "ok"
    assert RequestContent.objects.get().answer == "whole"


class Broken:
    """Stands in for a database that takes no more ends: the work itself finds it gone, or is refused."""

    def __init__(self, monkeypatch, *, on, failure=OperationalError):
        monkeypatch.setattr(rows, on, self)
        self.failure = failure
        self.tries = 0

    def __call__(self, *_args, **_kwargs):
        self.tries += 1
        raise self.failure("database or disk is full")


async def test_nothing_is_sent_when_the_prompt_cannot_be_put_on_record(fake, monkeypatch):
    Broken(monkeypatch, on="insert_request")

    with pytest.raises(RecordUnavailable, match="was not sent: database or disk is full"):
        await UnifiedLLMClient().complete(ask())

    assert fake.requests == []


async def test_an_end_that_the_database_does_not_take_waits_on_disk_and_comes_in_later(fake, var, monkeypatch):
    monkeypatch.setattr("llm_providers.records.record._FINISH_PAUSE_S", 0.001)
    with monkeypatch.context() as broken:
        Broken(broken, on="apply_final")
        answered = await UnifiedLLMClient().complete(ask())
    waiting = spool.waiting()
    state_before = (await Request.objects.aget()).state

    group_commit().submit(sweeper.sweep).result(5)

    assert [path.stem for path in waiting] == [answered.request_id]
    assert state_before == "begun"
    assert (await Request.objects.aget()).state == "ok"
    assert (await RequestContent.objects.aget()).answer == answered.text
    assert spool.waiting() == []


async def test_an_end_that_the_database_refuses_is_kept_on_disk_without_trying_again(fake, var, monkeypatch):
    refusing = Broken(monkeypatch, on="apply_final", failure=ProgrammingError)

    answered = await UnifiedLLMClient().complete(ask())

    assert refusing.tries == 1
    assert [path.stem for path in spool.waiting()] == [answered.request_id]


async def test_an_end_that_nothing_takes_is_a_failure_for_the_caller(fake, var, monkeypatch):
    monkeypatch.setattr("llm_providers.records.record._FINISH_PAUSE_S", 0.001)
    (var / "spool").write_text("a file where the folder should be")
    Broken(monkeypatch, on="apply_final")

    with pytest.raises(RecordUnavailable, match="could not be put on record"):
        await UnifiedLLMClient().complete(ask())


def test_a_spooled_file_that_cannot_be_read_is_set_aside_and_holds_up_nobody(var):
    spool.folder().mkdir()
    (spool.folder() / "req_A.json").write_text("{ half")
    begun("req_B", lease_until=now() + timedelta(seconds=5))
    spool.put(rows.FinalRows("req_B", {"state": "ok"}, ContentRow("whole", "", []), []))

    sweeper.sweep()

    assert Request.objects.get(public_id="req_B").state == "ok"
    assert [path.name for path in spool.folder().iterdir()] == ["req_A.unreadable"]
