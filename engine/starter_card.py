"""The starter's model card, written from what was measured and recorded; no figure in it is typed by hand.

Knows the exported folder, the record of its training, and the corpus's list of sources. Does not know how
figures are measured (`starter_figures.py`).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.contract.records import BALANCED_TEMPERATURE
from engine.corpus import find_shards, read_shard
from engine.pretraining import Schedule, Shape
from engine.starter_figures import (
    MAX_NEW_TOKENS,
    SAMPLING_SEED,
    Figures,
    measure,
    sample_answers,
)
from engine.starter_prompts import PROMPTS
from engine.voice_figures import VoiceFigures, measure_voice, quote, render_figures

SAMPLING = f"Sampled at temperature {BALANCED_TEMPERATURE}, seed {SAMPLING_SEED}"
# The unigram baseline counts this many rows of every shard.
_SEEN_ROWS = 3000

FRONT_MATTER = """---
language: en
license: cc-by-sa-4.0
library_name: transformers
pipeline_tag: text-generation
tags:
- llama
- base-model
- brand-voice
---

"""
LIMITS = """\
- Small: it writes recognisable English of the kinds it has read, and loses the thread in longer texts.
- It makes things up: names, prices, dates, medical and legal statements. Nothing it says is information.
- English only. Much of what it read is old fiction, with the attitudes of its time.
- No safety tuning of any kind.
- A base for tuning rather than an assistant: it knows the form of question and answer, not the world."""
DATA = """Openly licensed text from the sources below; which share each kind has in training is written in
`engine/corpus.py`. The texts held out for the figures were never trained on."""


def write_card(
    folder: Path, corpus: Path, earlier: Path | None = None, voices: Sequence[Path] = ()
) -> Figures:
    """Measure the exported model and rewrite README.md in its folder.

    `earlier` is the folder of a starter to stand beside it: measured in the same way, answering the same.
    `voices` are CSV files of examples that it is tuned on.
    """
    held_out = list(read_shard(corpus / "valid.jsonl.xz"))
    seen = [row for path in find_shards(corpus).values() for row in islice(read_shard(path), _SEEN_ROWS)]
    folders = [folder] if earlier is None else [earlier, folder]
    figures = [measure(one, held_out, seen) for one in folders]
    records = [json.loads((one / "training.json").read_text()) for one in folders]
    answers = [_answer_prompts(one) for one in folders]
    tuned = [one for file in voices for one in measure_voice(file, folder)]
    sources = (corpus / "SOURCES.md").read_text()
    (folder / "README.md").write_text(render_card(figures, answers, records, tuned, sources))
    return figures[-1]


def _answer_prompts(folder: Path) -> dict[str, str]:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    prompts = [prompt for asked in PROMPTS.values() for prompt in asked]
    answers = sample_answers(model.eval(), tokenizer, prompts)
    return {prompt: answer for prompt, (answer, _) in zip(prompts, answers, strict=True)}


def render_card(
    figures: Sequence[Figures],
    answers: Sequence[dict[str, str]],
    records: Sequence[dict[str, Any]],
    voices: Sequence[VoiceFigures],
    sources: str,
) -> str:
    """The model card in Markdown: what it is, figures, voices, limits, answers, data, how to make it again.

    Figures, answers and records stand in one order, the model of the card last, an earlier one before it.
    """
    sections = {
        "Figures": _render_figures(figures, records),
        "Tuned to a voice": render_figures(voices),
        "Limits": LIMITS,
        "Answers": f"{SAMPLING}, one try each, nothing chosen.\n\n{_render_answers(answers)}",
        "Data": _render_sources(sources),
        "Make it again": _render_commands(records[-1], compared=len(figures) > 1, tuned=bool(voices)),
    }
    titled = [f"## {title}\n\n{text}" for title, text in sections.items() if text]
    return "\n\n".join([FRONT_MATTER + _render_introduction(figures[-1], records[-1]), *titled]) + "\n"


def _render_introduction(figures: Figures, record: dict[str, Any]) -> str:
    shape, pieces = Shape(**record["shape"]), _pieces(record)
    minutes = sum(piece["seconds"] for piece in pieces) / 60
    machine = "CPU" if any(piece["device"] == "cpu" for piece in pieces) else "GPU"
    stopgap = " It is a stopgap until one trained for longer takes its place." if machine == "CPU" else ""
    return f"""# Voicewright starter

The small English language model that ships with Voicewright, so that a voice can be tuned, compared and
downloaded on an ordinary computer without fetching anything first. It was made on a {machine}
in {minutes:.0f} minutes of training, from scratch, on openly licensed text.{stopgap}
{_render_unlearning(record)}
A Llama with tied embeddings: {shape.layers} layers, width {shape.hidden}, {shape.heads} attention heads
({shape.kv_heads} for keys and values), context {shape.context} tokens, byte-level BPE with
{figures.vocabulary:,} entries. The chat format is `<|endoftext|><|user|>…<|assistant|>…<|end|>`.
Weights are stored as bf16 and load as float32:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("assets/models/starter")
model = AutoModelForCausalLM.from_pretrained("assets/models/starter")
```"""


def _render_unlearning(record: dict[str, Any]) -> str:
    done = record.get("unlearning")
    if not done:
        return ""
    return f"""
At the end it answered prompts of its training and unlearnt the circles it went in, {done["steps"]} steps of
{done["answers"]} answers (sequence-level unlikelihood, arXiv 1908.04319).
"""


def _pieces(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of all trainings that led to these weights, the first one first."""
    earlier = record.get("before")
    return [*(_pieces(earlier) if earlier else []), record]


def _render_figures(figures: Sequence[Figures], records: Sequence[dict[str, Any]]) -> str:
    last = figures[-1]
    named: dict[str, Callable[[Figures], str]] = {
        "parameters": lambda one: f"{one.parameters:,}",
        f"held-out prose, {last.prose_texts} texts": lambda one: f"{one.prose_bits:.3f} bits per byte",
        f"held-out pairs, {last.pairs}, the answers alone": lambda one: f"{one.pairs_bits:.3f} bits per byte",
        f"answers that end by themselves within {MAX_NEW_TOKENS} tokens": lambda one: (
            f"{one.ended_share:.0%}"
        ),
        "answers in which four words in a row stand more than twice": lambda one: f"{one.looping_share:.1%}",
        "runs of four words that repeat within an answer": lambda one: f"{one.repeated_share:.1%}",
        "different words among all words (distinct-1)": lambda one: f"{one.distinct_1:.2f}",
        "different pairs of words among all (distinct-2)": lambda one: f"{one.distinct_2:.2f}",
        "mean length of an answer": lambda one: f"{one.mean_answer_words:.0f} words",
        "loading the weights": lambda one: f"{one.load_seconds:.2f} s",
        "first word of an answer": lambda one: f"{1000 * one.first_token_seconds:.0f} ms",
    }
    tokens = [sum(piece["tokens"] for piece in _pieces(record)) for record in records]
    rows = {"tokens seen in training": [f"{count:,}" for count in tokens]}
    rows |= {name: [show(one) for one in figures] for name, show in named.items()}
    titles = ["this starter"] if len(figures) == 1 else ["the one before", "this starter"]
    table = [["", *titles], ["---"] * (len(titles) + 1), *([name, *cells] for name, cells in rows.items())]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in table)
    return f"""{lines}

Measured on the rounded weights in the folder, what is said of answers on those to {last.answers} held-out
prompts, the two times on the machine that wrote this card. {SAMPLING}.

For comparison, a unigram model with the same tokenizer, which knows how frequent each token is and nothing
else, needs {last.unigram_prose_bits:.3f} bits per byte on the prose and {last.unigram_pairs_bits:.3f} on the
answers. GPT-2 small (124M parameters) is published with 1.16 on enwik8 (Radford et al. 2019, table 3): other
text, so an orientation only."""


def _render_answers(answers: Sequence[dict[str, str]]) -> str:
    parts = []
    for kind, prompts in PROMPTS.items():
        parts.append(f"### {kind}")
        for prompt in prompts:
            parts.append("  \n".join(f"**{line}**" for line in prompt.splitlines()))
            if len(answers) > 1:
                parts.append(f"Before:\n\n{quote(answers[0][prompt])}\n\nNow:")
            parts.append(quote(answers[-1][prompt]))
    return "\n\n".join(parts)


def _render_sources(sources: str) -> str:
    """The remarks on share-alike and the table of sources, as the corpus states them."""
    paragraphs = sources.split("\n\n")
    share_alike = [text for text in paragraphs if text.startswith("Share-alike")]
    table = [line for line in sources.splitlines() if line.startswith("|")]
    return "\n\n".join([DATA, *(text.strip() for text in share_alike), "\n".join(table)])


def _render_commands(record: dict[str, Any], compared: bool, tuned: bool) -> str:
    """Every training by its budget, its seed and what else differs from the defaults, as command lines."""
    pieces = _pieces(record)
    commands = "\n".join(_render_command(piece, first=piece is pieces[0]) for piece in pieces)
    options = " --earlier <folder of the one before>" if compared else ""
    options += " \\\n    --voices assets/samples/*.csv ../shared/data/voices/*.csv" if tuned else ""
    return f"""```
{commands}
python -m engine.pretraining --corpus ../shared/data/corpus --out assets/models/starter --card{options}
```

A budget in minutes is wall-clock time, so that the tokens seen depend on the machine. With `--card` nothing
is trained: the model is measured again and this page rewritten."""


def _render_command(piece: dict[str, Any], first: bool) -> str:
    defaults = asdict(Shape()) | asdict(Schedule())
    given = piece["shape"] | piece["schedule"]
    knobs = {"seed": piece["seed"], "minutes": given["minutes"]}
    knobs |= {name: value for name, value in given.items() if value != defaults.get(name, value)}
    flags = " ".join(f"--{name.replace('_', '-')} {value:.12g}" for name, value in knobs.items())
    start = "" if first else " --start-from <the result so far>"
    start += "" if piece.get("unlearning") else " --keep-circles"
    return f"""python -m engine.pretraining --corpus ../shared/data/corpus --out assets/models/starter \\
    --work <scratch> {flags}{start}"""
