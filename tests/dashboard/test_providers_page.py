"""What the providers page shows, and what its buttons do for whom."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.utils.timezone import now

from architect.accounts.models import AuditEntry, User
from architect.dashboard.provider_cards import provider_cards
from llm_providers.health.heartbeats import Beat, count
from llm_providers.models import Attempt, Breaker, Provider, RateGate, Request, ServedModel
from tests.fakes.openai import FakeOpenAI
from tests.queries import queries_of

pytestmark = pytest.mark.django_db


def add(name, *, base_url="http://localhost:1/v1", is_local=True, **fields):
    provider = Provider.objects.create(
        name=name,
        kind="openai_compatible",
        base_url=base_url,
        is_local=is_local,
        accepts_up_to="private" if is_local else "internal",
        **{"health": "up", **fields},
    )
    ServedModel.objects.create(provider=provider, name="m", capabilities=["chat"], seen_at=now())
    return provider


def add_answers(provider, *waits):
    request = Request.objects.create(public_id=f"req_{provider}", started_at=now(), purpose="chat", state="ok")
    Attempt.objects.bulk_create(
        Attempt(
            request=request, ordinal=number, provider=provider, served_model="m", is_local=True, state="ok",
            started_at=now(), ttft_ms=wait,
        )
        for number, wait in enumerate(waits, start=1)
    )  # fmt: skip


@pytest.fixture
def operator(client):
    person = User.objects.create_user("op")
    person.groups.add(Group.objects.get(name="operator"))
    client.force_login(person)
    return person


@pytest.fixture
def viewer(client):
    person = User.objects.create_user("eve")
    person.groups.add(Group.objects.get(name="viewer"))
    client.force_login(person)
    return person


def card(name="ollama"):
    (found,) = provider_cards(only=name)
    return found


def test_a_card_tells_how_long_the_first_token_takes():
    add("ollama")
    add_answers("ollama", *range(10, 1010, 10))

    assert (card().ttft_p50, card().ttft_p95, card().answers) == ("500 ms", "950 ms", 100)


def test_a_heartbeat_is_the_last_hour_by_the_minute():
    ollama = add("ollama")
    for minutes, beat in ((0, Beat.UP), (1, Beat.SLOW), (1, Beat.UP), (2, Beat.DOWN), (2, Beat.UP), (90, Beat.DOWN)):
        count(ollama, beat, at=now() - timedelta(minutes=minutes))

    assert [beat.kind for beat in card().beats[-4:]] == ["unknown", "down", "slow", "up"]
    assert len(card().beats) == 60
    assert card().beats_label == "Last hour by the minute: 1 up, 1 slow, 1 down"


def test_a_breaker_and_a_gate_say_why_and_until_when():
    ollama, later = add("ollama"), now() + timedelta(minutes=1)
    Breaker.objects.create(provider=ollama, scope="model", model="m", state="open", open_until=later, reason="slow")
    Breaker.objects.create(provider=ollama, scope="endpoint", consecutive_failures=1)
    RateGate.objects.create(provider=ollama, until=later, reason="rate_limited")

    (line,) = card().breakers
    assert (line.text, line.until) == ("m is left alone: no first word came in time.", later)
    assert (card().gate, card().gated_until) == ("its rate limit was reached", later)


def test_a_page_costs_as_many_queries_with_many_providers_as_with_few(client, operator):
    add("ollama")
    add_answers("ollama", 10)
    few = queries_of(client, "/providers/")
    for number in range(10):
        count(add(f"p{number}"), Beat.UP, at=now())
        Breaker.objects.create(provider=Provider.objects.get(name=f"p{number}"), scope="endpoint", forced="open")
        add_answers(f"p{number}", *range(50))

    assert queries_of(client, "/providers/") == few <= 15


def test_the_fragment_is_what_htmx_gets(client, operator):
    add("ollama")

    whole, fragment = (client.get("/providers/", headers=headers) for headers in ({}, {"HX-Request": "true"}))

    assert b"<h1>Providers</h1>" in whole.content
    assert fragment.content.startswith(b'<div id="providers"')


def test_an_operator_switches_and_is_sent_back_to_the_card(client, operator):
    ollama = add("ollama")
    add("localai")

    answer = client.post("/providers/ollama/switch/", {"wish": "off:1"})

    ollama.refresh_from_db()
    assert (answer.status_code, answer["Location"]) == (302, "/providers/#provider-ollama")
    assert not ollama.is_on
    assert AuditEntry.objects.get().actor_name == "op"


def test_with_script_the_card_alone_comes_back(client, operator):
    add("ollama")
    add("localai")

    answer = client.post("/providers/ollama/switch/", {"wish": "off:1"}, headers={"HX-Request": "true"})

    assert answer.content.decode().startswith('<li class="card card-body a-provider" id="provider-ollama">')
    assert json.loads(answer["HX-Trigger"]) == {"a:toast": {"text": "ollama is off.", "tone": "success"}}
    assert "localai" not in answer.content.decode()


def test_the_last_one_is_switched_off_only_with_a_reason(client, operator):
    ollama = add("ollama")

    asked = client.post("/providers/ollama/switch/", {"wish": "off:1"})
    ollama.refresh_from_db()
    was_on = ollama.is_on
    client.post("/providers/ollama/switch/", {"wish": "off:1:confirmed", "reason-ollama": "moved"})

    ollama.refresh_from_db()
    assert (asked.status_code, was_on, ollama.is_on) == (409, True, False)
    assert "no question could be answered" in asked.content.decode()
    assert 'value="off:1:confirmed"' in asked.content.decode()
    assert AuditEntry.objects.latest("pk").reason == "moved"


def test_who_comes_second_is_told_and_changes_nothing(client, operator):
    add("ollama", version=7)
    add("localai")

    answer = client.post("/providers/ollama/switch/", {"wish": "off:6"})

    assert answer.status_code == 409
    assert "Somebody else changed it in the meantime. ollama is on." in answer.content.decode()


@pytest.mark.parametrize("wish", ["", "off", "maybe:1", "off:x", "off:-1"])
def test_a_wish_that_is_none_is_refused(client, operator, wish):
    add("ollama")

    assert client.post("/providers/ollama/switch/", {"wish": wish}).status_code == 404


@pytest.mark.parametrize("path", ["switch/", "test/", "breakers/1/reset/"])
def test_who_may_only_look_has_no_buttons_and_no_way_round(client, viewer, path):
    ollama = add("ollama")
    Breaker.objects.create(pk=1, provider=ollama, scope="endpoint", forced="open")

    assert client.get("/providers/").content.count(b"formaction") == 0
    assert client.post(f"/providers/ollama/{path}", {"wish": "off:1"}).status_code == 403
    ollama.refresh_from_db()
    assert ollama.is_on


def test_an_act_is_not_done_by_looking(client, operator):
    add("ollama")

    assert client.get("/providers/ollama/switch/").status_code == 405


def test_a_breaker_is_kept_out_of_use_and_reset(client, operator):
    breaker = Breaker.objects.create(
        provider=add("ollama"), scope="endpoint", state="open", open_until=now(), reason="refused"
    )

    client.post(f"/providers/ollama/breakers/{breaker.pk}/open/")
    kept = card().breakers[0].text
    client.post(f"/providers/ollama/breakers/{breaker.pk}/reset/")

    assert kept == "The whole server is kept out of use by an operator."
    assert card().breakers == []
    assert client.post(f"/providers/ollama/breakers/{breaker.pk}/smash/").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_testing_now_finds_out_what_is_there(client, operator):
    with FakeOpenAI() as fake:
        add("localai", base_url=fake.base_url, health="down", health_text="Nothing answers.")

        answer = client.post("/providers/localai/test/", headers={"HX-Request": "true"})

    assert b"gpt-6-luna" in answer.content
    assert card("localai").status == "up"
    assert card("localai").beats[-1].kind == "up"
