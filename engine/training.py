"""One attempt at a run, top to bottom, in a process of its own.

    order.json -> base model and method -> steps, evaluations, checkpoints -> the best weights as artefact
               -> result.json

Speaks through files and its stdin (`run_files.py`), and leaves at the next step when that says so or ends.
The engine's trainers come here from `trainer.py`; by hand it is `python -m engine.training RUN_FOLDER`. Does
not know the database, the studio, or which other runs there are.
"""

import math
import os
import random
import shutil
import signal
import sys
import time
import traceback
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import torch
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from engine import checkpoints, faults, schedule
from engine.activation_checkpointing import checkpoint_activations, free_bytes, needs_checkpointing
from engine.activations import Activations
from engine.batches import Batch, make_batch, plan_epoch, plan_evaluation, read_examples, sizes, tokenize
from engine.brief import encode_brief
from engine.contract.failures import EngineFailure
from engine.contract.records import Metric, Split
from engine.device import ChosenPrecision, choose_precision, detect_device, environment, peak_memory_bytes
from engine.evaluation import CompletionLoss, validation_loss
from engine.journal import Commands, Journal
from engine.machine import Precision
from engine.methods import get_method, max_example_tokens
from engine.mishaps import DivergedError, explain
from engine.models.inspect import fingerprint, read_shape
from engine.models.load import load_base, load_tokenizer
from engine.run_files import Order, Result
from engine.spinning import spin_while_free
from engine.work import Computing
from engine.workspace import RunFolder, publish_folder, write_durably

StoppedBecause = Literal["finished", "early_stopping", "stopped"]
Left = Literal["paused", "cancelled", "interrupted"]
Outcome = Literal["succeeded", "paused", "cancelled", "interrupted", "failed"]

MAX_GRADIENT_NORM = 1.0
WEIGHT_DECAY = 0.01
CHECKPOINT_SECONDS = 15.0
CHECKPOINT_SHARE = 0.05
"""Checkpoints take at most this share of the time."""
CHECKPOINT_BYTES_PER_SECOND = 400e6
"""Assumed until the first one has been timed: to the disk, and read again for its digest."""
RECENT = 50
"""Steps whose median duration says how long the rest will take."""


@dataclass
class Progress:
    """Where a run stands: all that a checkpoint keeps besides tensors."""

    precision: Precision = "fp32"
    precision_reason: str = ""
    step: int = 0
    evaluated_step: int = -1
    train_loss: float | None = None
    base_loss: float | None = None
    best_loss: float | None = None
    best_step: int | None = None
    worse_in_a_row: int = 0
    training_seconds: float = 0.0
    working_seconds: float = 0.0
    peak_memory_bytes: int = 0
    exact: bool = True
    step_seconds: list[float] = field(default_factory=list)
    evaluation_seconds: list[float] = field(default_factory=list)


class Attempt:
    """One process's part of a run: from its beginning or newest checkpoint to its end or interruption."""

    def __init__(
        self,
        folder: RunFolder,
        order: Order,
        commands: Commands,
        journal: Journal,
        begun: float | None = None,
        chosen: ChosenPrecision | None = None,
    ) -> None:
        """`chosen`: the number format, if it has been measured already."""
        self.folder, self.order, self.recipe = folder, order, order.recipe
        self.commands, self.journal, self.chosen = commands, journal, chosen
        self.method = get_method(order.recipe.method)
        self.device = detect_device()
        self.progress = Progress()
        self.best: checkpoints.Tensors = {}
        self.begun = time.monotonic() if begun is None else begun
        self.earlier_seconds = 0.0
        self.first_step_at = self.saved_at = self.begun
        self.plans: dict[int, list[list[int]]] = {}
        self.activations: dict[Split, Activations] = {}

    # --- the story ------------------------------------------------------------------------------------

    def run(self) -> Result:
        self.journal.write(phase="preparing")
        self.prepare()
        self.resume()
        self.journal.write(steps=self.steps)
        self.journal.write(phase="training")
        ending = self.learn()
        if ending == "cancelled":
            return self.result(ending)
        self.save_checkpoint()
        if ending == "paused" or ending == "interrupted":
            return self.result(ending)
        self.journal.write(phase="finishing")
        self.publish_best()
        return self.result("succeeded", stopped_because=ending)

    def learn(self) -> StoppedBecause | Left:
        """Steps and evaluations until the plan is done, the curve has turned, or the supervisor speaks."""
        self.first_step_at = self.saved_at = time.monotonic()
        self.first_step_at -= self.progress.training_seconds
        while True:
            if told := self.heed_command():
                return told
            if self.evaluation_is_due():
                self.evaluate()
            elif self.recipe.early_stopping and self.progress.worse_in_a_row >= schedule.PATIENCE:
                return "early_stopping"
            elif self.progress.step >= self.steps:
                return "finished"
            else:
                self.take_step()
                self.save_checkpoint_if_due()

    def heed_command(self) -> Literal["stopped"] | Left | None:
        match self.commands.latest:
            case "cancel":
                return "cancelled"
            case "pause":
                return "paused"
            case "gone":
                return "interrupted"
            case "stop" if self.progress.step > 0:
                if self.validation and self.progress.best_step is None:
                    self.evaluate()
                return "stopped"
        return None

    # --- preparing ------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Examples as batches, the base with its method around it, an optimizer."""
        base_folder = self.order.base_model_folder
        if fingerprint(base_folder) != self.order.base_model_fingerprint:
            raise EngineFailure(
                "model_unusable",
                "The base model's files have changed since this run was ordered.",
                "Your examples and settings are safe.",
                "Start a new run.",
            )
        self.read_data(base_folder)
        seed_everything(self.recipe.seed)
        faults.reach("model_load")
        model = self.method.prepare_model(load_base(base_folder), self.recipe, self.words)
        self.model = model.to(self.device.torch).train()
        self.learnt = {name: value for name, value in self.model.named_parameters() if value.requires_grad}
        self.optimizer = torch.optim.AdamW(
            self.learnt.values(), betas=(0.9, 0.99), weight_decay=WEIGHT_DECAY, fused=True
        )
        self.loss = CompletionLoss(self.model, self.device, self.progress.precision)
        # Beside the weights the optimizer keeps two numbers for each.
        checkpoint_bytes = 3 * sum(value.nbytes for value in self.learnt.values())
        self.checkpoint_interval = checkpoint_interval(checkpoint_bytes / CHECKPOINT_BYTES_PER_SECOND)

    def read_data(self, base_folder: Path) -> None:
        tokenizer, self.shape = load_tokenizer(base_folder), read_shape(base_folder)
        examples = read_examples(self.order.dataset_file)
        window = max_example_tokens(self.shape.window_tokens, self.recipe)
        self.train = tokenize(tokenizer, examples, "train", window)
        self.held_out = tokenize(tokenizer, examples, "validation", window)
        if not len(self.train):
            raise EngineFailure("too_few_examples", "No example is left to learn from.")
        self.pad_id = tokenizer.pad_token_id or 0
        self.words = encode_brief(
            tokenizer,
            self.order.brief,
            [example for example in examples if example.split == "train"],
            self.recipe.virtual_tokens or 0,
        )
        self.train_sizes = sizes(self.train)
        rows = schedule.choose_validation_rows(
            self.train_sizes,
            sizes(self.held_out),
            self.recipe,
            self.method.count_flops(self.shape, self.recipe),
        )
        self.validation = plan_evaluation(self.held_out, rows)
        self.steps = schedule.count_steps(len(self.train), self.recipe)
        self.evaluation_steps = schedule.evaluation_steps(self.steps, self.epochs)

    @property
    def epochs(self) -> int:
        return self.recipe.epochs or 1

    @property
    def steps_per_epoch(self) -> int:
        return self.steps // self.epochs

    def resume(self) -> None:
        """Go on from the newest checkpoint that verifies, or measure and begin."""
        for left in self.folder.root.glob(".artefact-*"):
            shutil.rmtree(left)
        found = checkpoints.load_newest_checkpoint(self.folder.checkpoints, self.identity())
        if found is None:
            chosen = self.chosen or choose_precision(
                self.device, self.shape.hidden_size, self.shape.intermediate_size
            )
            self.progress.precision, self.progress.precision_reason = chosen.name, chosen.reason
        else:
            self.restore(found)
            self.journal.write(resumed_from_step=found.step)
        self.loss.precision = self.progress.precision
        self.spare_memory()
        self.keep_activations()

    def spare_memory(self) -> None:
        """Where the layers' activations would find no room, have them computed a second time instead."""
        computing = Computing.on(self.device.kind, self.shape, self.progress.precision)
        held_out = sizes(self.held_out)
        free = free_bytes(self.device)
        if needs_checkpointing(self.shape, self.recipe, self.train_sizes, held_out, computing, free):
            checkpoint_activations(self.model)

    def keep_activations(self) -> None:
        """Where layers are frozen from the bottom up, each text goes through them once."""
        if self.loss.frozen_layers:
            keep = partial(Activations, self.loss, pad_id=self.pad_id, folder=self.folder.root)
            self.activations["train"] = keep(self.train, self.plan(0))
            self.activations["validation"] = keep(self.held_out, self.validation)

    def identity(self) -> dict[str, Any]:
        """What a checkpoint must share with this attempt to be of the same run."""
        return {
            "format": checkpoints.FORMAT,
            "recipe": self.recipe.model_dump(),
            "base_model": self.order.base_model_fingerprint,
            "dataset": self.order.dataset_fingerprint,
            "brief": self.order.brief,
        }

    def restore(self, found: checkpoints.Checkpoint) -> None:
        checkpoints.restore_tensors(self.learnt, found.tensors["weights"])
        checkpoints.restore_optimizer(self.optimizer, self.learnt, found.tensors["optimizer"])
        checkpoints.restore_random(found.tensors["random"])
        self.best = found.tensors["best"]
        self.progress = Progress(**found.state["progress"])
        self.earlier_seconds = self.progress.working_seconds
        if found.state["environment"] != environment(self.device, self.progress.precision):
            self.progress.exact = False

    # --- learning -------------------------------------------------------------------------------------

    def take_step(self) -> None:
        """One optimizer step on the next batch, told to the journal."""
        begun = time.monotonic()
        progress = self.progress
        batch = self.batch_after(progress.step)
        rate = schedule.learning_rate_at(progress.step + 1, self.steps, self.recipe.learning_rate or 1e-3)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if not self.model.training:
            # After an evaluation alone: it goes through every module.
            self.model.train()
        loss = self.loss(batch) / batch.targets.numel()
        if faults.reach("step"):
            loss = loss * math.nan
        torch.autograd.backward(loss)
        norm = get_total_norm([weight.grad for weight in self.learnt.values() if weight.grad is not None])
        if norm > MAX_GRADIENT_NORM:
            clip_grads_with_norm_(self.learnt.values(), MAX_GRADIENT_NORM, norm)
        progress.train_loss = loss.item()
        if not (math.isfinite(progress.train_loss) and math.isfinite(norm.item())):
            raise DivergedError(progress.step + 1)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        progress.step += 1
        remember(progress.step_seconds, time.monotonic() - begun)
        self.tell(progress.train_loss, learning_rate=rate)

    def batch_after(self, step: int) -> Batch:
        """The batch of step `step` + 1: the same for a run that was resumed."""
        epoch, position = divmod(step, self.steps_per_epoch)
        return self.make_batch("train", self.plan(epoch)[position])

    def plan(self, epoch: int) -> list[list[int]]:
        if epoch not in self.plans:
            lengths = [tokens for tokens, _ in self.train_sizes]
            self.plans = {epoch: plan_epoch(lengths, self.recipe.batch_size or 1, self.recipe.seed, epoch)}
        return self.plans[epoch]

    def make_batch(self, split: Split, rows: list[int]) -> Batch:
        if split in self.activations:
            return self.activations[split].make_batch(rows)
        return make_batch(self.train if split == "train" else self.held_out, rows, self.pad_id)

    def evaluation_is_due(self) -> bool:
        step = self.progress.step
        planned = step == 0 or step in self.evaluation_steps
        return bool(self.validation) and planned and self.progress.evaluated_step < step

    def evaluate(self) -> None:
        """The validation loss at this step, at step 0 of the base; nothing if told to leave meanwhile."""
        begun = time.monotonic()
        progress = self.progress
        with self.loss.untouched_base() if progress.step == 0 else nullcontext():
            batches = (self.make_batch("validation", rows) for rows in self.validation)
            loss = validation_loss(self.loss, batches, give_up=self.commands.is_urgent)
        if loss is None:
            return
        if progress.step and not math.isfinite(loss):
            raise DivergedError(progress.step)
        progress.evaluated_step = progress.step
        remember(progress.evaluation_seconds, time.monotonic() - begun)
        if progress.step == 0:
            progress.base_loss = loss
        else:
            self.judge(loss)
        self.tell(progress.train_loss, validation_loss=loss)

    def judge(self, loss: float) -> None:
        """Keep these weights if they are the best so far, else count towards stopping early."""
        progress = self.progress
        if progress.best_loss is None or loss < progress.best_loss:
            progress.best_loss, progress.best_step, progress.worse_in_a_row = loss, progress.step, 0
            self.best = checkpoints.copy_tensors(self.learnt)
        else:
            progress.worse_in_a_row += 1

    def tell(self, train_loss: float | None, **figures: float) -> None:
        metric = Metric(
            attempt=self.order.attempt,
            step=self.progress.step,
            epoch=self.progress.step / self.steps_per_epoch,
            train_loss=train_loss,
            seconds=time.monotonic() - self.first_step_at,
            **figures,
        )
        self.journal.write(metric=metric, seconds_left=self.seconds_left())

    def seconds_left(self) -> float | None:
        """Steps and evaluations still planned, at the median pace of the recent ones of all attempts."""
        progress = self.progress
        if not progress.step_seconds:
            return None
        steps = (self.steps - progress.step) * median(progress.step_seconds)
        evaluations = sum(1 for step in self.evaluation_steps if step > progress.evaluated_step)
        return steps + evaluations * median(progress.evaluation_seconds or [0.0])

    # --- keeping --------------------------------------------------------------------------------------

    def save_checkpoint_if_due(self) -> None:
        if time.monotonic() - self.saved_at >= self.checkpoint_interval:
            begun = time.monotonic()
            self.save_checkpoint()
            self.saved_at = time.monotonic()
            self.checkpoint_interval = checkpoint_interval(self.saved_at - begun)

    def save_checkpoint(self) -> None:
        progress = self.progress
        progress.training_seconds = time.monotonic() - self.first_step_at
        progress.working_seconds = self.working_seconds()
        progress.peak_memory_bytes = self.peak_memory_bytes()
        tensors = {
            "weights": self.learnt,
            "optimizer": checkpoints.optimizer_tensors(self.optimizer, self.learnt),
            "random": checkpoints.random_tensors(),
            "best": self.best,
        }
        state = {
            **self.identity(),
            "progress": asdict(progress),
            "environment": environment(self.device, progress.precision),
        }
        checkpoints.save_checkpoint(
            self.folder.checkpoints, progress.step, self.order.attempt, tensors, state
        )

    def publish_best(self) -> None:
        """The best weights as the method's artefact, there at once or not at all."""
        if self.best:
            checkpoints.restore_tensors(self.learnt, self.best)
        writing = self.folder.root / f".artefact-{os.getpid()}"
        self.method.save_artefact(self.model, self.order.base_model_folder, writing)
        publish_folder(writing, self.folder.artefact)

    # --- telling how it ended -------------------------------------------------------------------------

    def result(self, outcome: Outcome, **facts: Any) -> Result:
        progress = self.progress
        return Result(
            attempt=self.order.attempt,
            outcome=outcome,
            steps=progress.step,
            best_step=progress.best_step,
            validation_loss_base=progress.base_loss,
            validation_loss=progress.best_loss,
            seconds=self.working_seconds(),
            peak_memory_bytes=self.peak_memory_bytes(),
            exact_resume=progress.exact,
            **facts,
        )

    def failed(self, error: Exception) -> Result:
        """What the error means; the checkpoints from before it stay."""
        checkpoints.remove_unfinished(self.folder.checkpoints)
        return self.result("failed", failure=explain(error, self.recipe))

    def working_seconds(self) -> float:
        return self.earlier_seconds + time.monotonic() - self.begun

    def peak_memory_bytes(self) -> int:
        return max(self.progress.peak_memory_bytes, peak_memory_bytes(self.device))


def checkpoint_interval(cost_seconds: float) -> float:
    """Seconds until the next checkpoint, which will cost so many; tests ask for one after every step."""
    ordered = os.environ.get("VOICEWRIGHT_CHECKPOINT_SECONDS")
    return float(ordered) if ordered else max(CHECKPOINT_SECONDS, cost_seconds / CHECKPOINT_SHARE)


def remember(durations: list[float], seconds: float) -> None:
    durations.append(seconds)
    del durations[:-RECENT]


def seed_everything(seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


def train(folder: RunFolder, begun: float) -> None:
    """The attempt that is ordered in the folder; its working time counts from `begun`."""
    order = Order.model_validate_json(folder.order.read_bytes())
    commands = Commands()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: commands.leave())
    attempt = Attempt(folder, order, commands, Journal(folder.journal, order.attempt), begun)
    try:
        with spin_while_free():
            result = attempt.run()
    except Exception as error:
        traceback.print_exc()
        result = attempt.failed(error)
    faults.reach("result_write")
    write_durably(folder.result, result.model_dump_json().encode())


if __name__ == "__main__":
    train(RunFolder(Path(sys.argv[1])), time.monotonic())
