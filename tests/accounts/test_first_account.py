from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils.timezone import now

from architect.accounts.errors import SetupLinkInvalid
from architect.accounts.models import AuditEntry, SetupLink, User
from architect.accounts.services import create_first_account, setup_link

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


def token_of(link):
    return link.rstrip("/").rsplit("/", 1)[1]


@pytest.fixture
def form():
    return {"username": "ada", "password1": PASSWORD, "password2": PASSWORD}


def test_the_link_makes_an_administrator_and_signs_in(client, form):
    link = setup_link()

    answer = client.post(reverse("accounts:welcome", args=[token_of(link)]), form)

    ada = User.objects.get()
    assert answer.status_code == 302
    assert client.session["_auth_user_id"] == str(ada.pk)
    assert ada.is_superuser
    assert [group.name for group in ada.groups.all()] == ["admin"]
    assert AuditEntry.objects.get().action == "made the first account"


def test_there_is_no_link_once_an_account_exists():
    create_first_account(token=token_of(setup_link()), username="ada", password=PASSWORD)

    assert setup_link() is None


def test_a_link_works_once(client, form):
    token = token_of(setup_link())
    client.post(reverse("accounts:welcome", args=[token]), form)

    answer = client.post(reverse("accounts:welcome", args=[token]), {**form, "username": "eve"})

    assert answer.status_code == 410
    assert User.objects.count() == 1


def test_a_new_link_ends_the_old_one(client, form):
    old = token_of(setup_link())
    setup_link()

    answer = client.post(reverse("accounts:welcome", args=[old]), form)

    assert answer.status_code == 410
    assert not User.objects.exists()


def test_a_link_lasts_a_day():
    token = token_of(setup_link())
    tomorrow = now() + SetupLink.LIFETIME + timedelta(seconds=1)

    with time_machine.travel(tomorrow), pytest.raises(SetupLinkInvalid, match="not valid any more"):
        create_first_account(token=token, username="ada", password=PASSWORD)


def test_a_weak_password_is_refused_beside_its_field(client, form):
    token = token_of(setup_link())

    answer = client.post(reverse("accounts:welcome", args=[token]), {**form, "password1": "123", "password2": "123"})

    assert answer.status_code == 422
    assert "too short" in answer.content.decode()
    assert not User.objects.exists()


def test_the_token_is_not_kept():
    token = token_of(setup_link())

    assert token not in SetupLink.objects.get().token_hash


def test_home_leads_to_the_first_account_while_there_is_none(client):
    answer = client.get("/")

    assert answer.headers["Location"] == reverse("accounts:welcome")


def test_home_leads_to_the_sign_in_once_there_is_one(client):
    User.objects.create_user("ada", password=PASSWORD)

    assert client.get("/").headers["Location"] == reverse("accounts:sign_in")
