"""The four methods keep their promises: what learns, what is counted, and an artefact anyone can open."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from engine.contract.records import METHOD_NAMES, MethodName, Recipe
from engine.methods import get_method, max_example_tokens
from engine.models.inspect import read_shape
from engine.models.load import load_base, load_tokenizer
from tests.base_models import SMALL_MODEL

PROMPT = "Describe the tent."


def build_recipe(name: MethodName, examples: int = 100, **fields: object) -> Recipe:
    recipe = Recipe.model_validate({"method": name, **fields})
    return get_method(name).build_recipe(recipe, examples, read_shape(SMALL_MODEL))


def prepare(name: MethodName, folder: Path, **fields: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return get_method(name).prepare_model(load_base(folder), build_recipe(name, **fields))


@torch.no_grad()
def learn_something(model: torch.nn.Module) -> None:
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.add_(0.05 * torch.randn_like(parameter))


@torch.no_grad()
def logits(model: torch.nn.Module, folder: Path) -> torch.Tensor:
    ids = load_tokenizer(folder)(PROMPT, return_tensors="pt")["input_ids"]
    return model.eval()(input_ids=ids).logits


def test_the_counted_parameters_are_those_that_learn(
    method_name: MethodName, tiny_model_folder: Path
) -> None:
    model = prepare(method_name, tiny_model_folder)
    learnt = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    recipe = build_recipe(method_name)
    assert get_method(method_name).count_trainable(read_shape(tiny_model_folder), recipe) == learnt


@pytest.mark.parametrize("layers", [1, 2])
def test_last_layers_learns_the_last_ones_and_no_other(layers: int, tiny_model_folder: Path) -> None:
    model = prepare("last-layers", tiny_model_folder, layers=layers)
    learnt = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    expected = {f".layers.{number}." for number in range(4 - layers, 4)}
    assert {place for name in learnt for place in expected if place in name} == expected
    assert all(any(place in name for place in expected) for name in learnt)


def test_a_model_with_fewer_layers_than_asked_keeps_one_that_does_not_learn() -> None:
    from engine.methods.last_layers import _learnt_layers

    assert _learnt_layers(2, build_recipe("last-layers", layers=2)) == 1


def test_stock_libraries_reopen_the_artefact_with_equal_bits(
    method_name: MethodName, tiny_model_folder: Path, tmp_path: Path
) -> None:
    method, model = get_method(method_name), prepare(method_name, tiny_model_folder)
    learn_something(model)
    method.save_artefact(model, tiny_model_folder, tmp_path / "artefact")
    if method.IS_ADAPTER:
        again = PeftModel.from_pretrained(load_base(tiny_model_folder), tmp_path / "artefact")
    else:
        again = AutoModelForCausalLM.from_pretrained(tmp_path / "artefact")
    assert torch.equal(logits(again, tiny_model_folder), logits(model, tiny_model_folder))
    assert not torch.equal(
        logits(again, tiny_model_folder), logits(load_base(tiny_model_folder), tiny_model_folder)
    )


@pytest.mark.parametrize("name", [name for name in METHOD_NAMES if get_method(name).IS_ADAPTER])
def test_switching_the_adapter_off_gives_the_untouched_base(
    name: MethodName, tiny_model_folder: Path, tmp_path: Path
) -> None:
    model = prepare(name, tiny_model_folder)
    learn_something(model)
    get_method(name).save_artefact(model, tiny_model_folder, tmp_path / "artefact")
    again = PeftModel.from_pretrained(load_base(tiny_model_folder), tmp_path / "artefact")
    untouched = logits(load_base(tiny_model_folder), tiny_model_folder)
    for adapted in (model, again):
        with adapted.disable_adapter():
            assert torch.equal(logits(adapted, tiny_model_folder), untouched)


def test_last_layers_merges_into_a_whole_model_exactly(tiny_model_folder: Path) -> None:
    model = prepare("last-layers", tiny_model_folder)
    learn_something(model)
    tuned = logits(model, tiny_model_folder)
    assert torch.equal(logits(model.merge_and_unload(), tiny_model_folder), tuned)


def test_no_file_of_an_artefact_is_pickled_or_names_a_place_on_this_machine(
    method_name: MethodName, tiny_model_folder: Path, tmp_path: Path
) -> None:
    model = prepare(method_name, tiny_model_folder)
    get_method(method_name).save_artefact(model, tiny_model_folder, tmp_path / "artefact")
    files = sorted((tmp_path / "artefact").iterdir())
    assert {file.suffix for file in files} <= {".json", ".safetensors", ".jinja"}
    assert not [file.name for file in files if str(tmp_path.parent.parent).encode() in file.read_bytes()]
    if get_method(method_name).IS_ADAPTER:
        config = json.loads((tmp_path / "artefact" / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == "base"
        assert config["inference_mode"] is True


def test_the_artefact_brings_a_tokenizer_with_its_chat_template(
    method_name: MethodName, tiny_model_folder: Path, tmp_path: Path
) -> None:
    model = prepare(method_name, tiny_model_folder)
    get_method(method_name).save_artefact(model, tiny_model_folder, tmp_path / "artefact")
    mine, theirs = load_tokenizer(tmp_path / "artefact"), load_tokenizer(tiny_model_folder)
    turns = [{"role": "user", "content": PROMPT}]
    assert mine.apply_chat_template(turns, tokenize=False) == theirs.apply_chat_template(
        turns, tokenize=False
    )


def test_the_bytes_said_beforehand_are_those_on_disk(
    method_name: MethodName, tiny_model_folder: Path, tmp_path: Path
) -> None:
    method = get_method(method_name)
    method.save_artefact(prepare(method_name, tiny_model_folder), tiny_model_folder, tmp_path / "artefact")
    on_disk = sum(file.stat().st_size for file in (tmp_path / "artefact").iterdir())
    said = method.artefact_bytes(read_shape(tiny_model_folder), build_recipe(method_name))
    assert abs(said - on_disk) < 0.05 * on_disk + 20_000


def test_work_is_counted_in_the_order_of_what_learns(tiny_model_folder: Path) -> None:
    shape = read_shape(tiny_model_folder)
    work = {
        name: get_method(name).count_flops(shape, build_recipe(name, rank=2)).training(100, 60)
        for name in METHOD_NAMES
    }
    assert work["last-layers"] < work["lora"] < work["all-layers"]
    flops = get_method("all-layers").count_flops(shape, build_recipe("all-layers"))
    # All weights: a forward, and twice that backward.
    assert flops.training(100, 60) == pytest.approx(3 * flops.evaluation(100, 60))


def test_counted_work_agrees_with_torch(tiny_model_folder: Path) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    ids = torch.zeros((1, 100), dtype=torch.long)
    # Torch does not count its own fused attention on a CPU.
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder, attn_implementation="eager")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(input_ids=ids)
    flops = get_method("all-layers").count_flops(read_shape(tiny_model_folder), build_recipe("all-layers"))
    assert flops.evaluation(100, 100) == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_a_persons_choice_is_kept_and_the_rest_filled_in(method_name: MethodName) -> None:
    recipe = build_recipe(method_name, epochs=3, learning_rate=0.5)
    assert (recipe.epochs, recipe.learning_rate) == (3, 0.5)
    assert recipe.batch_size is not None


def test_knobs_of_other_methods_are_dropped(method_name: MethodName) -> None:
    recipe = build_recipe(method_name, layers=2, rank=8, virtual_tokens=30)
    own = {"last-layers": {"layers"}, "lora": {"rank"}, "p-tuning": {"virtual_tokens"}}.get(
        method_name, set()
    )
    kept = {name for name in ("layers", "rank", "virtual_tokens") if getattr(recipe, name) is not None}
    assert kept == own


def test_more_examples_need_fewer_passes(method_name: MethodName) -> None:
    few, many = build_recipe(method_name, examples=100), build_recipe(method_name, examples=2000)
    assert (few.epochs or 0) > (many.epochs or 0)


def test_virtual_tokens_take_room_in_the_window() -> None:
    assert max_example_tokens(512, build_recipe("p-tuning", virtual_tokens=20)) == 492
    assert max_example_tokens(512, build_recipe("lora")) == 512


def test_counting_needs_no_torch() -> None:
    code = (
        "import sys; from engine.methods import get_method; from engine.contract.records import METHOD_NAMES;"
        "import engine.models.catalog, engine.schedule; [get_method(name) for name in METHOD_NAMES];"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'peft')))"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_p_tuning_begins_at_what_the_base_makes_of_the_words():
    base, tokenizer = load_base(SMALL_MODEL), load_tokenizer(SMALL_MODEL)
    words, asked = (tokenizer(text)["input_ids"] for text in ("Write for our brand.", "Describe the tent."))
    with torch.no_grad():
        expected = base(input_ids=torch.tensor([words + asked])).logits[:, len(words) :]
    recipe = Recipe(method="p-tuning", virtual_tokens=len(words))
    adapted = get_method("p-tuning").prepare_model(base, recipe, words)
    with torch.no_grad():
        begun = adapted.eval()(input_ids=torch.tensor([asked])).logits[:, len(words) :]
    torch.testing.assert_close(begun, expected, atol=1e-4, rtol=1e-4)


def test_rates_fall_with_the_width_of_the_model_but_for_virtual_tokens():
    narrow, wide = read_shape(SMALL_MODEL), replace(read_shape(SMALL_MODEL), hidden_size=1024)
    for name in METHOD_NAMES:
        rates = [
            get_method(name).build_recipe(Recipe(method=name), 100, shape).learning_rate or 0
            for shape in (narrow, wide)
        ]
        falls = 1 if name == "p-tuning" else 1024 / narrow.hidden_size
        assert rates[0] == pytest.approx(falls * rates[1], rel=0.05)


def test_virtual_tokens_never_take_more_than_a_quarter_of_the_window():
    shape = replace(read_shape(SMALL_MODEL), window_tokens=256)
    recipe = get_method("p-tuning").build_recipe(Recipe(method="p-tuning"), 100, shape)
    assert recipe.virtual_tokens == 64


@pytest.mark.parametrize("name", ["last-layers", "all-layers"])
def test_layers_are_stored_in_the_number_format_of_their_base(
    name: MethodName, tiny_model_folder: Path, tmp_path: Path
) -> None:
    base = shutil.copytree(tiny_model_folder, tmp_path / "base")
    load_base(tiny_model_folder, torch.bfloat16).save_pretrained(base)
    method, model = get_method(name), prepare(name, base)
    learn_something(model)
    learnt = logits(model, base)
    method.save_artefact(model, base, tmp_path / "artefact")
    weights = load_file(next((tmp_path / "artefact").glob("*.safetensors")))
    assert {weight.dtype for key, weight in weights.items() if "lora_" not in key} == {torch.bfloat16}
    on_disk = sum(file.stat().st_size for file in (tmp_path / "artefact").iterdir())
    assert method.artefact_bytes(read_shape(base), build_recipe(name)) == pytest.approx(on_disk, rel=0.15)
    if method.IS_ADAPTER:
        again = PeftModel.from_pretrained(load_base(base), tmp_path / "artefact")
    else:
        again = load_base(tmp_path / "artefact")
    assert {weight.dtype for weight in again.parameters()} == {torch.float32}
    torch.testing.assert_close(logits(again, base), learnt, atol=0.5, rtol=0.02)
