"""A workspace of an earlier version, whose voices were tuned on a base model that no longer comes with us."""

import json
import sqlite3
import uuid
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from engine.contract.records import Example
from engine.migrations import MIGRATIONS
from engine.workspace import Workspace

EARLIER = "starter"
ESTIMATE = {
    "method": "lora",
    "recipe": {"base_model": EARLIER, "method": "lora"},
    "steps": 90,
    "trainable_parameters": 180_000,
    "seconds": 60.0,
    "seconds_range": [50.0, 80.0],
    "peak_memory_bytes": 700_000_000,
    "memory_available_bytes": 12_000_000_000,
    "fits": True,
    "download_bytes": 13_000_000,
    "adapter_bytes": 700_000,
    "energy_kwh_range": [0.001, 0.002],
    "electricity_cost_range": [0.0, 0.001],
    "rented_gpu_cost_range": [0.01, 0.02],
    "currency": "€",
    "calibrated": True,
    "basis": "Measured.",
}


class EarlierWorkspace:
    """Written as the version before wrote it: rows by SQL, files by hand."""

    def __init__(self, workspace: Workspace, examples: list[Example]) -> None:
        self.workspace = workspace
        self.project, self.dataset = uuid.uuid4().hex, uuid.uuid4().hex
        lines = "".join(example.model_dump_json() + "\n" for example in examples).encode()
        workspace.dataset(self.dataset).write_bytes(lines)
        columns = json.dumps({"prompt": "Prompt", "completion": "Text"})
        with sqlite3.connect(workspace.database) as self.rows:
            for statement in (one for migration in MIGRATIONS for one in migration.statements):
                self.rows.execute(statement)
            self.rows.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            self.rows.execute("INSERT INTO projects VALUES (?, 'Shop', 0, 1.0, NULL)", [self.project])
            self.rows.execute(
                "INSERT INTO datasets VALUES (?, ?, 1, 1.0, 'voice.csv', ?, 8, 2, ?, 1)",
                [self.dataset, self.project, columns, sha256(lines).hexdigest()],
            )

    def add_run(self, number: int, state: str) -> str:
        run_id, recipe = uuid.uuid4().hex, {"base_model": EARLIER, "method": "lora", "epochs": 3}
        row = {"id": run_id, "key": uuid.uuid4().hex, "number": number, "state": state, "desired": "run"}
        row |= {"project_id": self.project, "dataset_id": self.dataset, "created_at": float(number)}
        row |= {"recipe": json.dumps(recipe), "estimate": json.dumps(ESTIMATE), "seconds": 60.0}
        names, marks = ", ".join(row), ", ".join("?" for _ in row)
        with self.rows:
            self.workspace.run(run_id).root.mkdir(parents=True)
            self.rows.execute(f"INSERT INTO runs ({names}) VALUES ({marks})", list(row.values()))  # noqa: S608
        return run_id

    def add_download(self, run_id: str) -> bytes:
        folder = self.workspace.run(run_id)
        folder.artefact.mkdir()
        (folder.artefact / "adapter_config.json").write_text("{}")
        (folder.artefact / "adapter_model.safetensors").write_bytes(b"weights")
        archive = b"PK a zip with its base inside"
        folder.download.write_bytes(archive)
        report = {"state": "ready", "bytes": len(archive), "sha256": sha256(archive).hexdigest()}
        folder.export_report.write_text(json.dumps(report))
        folder.export_order.write_text(json.dumps({"include_base": True}))
        return archive


@pytest.fixture
def earlier(workspace: Workspace, examples: list[Example]) -> EarlierWorkspace:
    return EarlierWorkspace(workspace, examples)


def test_its_voices_open_their_downloads_are_offered_and_what_is_missing_is_said(
    earlier: EarlierWorkspace, sleeping_engine: Any
) -> None:
    made, never_made = (earlier.add_run(number, "succeeded") for number in (1, 2))
    waiting = earlier.add_run(3, "interrupted")
    archive = earlier.add_download(made)
    engine = sleeping_engine.start()

    assert [run["number"] for run in engine.ask("GET", f"/projects/{earlier.project}/runs")] == [3, 2, 1]
    export = engine.ask("GET", f"/runs/{made}/export")
    assert (export["state"], export["includes_base"]) == ("ready", True)
    failure = engine.ask("POST", f"/runs/{made}/export", {"include_base": False}, status=404)["failure"]
    assert failure["what_happened"].startswith("This voice was tuned on Voicewright’s earlier small model")
    with engine.client as client:
        assert client.get(f"/runs/{made}/download").content == archive
        answer = client.post("/answers", json={"run_id": made, "prompt": "Hi"}).text
    assert "is no longer included" in answer
    assert "Its download, if it was made, is still here" in answer

    failed = engine.wait(never_made, lambda run: run["export"]["state"] == "failed")
    assert "earlier small model" in failed["export"]["failure"]["what_happened"]
    ended = engine.wait_for(waiting, "failed")
    assert "earlier small model" in ended["failure"]["what_happened"]
    assert engine.new_run(earlier.dataset, epochs=1), "the voice can be tuned on another base model"


def test_estimates_are_made_on_the_models_that_are_here(
    earlier: EarlierWorkspace, sleeping_engine: Any
) -> None:
    earlier.add_run(1, "succeeded")
    engine = sleeping_engine.start()
    request = {"dataset_id": earlier.dataset, "recipes": [{"base_model": "tiny", "method": "lora"}]}
    assert engine.ask("POST", "/estimates", request)[0]["recipe"]["base_model"] == "tiny"
    request["recipes"] = [{"base_model": EARLIER, "method": "lora"}]
    failure = engine.ask("POST", "/estimates", request, status=404)["failure"]
    assert "earlier small model" in failure["what_happened"]


def test_the_name_of_the_earlier_model_stands_in_no_code() -> None:
    root = Path(__file__).resolve().parents[2]
    files = [file for folder in ("engine", "studio", "pages") for file in (root / folder).rglob("*.py")]
    assert [file.name for file in files if EARLIER in file.read_text("utf-8")] == []
