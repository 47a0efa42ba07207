import errno
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from architect.supervisor.preflight import CannotStart, check_choices, check_port, lock_folder, unwritable
from tests.processes import ROOT, environment

UNREADABLE = "A setting in the environment or in .env can't be read:"


def supervisor(**variables: str) -> "subprocess.CompletedProcess[str]":
    """`make run` with these settings, where it is expected to give up at once."""
    command = [sys.executable, "-m", "architect.supervisor"]
    return subprocess.run(
        command, cwd=ROOT, env=environment(**variables), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def busy_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_it_takes_a_port_that_is_free(unused_tcp_port):
    check_port(host="127.0.0.1", port=unused_tcp_port)


def test_it_names_the_port_in_use_and_how_to_take_another(busy_port):
    with pytest.raises(
        CannotStart, match=rf"^Port {busy_port} is in use .*`make run PORT=\d+`, or set PORT in \.env\.$"
    ):
        check_port(host="127.0.0.1", port=busy_port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "a..b"])
def test_it_says_that_an_address_is_not_of_this_machine(host):
    with pytest.raises(CannotStart, match=f"^HOST={host} is no address of this machine"):
        check_port(host=host, port=8000)


def test_it_says_that_a_number_is_no_port():
    with pytest.raises(CannotStart, match=r"^PORT=70000 is no port"):
        check_port(host="127.0.0.1", port=70_000)


def test_it_names_the_servers_that_it_knows():
    with pytest.raises(CannotStart, match=r"^SERVER=gunicorn is neither uvicorn nor daphne"):
        check_choices(server="gunicorn", engine="auto")


def test_it_names_the_choices_for_the_engine():
    with pytest.raises(CannotStart, match=r"^ENGINE_ENABLED=maybe is neither auto, true nor false"):
        check_choices(server="daphne", engine="maybe")


def test_a_second_start_names_the_process_that_holds_the_folder(tmp_path):
    with (
        lock_folder(tmp_path),
        pytest.raises(CannotStart, match=r"^It is running already \(process \d+\)"),
    ):
        lock_folder(tmp_path)


def test_the_folder_is_free_again_after_the_end(tmp_path):
    lock_folder(tmp_path).close()

    lock_folder(tmp_path).close()


def test_a_full_disk_is_told_apart_from_a_forbidden_folder():
    full = OSError(errno.ENOSPC, "No space left on device")
    forbidden = OSError(errno.EROFS, "Read-only file system")

    assert str(unwritable(Path("/data"), full)).startswith("The disk that holds /data is full;")
    assert str(unwritable(Path("/data"), forbidden)).startswith("The folder /data can't be written (Read-only file")


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"SERVER": "gunicorn"}, "SERVER=gunicorn is neither"),
        ({"PORT": "eight"}, f"{UNREADABLE} PORT is 'eight'; write a whole number.\n"),
        ({"DEBUG": "maybe"}, f"{UNREADABLE} DEBUG is 'maybe'; write true or false.\n"),
        ({"DATABASE_URL": "nonsense"}, f"{UNREADABLE} DATABASE_URL is no address of a database; write postgres://"),
        ({"LLM_DURABILITY": "maybe"}, "LLM_DURABILITY is 'maybe'. Write one of disk, process. (llm.E001)"),
        ({"VAR_DIR": "/dev/null/var"}, "The folder /dev/null/var can't be written"),
        ({"HOST": "192.0.2.1"}, "HOST=192.0.2.1 is no address of this machine"),
        ({"DATABASE_URL": "sqlite:////nowhere/at/all.sqlite3"}, "The database /nowhere/at/all.sqlite3 can't be used:"),
    ],
)
def test_it_gives_up_with_one_sentence_and_no_traceback(variables, sentence, tmp_path, unused_tcp_port, db):
    defaults = {"VAR_DIR": str(tmp_path), "PORT": str(unused_tcp_port)}

    ended = supervisor(**defaults | variables)

    assert ended.returncode == 1
    assert ended.stderr.startswith(sentence)
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""
