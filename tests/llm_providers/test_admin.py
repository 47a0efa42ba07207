import pytest
from django.contrib.auth.models import Group
from django.utils.timezone import now

from architect.accounts.models import User
from llm_providers.models import Attempt, Request

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
