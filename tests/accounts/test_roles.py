import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command

from architect.accounts.models import User
from architect.accounts.roles import PERMISSIONS, RoleName

pytestmark = pytest.mark.django_db


@pytest.fixture
def person_with():
    def make(role):
        person = User.objects.create_user(f"a {role}", password="x")
        person.groups.add(Group.objects.get(name=role))
        return User.objects.get(pk=person.pk)

    return make


@pytest.mark.parametrize("role", RoleName)
def test_every_role_has_what_it_is_promised(person_with, role):
    assert person_with(role.value).get_all_permissions() == PERMISSIONS[role]


def test_a_permission_taken_from_a_role_is_gone_after_the_next_migrate():
    member = Group.objects.get(name="member")
    operator = Group.objects.get(name="operator")
    member.permissions.add(*operator.permissions.all())

    call_command("migrate", verbosity=0)

    assert member.permissions.count() == len(PERMISSIONS[RoleName.MEMBER])


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("member", 200), ("auditor", 403), ("operator", 200)])
def test_chat_is_for_those_who_may_chat(client, person_with, role, status):
    client.force_login(person_with(role))

    assert client.get("/chat/").status_code == status


def test_every_page_but_the_open_ones_wants_a_person(client):
    User.objects.create_user("ada", password="x")

    assert client.get("/chat/").headers["Location"].startswith("/sign-in/")
    assert client.get("/settings/profile/").headers["Location"].startswith("/sign-in/")
    assert client.get("/models-help/").headers["Location"].startswith("/sign-in/")
    assert client.get("/healthz").content == b"ok"
    assert client.head("/healthz").status_code == 200
    assert client.get("/readyz").json() == {"ready": True}
