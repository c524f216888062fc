"""Models of this machine become base models over the API, and nothing of the person's is lost by it."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from engine.adding import ModelAdder
from engine.contract.failures import EngineFailure
from engine.contract.records import BUNDLED_MODEL, FolderListing, ModelAddition, NewModel
from engine.models.browse import list_folder
from engine.models.found import find_models
from engine.models.leftovers import remove_leftovers
from engine.models.unpacking import cache_folder
from engine.processes import take_lock
from engine.workspace import Workspace


@pytest.fixture(scope="module")
def engine(idle_engine: Any) -> Any:
    return idle_engine


def add(engine: Any, path: Path, name: str = "") -> ModelAddition:
    """Ask, and wait until it is decided."""
    asked = ModelAddition.model_validate(engine.ask("POST", "/models", {"path": str(path), "name": name}))
    deadline = time.monotonic() + 60
    while True:
        additions = [ModelAddition.model_validate(one) for one in engine.ask("GET", "/model-additions")]
        now = next(one for one in additions if one.id == asked.id)
        if now.state != "checking":
            return now
        assert time.monotonic() < deadline
        time.sleep(0.1)


def names(engine: Any) -> set[str]:
    return {model["name"] for model in engine.ask("GET", "/models")}


def test_a_folder_is_added_used_and_forgotten_and_its_files_stay(
    engine: Any, tiny_model_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_model_folder, tmp_path / "Ahoy? #1 50%"))
    (folder / "README.md").write_text("---\nlicense: mit\nlanguage: [de, en]\n---\n")
    added = add(engine, folder)
    assert added.failure is None
    assert added.model is not None
    assert (added.model.licence, added.model.languages) == ("mit", ("de", "en"))
    assert added.model.name in names(engine)
    path = "/models/Ahoy%3F%20%231%2050%25"
    assert engine.ask("POST", f"{path}/reading", {"example": {"prompt": "Hi", "completion": "Ho"}})
    engine.ask("DELETE", path, status=204)
    assert added.model.name not in names(engine)
    engine.ask("DELETE", path, status=404)
    assert (folder / "model.safetensors").exists()


def test_what_cannot_be_tuned_is_refused_in_words_and_not_listed(engine: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused = add(engine, tmp_path / "empty")
    assert refused.state == "failed"
    assert refused.failure is not None
    assert refused.failure.code == "model_unusable"
    assert "empty" not in names(engine)


def test_a_dropped_file_goes_with_its_model_and_no_other_file_does(engine: Any, tmp_path: Path) -> None:
    engine.workspace.uploads.mkdir(exist_ok=True)
    dropped, own = engine.workspace.uploads / "cut.gguf", tmp_path / "cut.gguf"
    for file in (dropped, own):
        assert add(engine, write_gguf(file)).state == "failed"
    assert not dropped.exists()
    assert own.exists()


@pytest.mark.parametrize("path", ["nowhere/at/all", "/nowhere/at/all", "~nobody/x", "\0", " "])
def test_only_a_whole_path_that_exists_is_taken(engine: Any, path: str) -> None:
    failure = engine.ask("POST", "/models", {"path": path}, status=404)["failure"]
    assert failure["code"] == "not_found"


def test_a_model_of_a_run_that_has_not_ended_stays(engine: Any, examples: list[Any]) -> None:
    run_id = engine.new_run(engine.new_dataset(examples), epochs=100)
    failure = engine.ask("DELETE", "/models/tiny", status=409)["failure"]
    assert "has not ended" in failure["what_happened"]
    engine.want(run_id, "cancel")
    assert "tiny" in names(engine)


def test_the_bundled_model_cannot_be_removed(engine: Any) -> None:
    assert engine.ask("DELETE", f"/models/{BUNDLED_MODEL}", status=409)["failure"]["code"] == "conflict"


def test_a_check_that_takes_too_long_is_given_up(workspace: Workspace, tiny_model_folder: Path) -> None:
    adder = ModelAdder(workspace, limit_seconds=0.05)
    adder.start(NewModel(path=str(tiny_model_folder)))
    with pytest.raises(EngineFailure, match="Another model is being checked"):
        adder.start(NewModel(path=str(workspace.root)))
    addition = wait_until_decided(adder)
    assert addition.failure is not None
    assert "longer than" in addition.failure.what_happened
    adder.close()


def wait_until_decided(adder: ModelAdder) -> ModelAddition:
    deadline = time.monotonic() + 20
    while (addition := adder.list()[0]).state == "checking":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return addition


def test_what_goes_wrong_after_the_check_does_not_leave_it_going_on(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()

    def fail(*_: object) -> None:
        raise OSError("no such disk")

    adder = ModelAdder(workspace)
    for place in ("discard_upload", "_read_answer"):
        monkeypatch.setattr(f"engine.adding.{place}", fail)
        adder.start(NewModel(path=str(tmp_path / "empty"), name="-odd"))
        assert wait_until_decided(adder).state == "failed"
    adder.close()


def test_what_a_killed_unpacking_left_goes_and_what_is_being_unpacked_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    left, going_on, other = (
        cache_folder() / f".unpacking-{name}-v3"
        for name in ("my-a-0123abcd", "my-a-4567abcd", "my-a-b-0123abcd")
    )
    for folder in (left, going_on, other):
        folder.mkdir(parents=True)
    lock = take_lock(cache_folder() / ".my-a-4567abcd-v3.lock")
    assert lock is not None
    remove_leftovers(Path("/models/my a.gguf"))
    assert (left.exists(), going_on.exists(), other.exists()) == (False, True, True)
    os.close(lock)


def test_a_name_may_begin_like_an_option(engine: Any, tiny_model_folder: Path, tmp_path: Path) -> None:
    added = add(engine, Path(shutil.copytree(tiny_model_folder, tmp_path / "x")), "--name").model
    assert added and added.name == "--name"
    engine.ask("DELETE", "/models/--name", status=204)


# --- what lies on this machine --------------------------------------------------------------------------


def write_gguf(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"GGUF" + bytes(60))
    return file


def fill_home(home: Path, model: Path) -> None:
    """Models as the four programs leave them, and what is none beside them."""
    hub = home / ".cache/huggingface/hub"
    shutil.copytree(model, hub / "models--acme--Tiny-Instruct/snapshots/0123abcd")
    other = hub / "models--acme--Embedder/snapshots/4567"
    other.mkdir(parents=True)
    (other / "config.json").write_text('{"model_type": "bert"}')
    manifests = home / ".ollama/models/manifests/registry.ollama.ai"
    for name, digest in (("library/llama3.2/1b", "sha256:aa"), ("me/mine/latest", "sha256:gone")):
        (manifests / name).parent.mkdir(parents=True)
        layers = [
            {"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:bb"},
            {"mediaType": "application/vnd.ollama.image.model", "digest": digest},
        ]
        (manifests / name).write_text(json.dumps({"layers": layers}))
    (manifests / "library/llama3.2/torn").write_text('{"layers": [')
    write_gguf(home / ".ollama/models/blobs/sha256-aa")
    write_gguf(home / ".lmstudio/models/acme/tiny/tiny-Q4_K_M.gguf")
    write_gguf(home / ".lmstudio/models/acme/tiny/mmproj-tiny.gguf")
    write_gguf(home / ".lmstudio/models/acme/big/big-00002-of-00003.gguf")
    write_gguf(home / "Downloads/got.gguf")
    (home / "Downloads/empty.gguf").write_bytes(b"")


def test_models_of_other_programs_are_found_with_their_names(tmp_path: Path, tiny_model_folder: Path) -> None:
    fill_home(tmp_path, tiny_model_folder)
    found = find_models(tmp_path, environment={})
    assert [(model.source, model.title) for model in found] == [
        ("Hugging Face", "acme/Tiny-Instruct"),
        ("Ollama", "llama3.2:1b"),
        ("LM Studio", "tiny-Q4_K_M"),
        ("Downloads", "got"),
    ]
    assert all(Path(model.path).exists() and model.bytes for model in found)
    assert len(find_models(tmp_path, [found[0].path], environment={})) == 3


def test_a_file_that_vanishes_while_it_is_looked_at_spoils_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gguf(tmp_path / "Downloads/got.gguf")
    monkeypatch.setattr("engine.models.found.is_gguf", lambda file: file.unlink() or True)
    assert [model.bytes for model in find_models(tmp_path, environment={})] == [0]


def test_an_empty_home_has_no_models(tmp_path: Path) -> None:
    assert find_models(tmp_path, environment={}) == []


def test_the_browser_of_folders_stays_below_home_and_shows_nothing_hidden(tmp_path: Path) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    for folder in (home / "models/big", home / ".secret", outside):
        folder.mkdir(parents=True)
    write_gguf(home / "models/a.GGUF")
    (home / "models/notes.txt").write_text("mine")
    (home / "way-out").symlink_to(outside)
    (home / "loop").symlink_to(home / "loop")
    top = list_folder(home, None)
    assert top == FolderListing(
        path=str(home), parent=None, folders=["models"], gguf_files=[], is_model=False
    )
    inside = list_folder(home, str(home / "models"))
    assert (inside.folders, inside.gguf_files, inside.parent) == (["big"], ["a.GGUF"], str(home))
    for place in (outside, home / "way-out", home / ".secret", home / "models/../..", Path("/")):
        with pytest.raises(EngineFailure, match="home folder"):
            list_folder(home, str(place))
    with pytest.raises(EngineFailure, match="cannot be read"):
        list_folder(home, str(home / "nothing"))
    with pytest.raises(EngineFailure, match="home folder"):
        list_folder(home, "~nobody-of-this-name/x")


def test_a_folder_that_is_a_model_says_so(tmp_path: Path, tiny_model_folder: Path) -> None:
    shutil.copytree(tiny_model_folder, tmp_path / "tiny")
    assert list_folder(tmp_path, str(tmp_path / "tiny")).is_model


def test_folders_and_found_models_are_told_over_the_api(engine: Any) -> None:
    assert FolderListing.model_validate(engine.ask("GET", "/folders")).path == str(Path.home().resolve())
    engine.ask("GET", "/folders?path=/etc", status=422)
    assert isinstance(engine.ask("GET", "/found-models"), list)
    assert os.environ["HOME"]
