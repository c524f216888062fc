"""After the worst: an engine killed in the middle, a trainer that hangs on, a damaged database, a second
engine.
"""

import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from engine.calibrating import Calibrator
from engine.contract.records import Columns, Dataset, Example, NewProject, NewRun, Recipe
from engine.curve import Curves
from engine.exporting import Exporter
from engine.models.catalog import add_local_model
from engine.recovery import Copies, copy_of, open_store
from engine.store import Store
from engine.unpacker import Unpacker
from engine.worker import Patience, Worker
from engine.workspace import Workspace


def test_a_killed_engine_leaves_a_run_that_the_next_one_finishes(
    live_engine: Any, examples: list[Example]
) -> None:
    run_id = live_engine.new_run(live_engine.new_dataset(examples), epochs=30)
    live_engine.wait(run_id, lambda run: run["state"] == "training" and run["step"] >= 3)
    live_engine.kill()
    live_engine.start()
    run = live_engine.wait_for(run_id, "succeeded", "failed")
    assert (run["state"], run["attempt"]) == ("succeeded", 2)
    states = [after for _, after in live_engine.events(run_id)]
    assert states.count("interrupted") == 1


def test_a_tidy_end_leaves_nobody_behind_and_the_run_goes_on_at_the_next_start(
    live_engine: Any, examples: list[Example]
) -> None:
    run_id = live_engine.new_run(live_engine.new_dataset(examples), epochs=30)
    live_engine.wait(run_id, lambda run: run["state"] == "training" and run["step"] >= 3)
    live_engine.ask("POST", "/shutdown", status=202)
    assert live_engine.process.wait(timeout=35) == 0
    assert live_engine.trainers(run_id) == []
    assert not live_engine.workspace.engine_address.exists()
    assert Store(live_engine.workspace.database).get_run(run_id).state == "interrupted"
    live_engine.start()
    live_engine.wait(run_id, lambda run: run["attempt"] == 2)


@pytest.mark.parametrize("point", ["dataset_file", "dataset_row"])
def test_an_engine_killed_while_examples_are_saved_leaves_all_of_them_or_none(
    sleeping_engine: Any, examples: list[Example], point: str
) -> None:
    sleeping_engine.environment = {"VOICEWRIGHT_FAULT": f"{point}:2:kill9"}
    sleeping_engine.start()
    first = sleeping_engine.ask("GET", f"/datasets/{sleeping_engine.new_dataset(examples)}")
    path = f"/projects/{first['project_id']}/datasets"
    mended = [examples[0].model_copy(update={"completion": "Mended."}), *examples[1:]]
    body = {
        "source_name": "edited by hand",
        "columns": first["columns"],
        "examples": [example.model_dump() for example in mended],
    }
    with pytest.raises(httpx.TransportError):
        sleeping_engine.ask("POST", path, body)
    assert sleeping_engine.process.wait(timeout=10) == -signal.SIGKILL

    sleeping_engine.environment = {}
    torn = sleeping_engine.workspace.datasets / f".{'0' * 32}.jsonl.1.tmp"
    torn.write_text('{"prompt": "half a')
    sleeping_engine.start()
    assert not torn.exists()
    assert sleeping_engine.ask("GET", path) == [first]
    second = sleeping_engine.ask("POST", path, body)
    assert second["version"] == 2
    told = sleeping_engine.ask("GET", f"/datasets/{second['id']}/examples")
    assert [Example.model_validate(row) for row in told] == mended


def test_a_full_disk_while_examples_are_saved_is_told_and_leaves_nothing(
    sleeping_engine: Any, examples: list[Example]
) -> None:
    sleeping_engine.environment = {"VOICEWRIGHT_FAULT": "dataset_file:1:enospc"}
    sleeping_engine.start()
    project = sleeping_engine.ask("POST", "/projects", {"name": "Full"})["id"]
    body = {
        "source_name": "v.csv",
        "columns": {"prompt": "Prompt", "completion": "Text"},
        "examples": [example.model_dump() for example in examples],
    }
    path = f"/projects/{project}/datasets"
    assert sleeping_engine.ask("POST", path, body, status=507)["failure"]["code"] == "disk_full"
    assert sleeping_engine.ask("GET", path) == list(sleeping_engine.workspace.datasets.iterdir()) == []
    assert sleeping_engine.ask("POST", path, body)["version"] == 1


def test_a_second_engine_on_the_same_workspace_says_so_and_leaves(live_engine: Any) -> None:
    second = live_engine.launch()
    _, words = second.communicate(timeout=20)
    assert second.returncode == 3
    assert words.decode().strip() == "An engine already serves this workspace."
    assert live_engine.ask("GET", "/projects") == []


def test_a_workspace_that_cannot_be_written_is_refused_with_a_sentence(
    sleeping_engine: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    sleeping_engine.workspace = Workspace(tmp_path / "file" / "workspace")
    refused = sleeping_engine.launch()
    _, words = refused.communicate(timeout=20)
    assert refused.returncode == 1
    assert "cannot be written" in words.decode()


# --- a trainer that missed the end of its engine --------------------------------------------------------


def make_worker(workspace: Workspace, store: Store, patience: Patience) -> Worker:
    exporter, calibrator = Exporter(workspace, store), Calibrator(workspace, enabled=False)
    return Worker(workspace, store, Curves(), exporter, calibrator, Unpacker(workspace), patience)


class BusyUnpacker(Unpacker):
    """Unpacks without end."""

    @property
    def is_busy(self) -> bool:
        return True

    def tick(self) -> None:
        pass


def test_a_run_waits_while_a_base_model_is_unpacked(
    workspace: Workspace, tiny_model_folder: Path, examples: list[Example]
) -> None:
    add_local_model(workspace, tiny_model_folder)
    store = Store(workspace.database)
    run_id = queue_run(workspace, store, examples, epochs=1)
    worker = make_worker(workspace, store, Patience())
    worker._unpacker = BusyUnpacker(workspace)
    worker.start()
    time.sleep(1.0)
    assert store.get_run(run_id).state == "queued"
    worker.close()


class PromisingUnpacker(Unpacker):
    """Between two unpackings: the next one is the run's model."""

    def tick(self) -> None:
        pass

    def is_coming(self, name: str) -> bool:
        return name == "tiny"


def test_a_run_waits_for_its_own_base_model_and_lets_others_go_first(
    workspace: Workspace, tiny_model_folder: Path, examples: list[Example]
) -> None:
    add_local_model(workspace, tiny_model_folder)
    store = Store(workspace.database)
    first = queue_run(workspace, store, examples, epochs=1)
    other = queue_run(workspace, store, examples, epochs=1, base_model="gone")
    worker = make_worker(workspace, store, Patience())
    worker._unpacker = PromisingUnpacker(workspace)
    worker._start_next()
    assert store.get_run(first).state == "queued"
    assert store.get_run(other).state == "failed"
    worker.close()


def queue_run(
    workspace: Workspace, store: Store, examples: list[Example], epochs: int, base_model: str = "tiny"
) -> str:
    project = store.add_project(NewProject(name="Ahoy"))
    dataset = Dataset(
        id=uuid4().hex,
        project_id=project.id,
        version=1,
        created_at=time.time(),
        source_name="voice.csv",
        columns=Columns(prompt="Prompt", completion="Text"),
        examples_train=8,
        examples_validation=2,
        fingerprint="f" * 64,
    )
    lines = "".join(example.model_dump_json() + "\n" for example in examples)
    workspace.dataset(dataset.id).write_text(lines, "utf-8")
    store.add_dataset(dataset)
    recipe = Recipe(
        base_model=base_model,
        method="last-layers",
        epochs=epochs,
        learning_rate=0.01,
        batch_size=4,
        layers=1,
    )
    return store.add_run(NewRun(key=uuid4().hex, dataset_id=dataset.id, recipe=recipe), None).id


def wait_until(happens: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def abandon(worker: Worker) -> None:
    """The engine is gone, but its end of the trainer's pipe is not: the trainer never hears of it."""
    worker._closing.set()
    worker.wake()
    worker._thread.join()


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs stop signals")
def test_a_trainer_that_hangs_on_is_ended_and_never_two_train_one_run(
    workspace: Workspace, tiny_model_folder: Path, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICEWRIGHT_PRECISION", "fp32")
    add_local_model(workspace, tiny_model_folder)
    store = Store(workspace.database)
    run_id = queue_run(workspace, store, examples, epochs=2)
    first = make_worker(workspace, store, Patience())
    first.start()
    wait_until(lambda: first._attempt is not None)
    assert first._attempt is not None
    hanging = first._attempt.child
    hanging.process.send_signal(signal.SIGSTOP)
    abandon(first)

    second = make_worker(workspace, store, Patience(orphan=0.5))
    second.start()
    time.sleep(0.3)
    assert store.get_run(run_id).attempt == 1
    wait_until(lambda: store.get_run(run_id).attempt == 2)
    assert hanging.wait() == -9
    wait_until(lambda: store.get_run(run_id).state == "succeeded")
    second.close()


def test_a_trainer_that_stands_still_is_ended_and_its_run_goes_on(
    workspace: Workspace, tiny_model_folder: Path, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICEWRIGHT_PRECISION", "fp32")
    add_local_model(workspace, tiny_model_folder)
    store = Store(workspace.database)
    run_id = queue_run(workspace, store, examples, epochs=2)
    worker = make_worker(workspace, store, Patience(stall=15.0))
    worker.start()
    wait_until(lambda: worker._attempt is not None)
    assert worker._attempt is not None
    worker._attempt.child.process.send_signal(signal.SIGSTOP)
    worker._attempt.spoke_at -= 15.0
    wait_until(lambda: store.get_run(run_id).state == "succeeded")
    assert store.get_run(run_id).attempt == 2
    assert "stalled" in [event.reason for event in store.list_events(run_id)]
    worker.close()


# --- a damaged database ---------------------------------------------------------------------------------


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    """A workspace with twenty projects and its copy."""
    store = Store(workspace.database)
    for number in range(20):
        store.add_project(NewProject(name=f"Voice {number} {'x' * 100}"))
    Copies(workspace, store).tick()
    store.close()
    return workspace


def overwrite(data: bytes) -> bytes:
    return b"this is no database at all " * 100


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def zero(data: bytes) -> bytes:
    return bytes(len(data))


@pytest.mark.parametrize("damage", [overwrite, cut, zero])
def test_a_damaged_database_is_set_aside_and_its_copy_takes_over(
    filled: Workspace, damage: Callable[[bytes], bytes]
) -> None:
    broken = damage(filled.database.read_bytes())
    filled.database.write_bytes(broken)
    store = open_store(filled)
    assert len(store.list_projects()) == 20
    store.add_project(NewProject(name="Goes on"))
    (kept,) = filled.root.glob(f"damaged-*-{filled.database.name}")
    assert kept.read_bytes() == broken


def test_flipped_bytes_never_keep_the_engine_from_opening(filled: Workspace) -> None:
    sound = filled.database.read_bytes()
    for seed in range(40):
        dice = random.Random(seed)
        broken = bytearray(sound)
        for _ in range(30):
            broken[dice.randrange(len(broken))] ^= 0xFF
        filled.database.write_bytes(bytes(broken))
        store = open_store(filled)
        assert store.is_sound()
        store.add_project(NewProject(name="Goes on"))
        store.close()


def test_without_a_copy_a_new_database_is_begun_and_the_old_one_kept(filled: Workspace) -> None:
    copy_of(filled).unlink()
    filled.database.write_bytes(zero(filled.database.read_bytes()))
    assert open_store(filled).list_projects() == []
    assert len(list(filled.root.glob(f"damaged-*-{filled.database.name}"))) == 1


def test_copies_are_taken_only_when_something_changed(workspace: Workspace) -> None:
    store = Store(workspace.database)
    copies = Copies(workspace, store)
    copies.tick()
    first = copy_of(workspace).stat().st_mtime_ns
    threading.Event().wait(0.02)
    copies._copied_at = float("-inf")
    copies.tick()
    assert copy_of(workspace).stat().st_mtime_ns == first
    store.add_project(NewProject(name="News"))
    copies.tick()
    assert len(Store(copy_of(workspace)).list_projects()) == 1
