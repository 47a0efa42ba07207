import asyncio

import pytest

from architect.live import audience as module
from architect.live.audience import audience, while_watched


@pytest.fixture
def looks(monkeypatch):
    """Counts how often what is done while `weather` is watched was done."""
    monkeypatch.setattr(module, "_cares", [])
    done = []

    async def look():
        done.append(1)
        if len(done) == 1:
            raise RuntimeError("the first one fails")

    while_watched("weather", look, every_s=0.01)
    return done


async def test_it_is_done_while_somebody_watches_and_not_after(looks):
    audience().join(frozenset({"weather", "news"}))
    audience().join(frozenset({"weather"}))
    await asyncio.sleep(0.05)
    audience().leave(frozenset({"weather", "news"}))
    before_the_last_left = len(looks)
    await asyncio.sleep(0.05)
    audience().leave(frozenset({"weather"}))
    done = len(looks)
    await asyncio.sleep(0.05)

    assert 1 < before_the_last_left < done
    assert len(looks) <= done + 1


async def test_nobody_watching_is_no_reason_to_look(looks):
    audience().join(frozenset({"news"}))
    await asyncio.sleep(0.03)

    assert looks == []
