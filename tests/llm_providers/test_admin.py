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
    assert 'name="enabled_override"' not in page
    assert "differs: the file says on" in page


@pytest.fixture
def two_local(client):
    for name in ("ollama", "localai"):
        Provider.objects.create(
            name=name, kind="ollama", base_url="http://localhost:1", is_local=True, accepts_up_to="private", health="up"
        )
    client.force_login(person_with_role("operator"))
    return Provider.objects.get(name="ollama")


def switched_on(name):
    return Provider.objects.get(name=name).is_on


def test_the_list_has_a_button_that_switches_through_the_one_way(client, two_local):
    page = client.get("/admin/llm_providers/provider/").content.decode()
    address = f"/admin/llm_providers/provider/{two_local.pk}/switch/"

    answer = client.post(address, {"wish": "off:1"}, follow=True)

    assert f'formaction="{address}" name="wish" value="off:1">Switch ollama off</button>' in page
    assert "Ollama is off." in answer.content.decode()  # the admin begins messages with a capital
    assert not switched_on("ollama")
    assert AuditEntry.objects.get().action == "switched off a provider"


def test_the_last_one_needs_a_reason_here_too(client, two_local):
    Provider.objects.filter(name="localai").delete()
    address = f"/admin/llm_providers/provider/{two_local.pk}/switch/"

    asked = client.post(address, {"wish": "off:1"})
    still_on = switched_on("ollama")
    client.post(address, {"wish": "off:1:confirmed", "reason": "moved"})

    assert (asked.status_code, still_on, switched_on("ollama")) == (409, True, False)
    assert 'value="off:1:confirmed"' in asked.content.decode()


def test_a_bulk_action_goes_one_by_one_and_leaves_the_last(client, two_local):
    chosen = list(Provider.objects.values_list("pk", flat=True))
    data = {"action": "switch_off", "_selected_action": chosen}

    answer = client.post("/admin/llm_providers/provider/", data, follow=True)

    assert sorted(map(switched_on, ("ollama", "localai"))) == [False, True]
    assert "no question could be answered" in answer.content.decode()


def test_switching_is_no_matter_of_looking_or_of_who_may_only_look(client, two_local):
    address = f"/admin/llm_providers/provider/{two_local.pk}/switch/"
    looked = client.get(address)
    client.force_login(person_with_role("auditor"))

    assert looked.status_code == 405
    assert client.post(address, {"wish": "off:1"}).status_code == 403
    assert switched_on("ollama")


def test_who_saves_over_another_change_is_told_and_loses_nothing(client, two_local):
    address = f"/admin/llm_providers/provider/{two_local.pk}/change/"
    form = client.get(address).context["adminform"].form
    data = {name: value for name, value in form.initial.items() if value is not None}
    inline = {"served_models-TOTAL_FORMS": 0, "served_models-INITIAL_FORMS": 0}
    mine = {**data, **inline, "seen_version": form.fields["seen_version"].initial, "settings": "{}", "is_local": "on"}
    Provider.objects.filter(pk=two_local.pk).update(priority=5, version=2)

    late = client.post(address, {**mine, "priority": 50})
    again = client.post(address, {**mine, "priority": 50, "seen_version": 2})

    assert "Somebody else has changed this provider since" in late.content.decode()
    assert again.status_code == 302
    assert Provider.objects.get(pk=two_local.pk).priority == 50
