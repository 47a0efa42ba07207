"""OpenAI's own client library takes the fake for the real thing."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import openai
import orjson
import pytest
from openai import OpenAI

from tests.fakes.behaviour import Answer, FakeToolCall, Fault
from tests.fakes.openai import FakeLlamaCpp, FakeOpenAI, vector_of

KEY = "sk-fake-0123456789"


@pytest.fixture(params=[FakeOpenAI, FakeLlamaCpp])
def fake(request: pytest.FixtureRequest) -> Iterator[FakeOpenAI]:
    with request.param(api_key=KEY) as server:
        yield server


@pytest.fixture
def client(fake: FakeOpenAI) -> Iterator[OpenAI]:
    with OpenAI(base_url=fake.base_url, api_key=KEY, max_retries=0, timeout=5) as opened:
        yield opened


def ask(client: OpenAI) -> openai.Stream[openai.types.chat.ChatCompletionChunk]:
    return client.chat.completions.create(
        model="gpt-6-luna",
        messages=[{"role": "user", "content": "Say hello."}],
        stream=True,
        stream_options={"include_usage": True},
    )


def test_it_streams_an_answer(fake: FakeOpenAI, client: OpenAI) -> None:
    chunks = list(ask(client))

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == fake.reply.text
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (17, 5)


def test_it_streams_tool_calls_in_fragments(fake: FakeOpenAI, client: OpenAI) -> None:
    call = FakeToolCall("weather", ('{"ci', 'ty":"Wien"}'))
    fake.reply = Answer(words=(), tool_calls=(call,), finish_reason="tool_calls")

    with client.chat.completions.stream(model="m", messages=[{"role": "user", "content": "?"}]) as stream:
        message = stream.get_final_completion().choices[0].message

    assert message.tool_calls is not None
    assert message.tool_calls[0].id == call.id
    assert (message.tool_calls[0].function.name, message.tool_calls[0].function.arguments) == (
        "weather",
        call.arguments,
    )


def test_it_answers_in_one_piece(fake: FakeOpenAI, client: OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-6-luna", messages=[{"role": "user", "content": "?"}])

    assert answer.choices[0].message.content == fake.reply.text
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 22


def test_it_embeds_in_the_clients_own_base64(fake: FakeOpenAI, client: OpenAI) -> None:
    answer = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])

    assert fake.requests[0].json()["encoding_format"] == "base64"
    assert [tuple(item.embedding) for item in answer.data] == [vector_of("one"), vector_of("two")]


def test_it_embeds_in_plain_numbers(client: OpenAI) -> None:
    answer = client.embeddings.create(model="text-embedding-3-small", input="one", encoding_format="float")

    assert tuple(answer.data[0].embedding) == vector_of("one")


def test_it_lists_models(fake: FakeOpenAI, client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [entry["id"] for entry in fake.models]


def test_it_tells_its_request_id_where_the_original_does() -> None:
    with FakeOpenAI() as fake, OpenAI(base_url=fake.base_url, api_key=KEY) as client:
        answer = client.chat.completions.with_raw_response.create(model="m", messages=[])

    assert answer.request_id == "req_7f3a9c5e1b"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.BAD_REQUEST, openai.BadRequestError),
        (Fault.UNAUTHORISED, openai.AuthenticationError),
        (Fault.FORBIDDEN, openai.PermissionDeniedError),
        (Fault.MODEL_MISSING, openai.NotFoundError),
        (Fault.CONFLICT, openai.ConflictError),
        (Fault.UNPROCESSABLE, openai.UnprocessableEntityError),
        (Fault.RATE_LIMITED, openai.RateLimitError),
        (Fault.QUOTA, openai.RateLimitError),
        (Fault.SERVER_ERROR, openai.InternalServerError),
        (Fault.BAD_GATEWAY_PAGE, openai.InternalServerError),
        (Fault.LOADING, openai.InternalServerError),
        (Fault.REFUSE, openai.APIConnectionError),
        (Fault.RESET, openai.APIConnectionError),
        (Fault.ERROR_FRAME, openai.APIError),
        (Fault.ERROR_FRAME_THEN_DONE, openai.APIError),
        (Fault.MALFORMED, ValueError),
    ],
)
def test_it_fails_as_the_client_expects(fake: FakeOpenAI, client: OpenAI, fault: Fault, error: type[Exception]) -> None:
    fake.fault = fault

    with pytest.raises(error):
        list(ask(client))


def test_it_refuses_a_wrong_key(fake: FakeOpenAI) -> None:
    with (
        OpenAI(base_url=fake.base_url, api_key="sk-wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError, match="Incorrect API key"),
    ):
        client.models.list()


def test_it_says_which_codes_the_client_branches_on() -> None:
    with FakeOpenAI() as fake, OpenAI(base_url=fake.base_url, api_key=KEY, max_retries=0) as client:
        fake.fault = Fault.QUOTA
        with pytest.raises(openai.RateLimitError) as raised:
            list(ask(client))

    assert (raised.value.code, raised.value.type) == ("insufficient_quota", "insufficient_quota")


def test_it_obeys_the_wait_that_it_asks_for() -> None:
    with FakeOpenAI() as fake, OpenAI(base_url=fake.base_url, api_key=KEY, max_retries=1, timeout=5) as client:
        fake.fault = Fault.RATE_LIMITED_MS
        with pytest.raises(openai.RateLimitError):
            list(ask(client))

    assert fake.requests[1].received_at - fake.requests[0].received_at == pytest.approx(1.5, abs=0.5)


def test_it_records_what_it_was_sent(fake: FakeOpenAI, client: OpenAI) -> None:
    list(ask(client))

    (request,) = fake.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert orjson.loads(request.body)["messages"] == [{"role": "user", "content": "Say hello."}]


def test_it_notices_when_its_client_leaves(fake: FakeOpenAI) -> None:
    fake.fault = Fault.HANG

    with socket.create_connection(("127.0.0.1", fake.port)) as opened:
        opened.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for_request(fake)

    assert fake.requests[0].closed.wait(2)
    assert fake.requests[0].closed_at is not None


def test_it_keeps_its_port_when_it_comes_back(fake: FakeOpenAI, client: OpenAI) -> None:
    fake.fault = Fault.REFUSE
    with pytest.raises(openai.APIConnectionError):
        list(ask(client))

    fake.fault = Fault.NONE

    assert list(ask(client))


def test_it_waits_before_its_first_byte(fake: FakeOpenAI, client: OpenAI) -> None:
    fake.fault = Fault.SLOW_FIRST_BYTE
    fake.first_byte_delay_s = 0.2
    began = time.monotonic()

    list(ask(client))

    assert time.monotonic() - began >= 0.2


def test_it_runs_as_a_program_of_its_own() -> None:
    command = [sys.executable, "-m", "tests.fakes.openai", "--port", "0", "--repeat", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        base_url = running.stdout.readline().strip()
        with OpenAI(base_url=base_url, api_key=KEY) as client:
            chunks = list(ask(client))
        running.terminate()

    assert sum(1 for chunk in chunks if chunk.choices and chunk.choices[0].delta.content) == 15
    assert running.returncode == 0


def wait_for_request(fake: FakeOpenAI) -> None:
    deadline = time.monotonic() + 2
    while not fake.requests:
        assert time.monotonic() < deadline, "the request never came"
        time.sleep(0.005)
