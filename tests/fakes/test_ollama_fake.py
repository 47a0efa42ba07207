"""The official client finds in the fake what it expects of the original."""

from collections.abc import Iterator

import ollama
import orjson
import pytest

from tests.fakes.behaviour import Answer, FakeToolCall, Fault
from tests.fakes.ollama import FakeOllama

HELLO = [{"role": "user", "content": "Say hello."}]


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    with FakeOllama() as server:
        yield server


@pytest.fixture
def client(fake: FakeOllama) -> Iterator[ollama.Client]:
    with ollama.Client(host=fake.base_url) as client:
        yield client


def test_a_chat_in_one_piece(fake, client):
    answer = client.chat(model="gemma3:1b", messages=HELLO)

    assert answer.message.content == fake.reply.text
    assert (answer.done, answer.done_reason, answer.prompt_eval_count, answer.eval_count) == (True, "stop", 17, 5)


def test_a_chat_in_pieces_with_thoughts(fake, client):
    fake.reply = Answer(thoughts=("Hm.",))

    pieces = list(client.chat(model="gemma3:1b", messages=HELLO, stream=True))

    assert [piece.message.thinking for piece in pieces[:1]] == ["Hm."]
    assert "".join(piece.message.content or "" for piece in pieces) == fake.reply.text
    assert [piece.done for piece in pieces] == [False] * 6 + [True]


def test_a_tool_call_has_an_object_as_arguments(fake, client):
    fake.reply = Answer(words=(), tool_calls=(FakeToolCall("weather", ('{"city":"Wien"}',)),))

    answer = client.chat(model="gemma3:1b", messages=HELLO)

    (call,) = answer.message.tool_calls or ()
    assert (call.function.name, call.function.arguments) == ("weather", {"city": "Wien"})


def test_vectors(client):
    assert len(client.embed(model="nomic-embed-text", input=["one", "two"]).embeddings) == 2


def test_models_listed_shown_and_loaded(fake, client):
    fake.loaded = ("gemma3:1b",)

    listed, shown, running = client.list(), client.show("gemma3:1b"), client.ps()

    assert [entry.model for entry in listed.models] == fake.model_names
    assert shown.capabilities == ["completion", "vision"]
    assert [(entry.model, entry.context_length) for entry in running.models] == [("gemma3:1b", 4096)]


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        (Fault.MODEL_MISSING, 404, "not found"),
        (Fault.BUSY, 503, "maximum pending requests exceeded"),
        (Fault.MODEL_CRASHED, 500, "llama runner process has terminated"),
    ],
)
def test_a_refusal(fake, client, fault, status, text):
    fake.fault = fault

    with pytest.raises(ollama.ResponseError, match=text) as raised:
        client.chat(model="nope", messages=HELLO)

    assert raised.value.status_code == status


def test_an_error_in_mid_answer(fake, client):
    fake.fault = Fault.ERROR_FRAME

    with pytest.raises(ollama.ResponseError, match="unexpected EOF"):
        list(client.chat(model="gemma3:1b", messages=HELLO, stream=True))


def test_a_load_without_a_question(fake, client):
    answer = client.chat(model="gemma3:1b", messages=[])

    assert (answer.done_reason, fake.loaded) == ("load", ("gemma3:1b",))


def test_the_last_line_is_as_the_contract_shows_it(fake):
    line = orjson.dumps(fake._last("gemma3:1b", counts_usage=True)).decode()

    assert line.startswith('{"model":"gemma3:1b","created_at":"20')
    assert '"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":' in line
