"""llama.cpp's own server with a tiny model of random weights: the real wire in a second or two, on any machine.

    python -m tests.lab.llama models/tiny.gguf --embedding

runs it until it is ended; `real_llama()` does so for a test.
"""

import argparse
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import environ, getpid
from pathlib import Path

import xllamacpp

from llm_providers.engine import tiny_model as writer

CONTEXT_LENGTH = 2048
LONG_CONTEXT_LENGTH = 32_768


@dataclass(frozen=True, slots=True)
class RealLlama:
    origin: str
    model: str

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"


@contextmanager
def real_llama(*, embeds: bool = False, never_ends: bool = False) -> Iterator[RealLlama]:
    """A running server on a free port of loopback; with `never_ends` its answers go on for many seconds."""
    model = tiny_model(never_ends=never_ends)
    options = ["--embedding"] if embeds else []
    command = [sys.executable, "-m", "tests.lab.llama", str(model), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            address = _first_address(server)
            yield RealLlama(address, str(model))
        finally:
            server.terminate()
            server.stdout.read()


def tiny_model(*, never_ends: bool = False) -> Path:
    """The model's file, written once and kept with what the tests keep."""
    context, end_bias = (LONG_CONTEXT_LENGTH, -20.0) if never_ends else (CONTEXT_LENGTH, -0.5)
    path = Path(environ["VAR_DIR"]) / "lab" / f"tiny-{context}.gguf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{getpid()}")  # several test processes may come here at once
        writer.write(unfinished, context=context, end_bias=end_bias)
        unfinished.rename(path)
    return path


def _first_address(server: "subprocess.Popen[str]") -> str:
    assert server.stdout is not None
    for line in server.stdout:
        if line.startswith("READY "):
            return line.removeprefix("READY ").strip()
    raise RuntimeError(f"llama.cpp ended with {server.wait()} before it was ready")


def main() -> None:
    parser = argparse.ArgumentParser(description="Run llama.cpp's server until it is ended.")
    parser.add_argument("model")
    parser.add_argument("--embedding", action="store_true")
    chosen = parser.parse_args()

    settings = xllamacpp.CommonParams()
    settings.model.path = chosen.model
    settings.hostnames = ["127.0.0.1"]
    settings.port = 0
    settings.n_parallel = 2
    settings.kv_unified = True
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    settings.n_gpu_layers = 0
    settings.cache_ram_mib = 16
    settings.fit_params = False
    settings.endpoint_slots = True
    if chosen.embedding:
        settings.embedding = True
        settings.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    server = xllamacpp.Server(settings)
    print("READY", server.listening_address, flush=True)
    ended.wait()


if __name__ == "__main__":
    main()
