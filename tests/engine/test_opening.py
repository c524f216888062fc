"""What is feared of a zip from anywhere: that opening it writes where it must not, fills the disk, runs code,
or gives a wrong answer instead of a refusal.
"""

import hashlib
import json
import random
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from engine import opening
from engine.contract.failures import Failure
from engine.contract.records import Recipe
from engine.download import artefact_content, base_content
from engine.methods import get_method
from engine.models.inspect import read_shape
from engine.models.load import load_base, load_tokenizer
from engine.opening import MANIFEST, Refused, compare, unpack

PROMPT = "Describe the tent."
GREEDY = {"max_new_tokens": 16, "do_sample": False}
# The tiny model's likeliest bytes make no characters; among drawn ones some do.
DRAWN = {"max_new_tokens": 32, "do_sample": True, "temperature": 1.5, "top_k": 0}
Files = dict[str, bytes]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def describe(files: Files) -> dict[str, Any]:
    return {name: {"bytes": len(data), "sha256": sha256(data)} for name, data in files.items()}


def make_manifest(files: Files, base: Path) -> dict[str, Any]:
    return {
        "format": "voicewright-download",
        "version": 1,
        "method": "lora",
        "base_model": {
            "name": "tiny",
            "fingerprint": "f" * 64,
            "weights": {"model.safetensors": sha256((base / "model.safetensors").read_bytes())},
        },
        "recipe": {"virtual_tokens": None},
        "reference": {"prompt": PROMPT, "answer": "?", "max_tokens": 16},
        "end_token_ids": [5],
        "files": describe(files),
    }


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Path:
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("lora") / "artefact"
    method = get_method("lora")
    model = method.prepare_model(
        load_base(tiny_model_folder),
        method.build_recipe(Recipe(method="lora"), 100, read_shape(tiny_model_folder)),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter) * parameter.requires_grad)
    method.save_artefact(model, tiny_model_folder, folder)
    return folder


@pytest.fixture
def files(artefact: Path, tiny_model_folder: Path) -> Files:
    """What is in a good download, to be spoilt."""
    content = artefact_content(artefact, artefact, is_adapter=True)
    content |= base_content(tiny_model_folder, tiny_model_folder)
    return {name: data if isinstance(data, bytes) else data.read_bytes() for name, data in content.items()}


@pytest.fixture
def zipped(tmp_path: Path, tiny_model_folder: Path) -> Callable[..., Path]:
    """Call it with files (and what to change in the manifest) to get the zip."""

    def make(content: Files, *additions: tuple[Any, bytes], **changes: Any) -> Path:
        target = tmp_path / "voice.zip"
        manifest = make_manifest(content, tiny_model_folder) | changes
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in content.items():
                archive.writestr(name, data)
            archive.writestr(MANIFEST, json.dumps(manifest))
            for name, data in additions:
                archive.writestr(name, data)
        return target

    return make


def open_it(archive: Path) -> None:
    folder = archive.parent / "opened"
    folder.mkdir()
    unpack(archive, folder)


# --- a good one ---------------------------------------------------------------------------------------


def stock_answer(model: Any, folder: Path) -> str:
    tokenizer = load_tokenizer(folder)
    inputs = tokenizer.apply_chat_template(
        [{"role": "user", "content": PROMPT}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    torch.manual_seed(4)
    output = model.eval().generate(**inputs, **DRAWN)[0, inputs["input_ids"].shape[1] :]
    text: str = tokenizer.decode(output, skip_special_tokens=True)
    return text.replace("\ufffd", "")


def test_base_and_tuned_answers_are_those_of_stock_libraries(
    files: Files, zipped: Callable[..., Path], artefact: Path, tiny_model_folder: Path
) -> None:
    told = compare(zipped(files), [PROMPT], None, DRAWN | {"seed": 4})
    tuned = PeftModel.from_pretrained(load_base(tiny_model_folder), artefact)
    assert (told["method"], told["model"]) == ("lora", "tiny")
    assert told["answers"] == [
        {
            "prompt": PROMPT,
            "base": stock_answer(load_base(tiny_model_folder), tiny_model_folder),
            "tuned": stock_answer(tuned, tiny_model_folder),
        }
    ]
    assert "" != told["answers"][0]["base"] != told["answers"][0]["tuned"] != ""


def test_the_terminal_gets_one_object_and_the_seed_its_answer_again(
    files: Files, zipped: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for seed in ("1", "1", "2"):
        options = ["--max-tokens", "16", "--temperature", "1", "--seed", seed]
        assert opening.main(["compare", str(zipped(files)), "--prompt", PROMPT, *options]) == 0
        said.append(json.loads(capsys.readouterr().out)["answers"])
    assert said[0] == said[1] != said[2]


def test_asking_for_more_than_the_window_holds_gives_what_fits(
    files: Files, zipped: Callable[..., Path]
) -> None:
    told = compare(zipped(files), [PROMPT], None, GREEDY | {"max_new_tokens": 100_000})
    assert told["answers"][0]["tuned"]


def test_a_prompt_longer_than_the_window_is_refused_in_words(
    files: Files, zipped: Callable[..., Path]
) -> None:
    with pytest.raises(Refused) as caught:
        compare(zipped(files), ["word " * 400], None, GREEDY)
    assert caught.value.failure["code"] == "bad_request"


# --- the base -----------------------------------------------------------------------------------------


@pytest.fixture
def without_base(files: Files) -> Files:
    return {name: data for name, data in files.items() if not name.startswith("base/")}


def test_a_base_that_is_not_inside_is_named_and_can_be_given(
    files: Files, without_base: Files, zipped: Callable[..., Path], tiny_model_folder: Path
) -> None:
    archive = zipped(without_base)
    with pytest.raises(Refused, match="needs the base model “tiny”"):
        compare(archive, [PROMPT], None, GREEDY)
    inside = compare(zipped(files), [PROMPT], None, DRAWN)
    assert compare(zipped(without_base), [PROMPT], tiny_model_folder, DRAWN) == inside


def test_another_model_is_not_taken_for_the_base(
    without_base: Files, zipped: Callable[..., Path], tiny_model_folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    load_base(tiny_model_folder).half().save_pretrained(other)
    with pytest.raises(Refused, match="is not the base model"):
        compare(zipped(without_base), [PROMPT], other, GREEDY)


# --- hostile and damaged zips -------------------------------------------------------------------------


def entry(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "/outside",
        "adapter/../../outside",
        "adapter\\outside",
        "C:outside",
        "base/a/b",
        "base/",
        "x.py",
    ],
)
@pytest.mark.parametrize("is_declared", [True, False])
def test_no_name_leads_out_of_the_folder(
    name: str, is_declared: bool, files: Files, zipped: Callable[..., Path], tmp_path: Path
) -> None:
    archive = zipped(files | {name: b"x"}) if is_declared else zipped(files, (entry(name), b"x"))
    with pytest.raises(Refused):
        open_it(archive)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["opened", "voice.zip"]
    assert list((tmp_path / "opened").iterdir()) == []


def test_a_link_is_refused(files: Files, zipped: Callable[..., Path]) -> None:
    linked = dict(files)
    target = linked.pop("adapter/tokenizer.json")
    facts = describe(files)
    with pytest.raises(Refused):
        open_it(zipped(linked, (entry("adapter/tokenizer.json", stat.S_IFLNK | 0o777), target), files=facts))


def test_a_bomb_is_refused_before_it_goes_off(
    files: Files, zipped: Callable[..., Path], tmp_path: Path
) -> None:
    archive = zipped(files | {"samples.csv": b"\0" * 50_000_000})
    assert archive.stat().st_size < 5_000_000
    with pytest.raises(Refused, match="grow beyond measure"):
        open_it(archive)
    assert list((tmp_path / "opened").iterdir()) == []


def test_a_file_that_is_not_as_the_manifest_says_is_refused(
    files: Files, zipped: Callable[..., Path]
) -> None:
    facts = describe(files)
    facts["base/config.json"]["sha256"] = "0" * 64
    with pytest.raises(Refused, match="not as its manifest says"):
        open_it(zipped(files, files=facts))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_is_refused(files: Files, zipped: Callable[..., Path]) -> None:
    with pytest.raises(Refused):
        open_it(zipped(files, ("base/config.json", b"{}")))


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "something else"},
        {"version": 2},
        {"files": {}},
        {"files": None},
        {"files": {"adapter/a.json": {"bytes": "1", "sha256": None}}},
    ],
)
def test_an_odd_manifest_is_refused(
    changes: dict[str, Any], files: Files, zipped: Callable[..., Path]
) -> None:
    with pytest.raises(Refused):
        open_it(zipped(files, **changes))


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all", b"Prompt,Text\na,b\n", b"[" * 200_000])
def test_what_is_no_download_is_refused_with_a_sentence(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "voice.zip").write_bytes(content)
    assert opening.main(["compare", str(tmp_path / "voice.zip"), "--prompt", "x"]) == 2
    failure = Failure.model_validate(json.loads(capsys.readouterr().out)["failure"])
    assert failure.code == "artefact_damaged"
    assert str(tmp_path) not in failure.sentence


@pytest.mark.parametrize("manifest", [b"{", b"[]", b"[" * 100_000, b"\xff\xfe", b"null", b"{}"])
def test_a_manifest_that_is_none_is_refused(manifest: bytes, tmp_path: Path) -> None:
    archive = tmp_path / "voice.zip"
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr(MANIFEST, manifest)
    with pytest.raises(Refused):
        open_it(archive)


@pytest.mark.parametrize("name", ["missing.zip", "folder"])
def test_a_zip_that_is_not_there_is_said_so(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    assert opening.main(["compare", str(tmp_path / name), "--prompt", "x"]) == 2
    assert Failure.model_validate(json.loads(capsys.readouterr().out)["failure"]).what_happened


def test_flipped_bytes_are_refused_or_do_no_harm(
    files: Files, zipped: Callable[..., Path], tmp_path: Path
) -> None:
    good = zipped(files).read_bytes()
    chance = random.Random(5)
    for attempt in range(60):
        spoilt = bytearray(good)
        # The names and sizes stand at the end; half of the flips go there.
        start = 0 if attempt % 2 else len(good) - 3_000
        spoilt[chance.randrange(start, len(good))] ^= 1 << chance.randrange(8)
        (tmp_path / "voice.zip").write_bytes(spoilt)
        folder = tmp_path / str(attempt)
        folder.mkdir()
        try:
            unpack(tmp_path / "voice.zip", folder)
        except Refused:
            continue
        assert {name: (folder / name).read_bytes() for name in files} == files


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("adapter/adapter_config.json", {"auto_mapping": {"parent_library": "antigravity"}}),
        ("adapter/adapter_config.json", {"peft_type": "CARTRIDGE"}),
        ("base/config.json", {"auto_map": {"AutoModelForCausalLM": "evil.Model"}}),
        ("base/config.json", {"attn_implementation": "someone/kernel"}),
        ("base/config.json", {"hidden_size": 32}),
    ],
)
def test_settings_that_ask_for_more_than_weights_are_refused(
    name: str, changes: dict[str, Any], files: Files, zipped: Callable[..., Path]
) -> None:
    changed = json.dumps(json.loads(files[name]) | changes).encode()
    with pytest.raises(Refused) as caught:
        compare(zipped(files | {name: changed}), [PROMPT], None, GREEDY)
    assert caught.value.failure["code"] == "artefact_damaged"


# --- the fresh process --------------------------------------------------------------------------------


def test_a_fresh_process_says_when_the_answer_is_another(
    files: Files, zipped: Callable[..., Path], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-I", opening.__file__, "check", str(zipped(files))],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert told["reproduced"] is False
    assert told["answer"] not in ("", "?")
