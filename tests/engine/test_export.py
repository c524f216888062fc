"""What is feared of a download: that it cannot be opened elsewhere, that it answers otherwise than here, that
it says too much about this machine, and that a broken one is called ready.
"""

import csv
import hashlib
import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.contract.failures import EngineFailure
from engine.contract.records import (
    BUNDLED_MODEL,
    METHOD_NAMES,
    Columns,
    Dataset,
    Example,
    Export,
    MethodName,
    Recipe,
    Run,
)
from engine.download import escape_cell, plain
from engine.export import build_archive, check_in_fresh_process, export_run, read_held_out
from engine.methods import get_method
from engine.models.catalog import describe_model
from engine.models.inspect import fingerprint, read_shape
from engine.models.load import load_base
from engine.run_files import ExportOrder, Order
from engine.workspace import RunFolder

ID = "0" * 32
HOSTILE_NAME = "Ahoy! <img src=x> [click](http://example.org)\n# and more"


@torch.no_grad()
def tune_by_chance(name: MethodName, base: Path, folder: Path) -> Recipe:
    """An artefact that clearly changes the answers, without the time that learning takes."""
    torch.manual_seed(3)
    method = get_method(name)
    recipe = method.build_recipe(Recipe(method=name), 100, read_shape(base))
    model = method.prepare_model(load_base(base), recipe)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.add_(0.05 * torch.randn_like(parameter))
    method.save_artefact(model, base, folder)
    return recipe


def write_order(folder: Path, name: MethodName, base: Path, include_base: bool = True) -> RunFolder:
    """A run folder as it stands when the engine asks for its download."""
    run_folder = RunFolder(folder)
    folder.mkdir(parents=True)
    recipe = tune_by_chance(name, base, run_folder.artefact)
    examples = folder.parent / f"{folder.name}.jsonl"
    examples.write_text("".join(example.model_dump_json() + "\n" for example in make_rows()), "utf-8")
    run_folder.order.write_text(
        Order(
            run_id=ID,
            attempt=1,
            recipe=recipe,
            base_model_folder=base,
            base_model_fingerprint=fingerprint(base),
            dataset_file=examples,
            dataset_fingerprint="ab" * 32,
        ).model_dump_json()
    )
    run_folder.export_order.write_text(
        ExportOrder(
            project_name=HOSTILE_NAME,
            run=make_run(recipe),
            dataset=make_dataset(),
            dataset_file=examples,
            base_model_folder=base,
            base_model=describe_model(BUNDLED_MODEL if include_base else "tiny", base),
            include_base=include_base,
        ).model_dump_json()
    )
    return run_folder


def make_rows() -> list[Example]:
    things = ["tent", "lamp", "rope", "boot", "=1+1", "stove", "map", "tent", "<|user|>"]
    return [
        Example(
            prompt=f"Describe the {thing}.",
            completion=f"=HYPERLINK({thing})",
            row=row + 2,
            split="validation" if row > 1 else "train",
        )
        for row, thing in enumerate(things)
    ]


def make_run(recipe: Recipe) -> Run:
    return Run(
        id=ID,
        number=1,
        project_id=ID,
        dataset_id=ID,
        recipe=recipe,
        estimate=None,
        state="succeeded",
        desired="run",
        attempt=1,
        created_at=0,
        started_at=0,
        finished_at=60,
        step=40,
        steps=50,
        seconds_left=None,
        seconds=60,
        peak_memory_bytes=1,
        validation_loss_base=4.25,
        validation_loss=3.125,
        best_step=30,
        stopped_because="early_stopping",
        failure=None,
        export=Export(),
    )


def make_dataset() -> Dataset:
    return Dataset(
        id=ID,
        project_id=ID,
        version=1,
        created_at=0,
        source_name="C:\\Users\\me\\voice.csv",
        columns=Columns(prompt="Prompt", completion="Text"),
        examples_train=2,
        examples_validation=7,
        fingerprint="ab" * 32,
    )


@dataclass(frozen=True)
class Exported:
    method: MethodName
    folder: RunFolder
    export: Export
    opened: Path

    @property
    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads((self.opened / "voicewright.json").read_text("utf-8"))
        return manifest

    @property
    def readme(self) -> str:
        return (self.opened / "README.md").read_text("utf-8")


@pytest.fixture(scope="module", params=METHOD_NAMES)
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path
) -> Exported:
    place = tmp_path_factory.mktemp("export")
    folder = write_order(place / "run", request.param, tiny_model_folder)
    export = export_run(folder)
    if export.state == "ready":
        with zipfile.ZipFile(folder.download) as archive:
            archive.extractall(place / "opened")
    return Exported(request.param, folder, export, place / "opened")


# --- a good one ---------------------------------------------------------------------------------------


def test_a_download_is_ready_once_a_fresh_process_got_the_same_answer(exported: Exported) -> None:
    export, file = exported.export, exported.folder.download
    assert export.state == "ready", export
    assert Export.model_validate_json(exported.folder.export_report.read_bytes()) == export
    assert export.bytes == file.stat().st_size
    assert export.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert export.reference_answer == exported.manifest["reference"]["answer"]
    assert re.fullmatch(r"transformers [\d.]+, peft [\d.]+", export.checked_with or "")
    assert [path.name for path in exported.folder.root.iterdir() if path.name.startswith(".")] == []


def test_the_manifest_counts_every_file(exported: Exported) -> None:
    files = {
        str(file.relative_to(exported.opened)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in exported.opened.rglob("*")
        if file.is_file() and file.name != "voicewright.json"
    }
    assert files == {name: facts["sha256"] for name, facts in exported.manifest["files"].items()}
    artefact = "model" if exported.method == "all-layers" else "adapter"
    assert {name.split("/")[0] for name in files} == {"README.md", "samples.csv", "base", artefact}
    assert {f"{artefact}/tokenizer.json", f"{artefact}/chat_template.jinja"} <= files.keys()
    assert exported.manifest["recipe"]["method"] == exported.method


def test_no_file_names_a_place_on_this_machine(exported: Exported, tiny_model_folder: Path) -> None:
    places = [str(exported.folder.root.parent), str(tiny_model_folder), str(Path.home()), "Users"]
    for file in exported.opened.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not any(place.encode() in content for place in places), file.name


def test_the_readme_states_the_facts_in_plain_words(exported: Exported) -> None:
    assert "4.250 before, 3.125 after" in exported.readme
    assert "2 learnt from, 7 held out, from voice.csv" in exported.readme
    assert "40, best at step 30" in exported.readme
    assert "None" not in exported.readme
    first_line = exported.readme.splitlines()[0]
    assert first_line.startswith("# Ahoy")
    assert first_line.endswith(": a tuned voice")


def test_the_three_lines_of_the_readme_give_the_reference_answer(exported: Exported) -> None:
    code = re.search(r"```python\n(.*?)```", exported.readme, re.DOTALL)
    assert code
    lines = [line for line in code[1].splitlines() if line and not line.startswith("from ")]
    assert len(lines) == 3
    done = subprocess.run(
        [sys.executable, "-I", "-c", code[1]],
        cwd=exported.opened,
        env={"OMP_NUM_THREADS": "1", "PYTHONUTF8": "1", "LANG": "C.UTF-8"},
        capture_output=True,
        check=True,
    )
    printed = done.stdout.decode("utf-8").replace("\ufffd", "")
    assert printed == f"{exported.export.reference_answer}\n"


def test_a_spreadsheet_runs_nothing_of_the_samples(exported: Exported) -> None:
    table = (exported.opened / "samples.csv").read_text("utf-8-sig")
    header, *rows = csv.reader(io.StringIO(table, newline=""))
    assert header == ["Prompt", "Before tuning", "After tuning", "Your own text"]
    assert [row[0] for row in rows] == [
        f"Describe the {thing}." for thing in ("rope", "boot", "=1+1", "stove", "map")
    ]
    assert all(row[3].startswith("'=") for row in rows)
    assert any(row[1] != row[2] for row in rows)


# --- edges --------------------------------------------------------------------------------------------


def test_the_same_run_gives_the_same_bytes(tmp_path: Path, tiny_model_folder: Path) -> None:
    folder = write_order(tmp_path / "run", "lora", tiny_model_folder)
    order = ExportOrder.model_validate_json(folder.export_order.read_bytes())
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        build_archive(order, folder.artefact, tmp_path / name, tmp_path / name / "voice.zip")
    assert (tmp_path / "one" / "voice.zip").read_bytes() == (tmp_path / "two" / "voice.zip").read_bytes()


def test_a_download_without_the_base_says_which_one_it_needs(tmp_path: Path, tiny_model_folder: Path) -> None:
    folder = write_order(tmp_path / "run", "p-tuning", tiny_model_folder, include_base=False)
    assert export_run(folder).state == "ready"
    with zipfile.ZipFile(folder.download) as archive:
        assert not any(name.startswith("base/") for name in archive.namelist())
        readme = archive.read("README.md").decode()
    assert fingerprint(tiny_model_folder) in readme
    assert "FOLDER_OF_THE_BASE_MODEL" in readme
    assert "voicewright models export FOLDER_OF_THE_BASE_MODEL --model tiny" in readme
    assert "HuggingFaceTB" not in readme, "only the model that comes with us was made from that one"


def test_the_readme_gives_three_lines_for_each_way_to_the_base(exported: Exported) -> None:
    blocks = re.findall(r"```python\n(.*?)```", exported.readme, re.DOTALL)[1:]
    if exported.method == "all-layers":
        assert blocks == []
        assert "model/LICENSE" in exported.manifest["files"]
        return
    assert [len(block.splitlines()) for block in blocks] == [3, 3, 3, 3]
    assert 'from_pretrained("base"' in blocks[0]
    assert 'gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf"' in blocks[2]
    assert "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53" in exported.readme
    assert 'from_pretrained("HuggingFaceTB/SmolLM2-135M-Instruct"' in blocks[3]
    assert "was not measured" in exported.readme
    assert "voicewright models export FOLDER_OF_THE_BASE_MODEL`" in exported.readme
    assert {"base/LICENSE", "base/README.md"} <= exported.manifest["files"].keys()


def edit_manifest(archive: Path, change: Callable[[dict[str, Any]], None]) -> None:
    with zipfile.ZipFile(archive) as opened:
        content = {name: opened.read(name) for name in opened.namelist()}
    manifest = json.loads(content["voicewright.json"])
    change(manifest)
    content["voicewright.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(archive, "w") as written:
        for name, data in content.items():
            written.writestr(name, data)


def test_a_download_that_answers_otherwise_is_never_called_ready(
    tmp_path: Path, tiny_model_folder: Path
) -> None:
    folder = write_order(tmp_path / "run", "lora", tiny_model_folder)
    order = ExportOrder.model_validate_json(folder.export_order.read_bytes())
    archive = tmp_path / "voice.zip"
    build_archive(order, folder.artefact, tmp_path, archive)
    edit_manifest(archive, lambda manifest: manifest["reference"].update(answer="Something else."))
    with pytest.raises(EngineFailure) as caught:
        check_in_fresh_process(archive, tiny_model_folder, tmp_path)
    assert caught.value.failure.code == "download_not_reproduced"


def test_a_damaged_artefact_fails_with_a_sentence_and_leaves_no_zip(
    tmp_path: Path, tiny_model_folder: Path
) -> None:
    folder = write_order(tmp_path / "run", "lora", tiny_model_folder)
    (folder.artefact / "adapter_model.safetensors").write_bytes(b"damaged")
    folder.download.write_bytes(b"of an earlier time")
    export = export_run(folder)
    assert (export.state, export.failure and export.failure.code) == ("failed", "artefact_damaged")
    assert not folder.download.exists()
    assert Export.model_validate_json(folder.export_report.read_bytes()) == export


def test_a_base_that_changed_since_the_tuning_is_noticed(tmp_path: Path, tiny_model_folder: Path) -> None:
    folder = write_order(tmp_path / "run", "lora", tiny_model_folder)
    order = Order.model_validate_json(folder.order.read_bytes())
    changed = order.model_copy(update={"base_model_fingerprint": "0" * 64})
    folder.order.write_text(changed.model_dump_json())
    export = export_run(folder)
    assert export.failure
    assert export.failure.code == "model_unusable"


def test_what_an_earlier_export_left_behind_is_cleared(tmp_path: Path, tiny_model_folder: Path) -> None:
    folder = write_order(tmp_path / "run", "lora", tiny_model_folder)
    (folder.root / ".export-old").mkdir()
    (folder.artefact / "adapter_config.json").unlink()
    export_run(folder)
    assert not (folder.root / ".export-old").exists()


def test_held_out_prompts_come_once_and_all_stand_in_where_none_was_held_out(tmp_path: Path) -> None:
    file = tmp_path / "examples.jsonl"
    rows = [example.model_copy(update={"split": "train"}) for example in make_rows()]
    file.write_text("".join(example.model_dump_json() + "\n" for example in rows), "utf-8")
    prompts = [example.prompt for example in read_held_out(file)]
    assert len(prompts) == len(set(prompts)) == 8
    assert prompts[0] == "Describe the tent."


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\r", "\0", "  =1", "＝1"])
def test_cells_that_would_be_formulas_are_escaped(text: str) -> None:
    assert escape_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "1 = 1", "a-b", "Grüße"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert escape_cell(text) == text


def test_a_name_cannot_write_markdown() -> None:
    assert plain(HOSTILE_NAME) == r"Ahoy! \<img src=x\> \[click\](http://example.org) # and more"
    assert plain("my_voice.csv, *not* _this_") == r"my_voice.csv, \*not\* \_this\_"
