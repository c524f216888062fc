"""When a run evaluates, on which rows, with which learning rate, and when it has learnt enough.

Pure arithmetic on a recipe and counts; torch is not imported, since estimates count the same plan.
"""

import math
from collections.abc import Sequence

from engine.contract.records import Recipe
from engine.methods.flops import Flops

MIN_EVALUATIONS = 10
EVALUATIONS_PER_EPOCH = 2
EVALUATION_SHARE = 0.2
"""Evaluations cost at most this share of the work of training."""
MIN_VALIDATION_ROWS = 16
PATIENCE = 4
"""Evaluations in a row without a new best, two epochs, after which it only copies the examples."""
_WARM_UP_SHARE, _MOST_WARM_UP_STEPS = 0.1, 50
_LAST_LEARNING_RATE = 0.05


def count_steps(examples: int, recipe: Recipe) -> int:
    return math.ceil(examples / (recipe.batch_size or 1)) * (recipe.epochs or 1)


def evaluation_steps(steps: int, epochs: int) -> list[int]:
    """After which optimizer steps to evaluate, evenly spread to the last; step 0 comes besides."""
    count = min(steps, max(MIN_EVALUATIONS, EVALUATIONS_PER_EPOCH * epochs))
    return sorted({round(steps * number / count) for number in range(1, count + 1)})


def choose_validation_rows(
    train: Sequence[tuple[int, int]],
    validation: Sequence[tuple[int, int]],
    recipe: Recipe,
    flops: Flops,
) -> list[int]:
    """Rows of the validation split to evaluate: all, or evenly spread ones within EVALUATION_SHARE.

    `train` and `validation` hold (tokens, learnt tokens) of each example.
    """
    epochs = recipe.epochs or 1
    training = epochs * sum(flops.training(*example) for example in train)
    times = len(evaluation_steps(count_steps(len(train), recipe), epochs)) + 1
    one_pass = sum(flops.evaluation(*example) for example in validation)
    share = EVALUATION_SHARE * training / (times * one_pass) if one_pass else 1.0
    count = min(len(validation), max(MIN_VALIDATION_ROWS, int(len(validation) * share)))
    return [number * len(validation) // count for number in range(count)] if count else []


def learning_rate_at(step: int, steps: int, peak: float) -> float:
    """Of optimizer step 1, 2, … `steps`: a short linear warm-up, then half a cosine down to a twentieth."""
    warm_up = max(1, min(_MOST_WARM_UP_STEPS, round(steps * _WARM_UP_SHARE)))
    if step <= warm_up:
        return peak * step / warm_up
    progress = (step - warm_up) / max(1, steps - warm_up)
    cosine = (1 + math.cos(math.pi * progress)) / 2
    return peak * (_LAST_LEARNING_RATE + (1 - _LAST_LEARNING_RATE) * cosine)
