"""The settings and their documentation say the same."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection

from architect.live.models import Topic

ROOT = Path(__file__).resolve().parent.parent
# What the project's first document promises under these names.
DOCUMENT = """
OLLAMA_HOST OLLAMA_MODEL LOCALAI_BASE_URL LOCALAI_API_KEY N8N_WEBHOOK_URL ANYTHINGLLM_BASE_URL ANYTHINGLLM_API_KEY
WHISPER_MODEL COMFYUI_URL ANTHROPIC_API_KEY OPENAI_API_KEY LLM_FAILOVER_ENABLED LLM_DEFAULT_PROVIDER LLM_FALLBACK_ORDER
"""


def example_variables():
    return re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)


def read_variables():
    source = (ROOT / "architect/settings.py").read_text()
    return set(re.findall(r"""(?:env\.\w+|names|directory)\(\s*"([A-Z][A-Z0-9_]+)\"""", source))


def run_check(**variables):
    """`manage.py check` in a process of its own, where the settings are read anew, with the shipped providers' file."""
    variables = {"LLM_PROVIDERS_FILE": str(ROOT / "config/llm_providers.yaml"), **variables}
    return subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_variable_that_is_read_is_in_the_example():
    assert read_variables() <= set(example_variables())


def test_every_variable_of_the_document_is_in_the_example():
    assert set(DOCUMENT.split()) <= set(example_variables())


def test_no_variable_stands_twice_in_the_example():
    assert len(example_variables()) == len(set(example_variables()))


def test_the_configuration_table_of_the_readme_names_only_what_there_is():
    table = re.findall(r"^\| `([A-Z_]+)`", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert table
    assert set(table) <= set(example_variables())


@pytest.mark.parametrize(
    ("variable", "value", "check"),
    [
        ("LLM_DURABILITY", "maybe", "llm.E001"),
        ("LLM_DEFAULT_PRIVACY", "secret", "llm.E002"),
        ("ENGINE_ENABLED", "perhaps", "llm.E003"),
        ("ENGINE_MODEL", "no-such.gguf", "llm.W001"),
        ("LLM_FALLBACK_ORDER", "claude", "llm.W002"),
        ("LLM_DEFAULT_PROVIDER", "olama", "llm.W003"),
        ("LLM_FALLBACK_ORDER", "ollama,claude,openai", "llm.W010"),
        ("LLM_FALLBACK_ORDER", "ollama,claude,localai", "llm.W011"),
        ("UI_DEFAULT_THEME", "pink", "accounts.E001"),
    ],
)
def test_a_wrong_value_is_told_with_an_id_and_what_to_do(variable, value, check):
    said = run_check(**{variable: value}).stderr

    assert check in said
    assert "HINT" in said
    assert value in said or variable in said


def test_a_model_that_its_vendor_has_retired_is_told_with_a_newer_one(tmp_path):
    declared = tmp_path / "mine.yaml"
    declared.write_text("providers: {openai: {api_key: '${OPENAI_API_KEY}', model: gpt-4-turbo}}")

    said = run_check(LLM_PROVIDERS_FILE=str(declared), LLM_DEFAULT_PROVIDER="openai").stderr

    assert "llm.W013" in said
    assert "openai: the model gpt-4-turbo is not offered from 2026-10-23 on." in said
    assert "gpt-6-luna" in said


def test_the_shipped_order_and_file_give_no_warning():
    assert "WARNING" not in run_check(LLM_FALLBACK_ORDER="ollama,localai,claude,openai").stderr


def test_an_unknown_time_zone_names_the_variable_and_what_to_write():
    said = run_check(TIME_ZONE="Mars/Olympus").stderr

    assert "TIME_ZONE is 'Mars/Olympus'; write a name such as UTC or Europe/Berlin." in said


def test_the_command_line_tells_a_wrong_value_in_one_line():
    said = run_check(PORT="abc").stderr

    assert said == "A setting in the environment or in .env can't be read: PORT is 'abc'; write a whole number.\n"


def test_a_folder_may_be_called_what_it_likes(tmp_path):
    folder = tmp_path / "c++ #1 50%?"
    folder.mkdir()
    ask = "from django.conf import settings; print(settings.DATABASES['default']['NAME'])"

    told = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=ROOT,
        env={**os.environ, "VAR_DIR": str(folder), "DATABASE_URL": "", "DJANGO_SETTINGS_MODULE": "architect.settings"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stdout.strip() == str(folder / "architect.sqlite3")


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "sqlite", reason="a matter of SQLite's file")
def test_a_new_sqlite_file_gives_space_back_and_a_connection_waits_for_no_writer():
    with connection.cursor() as cursor:
        modes = [cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("auto_vacuum", "journal_mode")]
        # The test's own transaction holds the write lock all the while.
        cursor.execute("UPDATE live_topic SET number = number")
        answers = read_in_a_thread(Topic.objects.count)

    assert modes == [2, "wal"]
    assert answers == 0


def read_in_a_thread(read):
    """What a thread with a connection of its own reads within 2 s."""

    def read_and_close():
        try:
            return read()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(read_and_close).result(timeout=2)
