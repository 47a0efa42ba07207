"""The official client finds in the fake what it expects of the original."""

from collections.abc import Iterator

import anthropic
import pytest

from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.behaviour import Answer, FakeToolCall, Fault

ASKED = {"model": "claude-sonnet-5-5", "max_tokens": 100, "messages": [{"role": "user", "content": "Say hello."}]}


@pytest.fixture
def fake() -> Iterator[FakeAnthropic]:
    with FakeAnthropic(api_key="sk-ant-1") as server:
        yield server


@pytest.fixture
def client(fake: FakeAnthropic) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=fake.base_url, api_key="sk-ant-1", max_retries=0) as client:
        yield client


def test_a_message_in_one_piece(fake, client):
    message = client.messages.create(**ASKED)

    assert [block.text for block in message.content] == [fake.reply.text]
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", 5)
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (13, 4)
    assert message._request_id


def test_a_message_in_pieces_with_thoughts_and_a_call(fake, client):
    call = FakeToolCall("weather", ('{"ci', 'ty":"Wien"}'), id="toolu_1")
    fake.reply = Answer(thoughts=("Hm",), tool_calls=(call,), finish_reason="tool_calls", headers=())

    with client.messages.stream(**ASKED) as stream:
        message = stream.get_final_message()

    thinking, text, asked_for = message.content
    assert (thinking.thinking, text.text, asked_for.input) == ("Hm", fake.reply.text, {"city": "Wien"})
    assert (message.stop_reason, message.usage.output_tokens) == ("tool_use", 5)


def test_models_page_by_page(fake, client):
    fake.page_size = 1

    assert [model.id for model in client.models.list(limit=1)] == fake.model_names


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.BAD_REQUEST, anthropic.BadRequestError),
        (Fault.UNAUTHORISED, anthropic.AuthenticationError),
        (Fault.FORBIDDEN, anthropic.PermissionDeniedError),
        (Fault.MODEL_MISSING, anthropic.NotFoundError),
        (Fault.CONFLICT, anthropic.ConflictError),
        (Fault.RATE_LIMITED_SECONDS, anthropic.RateLimitError),
        (Fault.SERVER_ERROR, anthropic.InternalServerError),
        (Fault.OVERLOADED, anthropic.InternalServerError),
    ],
)
def test_a_refusal(fake, client, fault, expected):
    fake.fault = fault

    with pytest.raises(expected):
        client.messages.create(**ASKED)


def test_an_error_in_mid_answer(fake, client):
    fake.fault = Fault.ERROR_FRAME

    with (
        pytest.raises(anthropic.APIStatusError, match="Internal server error"),
        client.messages.stream(**ASKED) as stream,
    ):
        stream.get_final_message()
