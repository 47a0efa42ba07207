from dataclasses import replace

import pytest

from llm_providers.routing.connections import adapter_for
from llm_providers.routing.snapshot import ModelEntry, ProviderEntry
from llm_providers.types import Capability, PrivacyLabel

OPENAI = ProviderEntry(
    "openai", "openai_compatible", "http://x/v1", is_local=False, accepts_up_to=PrivacyLabel.INTERNAL, secret_env="KEY"
)


@pytest.fixture(autouse=True)
def _key(settings):
    settings.SECRET_ENVIRONMENT = {"KEY": "sk-first"}


def test_an_adapter_lives_as_long_as_its_connection_stays_the_same():
    more_models = replace(OPENAI, priority=7, models=(ModelEntry("m", frozenset({Capability.CHAT})),))

    assert adapter_for(more_models) is adapter_for(OPENAI)


@pytest.mark.parametrize(
    "change",
    [{"base_url": "http://y/v1"}, {"accepts_up_to": PrivacyLabel.PUBLIC}, {"is_local": True}, {"name": "another"}],
    ids=str,
)
def test_another_connection_has_another_adapter(change):
    changed = adapter_for(replace(OPENAI, **change))

    assert changed is not adapter_for(OPENAI)


def test_a_new_secret_is_used_at_once(settings):
    before = adapter_for(OPENAI)
    settings.SECRET_ENVIRONMENT = {"KEY": "sk-second"}

    after = adapter_for(OPENAI)

    assert (before.connection.secret, after.connection.secret) == ("sk-first", "sk-second")
