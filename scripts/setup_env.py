"""Makes the virtual environment: python3 scripts/setup_env.py [--dev]

It finds a fit Python and has it run `install.py`. Any Python since 2.7 can read this file, so that a wrong one gives
a sentence instead of a syntax error.
"""

# ruff: noqa: UP031, PTH100, PTH118, PTH120, PTH123 - what replaces these is younger than the Pythons that have to read this
# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code=str-format

import os
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 13)
CANDIDATES = ("python3.13", "python3.12", "python3.11")
ASK_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def is_fit(version):
    return OLDEST <= version <= NEWEST


def version_of(python):
    """Its version as (major, minor); (0, 0) if it does not run."""
    try:
        with open(os.devnull, "w") as nothing:
            answer = subprocess.check_output([python, "-c", ASK_VERSION], stderr=nothing)
        major, minor = answer.decode().split(".")
        return int(major), int(minor)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return 0, 0


def fit_python():
    """This Python if it is fit, else the first fit one on the PATH, else None."""
    if is_fit(tuple(sys.version_info[:2])):
        return sys.executable
    for candidate in CANDIDATES:
        if is_fit(version_of(candidate)):
            return candidate
    return None


def main():
    python = fit_python()
    if python is None:
        found = "%s (%s)" % (".".join(str(part) for part in sys.version_info[:3]), sys.executable)
        wanted = "%d.%d to %d.%d" % (OLDEST + NEWEST)
        sys.exit(
            "Architect needs Python %s; this is %s. Install one, or name it: make run PYTHON=python3.12"
            % (wanted, found)
        )
    installer = os.path.join(os.path.dirname(os.path.abspath(__file__)), "install.py")
    command = [python, installer]
    command.extend(sys.argv[1:])
    os.execvp(python, command)


if __name__ == "__main__":
    main()
