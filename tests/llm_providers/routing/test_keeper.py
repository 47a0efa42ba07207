import pytest
from django.utils.timezone import now

from llm_providers.models import ServedModel
from llm_providers.routing.keeper import read_snapshot
from tests.llm_providers.requests import serve

pytestmark = pytest.mark.django_db


def test_a_bare_machine_has_seen_no_real_model():
    serve("engine", "http://localhost:1/v1")

    assert not read_snapshot().real_model_was_seen


def test_a_real_model_that_is_gone_was_seen_all_the_same():
    serve("ollama", "http://localhost:1/v1")
    ServedModel.objects.update(missing_since=now())

    known = read_snapshot()

    assert known.providers[0].models == ()
    assert known.real_model_was_seen
