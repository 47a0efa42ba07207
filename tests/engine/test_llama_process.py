"""The real llama.cpp with a real, tiny model."""

import threading

import pytest
from openai import OpenAI

from llm_providers.engine import tiny_model
from llm_providers.engine.choice import Choice
from llm_providers.engine.llama import GIB, shared_context
from llm_providers.engine.llama_process import CannotLoad, LlamaProcess


@pytest.fixture(scope="module")
def choice(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "tiny.gguf"
    tiny_model.write(path)
    return Choice(path, "built-in-test-model", is_test=True)


@pytest.fixture
def start(tmp_path):
    started: list[LlamaProcess] = []

    def start(choice: Choice) -> LlamaProcess:
        started.append(LlamaProcess(choice, log=tmp_path / "engine.log"))
        return started[-1]

    yield start
    for process in started:
        process.end()


@pytest.fixture
def client(start, choice):
    served = start(choice).wait_until_ready(threading.Event())
    with OpenAI(base_url=f"{served.address}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_it_says_where_it_listens_and_what_fits_in(start, choice):
    served = start(choice).wait_until_ready(threading.Event())

    assert served.address.startswith("http://127.0.0.1:")
    assert (served.context_length, served.sees_images) == (8192, False)


def test_it_lists_the_model_under_its_readable_name(client):
    assert [model.id for model in client.models.list()] == ["built-in-test-model"]


def test_it_answers_in_words_piece_by_piece(client):
    stream = client.chat.completions.create(
        model="built-in-test-model", messages=[{"role": "user", "content": "hello"}], seed=7, stream=True
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]

    assert len([piece for piece in pieces if piece]) > 1
    assert set("".join(pieces).split()) & set(tiny_model.WORDS)


def answer(client: OpenAI, *, seed: int) -> str:
    asked = client.chat.completions.create(model="any", messages=[{"role": "user", "content": "hello"}], seed=seed)
    return asked.choices[0].message.content or ""


def test_no_answer_is_empty_and_the_usual_one_is_of_readable_length(client):
    lengths = sorted(len(answer(client, seed=seed).split()) for seed in range(40))

    assert lengths[0] >= 1
    assert 20 <= lengths[20] <= 80


def test_the_test_model_embeds_too(client):
    same, near = client.embeddings.create(model="any", input=["find the document", "find the document"]).data

    assert len(same.embedding) == 64
    assert same.embedding == pytest.approx(near.embedding, abs=1e-4)


def test_other_sites_may_not_read_its_answers(client):
    response = client.models.with_raw_response.list(extra_headers={"Origin": "http://evil.example"})

    assert response.headers.get("access-control-allow-origin", "") == ""


def test_it_names_the_file_that_cannot_be_loaded_and_why(start, choice, tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(choice.path.read_bytes()[:700_000])

    with pytest.raises(
        CannotLoad, match=r"^broken\.gguf can't be loaded: tensor .* model is corrupted or incomplete\.$"
    ):
        start(Choice(broken, "broken", is_test=False)).wait_until_ready(threading.Event())


def test_waiting_ends_when_the_engine_is_to_stop(start, choice):
    stop = threading.Event()
    stop.set()

    assert start(choice).wait_until_ready(stop) is None


def test_its_end_is_noticed(start, choice):
    process = start(choice)
    process.wait_until_ready(threading.Event())
    assert not process.has_ended()

    process.end()

    assert process.has_ended()


@pytest.mark.parametrize(("memory_gib", "tokens"), [(4, 8192), (16, 16_384), (64, 32_768)])
def test_the_context_fits_the_memory(memory_gib, tokens):
    assert shared_context(memory_gib * GIB) == tokens
