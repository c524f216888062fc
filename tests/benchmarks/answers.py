"""How fast answers are: `python -m tests.benchmarks.answers [--model FOLDER] [--gguf FILE]... [--rounds N]`.

Ours beside stock `transformers` in fp32 and bf16 and, for each GGUF given, llama.cpp (`xllamacpp`), which
answers for the base alone. Each way has a process of its own and is asked in turn. Printed are, as medians
over the rounds, tokens per second of the clock and of one core's work, the seconds to the first word, loaded
and from the start of a process, and the peak of memory. A voice of chance on LoRA; greedy, and always the
full number of tokens. `--method` is that of the voice, `--ours` leaves the others out.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import cast

from engine.contract.records import BUNDLED_MODEL, METHOD_NAMES, MethodName, Side
from engine.methods import get_method
from engine.models.bundled import BUNDLED
from engine.processes import child_environment, usable_cores

TOKENS = 100
PROMPTS = [
    f"Describe our {thing} for the shop in a few words, number {number}."
    for number in range(5)
    for thing in ("tent", "rain jacket", "lamp", "folding stove")
]
SIDES: tuple[Side, ...] = ("base", "tuned")
JOBS: dict[str, tuple[int, int]] = {"one answer": (1, 1), "both sides": (1, 2), "20 x both sides": (20, 2)}
"""Name -> (prompts, sides)."""
Answer = Callable[[list[str], int, int], int]
"""Prompts, sides and tokens for each answer -> how many tokens that were."""


# --- in a process of its own ------------------------------------------------------------------------------


def open_ours(model: Path, artefact: Path, method: MethodName) -> Answer:
    from engine.sampling import Sampling
    from engine.spinning import spin_while_free
    from engine.tuned_model import TunedModel

    tuned = TunedModel(model, artefact, get_method(method).IS_ADAPTER)
    tuned.end_token_ids = frozenset()

    def answer(prompts: list[str], sides: int, tokens: int) -> int:
        rows = [tuned.start(side, prompt, Sampling(tokens)) for prompt in prompts for side in SIDES[:sides]]
        batch = tuned.together("base")
        with spin_while_free():
            batch.begin(rows)
            while batch.rows:
                batch.advance()
        return sum(len(row.decoding.token_ids) for row in rows)

    return answer


def open_stock(model: Path, artefact: Path, dtype: str) -> Answer:
    import torch
    from peft import PeftModel

    from engine.models.load import load_base, load_tokenizer

    tokenizer = load_tokenizer(model)
    tokenizer.padding_side = "left"
    adapted = PeftModel.from_pretrained(load_base(model, getattr(torch, dtype)), artefact).eval()

    def generate(prompts: list[str], tokens: int) -> int:
        conversations = [[{"role": "user", "content": prompt}] for prompt in prompts]
        inputs = tokenizer.apply_chat_template(
            conversations, add_generation_prompt=True, return_tensors="pt", return_dict=True, padding=True
        )
        with torch.inference_mode():
            adapted.generate(**inputs, min_new_tokens=tokens, max_new_tokens=tokens, do_sample=False)
        return tokens * len(prompts)

    def answer(prompts: list[str], sides: int, tokens: int) -> int:
        with adapted.disable_adapter():
            done = generate(prompts, tokens)
        return done + (generate(prompts, tokens) if sides == 2 else 0)

    return answer


def open_llama_cpp(gguf: Path) -> Answer:
    from concurrent.futures import ThreadPoolExecutor

    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.n_ctx, params.n_parallel = 40 * 256, 40
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = usable_cores()
    server = xllamacpp.Server(params)

    def one(prompt: str, tokens: int) -> int:
        asked = {
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": tokens,
            "temperature": 0,
            "ignore_eos": True,
        }
        said = server.handle_chat_completions(asked)
        return int((said if isinstance(said, dict) else json.loads(said))["usage"]["completion_tokens"])

    def answer(prompts: list[str], sides: int, tokens: int) -> int:
        with ThreadPoolExecutor(len(prompts) * sides) as pool:
            return sum(pool.map(one, prompts * sides, [tokens] * len(prompts) * sides))

    return answer


def serve(way: str, model: Path, artefact: Path) -> None:
    """Answer jobs from stdin until it ends: [prompts, sides, tokens] -> what they took."""
    kind, _, detail = way.partition(" ")
    answer = (
        open_ours(model, artefact, cast(MethodName, detail))
        if kind == "ours"
        else open_stock(model, artefact, detail)
        if kind == "stock"
        else open_llama_cpp(Path(detail))
    )
    for line in sys.stdin:
        prompts, sides, tokens = json.loads(line)
        begun, worked = time.perf_counter(), time.process_time()
        said: dict[str, float] = {"tokens": answer(PROMPTS[:prompts], sides, tokens)}
        said["seconds"], said["worked"] = time.perf_counter() - begun, time.process_time() - worked
        said["peak"] = _peak_bytes()
        print(json.dumps(said), flush=True)


def _peak_bytes() -> int:
    """Of this program: what Python itself can tell counts the parent's memory before the start as well."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    return 1024 * int(line.split()[1])


# --- the rounds -------------------------------------------------------------------------------------------


class Way:
    """A process that answers in one way."""

    def __init__(self, name: str, model: Path, artefact: Path) -> None:
        self.name = name
        begun = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.answers", "--serve", name, str(model), str(artefact)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=child_environment(usable_cores(), spins=True),
        )
        self.peak = 0.0
        self.ask(1, 1, 1)
        self.cold_seconds = time.perf_counter() - begun
        self.speeds: dict[str, list[tuple[float, float]]] = {job: [] for job in JOBS}
        self.first_words: list[float] = []

    def ask(self, prompts: int, sides: int, tokens: int) -> dict[str, float]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([prompts, sides, tokens]) + "\n")
        self._process.stdin.flush()
        said: dict[str, float] = json.loads(self._process.stdout.readline())
        self.peak = max(self.peak, said["peak"])
        return said

    def round(self, tokens: int) -> None:
        self.first_words.append(self.ask(1, 1, 1)["seconds"])
        for job, (prompts, sides) in JOBS.items():
            said = self.ask(prompts, sides, tokens)
            self.speeds[job].append((said["tokens"] / said["seconds"], said["tokens"] / said["worked"]))

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def told(self) -> list[str]:
        speeds = [
            " / ".join(f"{median(kind):.0f}" for kind in zip(*values, strict=True))
            for values in self.speeds.values()
        ]
        first = f"{median(self.first_words):.2f} / {self.cold_seconds:.1f}"
        return [self.name, *speeds, first, f"{self.peak / 1e9:.2f}"]


def measure(model: Path, method: MethodName, others: list[str], rounds: int, tokens: int) -> list[list[str]]:
    from tests.engine.conftest import tune_by_chance

    names = [f"ours {method}", *others]
    with tempfile.TemporaryDirectory() as folder:
        artefact = tune_by_chance(method, model, Path(folder) / "artefact")
        ways = [Way(name, model, artefact) for name in names]
        for way in ways:
            way.ask(2, 2, 4)
        for _ in range(rounds):
            for way in ways:
                way.round(tokens)
        for way in ways:
            way.end()
    return [way.told() for way in ways]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help=f"default: {BUNDLED_MODEL}")
    parser.add_argument("--gguf", type=Path, action="append", default=[])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--method", choices=METHOD_NAMES, default="lora")
    parser.add_argument("--ours", action="store_true")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        way, model, artefact = options.serve
        serve(way, Path(model), Path(artefact))
        return
    others = [] if options.ours else ["stock float32", "stock bfloat16"]
    others += [f"llama.cpp {gguf}" for gguf in options.gguf]
    head = [
        "",
        *(f"{job}, tokens/s by the clock / of one core" for job in JOBS),
        "first word, s, loaded / cold",
        "peak GB",
    ]
    print(" | ".join(head))
    model = options.model or BUNDLED.folder
    for row in measure(model, options.method, others, options.rounds, options.tokens):
        print(" | ".join(row))


if __name__ == "__main__":
    main()
