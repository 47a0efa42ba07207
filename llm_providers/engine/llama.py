"""llama.cpp's own HTTP server as a program: `python -m llm_providers.engine.llama MODEL --name NAME`.

It is a process apart because a file that llama.cpp chokes on may take its process along, because it holds the
interpreter while it loads, and because ending the process is the one way to end the server that always works.

Once the model is loaded it prints one line of JSON (`READY_KEYS`) and serves until it is killed.
"""

import argparse
import json
import os
import signal
import sys
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import xllamacpp

from architect.lib.end_with_parent import end_with_parent

PARALLEL_ANSWERS = 4
GIB = 1024**3
READY_KEYS = ("address", "context_length", "sees_images")


def shared_context(memory_bytes: int) -> int:
    """How many tokens all answers together may keep; one answer alone may use all of them.

    A common 8-billion model needs 128 KB for each, so that this is about a sixth of the machine's memory.
    """
    if memory_bytes >= 24 * GIB:
        return 32_768
    return 16_384 if memory_bytes >= 12 * GIB else 8192


def parameters(chosen: argparse.Namespace) -> Any:
    """What llama.cpp is told; threads (the physical cores) and layers on a GPU are left to its own judgement."""
    settings = xllamacpp.CommonParams()
    settings.model.path = chosen.model
    settings.model_alias = {chosen.name}
    if chosen.projector:
        settings.mmproj.path = chosen.projector
    settings.hostnames = ["127.0.0.1"]
    settings.port = 0
    settings.n_parallel = PARALLEL_ANSWERS
    settings.kv_unified = True
    settings.n_ctx = shared_context(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    settings.cache_ram_mib = 512  # of old prompts; its default is 8 GB
    settings.ui = False
    settings.endpoint_slots = False  # it would show the prompts of others
    settings.cors_origins = ""  # no page of another site may use a visitor's engine
    settings.cors_credentials = False
    settings.verbosity = 1
    if chosen.test:
        settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
        settings.embedding = True
        settings.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        settings.n_ubatch = 2048  # the longest text that can be embedded
    return settings


def description(address: str) -> dict[str, object]:
    """What the server says of the model it has loaded."""
    connection = HTTPConnection(urlsplit(address).netloc, timeout=30)
    connection.request("GET", "/v1/models")
    model = json.load(connection.getresponse())["data"][0]
    connection.close()
    inputs = model["architecture"]["input_modalities"]
    return dict(zip(READY_KEYS, (address, model["meta"]["n_ctx"], "image" in inputs), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve one GGUF file on a free port of the loopback address.")
    parser.add_argument("model")
    parser.add_argument("--name", required=True)
    parser.add_argument("--projector")
    parser.add_argument("--test", action="store_true", help="embed, too, and take one thread")
    chosen = parser.parse_args()

    end_with_parent()
    server = xllamacpp.Server(parameters(chosen))
    sys.stdout.write(json.dumps(description(server.listening_address)) + "\n")
    sys.stdout.flush()
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
