from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.utils.timezone import now

from architect.accounts.models import AuditEntry, User
from architect.dashboard.queries import home_state
from architect.jobs.models import Job
from llm_providers.models import Breaker, Provider, Request, ServedModel
from tests.queries import queries_of

pytestmark = pytest.mark.django_db


def add_requests(count, *, owner=None, **fields):
    defaults = {
        "owner": owner,
        "principal": "system",
        "purpose": "chat",
        "capability": "chat",
        "privacy": "internal",
        "wanted_model": "auto",
        "state": "ok",
        "served_by": "ollama/m",
        "is_local": True,
        "started_at": now(),
        "ttft_ms": 100,
        "input_tokens": 10,
        "output_tokens": 5,
        "usage_source": "reported",
    }
    first = Request.objects.count()
    Request.objects.bulk_create(
        Request(**{**defaults, **fields}, public_id=f"req_{first + number}") for number in range(count)
    )


def add_provider(name, **fields):
    provider = Provider.objects.create(
        name=name,
        kind="openai_compatible",
        base_url="http://localhost/v1",
        **{"is_local": True, "health": "up", **fields},
    )
    ServedModel.objects.create(provider=provider, name="m", capabilities=["chat"], seen_at=now())


def test_a_bare_house_says_what_is_missing():
    state = home_state(user_id=1, sees_all=True)

    assert (state.sentence, state.tone) == ("No model is set up yet", "warning")
    assert state.today.local_share == "–"


def test_the_sentence_counts_who_is_up():
    add_provider("ollama")
    add_provider("openai", is_local=False)
    add_provider("localai", health="down", health_text="Connection refused.")
    add_provider("old", enabled=False)

    state = home_state(user_id=1, sees_all=True)

    assert (state.sentence, state.tone) == ("2 of 3 providers up, local and remote", "warning")
    assert [item.text for item in state.needs_attention] == ["localai: Connection refused."]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"state": "open", "open_until": now(), "reason": "server_error", "scope": "model", "model": "m"},
            "m is left alone for a while: the server reported an error.",
        ),
        (
            {"state": "open", "open_until": now(), "reason": "refused"},
            "It is left alone for a while: the connection was refused.",
        ),
        ({"forced": "open"}, "It is kept out of use by an operator."),
        ({"forced": "closed", "state": "open", "open_until": now(), "reason": "refused"}, ""),
        ({"consecutive_failures": 1}, ""),
    ],
)
def test_a_provider_that_answers_and_is_left_alone_says_why(fields, said):
    add_provider("ollama")
    Breaker.objects.create(provider=Provider.objects.get(), **{"scope": "endpoint", **fields})

    (provider,) = home_state(user_id=1, sees_all=True).providers

    assert (provider.status, provider.status_text) == ("up", said)


def test_todays_figures_leave_out_yesterday_and_the_test_model():
    add_requests(3)
    add_requests(1, is_local=False, served_by="claude/m", ttft_ms=900)
    add_requests(1, started_at=now() - timedelta(days=2))
    add_requests(1, is_test=True)

    today = home_state(user_id=1, sees_all=True).today

    assert (today.requests, today.local_share, today.input_tokens, today.ttft_median) == (4, "75 %", "40", "100 ms")


def test_who_may_not_see_all_sees_their_own(person):
    add_requests(2)
    add_requests(1, owner=person)

    assert home_state(user_id=person.pk, sees_all=False).today.requests == 1
    assert home_state(user_id=person.pk, sees_all=True).today.requests == 3


def test_a_failed_job_wants_somebody():
    Job.objects.create(kind="x", queue="quick", state="failed")

    assert [item.text for item in home_state(user_id=1, sees_all=True).needs_attention] == ["1 background job failed"]


def test_the_page_costs_as_many_queries_with_many_rows_as_with_few(client, person):
    client.force_login(person)
    add_provider("ollama")
    add_requests(5)
    few = queries_of(client, "/")
    for number in range(10):
        add_provider(f"p{number}")
    add_requests(500)

    assert queries_of(client, "/") == few <= 15


def test_the_fragment_is_what_htmx_gets_and_caches_know(client, person):
    client.force_login(person)

    whole = client.get("/")
    fragment = client.get("/", headers={"HX-Request": "true"})

    assert b"<html" in whole.content
    assert fragment.content.lstrip().startswith(b'<div id="state"')
    assert "HX-Request" in whole.headers["Vary"]
    assert whole.headers["Cache-Control"] == "private, no-store"


def test_a_provider_saved_in_the_admin_is_audited_and_asked_for_its_models(client, person):
    client.force_login(person)
    form = {
        "name": "localai",
        "kind": "openai_compatible",
        "base_url": "http://localhost:8080/v1/",
        "is_local": "on",
        "accepts_up_to": "private",
        "enabled": "on",
        "enabled_override": "unknown",
        "priority": "10",
        "settings": "{}",
        "served_models-TOTAL_FORMS": "0",
        "served_models-INITIAL_FORMS": "0",
    }

    answer = client.post("/admin/llm_providers/provider/add/", form)

    entry = AuditEntry.objects.get()
    assert answer.status_code == 302
    assert Provider.objects.get().base_url == "http://localhost:8080/v1"
    assert (entry.actor, entry.action, entry.after["base_url"]) == (
        person,
        "added a provider",
        "http://localhost:8080/v1",
    )
    assert Job.objects.get().arguments == {"provider_id": Provider.objects.get().pk}


def test_a_remote_provider_cannot_be_made_to_accept_private_texts(client, person):
    client.force_login(person)
    form = {
        "name": "claude",
        "kind": "openai_compatible",
        "base_url": "https://api.example.org/v1",
        "accepts_up_to": "private",
        "enabled_override": "unknown",
        "priority": "10",
        "settings": "{}",
        "served_models-TOTAL_FORMS": "0",
        "served_models-INITIAL_FORMS": "0",
    }

    answer = client.post("/admin/llm_providers/provider/add/", form)

    assert "A remote provider can&#x27;t accept private texts." in answer.content.decode()
    assert not Provider.objects.exists()


def test_private_content_is_its_owners_alone_even_for_an_auditor(client):
    ada = User.objects.create_user("ada", is_staff=True)
    auditor = User.objects.create_user("aud", is_staff=True)
    auditor.groups.add(Group.objects.get(name="auditor"))
    add_requests(1, owner=ada, privacy="private")
    add_requests(1, owner=ada)
    from llm_providers.models import RequestContent

    for request in Request.objects.all():
        RequestContent.objects.create(request=request, prompt=[], answer=f"the {request.privacy} answer")
    client.force_login(auditor)

    pages = {r.privacy: client.get(f"/admin/llm_providers/request/{r.pk}/change/") for r in Request.objects.all()}

    assert "the internal answer" in pages["internal"].content.decode()
    assert "the private answer" not in pages["private"].content.decode()
