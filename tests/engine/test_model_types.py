"""Every kind of model with every method: learns what the definition says, and opens with stock libraries.

Tiny random models, in this process.
"""

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from engine.backends import Backend, CpuLlamaBackend, StockBackend
from engine.batches import Batch, make_batch, sizes, tokenize
from engine.contract.failures import EngineFailure
from engine.contract.records import METHOD_NAMES, Example, MethodName, Recipe
from engine.device import Device
from engine.evaluation import CompletionLoss
from engine.journal import Commands, Journal
from engine.llama_body import can_build
from engine.machine import Precision
from engine.methods import get_method
from engine.models.architecture import MODEL_TYPES, expected_tensors
from engine.models.check import check_folder
from engine.models.inspect import fingerprint, read_shape
from engine.models.load import load_base, load_tokenizer
from engine.opening import Opened
from engine.run_files import Order
from engine.sampling import Sampling, render_text
from engine.training import Attempt
from engine.tuned_model import TunedModel
from engine.work import Computing, TokenLengths, Tokens, count_work
from engine.workspace import RunFolder, Workspace, write_durably
from tests.engine.conftest import make_examples, make_tiny_model

CPU = Device("cpu", "a test")
PROMPT, TOKENS = "Describe the tent.", 12
WINDOW = {"sliding_window": 24}
GEMMA = {
    "head_dim": 16,
    "query_pre_attn_scalar": 16,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    **WINDOW,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": WINDOW,
    "qwen2": {},
    "qwen3": {"head_dim": 16},
    "gemma2": GEMMA,
    "gemma3_text": GEMMA,
    "granite": {
        "embedding_multiplier": 6.0,
        "logits_scaling": 3.0,
        "residual_multiplier": 0.5,
        "attention_multiplier": 0.2,
    },
    "smollm3": {"no_rope_layer_interval": 2},
    "phi3": {
        **WINDOW,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5},
    },
    "olmo2": {},
}
NO_SYSTEM_ROLE = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "<|{{ message['role'] }}|>{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
Make = Callable[..., Path]
Pair = tuple[str, MethodName]
EVERY_KIND_AND_EVERY_METHOD: list[Pair] = [
    *((kind, "lora") for kind in sorted(MODEL_TYPES)),
    *((kind, name) for kind in ("llama", "gemma3_text", "phi3") for name in METHOD_NAMES if name != "lora"),
]
OTHER_PAIRS = [
    pytest.param(kind, name, marks=pytest.mark.slow)
    for kind in sorted(MODEL_TYPES)
    for name in METHOD_NAMES
    if (kind, name) not in EVERY_KIND_AND_EVERY_METHOD
]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """The folder of a tiny model of a kind, made once for each of its settings."""
    made: dict[str, Path] = {}

    def make_once(model_type: str, **changes: Any) -> Path:
        key = json.dumps([model_type, changes])
        if key not in made:
            folder = tmp_path_factory.mktemp(model_type) / model_type
            settings = {"num_hidden_layers": 3, **SETTINGS[model_type], **changes}
            made[key] = make_tiny_model(folder, model_type, **settings)
        return made[key]

    return make_once


@pytest.fixture(params=sorted(MODEL_TYPES))
def model_type(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


def prepare(folder: Path, method: MethodName, dtype: torch.dtype | None = None) -> Any:
    """The base with the method around it, its learnt parts as if something had been learnt."""
    torch.manual_seed(0)
    asked = Recipe(method=method, virtual_tokens=6, rank=4)
    recipe = get_method(method).build_recipe(asked, 100, read_shape(folder))
    model = get_method(method).prepare_model(load_base(folder, dtype), recipe)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.02 * torch.randn_like(parameter))
    return model


def build_batch(folder: Path, rows: int = 3) -> Batch:
    data = tokenize(load_tokenizer(folder), make_examples(), "train", 200)
    assert max(tokens for tokens, _ in sizes(data)) > 24
    return make_batch(data, list(range(rows)), 1)


def learnt_gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    return {
        name: value.grad.clone()
        for name, value in model.named_parameters()
        if value.requires_grad and value.grad is not None
    }


def by_definition(model: Any, batch: Batch) -> torch.Tensor:
    """Cross-entropy of the learnt tokens, each text alone and without padding, by stock `transformers`.

    Virtual tokens are put before the words as the model's own embedding makes them of ids.
    """
    has_prompts = getattr(model, "prompt_encoder", None) is not None
    base = model.get_base_model() if has_prompts else model
    total = torch.zeros(())
    for row, length in enumerate(batch.lengths):
        words = base.get_input_embeddings()(batch.input_ids[row : row + 1, :length])
        virtual = model.get_prompt(batch_size=1) if has_prompts else words[:, :0]
        logits = base(inputs_embeds=torch.cat((virtual, words), dim=1), use_cache=False).logits[0]
        positions = batch.learnt[row, :length].nonzero()[:, 0]
        targets = batch.input_ids[row, positions + 1]
        total = total + cross_entropy(logits[positions + virtual.shape[1]].float(), targets, reduction="sum")
    return total


def backends(model: Any, precision: Precision = "fp32") -> Iterator[Backend]:
    if can_build(model):
        yield CpuLlamaBackend(model, precision)
    yield StockBackend(model, CPU, precision)


def assert_as_defined(folder: Path, method: MethodName) -> None:
    model, batch = prepare(folder, method), build_batch(folder)
    expected = by_definition(model, batch)
    wanted = learnt_gradients(model, expected)
    assert wanted
    for backend in backends(model):
        loss = CompletionLoss(model, CPU, "fp32", backend)(batch)
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5), type(backend)
        found = learnt_gradients(model, loss)
        assert found.keys() == wanted.keys()
        for name, gradient in wanted.items():
            assert (found[name] - gradient).norm() <= 2e-4 * gradient.norm() + 1e-6, (type(backend), name)


# --- loss and gradients ----------------------------------------------------------------------------------


def test_loss_and_gradients_are_those_of_the_definition(
    model_type: str, method_name: MethodName, make: Make
) -> None:
    assert_as_defined(make(model_type), method_name)


def test_virtual_tokens_begin_as_words_that_stand_before_the_text(model_type: str, make: Make) -> None:
    """Gemma enlarges its embeddings on the way in: tokens that are put in behind that must be as large."""
    folder, batch, words = make(model_type), build_batch(make(model_type)), [70, 71, 72, 73, 74, 75]
    asked = Recipe(method="p-tuning", virtual_tokens=len(words))
    recipe = get_method("p-tuning").build_recipe(asked, 100, read_shape(folder))
    model = get_method("p-tuning").prepare_model(load_base(folder), recipe, words)
    rows = len(batch.lengths)
    prompted = replace(
        batch,
        input_ids=torch.cat((torch.tensor([words]).expand(rows, -1), batch.input_ids), dim=1),
        learnt=torch.cat((torch.zeros(rows, len(words), dtype=torch.bool), batch.learnt), dim=1),
        lengths=tuple(length + len(words) for length in batch.lengths),
    )
    with torch.no_grad():
        expected = by_definition(open_stock(folder), prompted).item()
        for backend in backends(model):
            assert backend.loss(batch).item() == pytest.approx(expected, rel=1e-4), type(backend)


def test_products_in_bf16_come_near(model_type: str, make: Make) -> None:
    model, batch = prepare(make(model_type), "lora"), build_batch(make(model_type))
    expected = by_definition(model, batch)
    wanted = learnt_gradients(model, expected)
    for backend in backends(model, "bf16"):
        loss = CompletionLoss(model, CPU, "bf16", backend)(batch)
        assert loss.item() == pytest.approx(expected.item(), rel=0.03), type(backend)
        found = learnt_gradients(model, loss)
        apart = sum(float((found[name] - gradient).square().sum()) for name, gradient in wanted.items())
        whole = sum(float(gradient.square().sum()) for gradient in wanted.values())
        assert apart < 0.15**2 * whole, type(backend)


def test_the_untouched_base_is_the_stock_model(model_type: str, method_name: MethodName, make: Make) -> None:
    folder = make(model_type)
    batch, stock = build_batch(folder), AutoModelForCausalLM.from_pretrained(folder)
    expected = by_definition(stock, batch).item()
    torch.manual_seed(0)
    recipe = get_method(method_name).build_recipe(Recipe(method=method_name), 100, read_shape(folder))
    model = get_method(method_name).prepare_model(load_base(folder), recipe)
    learnt = {name for name, value in model.named_parameters() if value.requires_grad}
    for backend in backends(model):
        with torch.no_grad(), backend.untouched_base():
            assert backend.loss(batch).item() == pytest.approx(expected, rel=1e-5)
        assert {name for name, value in model.named_parameters() if value.requires_grad} == learnt


def test_only_a_plain_llama_takes_the_fast_path(model_type: str, make: Make) -> None:
    shape = read_shape(make(model_type))
    assert shape.is_plain_llama == can_build(load_base(make(model_type))) == (model_type == "llama")


def test_a_config_that_is_taken_is_one_that_a_model_can_be_built_of(
    odd_kind: str, make: Make, tmp_path: Path
) -> None:
    """Every setting of a real config.json with every odd value: refused in words, or it loads."""
    folder = Path(shutil.copytree(make(odd_kind), tmp_path / "odd"))
    config = json.loads((folder / "config.json").read_text("utf-8"))
    taken = 0
    for key in config:
        for odd in (None, -1, 0, 10**12, True, "x", [], {}, 1.5, [{}], {"a": 1}):
            (folder / "config.json").write_text(json.dumps({**config, key: odd}), "utf-8")
            try:
                check_folder(folder)
            except EngineFailure as refused:
                assert refused.failure.code == "model_unusable"
                continue
            taken += 1
            assert read_shape(folder).layers == 3
            assert load_base(folder)(input_ids=torch.arange(40)[None]).logits.shape[1] == 40, (key, odd)
    assert taken


@pytest.fixture(
    params=["llama", *(pytest.param(kind, marks=pytest.mark.slow) for kind in sorted(MODEL_TYPES))]
)
def odd_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


# --- sizes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [True, False])
def test_the_shape_is_that_of_the_loaded_model(model_type: str, tied: bool, make: Make) -> None:
    folder = make(model_type, tie_word_embeddings=tied)
    check_folder(folder)
    shape, model = read_shape(folder), load_base(folder)
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert shape.layer_parameters == sum(p.numel() for p in model.model.layers[0].parameters())
    linear = {
        name: (module.in_features, module.out_features)
        for name, module in model.model.layers[0].named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    assert {name.rpartition(".")[2]: size for name, size in linear.items()} == shape.projections
    assert shape.tied_embeddings == tied
    before = ("q_proj", "k_proj", "v_proj", "qkv_proj")
    assert shape.attention_input_parameters == sum(
        inputs * outputs for name, (inputs, outputs) in linear.items() if name.endswith(before)
    )


def test_the_expected_tensors_are_those_of_the_model(model_type: str, make: Make) -> None:
    for changes in ({}, {"tie_word_embeddings": False}, {"attention_bias": True}, {"mlp_bias": True}):
        model = load_base(make(model_type, **changes))
        tensors = {name: tuple(value.shape) for name, value in model.named_parameters()}
        assert expected_tensors(model.config.to_dict()) == tensors


def test_what_a_kind_assumes_is_what_transformers_assumes(model_type: str) -> None:
    """A config.json that says nothing but the sizes which every kind needs."""
    from transformers import AutoConfig

    silent = {
        "model_type": model_type,
        "hidden_size": 2048,
        "intermediate_size": 4096,
        "num_hidden_layers": 3,
        "num_attention_heads": 32,
        "vocab_size": 100,
        "max_position_embeddings": 64,
    }
    known = AutoConfig.for_model(**silent, pad_token_id=None, bos_token_id=None, eos_token_id=None).to_dict()
    assert expected_tensors(silent) == expected_tensors(known)


def test_counted_parameters_and_bytes_are_those_of_the_artefact(
    model_type: str, method_name: MethodName, make: Make, tmp_path: Path
) -> None:
    folder, method = make(model_type), get_method(method_name)
    shape = read_shape(folder)
    recipe = method.build_recipe(Recipe(method=method_name), 100, shape)
    model = method.prepare_model(load_base(folder), recipe)
    learnt = sum(value.numel() for value in model.parameters() if value.requires_grad)
    assert method.count_trainable(shape, recipe) == learnt
    method.save_artefact(model, folder, tmp_path / "artefact")
    on_disk = sum(file.stat().st_size for file in (tmp_path / "artefact").iterdir())
    assert abs(method.artefact_bytes(shape, recipe) - on_disk) < 0.05 * on_disk + 20_000
    lengths = TokenLengths([Tokens(20, 30)] * 8, [Tokens(20, 30)] * 2)
    work = count_work(shape, recipe, lengths, Computing.on("cpu", shape, "fp32"))
    assert work.steps > 0
    assert work.trainable == learnt
    assert work.training_flops > work.evaluation_flops > 0
    assert work.working_bytes > 16 * learnt


def test_counted_work_agrees_with_torch(model_type: str, make: Make) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    ids = torch.zeros((1, 100), dtype=torch.long)
    # Torch does not count its own fused attention on a CPU.
    model = AutoModelForCausalLM.from_pretrained(make(model_type), attn_implementation="eager")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(input_ids=ids)
    shape = read_shape(make(model_type))
    recipe = get_method("all-layers").build_recipe(Recipe(method="all-layers"), 100, shape)
    flops = get_method("all-layers").count_flops(shape, recipe)
    assert flops.evaluation(100, 100) == pytest.approx(counter.get_total_flops(), rel=0.02)


# --- a run, from order to download -----------------------------------------------------------------------


def train(
    folder: Path, method: MethodName, workspace: Workspace, examples: list[Example] | None = None
) -> tuple[RunFolder, list[float]]:
    """Three steps as a trainer makes them: the run's folder, and the losses of the steps."""
    examples = make_examples() if examples is None else examples
    run, dataset = workspace.run(f"{0:032x}"), workspace.dataset(f"{1:032x}")
    run.root.mkdir(parents=True)
    write_durably(dataset, "".join(one.model_dump_json() + "\n" for one in examples).encode())
    choice = {"method": method, "epochs": 3, "batch_size": 8, "virtual_tokens": 6, "rank": 4}
    order = Order(
        run_id=f"{0:032x}",
        attempt=1,
        recipe=get_method(method).build_recipe(Recipe.model_validate(choice), 8, read_shape(folder)),
        base_model_folder=folder,
        base_model_fingerprint=fingerprint(folder),
        dataset_file=dataset,
        dataset_fingerprint="0" * 64,
    )
    result = Attempt(run, order, Commands(os.pipe()[0]), Journal(run.journal, 1)).run()
    assert (result.outcome, result.steps) == ("succeeded", 3)
    metrics = [json.loads(line).get("metric") for line in run.journal.read_text("utf-8").splitlines()]
    losses = [metric["train_loss"] for metric in metrics if metric and metric.get("train_loss")]
    assert all(map(math.isfinite, losses))
    return run, losses


@pytest.fixture(autouse=True)
def in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEWRIGHT_PRECISION", "fp32")


@torch.no_grad()
def logits(model: Any, folder: Path) -> torch.Tensor:
    ids = load_tokenizer(folder)(PROMPT, return_tensors="pt")["input_ids"]
    result: torch.Tensor = model.eval()(input_ids=ids).logits
    return result


def open_stock(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


@torch.no_grad()
def write_on(model: Any, prompt_ids: list[int]) -> list[int]:
    """The likeliest tokens by stock `generate`."""
    ids = torch.tensor([prompt_ids])
    written = model.eval().generate(input_ids=ids, max_new_tokens=TOKENS, do_sample=False, eos_token_id=[5])
    found: list[int] = written[0, len(prompt_ids) :].tolist()
    return found[: found.index(5)] if 5 in found else found


def assert_opens(folder: Path, run: RunFolder, method: MethodName, place: Path) -> None:
    """With stock libraries, as `engine/opening.py` does it: base untouched, voice changed, merged alike."""
    is_adapter = get_method(method).IS_ADAPTER
    base = open_stock(folder)
    ours = TunedModel(folder, run.artefact, is_adapter)
    answers = {side: ours.answer(side, PROMPT, Sampling(TOKENS))[1] for side in ("base", "tuned")}
    prompt_ids = answers["base"].prompt_ids
    assert answers["base"].token_ids == write_on(base, prompt_ids)
    untouched = logits(base, folder)
    tuned_model = PeftModel.from_pretrained(base, run.artefact) if is_adapter else open_stock(run.artefact)
    assert answers["tuned"].token_ids == write_on(tuned_model, prompt_ids)
    tuned = logits(tuned_model, folder)
    assert tuned.isfinite().all()
    assert not torch.equal(tuned[:, -untouched.shape[1] :], untouched)
    if is_adapter:
        with tuned_model.disable_adapter():
            assert torch.equal(logits(tuned_model, folder), untouched)
    if is_adapter and method != "p-tuning":
        merged = logits(tuned_model.merge_and_unload(), folder)
        assert torch.allclose(merged, tuned, atol=1e-3 * float(tuned.abs().max()))

    shutil.copytree(run.artefact, place / ("adapter" if is_adapter else "model"))
    manifest = {"end_token_ids": [5], "recipe": {"virtual_tokens": 6 if method == "p-tuning" else None}}
    options = {"max_new_tokens": TOKENS, "do_sample": False}
    (text,), (voice,) = Opened(place, manifest, folder).answer([PROMPT], options)
    assert text == render_text(ours.tokenizer, answers["base"].token_ids)
    assert voice == render_text(ours.tokenizer, answers["tuned"].token_ids)


@pytest.mark.parametrize(("kind", "method_name"), [*EVERY_KIND_AND_EVERY_METHOD, *OTHER_PAIRS])
def test_three_steps_are_learnt_saved_and_opened_with_stock_libraries(
    kind: str, method_name: MethodName, make: Make, workspace: Workspace, tmp_path: Path
) -> None:
    folder = make(kind)
    before = fingerprint(folder)
    run, _ = train(folder, method_name, workspace)
    assert_opens(folder, run, method_name, tmp_path / "opened")
    assert fingerprint(folder) == before


# --- variants --------------------------------------------------------------------------------------------


def rewrite(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(file.read_text("utf-8"))
    change(content)
    file.write_text(json.dumps(content), "utf-8")


def shard(folder: Path) -> None:
    load_base(folder).save_pretrained(folder, max_shard_size="100KB")
    (folder / "model.safetensors").unlink()
    assert len(list(folder.glob("*.safetensors"))) > 1


def forget_padding(folder: Path) -> None:
    rewrite(folder / "config.json", lambda config: config.update(pad_token_id=None))
    rewrite(folder / "tokenizer_config.json", lambda settings: settings.pop("pad_token"))
    rewrite(folder / "generation_config.json", lambda settings: settings.pop("pad_token_id", None))
    assert load_tokenizer(folder).pad_token is None


def refuse_the_system_role(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text(NO_SYSTEM_ROLE, "utf-8")


def forget_the_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    rewrite(folder / "tokenizer_config.json", lambda settings: settings.pop("chat_template", None))


def in_bf16(folder: Path) -> None:
    load_base(folder, torch.bfloat16).save_pretrained(folder)


@pytest.mark.parametrize(
    "change", [shard, forget_padding, refuse_the_system_role, forget_the_template, in_bf16]
)
@pytest.mark.parametrize("kind", ["llama", "gemma3_text"])
def test_variants_of_a_folder_are_tuned_and_opened(
    kind: str, change: Callable[[Path], None], make: Make, workspace: Workspace, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(make(kind), tmp_path / "variant"))
    change(folder)
    check_folder(folder)
    turns = ({"role": "system", "text": "Be brief."},)
    examples = [
        Example.model_validate({**one.model_dump(), "turns": turns if one.row % 2 else ()})
        for one in make_examples()
    ]
    run, _ = train(folder, "lora", workspace, examples)
    assert_opens(folder, run, "lora", tmp_path / "opened")


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("llama", {"attention_bias": True}),
        ("llama", {"mlp_bias": True}),
        ("qwen3", {"attention_bias": True}),
        ("granite", {"attention_bias": True, "mlp_bias": True}),
        ("llama", {"tie_word_embeddings": False}),
        ("gemma2", {"tie_word_embeddings": False}),
        ("phi3", {"tie_word_embeddings": False}),
    ],
)
def test_biases_and_an_untied_head_learn_by_the_definition(
    kind: str, changes: dict[str, bool], method_name: MethodName, make: Make
) -> None:
    folder = make(kind, **changes)
    check_folder(folder)
    assert_as_defined(folder, method_name)


@pytest.mark.parametrize("name", ["all-layers", "lora"])
def test_an_untied_head_is_saved_and_opened(
    name: MethodName, make: Make, workspace: Workspace, tmp_path: Path
) -> None:
    folder = make("qwen2", tie_word_embeddings=False)
    run, _ = train(folder, name, workspace)
    assert_opens(folder, run, name, tmp_path / "opened")


@pytest.mark.slow
def test_a_trainers_process_tunes_every_kind(
    model_type: str, method_name: MethodName, make: Make, order_run: Callable[..., Any], tmp_path: Path
) -> None:
    folder = make(model_type)
    ordered = order_run(method_name, epochs=3, batch_size=8, virtual_tokens=6, rank=4)
    changes = {"base_model_folder": folder, "base_model_fingerprint": fingerprint(folder)}
    ordered.order = ordered.order.model_copy(update=changes)
    ordered.write_order()
    result = ordered.train()
    assert result is not None
    assert (result.outcome, result.steps) == ("succeeded", 3)
    assert_opens(folder, ordered.folder, method_name, tmp_path / "opened")
