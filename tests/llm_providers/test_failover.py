"""Broken, limited and recovering providers as a series of requests meets them."""

import asyncio
import json
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta

import pytest
from channels.db import database_sync_to_async
from django.db import OperationalError, connection
from django.utils.timezone import now

from architect.lib.group_commit import group_commit
from llm_providers.client import UnifiedLLMClient
from llm_providers.errors import AllTargetsFailed, DeadlineReached, Event, LLMError, ProviderFailure, StreamBroken
from llm_providers.health import breakers
from llm_providers.health.discovery import discover
from llm_providers.health.probing import probe_those_left_alone
from llm_providers.models import (
    Attempt,
    Breaker,
    BreakerEvent,
    FailoverSettings,
    Provider,
    RateGate,
    Request,
    ServedModel,
)
from llm_providers.routing.candidates import OrderPolicy, plan
from llm_providers.routing.keeper import configuration_changed, snapshot_keeper
from llm_providers.types import Loading, Retrying
from tests.fakes.behaviour import Fault
from tests.fakes.ollama import FakeOllama
from tests.fakes.openai import FakeOpenAI
from tests.llm_providers.requests import aserve, ask, events_of
from tests.processes import ROOT, environment

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def first():
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
def second():
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
async def both(first, second):
    await aserve("first", first.base_url, priority=1)
    await aserve("second", second.base_url, priority=2)


async def served_by():
    answered = await UnifiedLLMClient().complete(ask())
    return answered.provider


async def times_asked(fake, count):
    """How often `fake` is asked in the course of `count` requests."""
    before = len(fake.requests)
    for _ in range(count):
        await served_by()
    return len(fake.requests) - before


@database_sync_to_async
def change(**fields):
    """Another process changes all breakers."""
    Breaker.objects.update(**fields)
    configuration_changed()


async def target_of(name):
    chain = plan(await snapshot_keeper().current(), ask(), OrderPolicy())
    return next(target for target in chain.candidates if target.provider.name == name)


async def test_a_refused_connection_is_felt_once(both, first):
    first.fault = Fault.REFUSE
    before = first.connections_seen

    answered = [await UnifiedLLMClient().complete(ask()) for _ in range(3)]

    breaker = await Breaker.objects.aget()
    assert [answer.provider for answer in answered] == ["second"] * 3
    assert [answer.trail[0].get("failed") or answer.trail[0].get("skip") for answer in answered] == [
        "refused",
        "breaker_open",
        "breaker_open",
    ]
    assert (breaker.state, breaker.scope, breaker.reason) == ("open", "endpoint", "refused")
    assert timedelta(seconds=3) < breaker.open_until - now() < timedelta(seconds=6.1)
    assert first.connections_seen == before


async def test_a_local_model_that_fails_twice_in_a_row_is_left_alone(both, first):
    first.fault = Fault.SERVER_ERROR

    assert await times_asked(first, 5) == 2

    breaker = await Breaker.objects.aget()
    assert (breaker.scope, breaker.model, breaker.state) == ("model", "m", "open")


async def test_a_success_between_two_failures_starts_the_count_again(both, first):
    for fault in (Fault.SERVER_ERROR, Fault.NONE, Fault.SERVER_ERROR, Fault.NONE):
        first.fault = fault
        await served_by()

    assert (await Breaker.objects.aget()).state == "closed"
    assert await served_by() == "first"


@pytest.mark.parametrize(
    "fault", [Fault.BAD_REQUEST, Fault.CONTEXT_EXCEEDED, Fault.LOADING, Fault.BUSY, Fault.MODEL_MISSING], ids=str
)
async def test_what_says_nothing_about_health_is_not_counted(both, first, fault):
    first.fault = fault

    for _ in range(3):
        with suppress(LLMError):  # some of these end the request, which is another test's matter
            await served_by()

    assert not await Breaker.objects.aexists()


async def test_a_stream_that_breaks_off_is_counted_though_nobody_falls_over(both, first):
    first.fault = Fault.CUT_AFTER_CONTENT

    for _ in range(2):
        with pytest.raises(StreamBroken):
            await events_of(ask())

    assert (await Breaker.objects.aget()).state == "open"
    assert await served_by() == "second"


async def test_a_recovering_provider_gets_one_call_of_fifty(both, first):
    first.fault = Fault.SERVER_ERROR
    await times_asked(first, 2)
    first.fault = Fault.SLOW_FIRST_BYTE
    first.first_byte_delay_s = 1.0
    asked = len(first.requests)
    await change(open_until=now())

    served = await asyncio.gather(*(served_by() for _ in range(50)))

    assert len(first.requests) - asked == 1
    assert sorted(served) == ["first"] + ["second"] * 49
    breaker = await Breaker.objects.aget()
    assert breaker.state == "closed"
    assert breaker.probation_until is not None
    assert await served_by() == "first"


async def test_a_recovering_provider_gets_one_call_of_four_processes(both, first):
    first.fault = Fault.SERVER_ERROR
    await times_asked(first, 2)
    with crowds(4) as processes:
        first.fault = Fault.SLOW_FIRST_BYTE
        first.first_byte_delay_s = 3.0  # longer than the slowest of the four needs to come
        asked = len(first.requests)
        await change(open_until=now())
        served = await asyncio.to_thread(send_all, processes)

    assert len(first.requests) - asked == 1
    assert sorted(served) == ["first"] + ["second"] * 47


@contextmanager
def crowds(count):
    """Processes that are ready to send 12 requests each."""
    command = [sys.executable, "-m", "tests.llm_providers.crowd", "12"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen(command, env=environment(), cwd=ROOT, **pipes)) for _ in range(count)
        ]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        yield processes


def send_all(processes):
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [name for process in processes for name in json.loads(process.stdout.readline())]


async def test_a_trial_that_fails_opens_it_for_longer(both, first):
    first.fault = Fault.SERVER_ERROR
    await times_asked(first, 2)
    await change(open_until=now())

    assert await served_by() == "second"

    breaker = await Breaker.objects.aget()
    assert (breaker.state, breaker.open_count) == ("open", 2)
    assert timedelta(seconds=7) < breaker.open_until - now() < timedelta(seconds=12.1)


async def test_on_probation_the_first_failure_opens_it_again(both, first):
    first.fault = Fault.SERVER_ERROR
    await times_asked(first, 2)
    first.fault = Fault.NONE
    await change(open_until=now())
    await served_by()
    first.fault = Fault.SERVER_ERROR

    assert await times_asked(first, 3) == 1


async def test_failures_that_began_before_the_opening_do_not_prolong_it(both, first):
    first.fault = Fault.SERVER_ERROR
    late = await target_of("first")
    await times_asked(first, 2)
    before = await Breaker.objects.aget()

    for _ in range(20):
        await breakers.failed(late, ProviderFailure(Event.SERVER_ERROR, "late"), [])

    after = await Breaker.objects.aget()
    assert (after.open_until, after.epoch) == (before.open_until, before.epoch)


async def test_a_lease_whose_holder_died_passes_to_exactly_one_other(both, first):
    first.fault = Fault.SERVER_ERROR
    await times_asked(first, 2)
    await change(open_until=now())
    assert await breakers.admit(await target_of("first"))
    assert await breakers.admit(await target_of("first")) is None
    await asyncio.sleep(1.1)  # this process remembers for a second that it has asked
    await change(lease_until=now())

    admitted = [await breakers.admit(await target_of("first")) for _ in range(2)]

    assert [bool(leases) for leases in admitted] == [True, False]


async def test_a_call_that_was_given_up_returns_its_lease(both, first):
    first.fault = Fault.SERVER_ERROR
    await times_asked(first, 2)
    first.fault = Fault.HANG
    await change(open_until=now())

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(served_by(), 0.5)

    breaker = await Breaker.objects.aget()
    assert breaker.state == "half_open"
    assert breaker.lease_until <= now()


async def test_where_all_are_left_alone_the_best_is_tried_after_all(both, first, second):
    first.fault = second.fault = Fault.REFUSE
    with pytest.raises(AllTargetsFailed):
        await served_by()
    first.fault = Fault.NONE

    assert await served_by() == "first"


async def test_where_nobody_is_back_the_caller_learns_when_to_come_again(both, first, second):
    first.fault = second.fault = Fault.RATE_LIMITED_SECONDS
    with pytest.raises(AllTargetsFailed):
        await served_by()

    with pytest.raises(AllTargetsFailed) as raised:
        await served_by()

    assert 0 < raised.value.retry_after_s <= 3
    assert (len(first.requests), len(second.requests)) == (1, 1)


async def test_a_limited_provider_is_asked_again_when_its_time_has_come(both, first):
    first.fault = Fault.RATE_LIMITED_SECONDS
    assert await times_asked(first, 3) == 1
    first.fault = Fault.NONE
    await database_sync_to_async(open_gates)()

    assert await served_by() == "first"
    assert not await RateGate.objects.aexists()
    assert not await Breaker.objects.aexists()


async def test_a_provider_that_fails_every_other_time_is_left_alone(both, first):
    for _ in range(5):
        first.fault = Fault.NONE
        await served_by()
        assert not await Breaker.objects.filter(state="open").aexists()
        first.fault = Fault.SERVER_ERROR
        await served_by()

    breaker = await Breaker.objects.aget()
    assert (breaker.state, await served_by()) == ("open", "second")


async def test_a_free_call_that_fails_puts_the_trial_off(both, first):
    first.fault = Fault.SERVER_ERROR
    await times_asked(first, 2)
    await change(open_until=now())
    first.fault = Fault.HANG
    first.requests.clear()

    await probe()

    assert await served_by() == "second"
    assert [request.method for request in first.requests] == ["GET"]
    assert now() < (await Breaker.objects.aget()).open_until <= now() + timedelta(seconds=15)


async def test_a_free_call_that_is_answered_leaves_the_trial_to_a_request(both, first):
    first.fault = Fault.REFUSE
    await served_by()
    first.fault = Fault.NONE

    await probe()

    assert [request.method for request in first.requests] == ["GET"]
    assert await served_by() == "first"
    assert (await Breaker.objects.aget()).state == "closed"


async def test_a_model_that_is_not_there_is_not_asked_for_again(both, first):
    first.fault = Fault.MODEL_MISSING

    assert await times_asked(first, 3) == 1

    model = await ServedModel.objects.aget(provider__name="first", name="m")
    assert model.missing_since is not None


async def test_a_length_that_a_refusal_tells_is_remembered(both, first):
    first.fault = Fault.CONTEXT_EXCEEDED  # which says 8192
    assert await served_by() == "second"
    first.requests.clear()

    answered = await UnifiedLLMClient().complete(ask("word " * 40_000))

    assert answered.trail[0] == {"t": "first/m", "skip": "context_length"}
    assert first.requests == []
    assert await times_asked(first, 1) == 1  # a short text may still fit


@pytest.fixture
async def ollama():
    with FakeOllama() as fake:
        await database_sync_to_async(declare_ollama)(fake.base_url, timeout_s=0.2)
        yield fake


async def test_a_model_that_is_being_loaded_is_waited_for(ollama, second):
    await aserve("second", second.base_url, priority=2)
    ollama.load_s = 0.6

    told = await events_of(ask())

    attempt = await Attempt.objects.aget()
    assert [event.target for event in told if isinstance(event, Loading)] == ["ollama/gemma3:1b"]
    assert (told[-1].provider, attempt.is_cold) == ("ollama", True)
    assert not await Breaker.objects.aexists()


async def test_a_model_that_has_just_answered_is_known_to_be_loaded(ollama):
    await events_of(ask())
    ollama.requests.clear()

    await events_of(ask())

    assert [request.path for request in ollama.requests] == ["/api/chat"]


async def test_a_loaded_model_that_is_silent_is_slow(ollama, second):
    await aserve("second", second.base_url, priority=2)
    ollama.loaded = ("gemma3:1b",)
    ollama.fault = Fault.SLOW_FIRST_BYTE
    ollama.first_byte_delay_s = 1.0

    assert await served_by() == "second"

    assert (await Attempt.objects.aget(ordinal=1)).event == "slow"


async def test_a_model_that_never_gets_loaded_says_nothing_about_health(ollama, second):
    await aserve("second", second.base_url, priority=2)
    await database_sync_to_async(set_cold_timeout)(0.3)
    ollama.load_s = 2.0

    assert await served_by() == "second"

    assert (await Attempt.objects.aget(ordinal=1)).event == "loading"
    assert not await Breaker.objects.aexists()


async def test_a_caller_s_own_deadline_ends_the_wait_for_a_load_too(ollama):
    ollama.load_s = 2.0

    with pytest.raises(DeadlineReached):
        await UnifiedLLMClient().complete(ask(deadline_s=0.3))


def declare_ollama(base_url, **fields):
    provider = Provider.objects.create(name="ollama", kind="ollama", base_url=base_url, is_local=True, **fields)
    discover(provider)


def set_cold_timeout(seconds):
    Provider.objects.filter(name="ollama").update(settings={"cold_timeout": seconds})
    configuration_changed()


@database_sync_to_async
def probe():
    probe_those_left_alone(are_local=True, every=timedelta(seconds=5))


async def test_what_may_pass_is_tried_again_after_everybody_else(both, first, second):
    first.fault = second.fault = Fault.OVERLOADED
    told = []
    with pytest.raises(AllTargetsFailed):
        await events_of(ask(), into=told)

    request = await Request.objects.aget()
    attempts = [attempt.provider async for attempt in request.attempts.order_by("ordinal")]
    assert attempts[:2] == ["first", "second"]
    assert sorted(attempts[2:]) == ["first", "second"]
    assert [type(event) for event in told].count(Retrying) == 2
    assert [entry.get("tries") for entry in request.trail] == [2, 2, None]


async def test_a_retry_that_is_answered_says_what_came_before(first):
    await aserve("first", first.base_url)
    first.faults_once = [Fault.SERVER_ERROR]

    answered = await UnifiedLLMClient().complete(ask())

    assert answered.trail[0] | {"ttft_ms": 0} == {
        "t": "first/m",
        "ok": True,
        "ttft_ms": 0,
        "tries": 2,
        "before": "server_error",
    }
    assert (await Breaker.objects.aget()).consecutive_failures == 0


async def test_who_was_switched_off_meanwhile_is_not_asked_again(first):
    await aserve("first", first.base_url)
    first.faults_once = [Fault.RATE_LIMITED_MS]  # 1.5 s
    asking = asyncio.create_task(served_by())
    await asyncio.sleep(0.5)  # it waits by now

    await database_sync_to_async(switch_off)("first")

    with pytest.raises(AllTargetsFailed):
        await asking
    assert len(first.requests) == 1


def switch_off(name):
    Provider.objects.filter(name=name).update(enabled=False)
    configuration_changed()


async def test_the_file_says_how_often_anything_is_tried_again(both, first, second):
    first.fault = second.fault = Fault.OVERLOADED
    await database_sync_to_async(declare_failover)(retry_on_error=False)

    with pytest.raises(AllTargetsFailed):
        await served_by()

    assert (len(first.requests), len(second.requests)) == (1, 1)


async def test_a_rate_limit_of_the_only_one_is_waited_for(first):
    await aserve("first", first.base_url)
    first.faults_once = [Fault.RATE_LIMITED_MS]  # 1.5 s

    assert await served_by() == "first"
    first_call, second_call = first.requests
    assert second_call.received_at - first_call.received_at >= 1.5


def declare_failover(**fields):
    FailoverSettings.objects.update_or_create(pk=1, defaults=fields)
    configuration_changed()


def open_gates():
    RateGate.objects.update(until=now())
    configuration_changed()


async def test_a_server_that_answers_a_free_call_is_tried_before_its_time(both, first):
    first.fault = Fault.REFUSE
    await served_by()
    first.fault = Fault.NONE

    await database_sync_to_async(discover)(await Provider.objects.aget(name="first"))

    assert await served_by() == "first"


async def test_an_operator_may_keep_it_open_and_reset_it(both, first):
    first.fault = Fault.SERVER_ERROR
    await times_asked(first, 2)
    first.fault = Fault.NONE
    await change(forced="open", open_until=now())
    kept_away = await served_by()

    await database_sync_to_async(breakers.reset)(await Breaker.objects.aget(), actor_name="ada")

    event = await BreakerEvent.objects.afirst()
    assert (kept_away, await served_by()) == ("second", "first")
    assert (event.to_state, event.reason, event.actor_name) == ("closed", "reset", "ada")


@pytest.fixture
def unwritable_breakers():
    """The database takes everything but what is said of breakers."""

    def refuse(execute, sql, params, many, context):
        if "llm_providers_breaker" in sql and not sql.startswith("SELECT"):
            raise OperationalError("disk I/O error")
        return execute(sql, params, many, context)

    def install():
        connection.execute_wrappers.append(refuse)

    group_commit().submit(install).result()
    yield
    group_commit().close()  # with its connection


async def test_an_answer_is_not_lost_because_a_breaker_cannot_be_written(both, first, unwritable_breakers):
    first.fault = Fault.SERVER_ERROR

    assert [await served_by() for _ in range(3)] == ["second"] * 3
    assert not await Breaker.objects.aexists()


async def test_a_trial_keeps_its_lease_as_long_as_it_goes_on(both, first, monkeypatch):
    monkeypatch.setattr(breakers, "_RENEWED_EVERY_S", 0.1)
    first.fault = Fault.SERVER_ERROR
    await times_asked(first, 2)
    first.fault, first.first_byte_delay_s = Fault.SLOW_FIRST_BYTE, 1.0
    await change(open_until=now())
    trial = asyncio.create_task(served_by())
    await asyncio.sleep(0.3)
    await change(lease_until=now())
    await asyncio.sleep(0.3)

    assert (await Breaker.objects.aget()).lease_until > now() + timedelta(seconds=10)
    assert await trial == "first"


async def test_a_healthy_path_writes_nothing_about_breakers(both):
    for _ in range(3):
        await served_by()

    assert not await Breaker.objects.aexists()
