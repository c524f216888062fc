"""Pretraining: a run that was interrupted, a folder that others load, and the starter that ships."""

import json
import lzma
import math
import re
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.conversation import render_prompt
from engine.corpus import PAIR_SHARES, PROSE_SHARES, SPECIAL_TOKENS, find_shards, read_fit, read_shard
from engine.encoding import encode_prompt
from engine.packing import LEARNT, PADDING, PROMPT, Lengths, Mixture, load_rows
from engine.pretraining import IGNORED, Position, Schedule, Shape, build_targets, read_arguments, train
from engine.starter_card import write_card
from engine.starter_figures import summed_nats, time_first_token
from engine.starter_prompts import PROMPTS
from engine.unlikelihood import Unlearning

STARTER = Path(__file__).parents[2] / "assets" / "models" / "starter"
TINY = Shape(hidden=32, layers=2, heads=2, kv_heads=1, intermediate=64, context=32)
LENGTHS = Lengths(prose=32, pairs=16)
PACKED = "packed_32_16"
SOURCES = "Share-alike: a note.\n\n| src | licence |\n|---|---|\n| invented | CC0 |\n"


def write_shard(path: Path, rows: list[dict[str, str]]) -> None:
    with lzma.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    things = ["tent", "mug", "lamp", "boot", "rope", "stove", "map", "scarf"]
    prose = [
        {"text": f"The {a} and the {b} lay in the rain, {i} days long."}
        for i, a in enumerate(things)
        for b in things
    ]
    pairs = [
        {"prompt": f"Sell {i} {a}s.", "completion": f"Take {i} {a}s along."} for i in range(9) for a in things
    ]
    write_shard(folder / "prose_textbooks.jsonl.xz", prose)
    write_shard(folder / "prose_reference.jsonl.xz", prose[::-1])
    write_shard(folder / "pairs_product.jsonl.xz", pairs)
    write_shard(folder / "pairs_docs.jsonl.xz", pairs[::-1])
    write_shard(folder / "valid.jsonl.xz", [prose[0], pairs[0], {"text": "Held out."}, pairs[1]])
    (folder / "SOURCES.md").write_text(SOURCES)
    return folder


def schedule(steps: int) -> Schedule:
    return Schedule(
        tokens=steps * 128, warmup_steps=2, batch_tokens=128, micro_tokens=64, pair_length=LENGTHS.pairs
    )


def run(corpus: Path, folder: Path, **options: Any) -> list[tuple[int, float]]:
    """Train the tiny model in `folder`; the loss curve as (step, loss)."""
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    train(corpus, folder / "out", work, TINY, schedule(8), device="cpu", compiled=False, **options)
    rows = map(json.loads, (work / "metrics.jsonl").read_text().splitlines())
    return [(row["step"], row["loss"]) for row in rows]


@pytest.fixture(scope="module")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, float]]]:
    folder = tmp_path_factory.mktemp("trained")
    return folder, run(corpus, folder)


def test_an_interrupted_run_has_the_loss_curve_of_an_uninterrupted_one(corpus, trained, tmp_path):
    for _ in range(8):
        curve = run(corpus, tmp_path, piece_seconds=0.0)
    assert curve == trained[1]
    assert [step for step, _ in curve] == list(range(1, 9))


def test_steps_after_the_last_checkpoint_are_done_again_and_not_logged_twice(corpus, trained, tmp_path):
    run(corpus, tmp_path, piece_seconds=0.0)
    with (tmp_path / "work" / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 2, "loss": 99.0}) + "\n")
    assert run(corpus, tmp_path) == trained[1]


def test_stock_transformers_loads_the_export_as_float32_and_rounded_once(trained):
    out = trained[0] / "out"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    weights = torch.load(trained[0] / "work" / "checkpoint.pt", weights_only=True)["model"]
    assert model.dtype == torch.float32
    assert model.config.vocab_size == len(tokenizer) == model.get_input_embeddings().num_embeddings
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, weights[name].bfloat16().float())


def test_unlearning_its_circles_comes_last_and_is_recorded(corpus, trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "run")
    run(corpus, tmp_path / "run", unlearning=Unlearning(steps=2, answers=4, answer_tokens=8, pairs=2))
    rows = (tmp_path / "run" / "work" / "circles.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in rows] == [0, 1]
    assert json.loads((tmp_path / "run" / "out" / "training.json").read_text())["unlearning"]["steps"] == 2
    before, after = (
        AutoModelForCausalLM.from_pretrained(folder / "out").state_dict()
        for folder in (trained[0], tmp_path / "run")
    )
    assert not all(torch.equal(before[name], after[name]) for name in before)


def test_a_second_export_leaves_nothing_but_the_model(trained):
    assert {path.name for path in (trained[0] / "out").iterdir()} == {
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "training.json",
    }
    assert [path.name for path in trained[0].iterdir() if path.name.startswith(".")] == []


def test_the_card_names_every_source_and_states_what_was_measured(corpus, trained, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(trained[0] / "out", folder)
    figures = write_card(folder, corpus)
    card = (folder / "README.md").read_text()
    assert "| invented | CC0 |" in card and "Share-alike: a note." in card
    assert "made on a CPU" in card and "--hidden 32" in card
    assert f"{figures.prose_bits:.3f} bits per byte" in card and f"{figures.parameters:,}" in card
    assert f"needs {figures.unigram_prose_bits:.3f} bits per byte" in " ".join(card.split())
    prompts = [prompt for asked in PROMPTS.values() for prompt in asked]
    assert len(prompts) == len(set(prompts)) == 40
    assert all(f"**{prompt.splitlines()[-1]}**" in card for prompt in prompts)


def test_a_card_sets_the_starter_beside_the_one_before(corpus, trained, tmp_path):
    earlier, folder = trained[0] / "out", tmp_path / "out"
    shutil.copytree(earlier, folder)
    record = json.loads((earlier / "training.json").read_text())
    (folder / "training.json").write_text(json.dumps(record | {"before": record}))
    write_card(folder, corpus, earlier)
    card = (folder / "README.md").read_text()
    assert "| the one before | this starter |" in card
    assert card.count("Before:") == card.count("Now:") == 40
    assert f"| tokens seen in training | {8 * 128:,} | {2 * 8 * 128:,} |" in card
    assert card.count("--work <scratch>") == 2 and card.count("--start-from") == 1


def test_rows_of_pairs_start_with_a_prompt_and_learn_only_completions(trained):
    rows = load_rows(trained[0] / "work" / PACKED, LENGTHS)["pairs_product"]
    tokenizer = AutoTokenizer.from_pretrained(trained[0] / "out")
    tokens, uses = rows.get(0)
    assert tokens[0] == tokenizer.bos_token_id and uses[0] == PROMPT
    assert set(tokens[uses == PADDING]) <= {tokenizer.pad_token_id}
    learnt = tokenizer.decode(tokens[uses == LEARNT]).split("<|end|>")
    assert re.fullmatch(r"Take \d \w+s along.", learnt[0])


def test_rows_are_filled_with_whole_pairs_and_lose_none(corpus, trained):
    rows = load_rows(trained[0] / "work" / PACKED, LENGTHS)["pairs_docs"]
    tokenizer = AutoTokenizer.from_pretrained(trained[0] / "out")
    texts = [tokenizer.decode(rows.get(row)[0]) for row in range(rows.count)]
    found = sorted(re.findall(r"Sell \d \w+s\.<\|assistant\|>Take \d \w+s along\.<\|end\|>", "".join(texts)))
    pairs = read_shard(corpus / "pairs_docs.jsonl.xz")
    assert found == sorted(f"{pair['prompt']}<|assistant|>{pair['completion']}<|end|>" for pair in pairs)
    filled = np.mean([(rows.get(row)[1] != PADDING).mean() for row in range(rows.count)])
    assert filled > 0.7


def test_what_does_not_suit_a_brand_is_not_learnt_from(tmp_path):
    rows = [{"text": "A tent.", "src": "retaildemo"}, {"text": "LL parsers parse.", "src": "ghexplore"}]
    write_shard(tmp_path / "prose_reference.jsonl.xz", rows)
    assert [row["text"] for row in read_fit(tmp_path / "prose_reference.jsonl.xz")] == ["A tent."]


def test_every_row_is_drawn_once_before_any_comes_again(trained):
    rows = load_rows(trained[0] / "work" / PACKED, LENGTHS)
    only = {"prose_textbooks": rows["prose_textbooks"]}
    count = only["prose_textbooks"].count
    tokens, _ = Mixture(only, seed=3).draw(PROSE_SHARES, step=0, batch_rows=count)
    assert len(np.unique(tokens, axis=0)) == count


def test_prompts_are_targets_in_the_first_phase_only_and_padding_never():
    tokens, uses = torch.tensor([[1, 2, 3, 4, 0]]), torch.tensor([[PROMPT, PROMPT, LEARNT, LEARNT, PADDING]])
    assert build_targets(tokens, uses, completions_only=False)[1].tolist() == [[2, 3, 4, IGNORED]]
    assert build_targets(tokens, uses, completions_only=True)[1].tolist() == [[IGNORED, 3, 4, IGNORED]]


def test_the_held_out_shard_is_never_trained_on(corpus):
    assert "valid" not in find_shards(corpus)


def test_shares_are_whole_and_fiction_stays_under_its_limit():
    assert math.isclose(sum(PROSE_SHARES.values()), 1) and math.isclose(sum(PAIR_SHARES.values()), 1)
    assert PROSE_SHARES["prose_fiction_late"] + PROSE_SHARES["prose_fiction_early"] <= 0.30


def test_a_step_is_split_between_prose_and_pairs_and_ends_with_pairs_alone():
    schedule = Schedule(batch_tokens=64, micro_tokens=16, prose_share=0.25)
    assert schedule.parts(pairs_only=False) == [True, False, False, False]
    assert schedule.parts(pairs_only=True) == [False] * 4


def test_the_learning_rate_ends_with_the_budget_whatever_the_speed():
    by_time, by_tokens = Schedule(minutes=2), Schedule(tokens=1000)
    assert by_time.progress(seconds=60, tokens=10**9) == 0.5
    assert by_tokens.progress(seconds=10**9, tokens=250) == 0.25
    assert by_time.rate(1.0, step=1000) == pytest.approx(0)
    assert by_time.rate(0.0, step=0) < by_time.rate(0.0, step=10) < by_time.rate(0.0, step=1000) == 1


def test_every_knob_can_be_given_on_the_command_line():
    options = read_arguments(["--corpus", "c", "--out", "o", "--hidden", "384", "--learning-rate", "0.002"])
    assert (options.hidden, options.learning_rate, options.layers) == (384, 0.002, Shape().layers)
    assert Position().step == 0


def test_a_run_goes_on_from_the_weights_and_tokenizer_of_a_finished_starter(corpus, trained, tmp_path):
    first = trained[0] / "out"
    curve = run(corpus, tmp_path, start_from=first)
    assert curve[0][1] < trained[1][0][1]
    vocabulary = (first / "tokenizer.json").read_bytes()
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == vocabulary
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert record["before"] == json.loads((first / "training.json").read_text())


@pytest.fixture(scope="module")
def starter():
    return AutoModelForCausalLM.from_pretrained(STARTER).eval(), AutoTokenizer.from_pretrained(STARTER)


def test_the_starter_loads_as_float32_with_the_vocabulary_of_its_tokenizer(starter):
    model, tokenizer = starter
    assert model.dtype == torch.float32
    assert model.config.vocab_size == len(tokenizer) == 8192
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert all(len(tokenizer(token)["input_ids"]) == 1 for token in SPECIAL_TOKENS)


def test_the_starters_template_has_turns_a_system_role_and_ends_with_the_assistant(starter):
    _, tokenizer = starter
    assert render_prompt(tokenizer, "Hello").endswith("<|user|>Hello<|assistant|>")
    turns = [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "A"},
        {"role": "assistant", "content": "B"},
        {"role": "user", "content": "C"},
    ]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert text == "<|endoftext|><|system|>S<|user|>A<|assistant|>B<|end|><|user|>C<|assistant|>"


def test_the_starter_answers_and_is_little_surprised_by_plain_english(starter):
    model, tokenizer = starter
    prompt = torch.tensor([encode_prompt(tokenizer, "Write a product description for a mug.", 100)])
    answer = model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=40, do_sample=False
    )
    assert tokenizer.decode(answer[0, prompt.shape[1] :], skip_special_tokens=True).strip()

    ids = [
        tokenizer.bos_token_id,
        *tokenizer("Thank you for your order. We will send it to you as soon as we can.")["input_ids"],
    ]
    nats = summed_nats(model, [(ids, [True] * len(ids))])
    assert nats / (len(ids) - 1) < 0.6 * math.log(8192)


def test_the_starter_loads_in_a_second_and_begins_to_answer_in_half_of_one(starter):
    model, tokenizer = starter
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        AutoModelForCausalLM.from_pretrained(STARTER)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 1
    assert time_first_token(model, tokenizer, ["Write a product description for a mug."] * 5) < 0.5
