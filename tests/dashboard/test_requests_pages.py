"""The list of requests and the page of one: what is shown to whom."""

from datetime import timedelta
from urllib.parse import parse_qs

import pytest
from django.contrib.auth.models import Group
from django.utils.timezone import now

from architect.accounts.models import User
from architect.dashboard.request_pages import list_requests, newer_requests
from llm_providers.models import Attempt, Provider, Request, RequestContent
from tests.queries import queries_of

pytestmark = pytest.mark.django_db
COMPLAINT = "I cannot read your secret"


def add(public_id, *, ago_s=0, **fields):
    defaults = {
        "principal": "system",
        "purpose": "chat",
        "capability": "chat",
        "privacy": "internal",
        "wanted_model": "auto",
        "state": "ok",
        "served_by": "ollama/m",
        "is_local": True,
        "started_at": now() - timedelta(seconds=ago_s),
    }
    return Request.objects.create(public_id=public_id, **{**defaults, **fields})


def person_with_role(role, name=None):
    person = User.objects.create_user(name or f"an {role}")
    person.groups.add(Group.objects.get(name=role))
    return person


@pytest.fixture
def operator(client):
    person = person_with_role("operator")
    client.force_login(person)
    return person


def ids(listed):
    return [line.public_id for line in listed.lines]


def following(query):
    return {name: values[0] for name, values in parse_qs(query).items()}


def test_pages_go_there_and_back_and_lose_nobody(operator):
    moment = now()
    for number in range(120):
        add(f"req_{number:03}", started_at=moment) if number % 2 else add(f"req_{number:03}", ago_s=number)
    first = list_requests(operator, {})
    second = list_requests(operator, following(first.older))
    third = list_requests(operator, following(second.older))
    back = list_requests(operator, following(third.newer))

    assert [len(page.lines) for page in (first, second, third)] == [50, 50, 20]
    assert len({*ids(first), *ids(second), *ids(third)}) == 120
    assert (first.newer, third.older, first.total) == ("", "", "120")
    assert ids(back) == ids(second)


@pytest.fixture
def mixed():
    Provider.objects.create(name="claude", kind="anthropic", base_url="http://x")
    add("req_a")
    add("req_b", served_by="claude/sonnet", is_local=False, ago_s=1)
    add("req_c", state="failed", served_by="", is_local=None, ago_s=2, privacy="private", purpose="title")


@pytest.mark.parametrize(
    ("wishes", "found"),
    [
        ({}, ["req_a", "req_b", "req_c"]),
        ({"state": "failed"}, ["req_c"]),
        ({"provider": "claude"}, ["req_b"]),
        ({"where": "local"}, ["req_a"]),
        ({"where": "remote", "state": "ok"}, ["req_b"]),
        ({"privacy": "private"}, ["req_c"]),
        ({"purpose": "title"}, ["req_c"]),
        ({"q": " req_a "}, ["req_a"]),
        ({"state": "nonsense", "where": "moon"}, ["req_a", "req_b", "req_c"]),
        ({"before": "req_b"}, ["req_c"]),
        ({"before": "req_gone"}, ["req_a", "req_b", "req_c"]),
    ],
)
def test_filters(operator, mixed, wishes, found):
    assert ids(list_requests(operator, wishes)) == found


def test_a_filter_can_be_taken_away_alone(operator, mixed):
    listed = list_requests(operator, {"where": "remote", "state": "ok"})

    assert {one.name: one.without for one in listed.filters if one.chosen} == {
        "state": "where=remote",
        "where": "state=ok",
    }


def test_newer_ones_are_counted_and_not_put_under_the_pointer(client, operator, mixed):
    add("req_new", ago_s=-1)
    add("req_failed", ago_s=-2, state="failed")

    fragment = client.get("/requests/new/?than=req_a&state=ok").content.decode()

    assert newer_requests(operator, {}, than="req_a") == 2
    assert newer_requests(operator, {}, than="req_gone") == 0
    assert "1 new request: show it" in fragment
    assert 'href="/requests/?state=ok"' in fragment


def test_who_may_not_see_figures_sees_their_own(client):
    member = person_with_role("member")
    add("req_mine", owner=member)
    add("req_other")
    client.force_login(member)

    assert ids(list_requests(member, {})) == ["req_mine"]
    assert client.get("/requests/req_mine/").status_code == 200
    assert client.get("/requests/req_other/").status_code == 404


def page_of(client, person, *, owner, privacy="internal"):
    request = add("req_1", owner=owner, privacy=privacy, state="failed", trail=[{"t": "ollama/m", "failed": "cut"}])
    RequestContent.objects.create(request=request, prompt=[{"role": "user", "text": "<b>my words</b>"}])
    Attempt.objects.create(
        request=request, ordinal=1, provider="ollama", served_model="m", is_local=True, state="failed", event="cut",
        http_status=200, started_at=now(), error_text=COMPLAINT,
    )  # fmt: skip
    client.force_login(person)
    return client.get("/requests/req_1/").content.decode()


def test_a_request_tells_its_decision_and_its_attempts_in_words(client):
    ada = person_with_role("member", "ada")

    page = page_of(client, ada, owner=ada)

    assert "ollama/m failed: the answer was cut off." in page
    assert "The answer was cut off." in page
    assert "&lt;b&gt;my words&lt;/b&gt;" in page
    assert COMPLAINT in page


@pytest.mark.parametrize(
    ("role", "privacy", "reads"),
    [("operator", "internal", False), ("auditor", "internal", True), ("auditor", "private", False)],
)
def test_content_is_for_those_who_may_read_it(client, role, privacy, reads):
    page = page_of(client, person_with_role(role), owner=person_with_role("member"), privacy=privacy)

    assert ("my words" in page) is reads
    assert (COMPLAINT in page) is reads
    assert "ollama/m failed: the answer was cut off." in page


def test_an_embedding_and_a_request_without_attempts_have_a_page(client, operator):
    request = add("req_e", owner=operator, purpose="embedding", capability="embed", served_by="", state="failed")
    RequestContent.objects.create(request=request, prompt=["first text"])

    page = client.get("/requests/req_e/").content.decode()

    assert "first text" in page
    assert "Nobody was asked." in page


def test_a_page_costs_as_many_queries_with_many_rows_as_with_few(client, operator):
    add("req_first", owner=operator)
    few = queries_of(client, "/requests/")
    for number in range(60):
        add(f"req_{number}", owner=operator)

    assert queries_of(client, "/requests/") == few <= 15


def test_the_empty_list_says_what_will_be_here(client, operator):
    assert "No request yet" in client.get("/requests/").content.decode()
    add("req_a")
    assert "No request is like that" in client.get("/requests/?state=failed").content.decode()
