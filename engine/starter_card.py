"""The starter's model card, written from what was measured and recorded; no figure in it is typed by hand.

Knows the exported folder, the record of its training, and the corpus's list of sources. Does not know how
figures are measured (`starter_figures.py`).
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.corpus import read_shard
from engine.pretraining import Schedule, Shape
from engine.starter_figures import (
    MAX_NEW_TOKENS,
    SAMPLING_SEED,
    TEMPERATURE,
    Figures,
    measure,
    sample_answers,
)

SAMPLING = f"Sampled at temperature {TEMPERATURE}, seed {SAMPLING_SEED}"
PROMPTS = (
    "Write a product description for a waterproof hiking jacket.",
    "Write a product description for a ceramic coffee mug called Morning Light.",
    "Write a short product description for a pair of running shoes.",
    "Suggest a name for a lightweight camping stove.",
    "Write a reply to this customer message: My order arrived damaged. What can you do?",
    "Write a reply to this customer message: How do I change my delivery address?",
    "Make this more polite: Send me the invoice today.",
    "Rewrite this sentence in plain words: Passengers are required to present documentation.",
    "Explain in one paragraph what a warranty is.",
    "What is a brand?",
    "Write an introduction to an article about choosing a winter tent.",
    "Write one sentence that invites people to a small bakery.",
)

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


def write_card(folder: Path, corpus: Path) -> Figures:
    """Measure the exported model and rewrite README.md in its folder."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    figures = measure(model, tokenizer, list(read_shard(corpus / "valid.jsonl.xz")))
    answers = [answer for answer, _ in sample_answers(model, tokenizer, PROMPTS)]
    samples = list(zip(PROMPTS, answers, strict=True))
    record = json.loads((folder / "training.json").read_text())
    sources = (corpus / "SOURCES.md").read_text()
    (folder / "README.md").write_text(render_card(figures, samples, record, sources))
    return figures


def render_card(
    figures: Figures, samples: list[tuple[str, str]], record: dict[str, Any], sources: str
) -> str:
    """The model card in Markdown: what it is, figures, limits, answers, data, how to make it again."""
    sections = {
        "Figures": _render_figures(figures, record),
        "Limits": LIMITS,
        "Answers": f"{SAMPLING}, one try each, nothing chosen.\n\n{_render_samples(samples)}",
        "Data": _render_sources(sources),
        "Make it again": _render_command(record),
    }
    titled = [f"## {title}\n\n{text}" for title, text in sections.items()]
    return "\n\n".join([FRONT_MATTER + _render_introduction(figures, record), *titled]) + "\n"


def _render_introduction(figures: Figures, record: dict[str, Any]) -> str:
    shape, minutes = Shape(**record["shape"]), record["seconds"] / 60
    machine = "CPU" if record["device"] == "cpu" else "GPU"
    stopgap = " It is a stopgap until one trained for longer takes its place." if machine == "CPU" else ""
    return f"""# Voicewright starter

The small English language model that ships with Voicewright, so that a voice can be tuned, compared and
downloaded on an ordinary computer without fetching anything first. It was made on a {machine}
in {minutes:.0f} minutes of training, from scratch, on openly licensed text.{stopgap}

A Llama with tied embeddings: {shape.layers} layers, width {shape.hidden}, {shape.heads} attention heads
({shape.kv_heads} for keys and values), context {shape.context} tokens, byte-level BPE with
{figures.vocabulary:,} entries. The chat format is `<|endoftext|><|user|>…<|assistant|>…<|end|>`.
Weights are stored as bf16 and load as float32:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("assets/models/starter")
model = AutoModelForCausalLM.from_pretrained("assets/models/starter")
```"""


def _render_figures(figures: Figures, record: dict[str, Any]) -> str:
    rows = {
        "parameters": f"{figures.parameters:,}",
        "tokens seen in training": f"{record['tokens']:,}",
        f"held-out prose, {figures.prose_texts} texts": f"{figures.prose_bits:.3f} bits per byte",
        f"held-out pairs, {figures.pairs}, the answers alone": f"{figures.pairs_bits:.3f} bits per byte",
        f"answers that end by themselves within {MAX_NEW_TOKENS} tokens": f"{figures.ended_share:.0%}",
        "runs of four words that repeat within an answer": f"{figures.repeated_share:.1%}",
        "mean length of an answer": f"{figures.mean_answer_words:.0f} words",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"""| | |
|---|---|
{table}

Measured on the rounded weights in this folder; the last three on answers to {figures.answers} held-out
prompts. {SAMPLING}."""


def _render_samples(samples: list[tuple[str, str]]) -> str:
    parts = []
    for prompt, answer in samples:
        quoted = "\n>\n".join(f"> {line}" for line in answer.splitlines() if line.strip())
        parts.append(f"**{prompt}**\n\n{quoted or '> (no answer)'}")
    return "\n\n".join(parts)


def _render_sources(sources: str) -> str:
    """The remarks on share-alike and the table of sources, as the corpus states them."""
    paragraphs = sources.split("\n\n")
    share_alike = [text for text in paragraphs if text.startswith("Share-alike")]
    table = [line for line in sources.splitlines() if line.startswith("|")]
    return "\n\n".join([DATA, *(text.strip() for text in share_alike), "\n".join(table)])


def _render_command(record: dict[str, Any]) -> str:
    """The budget, the seed and whatever else differs from the defaults, as a command line."""
    defaults = asdict(Shape()) | asdict(Schedule())
    given = record["shape"] | record["schedule"]
    knobs = {"seed": record["seed"], "minutes": given["minutes"]}
    knobs |= {name: value for name, value in given.items() if value != defaults[name]}
    flags = " ".join(f"--{name.replace('_', '-')} {value:.12g}" for name, value in knobs.items())
    return f"""```
python -m engine.pretraining --corpus ../shared/data/corpus --out assets/models/starter --work <scratch> \\
    {flags}
```

A budget in minutes is wall-clock time, so that the tokens seen depend on the machine. With `--card` nothing
is trained: the model is measured again and this page rewritten."""
