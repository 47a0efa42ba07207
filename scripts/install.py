"""Makes `.venv` and installs the requirements; run by `setup_env.py` with a Python that is fit.

A second call finds everything in place and touches no network. An environment of another minor version of Python, or
of one that is gone, is made anew; any other is kept and brought up to date.
"""

import errno
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
PRODUCT = "requirements.txt"
DEVELOPMENT = "requirements-dev.txt"
NO_NETWORK = ("NewConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ProxyError", "NameResolutionError")
ASK_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


class CannotInstall(Exception):
    """The text is one sentence for the person at the terminal."""


class Environment:
    """The virtual environment of the project in `base_dir`, and what is known of its state."""

    def __init__(self, base_dir: Path) -> None:
        self._base_dir = base_dir
        self._folder = base_dir / ".venv"
        self._stamp = self._folder / "installed"
        self._log = base_dir / "var" / "setup.log"
        self.python = self._folder / "bin" / "python"

    def bring_up_to_date(self, *, is_dev: bool) -> None:
        """Raises `CannotInstall`, or `OSError` where the disk is in the way."""
        version = "{}.{}".format(*sys.version_info)
        fulfilled = self._states(version, is_dev=is_dev)
        if fulfilled[-1] in self._installed() and self._version() == version:
            return
        self._stamp.unlink(missing_ok=True)  # from here on nobody knows what is installed
        if self._version() != version:
            self._make()
        self._install(DEVELOPMENT if is_dev else PRODUCT)
        self._stamp.write_text("\n".join(fulfilled))

    def _states(self, version: str, *, is_dev: bool) -> list[str]:
        """What an installation fulfils, other values as soon as a requirement or the Python changes.

        The one for development contains the other, so changing between `make run` and `make test` installs nothing.
        """
        state = hashlib.sha256(version.encode())
        states = []
        for name in ("constraints.txt", PRODUCT, DEVELOPMENT):
            state.update((self._base_dir / name).read_bytes())
            states.append(state.hexdigest())
        return states[1:] if is_dev else states[1:2]

    def _installed(self) -> list[str]:
        return self._stamp.read_text().split() if self._stamp.is_file() else []

    def _version(self) -> str | None:
        """That of its Python, as major.minor; None if there is none, or it lost the one that it was made from."""
        try:
            answer = subprocess.run([self.python, "-c", ASK_VERSION], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return answer.stdout.strip()

    def _make(self) -> None:
        print("Making the virtual environment in .venv …", flush=True)
        if self._folder.exists():
            shutil.rmtree(self._folder)
        self._folder.mkdir()  # says better than the module venv whether the folder or the disk is in the way
        command = [sys.executable, "-m", "venv", str(self._folder)]
        made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if made.returncode:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise CannotInstall(why_no_environment(made.stdout))

    def _install(self, requirements: str) -> None:
        print(f"Installing {requirements}; the first time that takes a minute or two …", flush=True)
        self._log.parent.mkdir(exist_ok=True)
        command = [str(self.python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        with self._log.open("w") as log:
            installed = subprocess.run(
                [*command, "--retries", "2", "-r", requirements],
                cwd=self._base_dir,
                stdout=log,
                stderr=log,
                check=False,
            )
        if installed.returncode:
            reason = why_not_installed(self._log.read_text(errors="replace"))
            raise CannotInstall(f"{reason} What pip said is in var/setup.log.")


def why_no_environment(said: str) -> str:
    if "ensurepip" in said or "No module named venv" in said:
        return (
            f"{sys.executable} lacks the module venv; install it"
            " (on Debian and Ubuntu: apt install python3-venv) and try again."
        )
    return f"The virtual environment can't be made: {last_line(said)}"


def why_not_installed(said: str) -> str:
    if "No space left on device" in said:
        return "The disk is full, so the packages could not be installed."
    if "Permission denied" in said or "Read-only file system" in said:
        return "The folder .venv can't be written, so the packages could not be installed."
    if any(sign in said for sign in NO_NETWORK):
        return "The package index can't be reached; connect to the network, which only the first start needs."
    return f"The packages could not be installed: {last_line(said)}"


def last_line(said: str) -> str:
    """The last line that says something, as the end of a sentence."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("[notice]")]
    return f"{lines[-1] if lines else 'no reason was given'}".rstrip(".") + "."


def why_unwritable(failure: OSError) -> str:
    if failure.errno == errno.ENOSPC:
        return f"The disk that holds {BASE_DIR} is full; make room and try again."
    return f"{failure.filename} can't be written ({failure.strerror}); make the folder writable, or move the project."


def main() -> int:
    try:
        Environment(BASE_DIR).bring_up_to_date(is_dev="--dev" in sys.argv[1:])
    except CannotInstall as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    except OSError as failure:
        sys.stderr.write(f"{why_unwritable(failure)}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
