import pytest
from django.contrib.auth.models import Group
from django.utils.timezone import now

from architect.accounts.models import AuditEntry, User
from llm_providers.models import Attempt, Breaker, Provider, Request

pytestmark = pytest.mark.django_db
COMPLAINT = "I cannot make sense of your words: my secret"


@pytest.fixture
def ada():
    return User.objects.create_user("ada", is_staff=True)


def person_with_role(role):
    person = User.objects.create_user(f"an {role}", is_staff=True)
    person.groups.add(Group.objects.get(name=role))
    return person


def page_of(client, person, *, owner, privacy):
    """The admin's page of a request of `owner`, as `person` sees it."""
    request = Request.objects.create(
        public_id="req_1", owner=owner, principal="person:1", purpose="chat", capability="chat", privacy=privacy,
        wanted_model="auto", state="failed", started_at=now(),
    )  # fmt: skip
    Attempt.objects.create(
        request=request, ordinal=1, provider="ollama", served_model="m", is_local=True, state="failed",
        event="bad_request", http_status=400, started_at=now(), error_text=COMPLAINT,
    )  # fmt: skip
    client.force_login(person)
    return client.get(f"/admin/llm_providers/request/{request.pk}/change/").content.decode()


@pytest.mark.parametrize("privacy", ["internal", "private"])
def test_an_operator_sees_what_happened_but_no_words_of_a_provider(client, ada, privacy):
    page = page_of(client, person_with_role("operator"), owner=ada, privacy=privacy)

    assert "bad_request" in page
    assert COMPLAINT not in page


def test_who_may_read_content_reads_a_complaint(client, ada):
    assert COMPLAINT in page_of(client, person_with_role("auditor"), owner=ada, privacy="internal")


def test_a_complaint_about_a_private_text_is_its_owners_alone(client, ada):
    assert COMPLAINT not in page_of(client, person_with_role("auditor"), owner=ada, privacy="private")


def test_a_complaint_about_ones_own_text_is_shown(client):
    operator = person_with_role("operator")

    assert COMPLAINT in page_of(client, operator, owner=operator, privacy="private")


def act(client, person, action, breaker):
    client.force_login(person)
    data = {"action": action, "_selected_action": [breaker.pk]}
    return client.post("/admin/llm_providers/breaker/", data)


@pytest.fixture
def open_breaker():
    ollama = Provider.objects.create(name="ollama", kind="ollama", base_url="http://localhost:1", is_local=True)
    return Breaker.objects.create(provider=ollama, scope="endpoint", state="open", open_until=now(), reason="refused")


def test_an_operator_resets_and_forces_a_breaker_and_that_is_audited(client, open_breaker):
    operator = person_with_role("operator")

    act(client, operator, "force_open", open_breaker)
    open_breaker.refresh_from_db()
    forced = open_breaker.forced
    act(client, operator, "reset", open_breaker)

    open_breaker.refresh_from_db()
    assert (forced, open_breaker.forced, open_breaker.state) == ("open", None, "closed")
    assert {entry.action for entry in AuditEntry.objects.all()} == {"forced a breaker open", "reset a breaker"}


def test_who_may_only_look_cannot_reset_a_breaker(client, open_breaker):
    act(client, person_with_role("auditor"), "reset", open_breaker)

    open_breaker.refresh_from_db()
    assert open_breaker.state == "open"


def test_what_the_file_declares_is_not_edited_in_the_admin(client):
    declared = Provider.objects.create(
        name="ollama", kind="ollama", base_url="http://localhost:1", is_local=True, is_declared=True
    )
    declared.enabled_override = False
    declared.save()
    client.force_login(User.objects.create_superuser("root"))

    page = client.get(f"/admin/llm_providers/provider/{declared.pk}/change/").content.decode()

    assert 'name="base_url"' not in page
    assert 'name="enabled_override"' in page
    assert "differs: the file says on" in page
