"""The jobs of the terminal on the real engine: clean JSON, one sentence when wrong."""

import csv
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.contract.records import BUNDLED_MODEL, METHOD_NAMES
from studio.engine_client import connect
from studio.engine_process import ensure_engine, is_running, stop_engine
from studio.terminal import _resolve_model
from tests.base_models import SMALL_MODEL

SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "outdoor_shop_voice.csv"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace whose engine stays up for all jobs of this module."""
    folder = tmp_path_factory.mktemp("terminal") / "workspace"
    client = ensure_engine(folder)
    yield folder
    stop_engine(client)


@pytest.fixture(scope="module")
def short_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 24 rows of the sample: enough to tune on, short enough for a test."""
    rows = list(csv.reader(SAMPLE.open(encoding="utf-8", newline="")))[:25]
    file = tmp_path_factory.mktemp("files") / "short.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return file


def voicewright(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "studio", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=240, env=os.environ | environment
    )


def answer_of(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_check_reads_the_sample_and_finds_nothing_to_mend(workspace: Path) -> None:
    answer = answer_of(voicewright("check", SAMPLE, "--json", "--workspace", workspace))
    assert answer["examples"] == 196
    assert answer["columns"] == {"prompt": "Prompt", "completion": "Text", "template": None}
    assert [finding for finding in answer["findings"] if finding["severity"] == "error"] == []


def test_check_names_the_rows_and_the_remedy(workspace: Path, tmp_path: Path) -> None:
    rows = "".join(f"Describe thing {i};A fine thing of number {i} for the road.\n" for i in range(12))
    file = tmp_path / "EXPORT.CSV"
    file.write_bytes(f"\ufeffPrompt;Text\n{rows}Describe nothing;\n".encode())
    answer = answer_of(voicewright("check", file, "--json", "--workspace", workspace))
    assert answer["examples"] == 12
    empty = [finding for finding in answer["findings"] if finding["rows"] == [14]]
    assert empty
    assert set(empty[0]) == {"severity", "rows", "message", "remedy", "kind"}


def test_estimate_gives_one_estimate_per_method(workspace: Path) -> None:
    answer = answer_of(
        voicewright("estimate", SAMPLE, "--json", "--workspace", workspace, "--model", SMALL_MODEL)
    )
    assert tuple(item["method"] for item in answer) == METHOD_NAMES
    for item in answer:
        low, high = item["seconds_range"]
        assert 0 < low <= item["seconds"] <= high
        assert item["peak_memory_bytes"] > 0


@pytest.mark.parametrize("method", ["lora", "all-layers"])
def test_tune_writes_a_checked_download_that_compare_opens(
    workspace: Path, short_file: Path, tmp_path: Path, method: str
) -> None:
    out = tmp_path / "voice.zip"
    arguments = ["--method", method, "--epochs", 3, "--out", out, "--json", "--workspace", workspace]
    arguments += ["--model", SMALL_MODEL]
    answer = answer_of(voicewright("tune", short_file, *arguments))
    assert answer["method"] == method
    assert answer["model"] == SMALL_MODEL.name
    assert answer["examples_train"] + answer["examples_validation"] == 24
    assert answer["validation_loss"] < answer["validation_loss_base"]
    assert answer["steps"] > 0
    assert answer["export"] == str(out)
    assert {"adapter", "model"} & {name.split("/")[0] for name in zipfile.ZipFile(out).namelist()}

    # The adapter alone, whose base is found by its weights among the base models of the workspace.
    assert not any(name.startswith("base/") for name in zipfile.ZipFile(out).namelist())
    asked = ["--prompt", "Describe a tent.", "--max-tokens", 12, "--workspace", workspace]
    compared = answer_of(voicewright("compare", out, *asked, "--json"))
    assert compared["method"] == method
    (pair,) = compared["answers"]
    assert pair["prompt"] == "Describe a tent."
    assert pair["base"]
    assert pair["tuned"]


def test_a_download_with_its_base_is_compared_where_nothing_else_is(
    workspace: Path, short_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "voice.zip"
    arguments = ["--method", "p-tuning", "--epochs", 1, "--out", out, "--json", "--workspace", workspace]
    answer_of(voicewright("tune", short_file, *arguments, "--model", SMALL_MODEL, "--with-base"))
    assert {"base/model.safetensors", "base/README.md"} <= set(zipfile.ZipFile(out).namelist())
    asked = ["--prompt", "Hi.", "--max-tokens", 4, "--workspace", tmp_path / "nowhere"]
    assert answer_of(voicewright("compare", out, *asked, "--json"))["answers"]


def test_an_adapter_without_its_base_says_which_one_it_needs(tmp_path: Path) -> None:
    out = tmp_path / "voice.zip"
    model = {"name": "mine", "fingerprint": "ab" * 32, "weights": {"model.safetensors": "cd" * 32}}
    manifest = {"format": "voicewright-download", "version": 1, "base_model": model, "files": {}}
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("voicewright.json", json.dumps(manifest))
    done = voicewright("compare", out, "--prompt", "Hi", "--workspace", tmp_path / "w")
    assert done.returncode == 2
    assert "needs the base model “mine”" in done.stderr
    assert "--base" in done.stderr


def test_base_models_are_added_listed_exported_and_forgotten(workspace: Path, tmp_path: Path) -> None:
    def models(*words: object) -> Any:
        return answer_of(voicewright("models", *words, "--json", "--workspace", workspace))

    folder = shutil.copytree(SMALL_MODEL, tmp_path / "Writer")
    added = models("add", folder)
    assert (added["name"], added["licence"]) == ("Writer", "cc-by-sa-4.0")
    assert added["fingerprint"] in {model["fingerprint"] for model in models("list")}
    written = models("export", tmp_path / "out" / "copy", "--model", "Writer")
    assert written["fingerprint"] == added["fingerprint"]
    assert (tmp_path / "out/copy/README.md").exists()
    again = voicewright("models", "export", tmp_path / "out/copy", "--workspace", workspace)
    assert (again.returncode, "already" in again.stderr) == (2, True)
    models("remove", "Writer")
    assert "Writer" not in {model["name"] for model in models("list")}
    assert (folder / "model.safetensors").exists()
    gone = voicewright("models", "remove", "Writer", "--workspace", workspace)
    assert (gone.returncode, "no base model called “Writer”" in gone.stderr) == (2, True)


def test_a_model_that_is_known_is_meant_whatever_lies_here_under_its_name(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(SMALL_MODEL, tmp_path / BUNDLED_MODEL)
    monkeypatch.chdir(tmp_path)
    client = connect(workspace)
    known = client.models()
    assert _resolve_model(client, BUNDLED_MODEL, workspace) == BUNDLED_MODEL
    assert client.models() == known
    added = _resolve_model(client, f"./{BUNDLED_MODEL}", workspace)
    assert added == f"{BUNDLED_MODEL}-2"
    client.remove_model(added)


def test_other_models_are_used_while_the_bundled_one_cannot_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    options = ["--workspace", tmp_path / "workspace", "--json"]

    def ask(*words: object) -> Any:
        return answer_of(voicewright(*words, *options, XDG_CACHE_HOME=str(tmp_path / "cache")))

    ask("models", "add", shutil.copytree(SMALL_MODEL, tmp_path / "Writer"))
    assert [bool(model["problem"]) for model in ask("models", "list")] == [True, False]
    assert ask("check", SAMPLE, "--model", "Writer")["examples"] == 196
    shutil.rmtree(tmp_path / "Writer")
    found = ask("check", SAMPLE, "--model", "Writer")["findings"]
    assert [one["severity"] for one in found if one["kind"] == "model-unusable"] == ["warning"]
    ask("models", "remove", "Writer")
    refused = voicewright("check", SAMPLE, *options, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert (refused.returncode, str(tmp_path / "cache") in refused.stderr) == (2, True)


BAD_FILES = {
    "empty": b"",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(200),
    "too few rows": b"Prompt,Text\nSay hi,Hello there my friend.\n",
    "a zip": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("content", BAD_FILES.values(), ids=BAD_FILES.keys())
@pytest.mark.parametrize("job", ["check", "estimate", "tune"])
def test_a_bad_file_is_one_sentence_and_exit_code_2(
    workspace: Path, tmp_path: Path, content: bytes, job: str
) -> None:
    file = tmp_path / "bad.csv"
    file.write_bytes(content)
    more = ["--method", "lora", "--out", tmp_path / "o.zip"] if job == "tune" else []
    done = voicewright(job, file, "--json", "--workspace", workspace, *more)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o.zip").exists()


def test_a_file_that_is_not_there_is_said(workspace: Path, tmp_path: Path) -> None:
    done = voicewright("check", tmp_path / "nowhere.csv", "--workspace", workspace)
    assert done.returncode == 2
    assert "cannot be read" in done.stderr


def test_an_unknown_model_is_said_before_anything_starts(workspace: Path, tmp_path: Path) -> None:
    more = ["--method", "lora", "--out", tmp_path / "o.zip", "--model", "gpt-17", "--json"]
    done = voicewright("tune", SAMPLE, "--workspace", workspace, *more)
    assert done.returncode == 2
    assert "gpt-17" in done.stderr


def test_a_folder_that_is_no_model_is_said(workspace: Path, tmp_path: Path) -> None:
    more = ["--method", "lora", "--out", tmp_path / "o.zip", "--model", tmp_path]
    done = voicewright("tune", SAMPLE, "--workspace", workspace, *more)
    assert done.returncode == 2
    assert "cannot be tuned" in done.stderr


def test_a_zip_of_somebody_else_is_refused_in_words(tmp_path: Path) -> None:
    stranger = tmp_path / "holiday.zip"
    with zipfile.ZipFile(stranger, "w") as archive:
        archive.writestr("../../beach.txt", "sun")
    done = voicewright("compare", stranger, "--prompt", "Hi", "--json")
    assert done.returncode == 2
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_an_engine_started_for_a_job_ends_with_it(tmp_path: Path) -> None:
    answer_of(voicewright("check", SAMPLE, "--json", "--workspace", tmp_path / "w"))
    assert not is_running(connect(tmp_path / "w"))
