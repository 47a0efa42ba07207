"""The file as people write it, and what they are told when they slip."""

from pathlib import Path

import pytest

from llm_providers.declared.address import is_on_own_network, normalised
from llm_providers.declared.file import DeclaredFailover, read_declaration
from llm_providers.declared.known import BY_NAME
from llm_providers.declared.lines import WrongFile

ROOT = Path(__file__).resolve().parents[3]
# As the project's first document gives it, to the letter.
DOCUMENT = """\
providers:
  ollama:
    enabled: true
    host: ${OLLAMA_HOST}
    model: llama3.2
    timeout: 60
    priority: 1  # Try first

  localai:
    enabled: true
    base_url: ${LOCALAI_BASE_URL}
    model: llama3
    timeout: 60
    priority: 2  # Try second

  claude:
    enabled: true
    api_key: ${ANTHROPIC_API_KEY}
    model: claude-sonnet-4-5-20250929
    timeout: 120
    priority: 3  # Try third

  openai:
    enabled: true
    api_key: ${OPENAI_API_KEY}
    model: gpt-4-turbo
    timeout: 120
    priority: 4  # Last resort

failover:
  enabled: true
  retry_on_error: true
  max_retries: 2
  circuit_breaker:
    failure_threshold: 5
    recovery_timeout: 300
"""


@pytest.fixture
def read(tmp_path):
    def read(text, **variables):
        path = tmp_path / "llm_providers.yaml"
        path.write_text(text)
        return read_declaration(path, variables=variables)

    return read


@pytest.fixture
def mistakes(read):
    def mistakes(text, **variables):
        with pytest.raises(WrongFile) as wrong:
            read(text, **variables)
        return [str(mistake) for mistake in wrong.value.mistakes]

    return mistakes


def test_the_documents_own_file_loads_as_it_stands(read):
    declared = read(
        DOCUMENT,
        OLLAMA_HOST="http://localhost:11434",
        LOCALAI_BASE_URL="http://localhost:8080/v1",
        LOCALAI_API_KEY="not-needed",
    )

    told = [
        (one.name, one.kind, one.base_url, one.is_local, one.accepts_up_to, one.model, one.timeout_s, one.secret_env)
        for one in declared.providers
    ]
    assert told == [
        ("ollama", "ollama", "http://localhost:11434", True, "private", "llama3.2", 60, ""),
        ("localai", "localai", "http://localhost:8080/v1", True, "private", "llama3", 60, "LOCALAI_API_KEY"),
        (
            "claude", "anthropic", "https://api.anthropic.com", False, "internal", "claude-sonnet-4-5-20250929", 120,
            "ANTHROPIC_API_KEY",
        ),
        ("openai", "openai", "https://api.openai.com/v1", False, "internal", "gpt-4-turbo", 120, "OPENAI_API_KEY"),
    ]  # fmt: skip
    assert [one.priority for one in declared.providers] == [1, 2, 3, 4]
    assert declared.failover == DeclaredFailover(True, True, 2, 5, 300)


def test_the_shipped_file_loads_on_a_bare_machine():
    declared = read_declaration(ROOT / "config/llm_providers.yaml", variables={})

    assert [one.name for one in declared.providers] == ["ollama", "localai", "claude", "openai"]
    assert declared.providers[0].settings == {"failure_threshold": 2, "recovery_timeout": 60}


def test_the_environment_names_the_model_over_the_file(read):
    (ollama,) = read("providers: {ollama: {model: llama3.2}}", OLLAMA_MODEL="qwen3:4b").providers

    assert ollama.model == "qwen3:4b"


def test_a_key_in_the_file_works_and_is_in_no_repr(read):
    (claude,) = read("providers: {claude: {api_key: sk-ant-secret}}").providers

    assert (claude.literal_key, claude.secret_env) == ("sk-ant-secret", "")
    assert "sk-ant" not in repr(claude)


def test_an_ollama_far_away_is_not_local_unless_it_is_said(read):
    far, said = read(
        "providers:\n  ollama: {host: https://gpu.example.com}\n"
        "  second: {kind: ollama, host: gpu.example.com, local: yes}\n"
    ).providers

    assert (far.is_local, far.accepts_up_to) == (False, "internal")
    assert (said.is_local, said.base_url) == (True, "http://gpu.example.com:11434")


def test_an_empty_file_declares_nothing(read):
    assert read("# nothing yet\n").providers == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("providers:\n  ollama:\n    timout: 60\n", "line 3: `timout` is unknown in `ollama`; known: kind, base_url"),
        ("providers:\n  ollama:\n    timeout: soon\n", "line 3: `timeout: soon` is not a number of seconds above 0"),
        ("providers:\n  ollama:\n    priority: 1.5\n", "line 3: `priority: 1.5` is not a whole number from -1000"),
        ("providers:\n  ollama:\n    enabled: maybe\n", "line 3: `enabled: maybe` is not true or false."),
        ("providers:\n  ollama:\n    host: 'ftp://x'\n", "line 3: `host: ftp://x` is not an address such as http://"),
        ("providers:\n  ollama: 5\n", "line 2: `ollama` is a block of lines such as `key: value`."),
        ("providers:\n  - ollama\n", "line 2: `providers` is a block of lines"),
        ("providers:\n  ollama:\n    model: [a]\n", "line 3: `model` is one value, not a list or a block."),
        ("providers:\n  mine:\n    kind: olama\n    host: h\n", "line 3: `kind: olama` is not one of anthropic, "),
        (
            "providers:\n  mine:\n    model: m\n",
            "line 3: `mine` has no address; write `base_url: http://host:port/v1`.",
        ),
        ("providers:\n  engine:\n    enabled: true\n", "line 3: A provider's name 'engine' belongs to the built-in"),
        ("providers:\n  claude:\n    accepts_up_to: private\n", "line 3: `claude` is not local, so it can't accept"),
        ("providers:\n  a:\n    host: h\n  a:\n    host: i\n", "line 4: `a` stands twice in `providers`."),
        ("failover:\n  max_retries: -1\n", "line 2: `max_retries: -1` is not a whole number from 0 to 20."),
        ("failover:\n  circuit_breaker:\n    treshold: 5\n", "line 3: `treshold` is unknown in `circuit_breaker`"),
        ("provider:\n  ollama:\n", "line 1: `provider` is unknown in `llm_providers.yaml`; known: providers, failover"),
        ("providers:\n\tollama: 1\n", "line 2: not valid YAML: found character '\\t' that cannot start any token."),
        ("a: *b\n", "line 1: not valid YAML: found undefined alias"),
    ],
)
def test_a_wrong_line_is_named_with_what_is_allowed(mistakes, text, told):
    assert any(f"llm_providers.yaml, {told}" in mistake for mistake in mistakes(text)), mistakes(text)


def test_all_mistakes_are_told_at_once_in_the_order_of_lines(mistakes):
    found = mistakes("failover:\n  max_retries: x\nproviders:\n  ollama:\n    timeout: -1\n    kindd: x\n")

    assert [mistake.split(":")[0] for mistake in found] == [f"llm_providers.yaml, line {n}" for n in (2, 5, 6)]


@pytest.mark.parametrize(
    ("written", "name", "meant"),
    [
        ("0.0.0.0:11434", "ollama", "http://127.0.0.1:11434"),
        ("localhost", "ollama", "http://localhost:11434"),
        ("http://gpu:9999/v1/", "ollama", "http://gpu:9999"),
        ("[::]:11434", "ollama", "http://[::1]:11434"),
        ("https://ollama.example.com", "ollama", "https://ollama.example.com"),
        ("localhost:8080", "localai", "http://localhost:8080/v1"),
        ("http://localhost:8080/v1/", "localai", "http://localhost:8080/v1"),
        ("https://api.anthropic.com/v1", "claude", "https://api.anthropic.com"),
    ],
)
def test_an_address_is_brought_into_one_form(written, name, meant):
    assert normalised(written, BY_NAME[name]) == meant


@pytest.mark.parametrize("written", ["http://", "ftp://x", "http://a:b", "http://u:p@h", "http://h/?q", "h h"])
def test_what_is_no_address_is_refused(written):
    with pytest.raises(ValueError, match="an address such as"):
        normalised(written, BY_NAME["ollama"])


@pytest.mark.parametrize(
    ("url", "is_own"),
    [
        ("http://127.0.0.1:1", True),
        ("http://192.168.1.5:1", True),
        ("http://[::1]:1", True),
        ("http://gpu:1", True),
        ("http://box.local", True),
        ("http://host.docker.internal:1", True),
        ("http://8.8.8.8", False),
        ("https://ollama.com", False),
    ],
)
def test_what_is_surely_on_the_teams_own_network(url, is_own):
    assert is_on_own_network(url) is is_own
