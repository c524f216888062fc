"""What is no base model is refused when it is added, with what is wrong and what to do."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.contract.failures import EngineFailure
from engine.models.catalog import add_local_model, list_models
from engine.models.check import check_folder
from engine.models.inspect import read_shape
from engine.models.weights import INDEX, WEIGHTS, read_header
from engine.workspace import Workspace
from tests.base_models import SMALL_MODEL

Damage = Callable[[Path], object]
LAYER = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture
def folder(tiny_model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model_folder, tmp_path / "mine"))


def change(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def remove_keys(file: Path, *keys: str) -> None:
    content = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in content.items() if key not in keys}))


def change_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def shard(folder: Path) -> None:
    """Two files and an index instead of one file, as large models come."""
    tensors = load_file(folder / WEIGHTS)
    names, places = sorted(tensors), {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(part, file)
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))


def refusal(folder: Path) -> str:
    """The sentence, after looking at what every one of them must hold to."""
    with pytest.raises(EngineFailure) as refused:
        check_folder(folder)
    failure = refused.value.failure
    assert failure.code == "model_unusable"
    assert failure.what_happened.startswith("This model cannot be tuned here: ")
    assert failure.what_to_do.endswith(".")
    assert str(folder) not in failure.sentence
    return failure.sentence


def test_a_whole_folder_is_taken(folder: Path) -> None:
    check_folder(folder)
    shape = read_shape(folder)
    shard(folder)
    check_folder(folder)
    assert read_shape(folder).parameters == shape.parameters


# --- not a model's folder ------------------------------------------------------------------------------


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def become_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("a file")


def become_an_adapter(folder: Path) -> None:
    empty(folder)
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (folder / "adapter_model.safetensors").write_bytes(b"")


def rename_weights(name: str) -> Damage:
    return lambda folder: (folder / WEIGHTS).rename(folder / name)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (shutil.rmtree, "no such folder"),
        (become_a_file, "a file and not a folder"),
        (empty, "folder is empty"),
        (become_an_adapter, "an adapter (LoRA)"),
        (lambda folder: (folder / "adapter_config.json").write_text("{}"), "an adapter (LoRA)"),
        (rename_weights("pytorch_model.bin"), "run program code when they are opened"),
        (rename_weights("consolidated.00.pth"), "run program code when they are opened"),
        (rename_weights("model.Q4_K_M.gguf"), "Choose the .gguf file itself"),
        (rename_weights("consolidated.safetensors"), "no weights as model.safetensors"),
        (lambda folder: (folder / WEIGHTS).unlink(), "no weights as model.safetensors"),
        (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer.json"),
    ],
)
def test_what_is_no_models_folder_is_refused(folder: Path, damage: Damage, reason: str) -> None:
    damage(folder)
    assert reason in refusal(folder)


def test_links_in_a_circle_lead_nowhere(workspace: Workspace, tmp_path: Path) -> None:
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / one).symlink_to(tmp_path / other)
    for path in (tmp_path / "a", Path("a\0b"), Path("~nobody-of-this-name/model")):
        with pytest.raises(EngineFailure, match=r"leads nowhere|no such folder"):
            add_local_model(workspace, path)


def test_weights_that_are_links_in_a_circle_are_missing(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).symlink_to(folder / WEIGHTS)
    assert "no weights" in refusal(folder)


def test_files_behind_links_are_as_good_as_others(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    for number, file in enumerate(sorted(folder.iterdir())):
        file.rename(store / str(number))
        file.symlink_to(store / str(number))
    check_folder(folder)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("name", ["", "config.json", WEIGHTS, "tokenizer.json"])
def test_what_may_not_be_read_is_said(folder: Path, name: str) -> None:
    for place in (folder, *folder.parents[:2]):
        place.chmod(0o755)
    (folder / name).chmod(0o000)
    os.seteuid(65534)
    try:
        assert "read" in refusal(folder)
    finally:
        os.seteuid(0)


# --- config.json -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "values", "reason"),
    [
        ("config.json", {"auto_map": {"AutoModelForCausalLM": "evil.Model"}}, "program code"),
        ("config.json", {"_attn_implementation_internal": "someone/kernel"}, "program code"),
        ("config.json", {"_attn_implementation": "someone/kernel"}, "program code"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.T", None]}}, "program code"),
        ("config.json", {"model_type": "lightglue"}, "of the kind “lightglue”"),
        ("config.json", {"model_type": ["llama"]}, "of the kind"),
        ("config.json", {"model_type": None}, "of the kind"),
        ("config.json", {"quantization_config": {"bits": 4}}, "quantised"),
        ("config.json", {"num_hidden_layers": 1}, "single layer"),
        ("config.json", {"hidden_size": None}, "lacks a size"),
        ("config.json", {"num_hidden_layers": 10**12}, "impossible"),
        ("config.json", {"num_hidden_layers": -4}, "impossible"),
        ("config.json", {"num_hidden_layers": 0}, "impossible"),
        ("config.json", {"num_hidden_layers": True}, "impossible"),
        ("config.json", {"num_hidden_layers": "4"}, "impossible"),
        ("config.json", {"num_hidden_layers": 4.0}, "impossible"),
        ("config.json", {"vocab_size": 10**12}, "impossible"),
        ("config.json", {"max_position_embeddings": float("inf")}, "impossible"),
        ("config.json", {"head_dim": -16}, "impossible"),
        ("config.json", {"num_attention_heads": 1000, "head_dim": None}, "impossible"),
        ("config.json", {"num_key_value_heads": 3}, "shares 3 key heads among 4"),
        ("config.json", {"rms_norm_eps": 0.0}, "impossible for rms_norm_eps"),
        ("config.json", {"rms_norm_eps": float("nan")}, "impossible for rms_norm_eps"),
        ("config.json", {"hidden_act": "nonsense"}, "impossible for hidden_act"),
        ("config.json", {"pad_token_id": 262}, "impossible for pad_token_id"),
        ("config.json", {"attention_bias": None}, "impossible for attention_bias"),
        ("config.json", {"layer_types": ["full_attention"]}, "impossible for layer_types"),
        ("config.json", {"use_bidirectional_attention": True}, "impossible for use_bidirectional_attention"),
        ("config.json", {"rope_scaling": {"rope_type": "own"}}, "impossible for rope_scaling"),
        ("config.json", {"rope_scaling": {"rope_type": "linear"}}, "impossible for rope_scaling"),
        ("config.json", {"rope_scaling": {"type": "linear", "factor": "2"}}, "impossible for rope_scaling"),
    ],
)
def test_a_config_that_would_run_code_or_cannot_be_tuned_is_refused(
    folder: Path, file: str, values: dict[str, object], reason: str
) -> None:
    change(folder / file, **values)
    assert reason in refusal(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "generation_config.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"a": ' + b"9" * 5_000 + b"}"])
def test_settings_that_are_no_settings_are_refused(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    assert name in refusal(folder)


# --- weights ---------------------------------------------------------------------------------------------


def test_a_missing_shard_is_named(folder: Path) -> None:
    shard(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "“model-00002-of-00002.safetensors” is missing" in refusal(folder)


def test_a_tensor_that_only_the_index_knows_is_named(folder: Path) -> None:
    shard(folder)
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"]["model.more.weight"] = "model-00001-of-00002.safetensors"
    (folder / INDEX).write_text(json.dumps(index))
    assert "“model.more.weight” is missing" in refusal(folder)


@pytest.mark.parametrize(
    "places",
    [None, {}, {"a": 3}, {"a": "../../secret.safetensors"}, {"a": "/etc/passwd"}, {"a": "x.bin"}, []],
)
def test_an_index_that_points_anywhere_else_is_refused(folder: Path, places: object) -> None:
    shard(folder)
    (folder / INDEX).write_text(json.dumps({"weight_map": places}))
    assert INDEX in refusal(folder)


@pytest.mark.parametrize("kept_bytes", [0, 4, 200, 10_000])
def test_a_cut_weight_file_is_refused_before_it_is_mapped(folder: Path, kept_bytes: int) -> None:
    weights = folder / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:kept_bytes])
    assert "damaged" in refusal(folder)


def write_weights(folder: Path, header: object, data: bytes = b"") -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    (folder / WEIGHTS).write_bytes(len(text).to_bytes(8, "little") + text + data)


def entry(begin: int, end: int, shape: object = (2,), dtype: object = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("header", "bytes_after"),
    [
        ({"a": 1}, 0),
        ([], 0),
        (b"not json", 0),
        (b"[" * 50_000, 0),
        ({"a": entry(0, 800)}, 8),
        ({"a": entry(0, 8), "b": entry(4, 12)}, 12),
        ({"a": entry(0, 8), "b": entry(12, 20)}, 20),
        ({"a": entry(0, 8)}, 16),
        ({"a": entry(8, 0)}, 8),
        ({"a": entry(0, 8, shape=(3,))}, 8),
        ({"a": entry(0, 8, shape=(-2,))}, 8),
        ({"a": entry(0, 8, shape=(True, 2))}, 8),
        ({"a": entry(0, 8, shape=(2.0,))}, 8),
        ({"a": entry(0, 8, shape="2")}, 8),
        ({"a": entry(0, 8, shape=(2**62, 2**62))}, 8),
        ({"a": entry(0, 8, dtype="F3")}, 8),
        ({"a": entry(0, 8, dtype=[])}, 8),
        ({"a": {"dtype": "F32", "shape": [2]}}, 8),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0]}}, 8),
    ],
)
def test_a_header_that_lies_is_refused(folder: Path, header: object, bytes_after: int) -> None:
    write_weights(folder, header, bytes(bytes_after))
    assert "damaged" in refusal(folder)
    with pytest.raises(EngineFailure, match="damaged"):
        read_shape(folder)


def test_a_header_that_claims_to_be_huge_is_refused_without_being_read(folder: Path) -> None:
    with (folder / WEIGHTS).open("wb") as stream:
        stream.write((2 * 10**9).to_bytes(8, "little"))
        stream.truncate(4 * 10**9)
    begun = time.monotonic()
    assert "damaged" in refusal(folder)
    assert time.monotonic() - begun < 1


def test_an_honest_header_is_read(folder: Path) -> None:
    write_weights(
        folder,
        {"__metadata__": {"format": "pt"}, "b": entry(8, 16), "a": entry(0, 8), "c": entry(16, 16, (0,))},
        bytes(16),
    )
    assert {name: tensor.numbers for name, tensor in read_header(folder / WEIGHTS).items()} == {
        "a": 2,
        "b": 2,
        "c": 0,
    }


def swap(tensors: dict[str, torch.Tensor], name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    tensors[name] = change(tensors[name]).contiguous()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tensors: tensors.pop(LAYER), f"“{LAYER}” is missing from its weights"),
        (lambda tensors: tensors.pop("model.norm.weight"), "“model.norm.weight” is missing"),
        (lambda tensors: tensors.pop("model.embed_tokens.weight"), "“model.embed_tokens.weight” is missing"),
        (lambda tensors: swap(tensors, LAYER, torch.t), "64 × 160 in its weights, but 160 × 64"),
        (lambda tensors: swap(tensors, "model.norm.weight", lambda t: t[:3]), "3 in its weights, but 64"),
        (lambda tensors: swap(tensors, LAYER, lambda t: t.to(torch.int8)), "quantised"),
        (lambda tensors: swap(tensors, LAYER, lambda t: t.to(torch.float8_e4m3fn)), "quantised"),
        (lambda tensors: tensors.update({LAYER[:-6] + "qweight": torch.zeros(4)}), "quantised"),
        (lambda tensors: tensors.update({LAYER + ".absmax": torch.zeros(4)}), "quantised"),
    ],
)
def test_weights_that_are_not_those_of_the_config_are_refused(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], object], reason: str
) -> None:
    change_tensors(folder, change)
    assert reason in refusal(folder)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"num_hidden_layers": 5}, "“model.layers.4."),
        ({"hidden_size": 128, "head_dim": 16}, "has the size"),
        ({"intermediate_size": 170}, "has the size"),
        ({"num_key_value_heads": 4}, "has the size"),
        ({"vocab_size": 300}, "has the size"),
        ({"tie_word_embeddings": False}, "“lm_head.weight” is missing"),
        ({"attention_bias": True}, "_proj.bias” is missing"),
        ({"model_type": "qwen3"}, "q_norm.weight” is missing"),
        ({"model_type": "olmo2"}, "layernorm.weight” is missing"),
    ],
)
def test_a_config_that_is_not_that_of_the_weights_is_refused(
    folder: Path, values: dict[str, object], reason: str
) -> None:
    change(folder / "config.json", **values)
    assert reason in refusal(folder)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_weight_that_is_no_number_is_refused(folder: Path, dtype: torch.dtype, value: float) -> None:
    change_tensors(folder, lambda tensors: swap(tensors, LAYER, lambda t: t.to(dtype)))
    check_folder(folder)
    change_tensors(folder, lambda tensors: tensors[LAYER].view(-1)[-1:].fill_(value))
    assert f"no numbers (NaN or infinite), in “{LAYER}”" in refusal(folder)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_largest_and_the_smallest_numbers_are_numbers(folder: Path, dtype: torch.dtype) -> None:
    limits = torch.finfo(dtype)
    odd = torch.tensor([limits.max, limits.min, limits.tiny, limits.smallest_normal / 2, -0.0]).to(dtype)

    def insert(tensors: dict[str, torch.Tensor]) -> None:
        swap(tensors, LAYER, lambda t: t.to(dtype))
        tensors[LAYER].view(-1)[:5] = odd

    change_tensors(folder, insert)
    check_folder(folder)


def test_looking_for_numbers_goes_at_the_pace_of_memory(folder: Path) -> None:
    """A model of 7B parameters in bf16 has 14 GB: at half a gigabyte a second it would take half a minute."""
    numbers = np.ones(64_000_000, np.uint16)
    header = {"a": entry(0, numbers.nbytes, shape=(len(numbers),), dtype="BF16")}
    write_weights(folder, header, numbers.tobytes())
    from engine.models.weights import refuse_what_is_no_number

    begun = time.monotonic()
    refuse_what_is_no_number(folder)
    assert time.monotonic() - begun < numbers.nbytes / 0.2e9


# --- tokenizer -------------------------------------------------------------------------------------------


def add_token(folder: Path, content: str, special: bool) -> int:
    """Behind all others: there is no embedding for it."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    number = read_shape(folder).vocabulary
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    tokenizer["added_tokens"].append({"id": number, "content": content, "special": special, **flags})
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return number


def test_a_vocabulary_smaller_than_the_tokenizer_is_refused(folder: Path) -> None:
    def cut(tensors: dict[str, torch.Tensor]) -> None:
        swap(tensors, "model.embed_tokens.weight", lambda t: t[:200])

    change_tensors(folder, cut)
    change(folder / "config.json", vocab_size=200)
    assert "tokens up to 261, but the model knows 200 only" in refusal(folder)


@pytest.mark.parametrize("special", [True, False])
def test_a_token_behind_the_vocabulary_is_refused_where_a_text_can_become_it(
    folder: Path, special: bool
) -> None:
    number = add_token(folder, "<|more|>", special)
    if special:
        # Nothing writes it: Gemma 3 has such a one, for pictures.
        check_folder(folder)
        change(folder / "tokenizer_config.json", pad_token="<|more|>")
    assert f"tokens up to {number}" in refusal(folder)


def test_a_special_token_of_the_template_must_be_known(folder: Path) -> None:
    add_token(folder, "<|more|>", True)
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}<|more|>")
    assert "tokens up to" in refusal(folder)


def test_a_named_token_that_the_tokenizer_lacks_would_be_one_more(folder: Path) -> None:
    change(folder / "tokenizer_config.json", eos_token={"content": "<|unheard of|>"})
    assert "tokens up to" in refusal(folder)


def test_more_embeddings_than_tokens_are_padding(folder: Path) -> None:
    def pad(tensors: dict[str, torch.Tensor]) -> None:
        swap(tensors, "model.embed_tokens.weight", lambda t: torch.cat([t, t[:58]]))

    change_tensors(folder, pad)
    change(folder / "config.json", vocab_size=320)
    check_folder(folder)


def test_a_model_that_names_no_end_of_text_is_refused(folder: Path) -> None:
    remove_keys(folder / "tokenizer_config.json", "eos_token")
    for name in ("generation_config.json", "config.json"):
        check_folder(folder)
        remove_keys(folder / name, "eos_token_id")
    assert "no token that ends a text" in refusal(folder)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"model": {"type": "BPE", "vocab": 3}}'])
def test_a_tokenizer_that_is_none_is_refused(folder: Path, content: str) -> None:
    (folder / "tokenizer.json").write_text(content)
    assert "tokenizer.json cannot be read" in refusal(folder)


# --- as a person meets it --------------------------------------------------------------------------------


def test_a_refused_folder_is_not_in_the_list(workspace: Workspace, folder: Path) -> None:
    change_tensors(folder, lambda tensors: tensors.pop(LAYER))
    with pytest.raises(EngineFailure):
        add_local_model(workspace, folder)
    assert "mine" not in [model.name for model in list_models(workspace)]


def test_a_real_model_is_checked_in_a_moment() -> None:
    begun = time.monotonic()
    check_folder(SMALL_MODEL)
    assert time.monotonic() - begun < 2


# --- chat template --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "template",
    [
        "{% for message in messages %}{{ message['content'] }}",
        "{{ raise_exception('no') }}",
        "{% if messages[1] %}{{ messages[1]['content'].no.such }}{% endif %}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{% for number in range(10**9) %}{{ number }}{% endfor %}",
        "{{ 1 // 0 }}",
    ],
)
def test_a_chat_template_that_fails_is_refused(folder: Path, template: str) -> None:
    (folder / "chat_template.jinja").write_text(template)
    assert "chat template cannot write" in refusal(folder)
