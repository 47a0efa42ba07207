"""Ties a process to the life of the one that started it."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with_parent() -> None:
    """Has the kernel kill this process when its parent dies, however that happens.

    Linux only; elsewhere nothing happens, and a killed parent leaves its children behind. The bond survives an exec,
    but a process that this one forks has to ask for itself.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel knew
        os.kill(os.getpid(), signal.SIGKILL)
