"""llama.cpp as an independent judge of a GGUF file: its own server, in a process of its own, on loopback.

Run as a program it serves one file: a line {"path", "body"} in, a line of JSON out, until its stdin ends.
"""

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class LlamaCpp:
    """One GGUF file behind llama.cpp."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, path: str, **body: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"path": path, "body": body}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "llama.cpp ended"
        return json.loads(answer)

    def tokenize(self, text: str, special: bool = False, begins: bool = False) -> list[int]:
        answer = self.ask("/tokenize", content=text, parse_special=special, add_special=begins)
        return [int(number) for number in answer["tokens"]]

    def greedy(self, ids: list[int], count: int) -> list[tuple[int, float]]:
        """The likeliest next tokens and their log-probabilities."""
        answer = self.ask(
            "/completion", prompt=ids, n_predict=count, temperature=0.0, n_probs=1, cache_prompt=False
        )
        return [(step["id"], step["logprob"]) for step in answer["completion_probabilities"]]


@contextmanager
def llama_cpp(file: Path) -> Iterator[LlamaCpp]:
    process = subprocess.Popen(
        [sys.executable, __file__, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield LlamaCpp(process)
    finally:
        process.kill()
        process.communicate()


def serve(file: str) -> None:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = file
    parameters.n_ctx = 256
    parameters.n_parallel = 1
    # Keys and values in fp16 would move log-probabilities by a hundredth.
    parameters.cache_type_k = parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    parameters.cpuparams.n_threads = 1
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = _free_port()
    parameters.ui = False
    parameters.warmup = False
    # It would compute attention in fp16.
    parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(parameters)
    for line in sys.stdin:
        wish = json.loads(line)
        request = urllib.request.Request(  # noqa: S310
            server.listening_address + wish["path"],
            json.dumps(wish["body"]).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            print(json.dumps(json.loads(answer.read())), flush=True)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    serve(sys.argv[1])
