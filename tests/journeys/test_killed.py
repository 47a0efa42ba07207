"""`kill -9` of any process at any moment: what was on screen is kept, and nothing stays stuck."""

import asyncio
import random
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.utils.timezone import now

from architect.chat.models import Message, Run
from architect.chat.services import settle_stale_runs
from architect.jobs.models import Job, JobState
from architect.jobs.services import enqueue
from architect.jobs.services import sweep as sweep_jobs
from llm_providers.jobs import discover_models
from llm_providers.models import Provider, Request, RequestContent
from llm_providers.records import sweeper
from tests.chat_tab import LONG, ChatTab
from tests.fakes.behaviour import Fault
from tests.processes import ROOT, WebProcess, environment

pytestmark = pytest.mark.django_db(transaction=True)


def age_leases():
    """As if a minute had passed: leases and heartbeats of the dead process are over."""
    Request.objects.exclude(lease_until=None).update(lease_until=now() - timedelta(seconds=1))
    Run.objects.active().update(heartbeat_at=now() - timedelta(minutes=1))


async def killed_in_mid_answer(cookie, *, after_s):
    """(what the page had shown when the web process was killed, the run)."""
    with WebProcess() as web:
        async with ChatTab(web.origin, cookie) as tab:
            accepted = await tab.send("Write a lot")
            try:
                async with asyncio.timeout(after_s):
                    while True:
                        await tab.next()
            except TimeoutError:
                web.kill()
            return tab.texts.get(accepted["run"], ""), accepted


async def check_nothing_is_lost(shown, accepted):
    run = await Run.objects.select_related("message").aget(pk=accepted["run"])
    request = await Request.objects.order_by("pk").afirst()
    content = await RequestContent.objects.aget(request=request)
    kept = run.message.content
    assert (run.state, run.message.state) == ("interrupted", "interrupted")
    assert LONG.text.startswith(kept)
    # A flush every 250 ms of 100 words a second, and half a second for a machine that is busy.
    assert len(shown) - len(kept) <= 75 * 6
    assert request.state == "interrupted"
    assert content.prompt == [{"role": "user", "text": "Write a lot"}]
    # A checkpoint every 2 s, and a second for a machine that is busy.
    assert LONG.text.startswith(content.answer)
    assert len(shown) - len(content.answer) <= 300 * 6


@pytest.mark.parametrize("after_s", [0.5, 2.6])
async def test_a_killed_web_process_leaves_what_was_received_and_nothing_stuck(provider, cookie, after_s):
    provider.reply = LONG
    shown, accepted = await killed_in_mid_answer(cookie, after_s=after_s)
    await sync_to_async(age_leases)()

    with WebProcess() as restarted:
        async with ChatTab(restarted.origin, cookie) as tab:
            opened = await tab.open(accepted["c"], {accepted["run"]: 0})
            await tab.until("interrupted")
            answer = await tab.send("Go on")

    assert opened["runs"] == []
    assert answer["t"] == "accepted"
    await check_nothing_is_lost(shown, accepted)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_two_hundred_kills_at_random_moments_lose_nothing(provider, cookie):
    provider.reply = LONG
    for _ in range(200):
        shown, accepted = await killed_in_mid_answer(cookie, after_s=random.uniform(0, 3))
        await sync_to_async(age_leases)()
        await sync_to_async(sweeper.sweep)()
        await sync_to_async(settle_stale_runs)()
        if await Request.objects.aexists():
            await check_nothing_is_lost(shown, accepted)
        else:
            assert provider.requests == []
        await Message.objects.all().adelete()
        await Request.objects.all().adelete()
        provider.requests.clear()


def start_worker():
    command = [sys.executable, "-m", "celery", "-A", "architect.celery", "worker", "-Q", "quick", "--pool", "threads"]
    return subprocess.Popen(
        [*command, "--concurrency", "1"],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for(condition):
    give_up_at = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up_at, "it did not happen within 20 s"
        time.sleep(0.05)


def test_a_killed_worker_loses_no_job(provider):
    provider.fault = Fault.HANG
    row = Provider.objects.get()
    job = enqueue(discover_models, provider_id=row.pk)
    worker = start_worker()
    wait_for(lambda: Job.objects.get().state == JobState.RUNNING and provider.requests)
    worker.kill()
    worker.wait()
    provider.fault = Fault.NONE
    Job.objects.update(lease_until=now() - timedelta(seconds=1))

    sweep_jobs()
    second = start_worker()
    try:
        wait_for(lambda: Job.objects.get().state == JobState.DONE)
    finally:
        second.terminate()
        second.wait()

    job.refresh_from_db()
    row.refresh_from_db()
    assert job.attempts == 2
    assert row.health == "up"
