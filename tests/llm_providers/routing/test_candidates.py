import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_providers.errors import BadRequest
from llm_providers.routing.candidates import OrderPolicy, Skip, plan
from llm_providers.routing.snapshot import ModelEntry, ProviderEntry, Snapshot
from llm_providers.types import (
    Capability,
    EmbedRequest,
    ImagePart,
    Message,
    ModelRequest,
    Principal,
    PrivacyLabel,
    Purpose,
    Role,
)

CHAT = frozenset({Capability.CHAT})
PRIVATE, INTERNAL = PrivacyLabel.PRIVATE, PrivacyLabel.INTERNAL


def provider(name, *models, **fields):
    is_local = fields.setdefault("is_local", True)
    fields.setdefault("accepts_up_to", PRIVATE if is_local else INTERNAL)
    served = tuple(ModelEntry(model, CHAT) if isinstance(model, str) else model for model in models)
    return ProviderEntry(name, "openai_compatible", f"http://{name}/v1", models=served, **fields)


def engine(*, is_test):
    return provider("engine", ModelEntry("built-in", CHAT, is_test=is_test), is_engine=True, priority=900)


def ask(wanted="auto", *, privacy=INTERNAL, text="hi", images=()):
    message = Message(Role.USER, text, images)
    return ModelRequest((message,), Purpose.CHAT, Principal.system(), privacy, wanted_model=wanted)


def labels(found):
    return [target.label for target in found.candidates]


def skips(found):
    return {verdict.label: verdict.reason for verdict in found.verdicts if isinstance(verdict, Skip)}


OLLAMA = provider("ollama", "llama3.2", priority=1)
LOCALAI = provider("localai", "llama3", priority=2)
CLAUDE = provider("claude", "sonnet", is_local=False, priority=3)
OPENAI = provider("openai", "gpt", is_local=False, priority=4)
FOUR = Snapshot((OPENAI, CLAUDE, LOCALAI, OLLAMA))


def test_priority_decides_where_no_order_is_set():
    found = plan(FOUR, ask(), OrderPolicy())

    assert labels(found) == ["ollama/llama3.2", "localai/llama3", "claude/sonnet", "openai/gpt"]


def test_local_comes_before_remote_at_equal_priority():
    both = Snapshot((provider("a", "m", is_local=False, priority=5), provider("b", "m", priority=5)))

    assert labels(plan(both, ask(), OrderPolicy())) == ["b/m", "a/m"]


def test_a_set_order_is_the_complete_chain():
    policy = OrderPolicy("ollama", ("ollama", "claude", "openai"))

    assert labels(plan(FOUR, ask(), policy)) == ["ollama/llama3.2", "claude/sonnet", "openai/gpt"]


def test_the_default_provider_is_asked_first():
    assert labels(plan(FOUR, ask(), OrderPolicy("localai")))[0] == "localai/llama3"
    assert labels(plan(FOUR, ask(), OrderPolicy("localai", ("claude",)))) == ["localai/llama3", "claude/sonnet"]


def test_failover_switched_off_leaves_the_default_provider_alone():
    assert labels(plan(FOUR, ask(), OrderPolicy("claude", failover_enabled=False))) == ["claude/sonnet"]


def test_private_texts_have_no_remote_candidate():
    found = plan(FOUR, ask(privacy=PRIVATE), OrderPolicy())

    assert labels(found) == ["ollama/llama3.2", "localai/llama3"]
    assert skips(found) == {"claude": "privacy", "openai": "privacy"}


def test_a_cloud_model_of_a_local_server_counts_as_remote_for_private_texts():
    cloudy = Snapshot((provider("ollama", ModelEntry("big:cloud", CHAT, is_remote=True)),))

    assert skips(plan(cloudy, ask(privacy=PRIVATE), OrderPolicy())) == {"ollama/big:cloud": "privacy"}
    assert labels(plan(cloudy, ask(), OrderPolicy())) == ["ollama/big:cloud"]


def test_a_cloud_model_that_nobody_has_listed_counts_as_remote_too():
    unlisted = Snapshot((provider("ollama", default_model="gpt-oss:120b-cloud"),))

    assert skips(plan(unlisted, ask(privacy=PRIVATE), OrderPolicy())) == {"ollama/gpt-oss:120b-cloud": "privacy"}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("claude", ["claude/sonnet"]),
        ("claude/sonnet", ["claude/sonnet"]),
        ("llama3", ["localai/llama3"]),
    ],
)
def test_who_is_named_is_asked_alone(wanted, expected):
    assert labels(plan(FOUR, ask(wanted), OrderPolicy())) == expected


def test_a_model_that_several_offer_is_asked_in_their_order():
    both = Snapshot((provider("localai", "m", priority=2), provider("ollama", "m", priority=1)))

    assert labels(plan(both, ask("m"), OrderPolicy())) == ["ollama/m", "localai/m"]


def test_an_unknown_model_names_those_that_there_are():
    with pytest.raises(BadRequest, match=r"No provider offers a model 'gpt-9'.*ollama/llama3\.2"):
        plan(FOUR, ask("gpt-9"), OrderPolicy())


def test_a_named_provider_without_that_model_is_a_skip():
    assert skips(plan(FOUR, ask("ollama/nope"), OrderPolicy())) == {"ollama/nope": "model_missing"}


def test_who_is_switched_off_or_not_set_up_is_passed_over_with_the_reason():
    off = provider("ollama", "m", is_on=False)
    nowhere = ProviderEntry("localai", "openai_compatible", "", is_local=True, accepts_up_to=PRIVATE)

    assert skips(plan(Snapshot((off, nowhere)), ask(), OrderPolicy())) == {"ollama": "disabled", "localai": "config"}


def test_a_picture_needs_a_model_that_sees():
    sees = provider("localai", ModelEntry("eyes", CHAT | {Capability.VISION}))
    found = plan(Snapshot((OLLAMA, sees)), ask(images=(ImagePart("image/png", b""),)), OrderPolicy())

    assert labels(found) == ["localai/eyes"]
    assert skips(found) == {"ollama/llama3.2": "capability"}


def test_another_model_of_the_same_provider_does_where_the_first_does_not_fit():
    blind_first = provider("localai", "a-blind", ModelEntry("eyes", CHAT | {Capability.VISION}))

    found = plan(Snapshot((blind_first,)), ask(images=(ImagePart("image/png", b""),)), OrderPolicy())

    assert labels(found) == ["localai/eyes"]


def test_a_remote_provider_answers_with_its_configured_model_or_not_at_all():
    """Another one may cost many times as much."""
    gone = provider("openai", "gpt-pro", is_local=False, default_model="gpt-mini")
    local = provider("ollama", "gemma3", default_model="llama3.2", priority=200)

    found = plan(Snapshot((gone, local)), ask(), OrderPolicy())

    assert labels(found) == ["ollama/gemma3"]
    assert skips(found) == {"openai/gpt-mini": "model_missing"}


def test_vectors_come_from_another_model_than_the_configured_one_that_chats():
    vectors = ModelEntry("embed-small", frozenset({Capability.EMBED}))
    remote = provider("openai", "gpt-mini", vectors, is_local=False, default_model="gpt-mini")
    request = EmbedRequest(("text",), Purpose.EMBEDDING, Principal.system(), INTERNAL)

    assert labels(plan(Snapshot((remote,)), request, OrderPolicy())) == ["openai/embed-small"]


def test_vectors_come_from_models_that_embed():
    both = provider("localai", "llama3", ModelEntry("minilm", frozenset({Capability.EMBED})))
    request = EmbedRequest(("text",), Purpose.EMBEDDING, Principal.system(), PRIVATE)

    assert labels(plan(Snapshot((both,)), request, OrderPolicy())) == ["localai/minilm"]


def test_a_text_that_surely_does_not_fit_costs_no_call():
    small = provider("ollama", ModelEntry("small", CHAT, context_length=100))

    found = plan(Snapshot((small, LOCALAI)), ask(text="x" * 2000), OrderPolicy())

    assert labels(found) == ["localai/llama3"]
    assert skips(found) == {"ollama/small": "context_length"}


def test_the_test_model_answers_on_a_bare_machine():
    assert labels(plan(Snapshot((engine(is_test=True),)), ask(), OrderPolicy())) == ["engine/built-in"]


def test_the_test_model_is_silent_once_a_real_one_was_seen():
    known = Snapshot((OLLAMA, engine(is_test=True), OPENAI), real_model_was_seen=True)

    found = plan(known, ask(), OrderPolicy())

    assert labels(found) == ["ollama/llama3.2", "openai/gpt"]
    assert skips(found) == {"engine/built-in": "test_model"}


def test_the_test_model_is_the_last_of_all_until_then():
    unlisted = provider("openai", default_model="gpt", is_local=False)

    found = plan(Snapshot((engine(is_test=True), unlisted)), ask(), OrderPolicy())

    assert labels(found) == ["openai/gpt", "engine/built-in"]


def test_verdicts_stand_in_the_order_of_the_chain():
    off = provider("localai", "llama3", is_on=False, priority=2)

    found = plan(Snapshot((OPENAI, off, OLLAMA)), ask(), OrderPolicy())

    assert [verdict.label for verdict in found.verdicts] == ["ollama/llama3.2", "localai", "openai/gpt"]


def test_the_test_model_answers_when_it_is_named():
    known = Snapshot((OLLAMA, engine(is_test=True)), real_model_was_seen=True)

    found = plan(known, ask("engine"), OrderPolicy())

    assert labels(found) == ["engine/built-in"]


@pytest.mark.parametrize("order", [(), ("ollama", "claude")])
def test_the_engine_with_a_real_model_is_the_last_of_the_local_ones(order):
    found = plan(Snapshot((OLLAMA, CLAUDE, engine(is_test=False))), ask(), OrderPolicy("ollama", order))

    assert labels(found) == ["ollama/llama3.2", "engine/built-in", "claude/sonnet"]


providers = st.builds(
    lambda name, is_local, accepts, is_on, cloud, priority: provider(
        name,
        ModelEntry("m", CHAT, is_remote=cloud),
        is_local=is_local,
        accepts_up_to=accepts if is_local else min(accepts, INTERNAL, key=lambda label: label.rank),
        is_on=is_on,
        priority=priority,
    ),
    name=st.sampled_from(["ollama", "localai", "claude", "openai", "x"]),
    is_local=st.booleans(),
    accepts=st.sampled_from(PrivacyLabel),
    is_on=st.booleans(),
    cloud=st.booleans(),
    priority=st.integers(0, 3),
)
policies = st.builds(
    OrderPolicy,
    st.sampled_from(["ollama", "claude", "nobody"]),
    st.lists(st.sampled_from(["ollama", "localai", "claude", "openai", "x"]), unique=True).map(tuple),
    st.booleans(),
)


@given(st.lists(providers, unique_by=lambda p: p.name), policies, st.sampled_from(["auto", "ollama", "m", "claude/m"]))
def test_no_private_text_ever_has_a_remote_candidate(configured, policy, wanted):
    try:
        found = plan(Snapshot(tuple(configured)), ask(wanted, privacy=PRIVATE), policy)
    except BadRequest:
        return

    assert all(target.provider.is_local and not target.model.is_remote for target in found.candidates)


@given(st.lists(providers, unique_by=lambda p: p.name), st.sampled_from(["auto", "ollama", "m", "claude/m"]))
def test_without_failover_there_is_one_candidate_at_most(configured, wanted):
    try:
        found = plan(Snapshot(tuple(configured)), ask(wanted), OrderPolicy("ollama", (), failover_enabled=False))
    except BadRequest:
        return

    assert len(found.candidates) <= 1


@given(st.lists(providers, unique_by=lambda p: p.name))
def test_every_configured_provider_is_accounted_for_once(configured):
    found = plan(Snapshot(tuple(configured)), ask(), OrderPolicy())
    told = [label.partition("/")[0] for label in [*labels(found), *skips(found)]]

    assert sorted(told) == sorted(entry.name for entry in configured)
