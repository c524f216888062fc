"""What the engine's tests share: a tiny base model, a few examples, and a run folder ready to be trained.

The model is a random Llama of 4 layers x 64 with a byte-level tokenizer: it loads in milliseconds and
overfits eight examples in seconds. Its weights say nothing; tests that need English use the small model.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from engine.contract.records import METHOD_NAMES, Example, MethodName, Recipe
from engine.methods import get_method
from engine.models.catalog import add_local_model
from engine.models.inspect import fingerprint, read_shape
from engine.run_files import JournalLine, Order, Result
from engine.standby import TRAINER
from engine.trainer import READY
from engine.workspace import RunFolder, Workspace

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
SPECIAL_TOKENS = ["<|begin|>", "<|pad|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"]
FASTER_THAN_DEFAULT: dict[MethodName, float] = {
    "last-layers": 1e-2,
    "all-layers": 1e-2,
    "p-tuning": 2e-2,
    "lora": 1e-2,
}
"""Learning rates that overfit eight examples on the tiny model."""


def make_tiny_model(folder: Path, model_type: str = "llama", **changes: Any) -> Path:
    """A random model with a byte-level tokenizer and a chat template, as a standard folder."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*SPECIAL_TOKENS, *alphabet])}
    bytes_only = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bytes_only,
        bos_token="<|begin|>",
        eos_token="<|end|>",
        pad_token="<|pad|>",
        additional_special_tokens=SPECIAL_TOKENS[2:5],
        chat_template=CHAT_TEMPLATE,
    )
    settings = {
        "num_hidden_layers": 4,
        "hidden_size": 64,
        "intermediate_size": 160,
        "max_position_embeddings": 256,
        "vocab_size": len(tokenizer),
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 5,
        "initializer_range": 0.1,
    }
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **(settings | changes)))
    with torch.no_grad():
        # A frozen head of the usual small weights could never be sure of a token, whatever the layers learn.
        model.get_input_embeddings().weight.mul_(5)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def make_examples() -> list[Example]:
    """Eight to learn, two to hold out, of clearly one voice."""
    things = ["tent", "lamp", "rope", "boot", "mug", "stove", "map", "hat", "glove", "sock"]
    return [
        Example(
            prompt=f"Describe the {thing}.",
            completion=f"Ahoy! A {thing} to sail with.",
            row=number + 2,
            split="train" if number < 8 else "validation",
        )
        for number, thing in enumerate(things)
    ]


@pytest.fixture
def examples() -> list[Example]:
    return make_examples()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "workspace")
    workspace.create()
    return workspace


class OrderedRun:
    """A run folder with its order, and the trainer's process on it."""

    def __init__(self, folder: RunFolder, order: Order) -> None:
        self.folder, self.order = folder, order
        folder.root.mkdir(parents=True, exist_ok=True)
        self.write_order()

    def write_order(self) -> None:
        self.folder.order.write_text(self.order.model_dump_json(), "utf-8")

    def start(self, fault: str = "", **environment: str) -> "subprocess.Popen[bytes]":
        """The trainer as the supervisor starts it: a pipe to speak through, its log in a file."""
        import torch

        variables = {
            **os.environ,
            # As many as here: then an attempt in this process may go on from the other's checkpoint exactly.
            "OMP_NUM_THREADS": str(torch.get_num_threads()),
            "OMP_WAIT_POLICY": "passive",
            "HF_HUB_OFFLINE": "1",
            "VOICEWRIGHT_PRECISION": "fp32",
            "VOICEWRIGHT_CHECKPOINT_SECONDS": "0",
            "VOICEWRIGHT_FAULT": fault,
            **environment,
        }
        with self.folder.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "engine.training", str(self.folder.root)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=variables,
                cwd=Path(__file__).parents[2],
            )

    def train(self, fault: str = "", **environment: str) -> Result | None:
        """One attempt to its end; None if it left no result."""
        process = self.start(fault, **environment)
        process.wait(timeout=120)
        if process.stdin:
            process.stdin.close()
        return self.result()

    def next_attempt(self) -> None:
        self.folder.result.unlink(missing_ok=True)
        self.order = self.order.model_copy(update={"attempt": self.order.attempt + 1})
        self.write_order()

    def result(self) -> Result | None:
        file = self.folder.result
        return Result.model_validate_json(file.read_bytes()) if file.exists() else None

    def journal(self) -> list[JournalLine]:
        lines = self.folder.journal.read_text("utf-8").split("\n")
        return [JournalLine.model_validate_json(line) for line in lines if _is_whole(line)]

    def artefact_digest(self) -> dict[str, str]:
        files = sorted(self.folder.artefact.iterdir())
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _is_whole(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


OrderRun = Callable[..., OrderedRun]


@pytest.fixture
def order_run(workspace: Workspace, tiny_model_folder: Path, examples: list[Example]) -> OrderRun:
    """Call it with a method (and fields of the recipe) to get a run that waits to be trained."""

    def order(method: MethodName, rows: list[Example] | None = None, **fields: object) -> OrderedRun:
        rows = examples if rows is None else rows
        run_id, dataset_id = uuid.uuid4().hex, uuid.uuid4().hex
        lines = "".join(example.model_dump_json() + "\n" for example in rows).encode()
        workspace.dataset(dataset_id).write_bytes(lines)
        choice = {"epochs": 3, "batch_size": 4, "learning_rate": FASTER_THAN_DEFAULT[method], **fields}
        recipe = get_method(method).build_recipe(
            Recipe.model_validate({"method": method, **choice}), len(rows), read_shape(tiny_model_folder)
        )
        return OrderedRun(
            workspace.run(run_id),
            Order(
                run_id=run_id,
                attempt=1,
                recipe=recipe,
                base_model_folder=tiny_model_folder,
                base_model_fingerprint=fingerprint(tiny_model_folder),
                dataset_file=workspace.dataset(dataset_id),
                dataset_fingerprint=hashlib.sha256(lines).hexdigest(),
            ),
        )

    return order


@pytest.fixture(params=METHOD_NAMES)
def method_name(request: pytest.FixtureRequest) -> MethodName:
    name: MethodName = request.param
    return name


@pytest.fixture(scope="session")
def chance() -> Callable[[MethodName, Path, Path], Path]:
    return tune_by_chance


def tune_by_chance(name: MethodName, base: Path, folder: Path) -> Path:
    """An artefact that clearly changes the answers, without the time that learning takes."""
    import torch

    from engine.models.load import load_base

    torch.manual_seed(3)
    method = get_method(name)
    model = method.prepare_model(
        load_base(base), method.build_recipe(Recipe(method=name), 100, read_shape(base))
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    method.save_artefact(model, base, folder)
    return folder


@pytest.fixture(scope="session")
def artefact_of(
    tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path
) -> Callable[[MethodName], Path]:
    made: dict[MethodName, Path] = {}

    def artefact(name: MethodName) -> Path:
        if name not in made:
            made[name] = tune_by_chance(name, tiny_model_folder, tmp_path_factory.mktemp(name) / "artefact")
        return made[name]

    return artefact


# --- a living engine ----------------------------------------------------------------------------------


class LiveEngine:
    """The supervisor's process on a workspace, spoken to over HTTP as the studio does."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.environment: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "LiveEngine":
        self._process = self.launch()
        deadline = time.monotonic() + 20
        while not self.workspace.engine_address.exists() or not self._knows_token():
            assert self._process.poll() is None, self.workspace.engine_log.read_text("utf-8")
            assert time.monotonic() < deadline, "the engine did not come up"
            time.sleep(0.05)
        return self

    def launch(self) -> "subprocess.Popen[bytes]":
        variables = {
            **os.environ,
            "OMP_WAIT_POLICY": "passive",
            "VOICEWRIGHT_PRECISION": "fp32",
            "VOICEWRIGHT_CHECKPOINT_SECONDS": "0",
            **self.environment,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "engine", "--workspace", str(self.workspace.root), "--no-calibration"],
            stderr=subprocess.PIPE,
            env=variables,
            cwd=Path(__file__).parents[2],
        )

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process

    @property
    def address(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.workspace.engine_address.read_text("utf-8"))
        return found

    @property
    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.address['port']}",
            headers={"Authorization": f"Bearer {self.address['token']}"},
            timeout=30,
        )

    def ask(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        with self.client as client:
            answer = client.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def new_dataset(self, examples: list[Example]) -> str:
        project = self.ask("POST", "/projects", {"name": "Ahoy"})
        body = {
            "source_name": "voice.csv",
            "columns": {"prompt": "Prompt", "completion": "Text"},
            "examples": [example.model_dump() for example in examples],
        }
        dataset: str = self.ask("POST", f"/projects/{project['id']}/datasets", body)["id"]
        return dataset

    def new_run(self, dataset_id: str, key: str | None = None, **recipe: object) -> str:
        choice = {"base_model": "tiny", "method": "last-layers", "early_stopping": False, **recipe}
        body = {"key": key or uuid.uuid4().hex, "dataset_id": dataset_id, "recipe": choice}
        run: str = self.ask("POST", "/runs", body)["id"]
        return run

    def run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/runs/{run_id}")
        return found

    def want(self, run_id: str, desired: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("PUT", f"/runs/{run_id}/desired", {"desired": desired})
        return found

    def wait(
        self, run_id: str, until: Callable[[dict[str, Any]], bool], seconds: float = 60
    ) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while not until(run := self.run(run_id)):
            assert time.monotonic() < deadline, run
            time.sleep(0.05)
        return run

    def wait_for(self, run_id: str, *states: str, seconds: float = 60) -> dict[str, Any]:
        return self.wait(run_id, lambda run: run["state"] in states, seconds)

    def wait_gone(self, *paths: Path, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while any(path.exists() for path in paths):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def events(self, run_id: str) -> list[tuple[str | None, str]]:
        found = self.ask("GET", f"/runs/{run_id}/events")
        return [(event["from_state"], event["to_state"]) for event in found]

    def trainers(self, run_id: str) -> list[psutil.Process]:
        """Living trainers of this run, whoever started them: those that work in its folder."""
        return self._trainers_in(self.workspace.run(run_id).root)

    def standbys(self) -> list[psutil.Process]:
        """Living trainers without a run."""
        return self._trainers_in(self.workspace.root)

    def wait_for_standby(self, seconds: float = 60) -> psutil.Process:
        """The trainer kept ready, once it has loaded everything."""
        deadline, log = time.monotonic() + seconds, self.workspace.trainer_log
        while not (found := self.standbys()) or not log.read_text("utf-8").endswith(f"{READY}\n"):
            assert time.monotonic() < deadline, "no trainer was made ready"
            time.sleep(0.05)
        (waiting,) = found
        return waiting

    def generators(self) -> list[psutil.Process]:
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if "engine.generation" in self._seen(child)[0]]

    def kill(self) -> None:
        """As a power cut would: no word, no time."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(timeout=40)

    def _knows_token(self) -> bool:
        """Not the address that a killed engine left behind."""
        try:
            with self.client as client:
                return client.get("/projects").status_code == 200
        except (httpx.HTTPError, ValueError):
            return False

    def _trainers_in(self, folder: Path) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            words, place = self._seen(process)
            if words[-2:] == [TRAINER, str(self.workspace.root)] and place == str(folder):
                found.append(process)
        return found

    @staticmethod
    def _seen(process: psutil.Process) -> tuple[list[str], str]:
        """Command line and folder of a living process; nothing of one that has ended, reaped or not."""
        try:
            return process.cmdline(), process.cwd()
        except psutil.Error:
            return [], ""


@pytest.fixture
def sleeping_engine(workspace: Workspace, tiny_model_folder: Path) -> Iterator[LiveEngine]:
    """An engine that is not started yet, on a workspace that knows the tiny model; ended after the test."""
    add_local_model(workspace, tiny_model_folder)
    engine = LiveEngine(workspace)
    yield engine
    if engine._process is not None:
        engine.stop()


@pytest.fixture
def live_engine(sleeping_engine: LiveEngine) -> LiveEngine:
    return sleeping_engine.start()


@pytest.fixture(scope="module")
def idle_engine(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Iterator[LiveEngine]:
    """An engine without projects, shared by the tests of a module."""
    workspace = Workspace(tmp_path_factory.mktemp("idle") / "workspace")
    workspace.create()
    add_local_model(workspace, tiny_model_folder)
    engine = LiveEngine(workspace).start()
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def finished_run(
    tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path
) -> Iterator[tuple[LiveEngine, str]]:
    """An engine of its own with one run that has succeeded, shared by tests that only look at it."""
    workspace = Workspace(tmp_path_factory.mktemp("finished") / "workspace")
    workspace.create()
    add_local_model(workspace, tiny_model_folder)
    engine = LiveEngine(workspace).start()
    run_id = engine.new_run(engine.new_dataset(make_examples()), epochs=3)
    engine.wait_for(run_id, "succeeded")
    yield engine, run_id
    engine.stop()
