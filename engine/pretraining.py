"""Make the starter, the base model that ships with the project: one command, from the corpus to the folder.

    python -m engine.pretraining --corpus ../shared/data/corpus --out assets/models/starter --work <scratch>

Two phases on one schedule: prose beside pairs, then pairs alone with the loss on the completions. Last, its
own circles are taught out of it (`unlikelihood.py`).
The same command again continues from the last checkpoint in the scratch folder; `--start-from` takes up the
weights of a finished starter, with its tokenizer, and trains them on. Knows the model's shape, the loop, the
budget and the export. Does not know how text is packed (`packing.py`), how an example is written
(`encoding.py`), or how the result is judged and described (`starter_figures.py`, `starter_card.py`).
"""

import argparse
import copy
import json
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy, pad
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from engine.corpus import PAIR_SHARES, PROSE_SHARES, train_tokenizer
from engine.packing import LEARNT, PROMPT, Lengths, Mixture, load_rows, pack_corpus
from engine.unlikelihood import IGNORED, Unlearning, unlearn_circles

_LOGITS_MULTIPLE = 1024


@dataclass(frozen=True)
class Shape:
    """The size of the model; defaults suit two CPU cores and 40 minutes (about 6M parameters)."""

    hidden: int = 256
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    intermediate: int = 640
    context: int = 512

    def config(self, tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
        """A Llama with tied embeddings, exactly as large as the tokenizer."""
        return LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=self.hidden,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            intermediate_size=self.intermediate,
            max_position_embeddings=self.context,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            use_cache=False,
        )


@dataclass(frozen=True)
class Schedule:
    """How much to train, and what changes on the way.

    Either `tokens` (0: not counted) or `minutes` ends the run; progress is the share of it that is used, so
    that the decay finishes whatever the machine's speed is. A step takes `batch_tokens` in parts of
    `micro_tokens`, each of prose or of pairs; `prose_share` of the parts are prose in the first phase.
    """

    minutes: float = 40.0
    tokens: int = 0
    pairs_only_from: float = 0.55
    prose_share: float = 0.5
    learning_rate: float = 3e-3
    warmup_steps: int = 50
    weight_decay: float = 0.1
    batch_tokens: int = 16384
    micro_tokens: int = 8192
    pair_length: int = 256

    def progress(self, seconds: float, tokens: int) -> float:
        """Share of the budget that is used, 0 to 1."""
        used = tokens / self.tokens if self.tokens else seconds / (60 * self.minutes)
        return min(1.0, used)

    def rate(self, progress: float, step: int) -> float:
        """Factor of the learning rate: a linear warm-up, then straight to zero (arXiv 2502.15938)."""
        return min((step + 1) / self.warmup_steps, 1 - progress)

    def parts(self, pairs_only: bool) -> list[bool]:
        """Whether each part of a step is prose."""
        count = max(1, self.batch_tokens // self.micro_tokens)
        prose = 0 if pairs_only else round(count * self.prose_share)
        return [part < prose for part in range(count)]


@dataclass
class Position:
    """Where a run stands; `seconds` are those of training, without compiling and saving."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0


def train(
    corpus: Path,
    out: Path,
    work: Path,
    shape: Shape,
    schedule: Schedule,
    seed: int = 1,
    device: str = "auto",
    compiled: bool = True,
    save_seconds: float = 120.0,
    piece_seconds: float = math.inf,
    start_from: Path | None = None,
    unlearning: Unlearning | None = None,
) -> bool:
    """Train until the schedule ends, or for `piece_seconds` of this call; True when the schedule has ended.

    `work` takes the tokenizer, packed rows, checkpoint and metrics.jsonl; `out` takes a loadable model at the
    start, at every checkpoint and at the end.
    """
    device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    tokenizer = prepare_tokenizer(corpus, work, start_from)
    lengths = Lengths(shape.context, schedule.pair_length)
    packed = work / f"packed_{lengths.prose}_{lengths.pairs}"
    pack_corpus(corpus, packed, tokenizer, lengths)
    mixture = Mixture(load_rows(packed, lengths), seed)

    torch.manual_seed(seed)
    model = LlamaForCausalLM(shape.config(tokenizer)).to(device)
    if start_from:
        model.load_state_dict(LlamaForCausalLM.from_pretrained(start_from, dtype=torch.float32).state_dict())
    optimizers = build_optimizers(model, schedule)
    position = load_checkpoint(work, model, optimizers, mixture) or Position()
    metrics = open_metrics(work, position.step)
    record = {"seed": seed, "device": device, "shape": asdict(shape), "schedule": asdict(schedule)}
    if start_from:
        record["before"] = json.loads((start_from / "training.json").read_text())
    if position.step == 0:
        export_model(model, tokenizer, out, record | asdict(position))

    body = build_body(model, compiled, device)
    started = saved = time.monotonic()
    clock = None  # the first step of a process compiles: its time is no training time
    while (progress := schedule.progress(position.seconds, position.tokens)) < 1:
        pairs_only = progress >= schedule.pairs_only_from
        parts = list(draw_parts(mixture, schedule, lengths, position.step, pairs_only))
        learnt = sum(int((targets != IGNORED).sum()) for _, targets in parts)
        loss = torch.zeros((), device=device)
        for inputs, targets in parts:
            with torch.autocast(device, torch.bfloat16):
                part_loss = summed_loss(model, body, inputs.to(device), targets.to(device)) / learnt
            torch.autograd.backward(part_loss)
            loss += part_loss.detach()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = schedule.learning_rate * schedule.rate(progress, position.step)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        now = time.monotonic()
        seconds = position.seconds + now - (clock or now)
        position = Position(position.step + 1, position.tokens + schedule.batch_tokens, seconds)
        clock = now
        if position.step % 10 == 0 or position.step < 10:
            row = asdict(position) | {
                "loss": loss.item(),
                "phase": 2 if pairs_only else 1,
                "progress": progress,
            }
            print(json.dumps(row), file=metrics, flush=True)
        if now - saved > save_seconds or now - started > piece_seconds:
            save_checkpoint(work, model, optimizers, mixture, position)
            export_model(model, tokenizer, out, record | asdict(position))
            saved = clock = time.monotonic()
        if now - started > piece_seconds:
            return False
    save_checkpoint(work, model, optimizers, mixture, position)
    if unlearning:
        # A few minutes; a run that is interrupted here does them again.
        unlearn_circles(model, tokenizer, mixture, unlearning, position.step, tell=open_circles(work))
        record["unlearning"] = asdict(unlearning)
    export_model(model, tokenizer, out, record | asdict(position))
    return True


def prepare_tokenizer(corpus: Path, work: Path, start_from: Path | None = None) -> PreTrainedTokenizerFast:
    """The tokenizer of the starter to go on from, or else of this scratch folder, made if not there yet."""
    folder = start_from or work / "tokenizer"
    if not (folder / "tokenizer.json").exists():
        train_tokenizer(corpus).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def build_optimizers(model: LlamaForCausalLM, schedule: Schedule) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings and norms, at one learning rate.

    Muon's update is scaled to the size of AdamW's (Moonlight, arXiv 2502.16982), so that one rate fits both.
    """
    inside = [weight for name, weight in model.named_parameters() if weight.ndim == 2 and ".layers." in name]
    ids = {id(weight) for weight in inside}
    others = [weight for weight in model.parameters() if id(weight) not in ids]
    rate, decay = schedule.learning_rate, schedule.weight_decay
    return [
        torch.optim.Muon(inside, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=rate, weight_decay=0.0, betas=(0.9, 0.95), fused=True),
    ]


def build_body(
    model: LlamaForCausalLM, compiled: bool, device: str
) -> Callable[[torch.Tensor], torch.Tensor]:
    """(rows, length) token ids -> (rows, length, hidden) of the last layer.

    Compiled for a CPU, attention is written out and left to the compiler: the backward pass of torch's fused
    kernel takes more than half as long as all products together there.
    """
    if compiled and device == "cpu":
        model.set_attn_implementation("eager")
    layers = torch.compile(model.model, dynamic=False) if compiled else model.model
    return lambda inputs: layers(input_ids=inputs, use_cache=False).last_hidden_state


def draw_parts(
    mixture: Mixture, schedule: Schedule, lengths: Lengths, step: int, pairs_only: bool
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The parts of one step, each as inputs and targets of (rows, length)."""
    kinds = schedule.parts(pairs_only)
    for is_prose in sorted(set(kinds)):
        length, shares = (lengths.prose, PROSE_SHARES) if is_prose else (lengths.pairs, PAIR_SHARES)
        rows = schedule.micro_tokens // length
        tokens, uses = mixture.draw(shares, step, rows * kinds.count(is_prose))
        inputs, targets = build_targets(torch.from_numpy(tokens), torch.from_numpy(uses), pairs_only)
        for first in range(0, len(inputs), rows):
            yield inputs[first : first + rows], targets[first : first + rows]


def build_targets(
    tokens: torch.Tensor, uses: torch.Tensor, completions_only: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """(rows, context + 1) tokens and uses -> inputs and targets, both (rows, context)."""
    needed = LEARNT if completions_only else PROMPT
    return tokens[:, :-1], tokens[:, 1:].masked_fill(uses[:, 1:] < needed, IGNORED)


def summed_loss(
    model: LlamaForCausalLM,
    body: Callable[[torch.Tensor], torch.Tensor],
    inputs: torch.Tensor,
    targets: torch.Tensor,
) -> torch.Tensor:
    """Cross-entropy in nats, summed over the targets that count; inputs and targets are (rows, length).

    Logits are made where a target counts only: the head is a third of the work of so small a model.
    """
    targets = targets.flatten()
    counted = (targets != IGNORED).nonzero().flatten()
    # In few sizes: freed blocks of ever other sizes cannot be used again, and memory grows without end.
    places = pad(counted, (0, -len(counted) % _LOGITS_MULTIPLE))
    wanted = pad(targets[counted], (0, len(places) - len(counted)), value=IGNORED)
    logits = model.lm_head(body(inputs).flatten(0, 1)[places])
    return cross_entropy(logits.float(), wanted, ignore_index=IGNORED, reduction="sum")


def save_checkpoint(
    work: Path,
    model: LlamaForCausalLM,
    optimizers: list[torch.optim.Optimizer],
    mixture: Mixture,
    position: Position,
) -> None:
    """Everything needed to go on, in one file that is either the old one or the new one."""
    state = {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "drawn": mixture.drawn,
        "position": asdict(position),
    }
    torch.save(state, work / "checkpoint.part")
    (work / "checkpoint.part").replace(work / "checkpoint.pt")


def load_checkpoint(
    work: Path, model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer], mixture: Mixture
) -> Position | None:
    """Put the last checkpoint into its parts; None where there is none yet."""
    if not (work / "checkpoint.pt").exists():
        return None
    state = torch.load(work / "checkpoint.pt", map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    mixture.drawn.update(state["drawn"])
    return Position(**state["position"])


def open_metrics(work: Path, step: int) -> IO[str]:
    """metrics.jsonl, open for appending, without the rows after `step`: these steps are done again."""
    path = work / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    kept = [line for line in lines if json.loads(line)["step"] <= step]
    path.write_text("".join(line + "\n" for line in kept))
    return path.open("a")


def open_circles(work: Path) -> Callable[[dict[str, float]], None]:
    """Writes what it is told to circles.jsonl, begun anew."""
    file = (work / "circles.jsonl").open("w")
    return lambda row: print(json.dumps(row), file=file, flush=True)


def export_model(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path, record: dict[str, Any]
) -> None:
    """Write a folder that stock transformers loads: bf16 on disk, float32 in memory.

    Half the size costs one rounding; "dtype" in config.json makes `from_pretrained` widen the weights again,
    since tuning starts from them. `record` goes to training.json, from which the card is written.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as folder:
        save_tokenizer(tokenizer, Path(folder), context=model.config.max_position_embeddings)
        config = copy.deepcopy(model.config)
        config.architectures, config.dtype, config.use_cache = ["LlamaForCausalLM"], "float32", True
        config.save_pretrained(folder)
        GenerationConfig(
            bos_token_id=config.bos_token_id,
            eos_token_id=config.eos_token_id,
            pad_token_id=config.pad_token_id,
        ).save_pretrained(folder)
        weights = {
            name: weight.detach().to("cpu", torch.bfloat16).contiguous()
            for name, weight in model.state_dict().items()
            if name != "lm_head.weight"
        }
        save_file(weights, Path(folder) / "model.safetensors", metadata={"format": "pt"})
        (Path(folder) / "model.safetensors").chmod(0o644)
        (Path(folder) / "training.json").write_text(json.dumps(record, indent=2) + "\n")
        for file in sorted(Path(folder).iterdir()):
            shutil.move(file, out / file.name)


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path, context: int) -> None:
    """The tokenizer's files, in words that transformers 4 and 5 both understand."""
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    written = json.loads(path.read_text())
    for name in ("backend", "is_local", "local_files_only", "extra_special_tokens"):
        written.pop(name, None)
    written |= {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "additional_special_tokens": tokenizer.extra_special_tokens,
        "model_max_length": context,
    }
    path.write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")


def read_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; a knob's default is the one of `Shape` or `Schedule`."""
    parser = argparse.ArgumentParser(prog="python -m engine.pretraining", description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True, help="folder with the xz-compressed shards")
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished model")
    parser.add_argument(
        "--work", type=Path, help="scratch folder: tokenizer, packed rows, checkpoint, metrics"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--no-compile", action="store_true", help="skip torch.compile (no C++ compiler here)")
    parser.add_argument(
        "--piece-minutes", type=float, default=math.inf, help="stop after this long; run again to go on"
    )
    parser.add_argument("--start-from", type=Path, help="folder of a starter of this shape to train on")
    parser.add_argument(
        "--card", action="store_true", help="do not train: measure the model in --out, write its card"
    )
    parser.add_argument(
        "--voices", type=Path, nargs="+", default=(), help="CSV files that the card tells of tuning on"
    )
    parser.add_argument("--earlier", type=Path, help="folder of a starter to stand beside it in the card")
    parser.add_argument("--keep-circles", action="store_true", help="do not teach it out of its circles")
    for knobs in (Shape(), Schedule()):
        for name, default in asdict(knobs).items():
            parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Train as the command line says, then measure the result and write its card."""
    options = read_arguments(arguments)
    values = vars(options)
    finished = options.card or train(
        options.corpus,
        options.out,
        options.work,
        Shape(**{name: values[name] for name in asdict(Shape())}),
        Schedule(**{name: values[name] for name in asdict(Schedule())}),
        seed=options.seed,
        device=options.device,
        compiled=not options.no_compile,
        piece_seconds=60 * options.piece_minutes,
        start_from=options.start_from,
        unlearning=None if options.keep_circles else Unlearning(),
    )
    if finished:
        from engine.starter_card import write_card

        write_card(options.out, options.corpus, options.earlier, options.voices)


if __name__ == "__main__":
    main()
