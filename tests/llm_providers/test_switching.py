"""One way to switch a provider, that loses nobody's change and breaks nothing unawares."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils.timezone import now

from architect.accounts.models import AuditEntry, User
from llm_providers.models import Provider, ServedModel
from llm_providers.routing.keeper import read_snapshot
from llm_providers.switching import Outcome, Wish, switch

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ada():
    return User.objects.create_user("ada")


def add(name, *, is_local=True, **fields):
    fields.setdefault("accepts_up_to", "private" if is_local else "internal")
    return Provider.objects.create(
        name=name, kind="openai_compatible", base_url="http://x/v1", is_local=is_local, health="up", **fields
    )


def off(provider, **fields):
    return Wish(on=False, version=provider.version, **fields)


def audited():
    return list(AuditEntry.objects.order_by("pk").values_list("action", "reason"))


def test_it_is_off_for_routing_at_once_and_audited(ada):
    ollama, _ = add("ollama"), add("localai")

    switched = switch(ollama.pk, off(ollama), person=ada)

    assert (switched.outcome, switched.text, switched.provider.version) == (Outcome.DONE, "ollama is off.", 2)
    assert not read_snapshot().by_name["ollama"].is_on
    assert audited() == [("switched off a provider", "")]


def test_who_saw_an_older_state_changes_nothing_and_is_told(ada):
    ollama, _ = add("ollama"), add("localai")
    switch(ollama.pk, off(ollama), person=ada)
    switch(ollama.pk, Wish(on=True, version=2), person=ada)

    late = switch(ollama.pk, off(ollama), person=ada)

    assert (late.outcome, late.provider.is_on) == (Outcome.CONFLICT, True)
    assert late.text == "Somebody else changed it in the meantime. ollama is on."
    assert audited()[-1][0] == "tried to switch off a provider: conflict"


def test_a_double_click_switches_once(ada):
    ollama, _ = add("ollama"), add("localai")

    first, second = (switch(ollama.pk, off(ollama), person=ada) for _ in range(2))

    assert (first.outcome, second.outcome, second.provider.is_on) == (Outcome.DONE, Outcome.ALREADY_SO, False)
    assert len(audited()) == 1


def test_of_two_at_once_one_wins(ada):
    ollama, _ = add("ollama"), add("localai")

    def act(_):
        try:
            return switch(ollama.pk, off(ollama), person=ada).outcome
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(act, range(8)))

    assert outcomes.count(Outcome.DONE) == 1
    assert set(outcomes) == {Outcome.DONE, Outcome.ALREADY_SO}
    assert Provider.objects.get(name="ollama").version == 2


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ([], "No other provider is in use: no question could be answered."),
        ([{"name": "claude", "is_local": False}], "No other local provider is in use: every text would go to a paid"),
        ([{"name": "localai", "accepts_up_to": "internal"}], "No other provider may have private texts"),
        ([{"name": "localai", "enabled": False}], "No other provider is in use"),
    ],
)
def test_what_would_break_is_told_and_wants_a_reason(ada, others, told):
    ollama = add("ollama")
    for other in others:
        add(**other)

    refused = switch(ollama.pk, off(ollama), person=ada)
    without_reason = switch(ollama.pk, off(ollama, is_confirmed=True, reason=" "), person=ada)
    confirmed = switch(ollama.pk, off(ollama, is_confirmed=True, reason="the box is moved"), person=ada)

    assert refused.text.startswith(told)
    assert [one.outcome for one in (refused, without_reason, confirmed)] == [
        Outcome.UNCONFIRMED,
        Outcome.UNCONFIRMED,
        Outcome.DONE,
    ]
    assert audited()[-1] == ("switched off a provider", "the box is moved")


def test_a_port_where_nobody_answers_and_a_test_model_are_nobody_to_fall_back_on(ada):
    ollama = add("ollama")
    add("localai", health_text="")
    Provider.objects.filter(name="localai").update(health="absent")
    engine = add("engine")
    ServedModel.objects.create(provider=engine, name="t", is_test=True, capabilities=["chat"], seen_at=now())

    assert switch(ollama.pk, off(ollama), person=ada).outcome is Outcome.UNCONFIRMED
    assert switch(engine.pk, off(engine), person=ada).outcome is Outcome.DONE


def test_a_paid_provider_without_its_key_is_not_switched_on(ada, settings):
    settings.SECRET_ENVIRONMENT = {}
    claude = add("claude", is_local=False, enabled=False, secret_env="ANTHROPIC_API_KEY")

    switched = switch(claude.pk, Wish(on=True, version=1), person=ada)

    assert switched.outcome is Outcome.NOT_SET_UP
    assert switched.text == "Set ANTHROPIC_API_KEY in the environment first."
