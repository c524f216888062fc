"""The catalogue of base models, and what is read of a folder."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.contract.failures import EngineFailure
from engine.contract.records import BUNDLED_MODEL
from engine.models.catalog import (
    add_local_model,
    describe_model,
    find_model,
    forget_model,
    get_model,
    list_models,
)
from engine.models.inspect import fingerprint, read_repetition_penalty, read_shape
from engine.models.load import load_base
from engine.processes import hold_lock
from engine.workspace import Workspace


@pytest.fixture
def folder(tiny_model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model_folder, tmp_path / "mine"))


def change(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_the_shape_is_that_of_the_loaded_model(tiny_model_folder: Path) -> None:
    shape, model = read_shape(tiny_model_folder), load_base(tiny_model_folder)
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert shape.layer_parameters == sum(p.numel() for p in model.model.layers[0].parameters())
    assert (shape.layers, shape.hidden_size, shape.heads, shape.kv_heads, shape.head_dim) == (4, 64, 4, 2, 16)
    linear = [p.numel() for name, p in model.model.layers[0].named_parameters() if "proj" in name]
    assert shape.layer_linear_parameters == sum(linear)
    assert shape.tied_embeddings


def test_an_added_folder_is_found_by_its_name(workspace: Workspace, folder: Path) -> None:
    info = add_local_model(workspace, folder)
    assert info.name == "mine"
    assert find_model(workspace, "mine") == folder
    assert not info.is_bundled
    assert [model.name for model in list_models(workspace)][-1] == "mine"


def test_adding_twice_is_adding_once_and_two_of_one_name_get_two_names(
    workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "elsewhere" / "mine"))
    names = [add_local_model(workspace, place).name for place in (folder, folder, other)]
    assert names == ["mine", "mine", "mine-2"]


def test_no_folder_can_take_the_bundled_models_name(workspace: Workspace, folder: Path) -> None:
    added = add_local_model(workspace, folder.rename(folder.with_name(BUNDLED_MODEL)))
    assert added.name == f"{BUNDLED_MODEL}-2"


def vanish(folder: Path) -> None:
    shutil.rmtree(folder)


def lose_a_size(folder: Path) -> None:
    change(folder / "config.json", hidden_size=None)


def become_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("not a folder")


def claim_odd_tensors(folder: Path) -> None:
    header = b'{"a":1}'
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)


@pytest.mark.parametrize("damage", [vanish, lose_a_size, become_a_file, claim_odd_tensors])
def test_a_model_that_broke_says_so_and_the_others_are_listed(
    workspace: Workspace, folder: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    whole = Path(shutil.copytree(folder, tmp_path / "whole"))
    for added in (folder, whole):
        add_local_model(workspace, added)
    damage(folder)
    listed = {model.name: model for model in list_models(workspace)}
    broken = listed["mine"]
    assert broken.problem.endswith(".")
    assert (broken.parameters, broken.layers, broken.bytes, broken.fingerprint) == (0, 0, 0, "")
    assert listed["whole"].parameters
    assert not listed["whole"].problem


@pytest.mark.parametrize("torn", [b'{"mine": "/some', b"[]", b"\xff\xfe", b""])
def test_a_torn_catalogue_is_kept_and_said_until_a_model_is_added(
    workspace: Workspace, folder: Path, torn: bytes
) -> None:
    (workspace.root / "models.json").write_bytes(torn)
    for _ in range(2):
        said = list_models(workspace)[-1]
        assert "Add your models again" in said.problem
        assert not said.can_be_removed
        assert (workspace.root / said.name).read_bytes() == torn
    add_local_model(workspace, folder)
    assert [model.name for model in list_models(workspace)][1:] == ["mine"]
    assert (workspace.root / said.name).read_bytes() == torn


def test_models_added_at_the_same_time_are_all_in_the_list(workspace: Workspace, folder: Path) -> None:
    folders = [Path(shutil.copytree(folder, folder.with_name(f"copy-{number}"))) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        added = list(pool.map(lambda one: add_local_model(workspace, one).name, folders))
    assert {model.name for model in list_models(workspace)} == {BUNDLED_MODEL, *added}
    assert len(set(added)) == 6


def test_a_list_that_another_process_keeps_locked_is_said_to_be_busy(
    workspace: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.models.catalog._LOCK_SECONDS", 0.05)
    add_local_model(workspace, folder)
    with hold_lock(workspace.root / "models.lock", 1), pytest.raises(EngineFailure, match="being changed"):
        forget_model(workspace, "mine")
    forget_model(workspace, "mine")
    assert len(list_models(workspace)) == 1


def test_an_unknown_name_is_said_to_be_unknown(workspace: Workspace) -> None:
    assert find_model(workspace, "no such") is None
    with pytest.raises(EngineFailure, match="no base model called"):
        get_model(workspace, "no such")


def test_the_fingerprint_changes_with_the_weights_and_not_with_the_model_card(folder: Path) -> None:
    before = fingerprint(folder)
    (folder / "README.md").write_text("a card")
    assert fingerprint(folder) == before
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(bytes(data))
    assert fingerprint(folder) != before


def test_a_description_says_what_the_folder_holds(tiny_model_folder: Path) -> None:
    info = describe_model("tiny", tiny_model_folder)
    assert info.bytes == sum(file.stat().st_size for file in tiny_model_folder.iterdir())
    assert info.window_tokens == 256


@pytest.mark.parametrize(
    ("written", "read"),
    [("1.1", 1.1), ("2", 2.0), ("1e99", 1.0), ("Infinity", 1.0), ("NaN", 1.0), ("0.01", 1.0), ('"2"', 1.0)],
)
def test_a_repetition_penalty_that_is_none_is_passed_over(folder: Path, written: str, read: float) -> None:
    (folder / "generation_config.json").write_text(f'{{"repetition_penalty": {written}}}')
    assert read_repetition_penalty(folder) == read
