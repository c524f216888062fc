"""Teach a model out of its own circles: the last part of the starter's recipe.

A small model that is asked for its likeliest words says the same ones again. Here it answers prompts of its
training, each token with which an answer goes in a circle is made less likely, and beside that it goes on
learning from pairs: sequence-level unlikelihood (Welleck et al. 2020, arXiv 1908.04319, section 5.2). A
penalty at sampling would do the same for our sampler alone; this is in the weights, for everybody's.

Knows packed rows, a model and its tokenizer. Does not know files, checkpoints or the export.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from engine.corpus import PAIR_SHARES
from engine.packing import LEARNT, PROMPT, Mixture

IGNORED = -100
_RUN = 4
"""A run of so many tokens that stood earlier in the answer closes a circle, as in the looping share."""
_STUTTER = 3
"""A run of up to so many tokens said twice without a break is a stutter."""
_NEAR = 6
"""A word that comes again within so many tokens is one too many ("waterproof and waterproof")."""
_LONG_WORD = 4


@dataclass(frozen=True)
class Unlearning:
    """How long, and how hard. A step takes as many answers as `answers` and `pairs` rows of pairs."""

    steps: int = 70
    learning_rate: float = 2e-4
    warmup_steps: int = 20
    weight: float = 4.0
    """Of the unlikelihood, a mean over all tokens of the answers, beside the pairs' mean cross-entropy."""
    answers: int = 48
    answer_tokens: int = 100
    pairs: int = 16
    temperatures: tuple[float, ...] = (0.2, 0.4, 0.4, 0.7)

    def rate(self, step: int) -> float:
        """The learning rate of a step: a linear warm-up, then straight to zero."""
        return self.learning_rate * min((step + 1) / self.warmup_steps, 1 - step / self.steps)


def unlearn_circles(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    mixture: Mixture,
    plan: Unlearning,
    first_step: int,
    tell: Callable[[dict[str, float]], None],
) -> None:
    """Train `model` in place. Rows are drawn from `mixture` as of step `first_step` of its run.

    `tell` is given each step's number, loss on pairs, and share of the answers' tokens that closed a circle.
    """
    device = model.device
    model.set_attn_implementation("sdpa")
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    words = find_long_words(tokenizer)
    for step in range(plan.steps):
        rows, uses = mixture.draw(PAIR_SHARES, first_step + step, plan.pairs)
        drawn = mixture.draw(PAIR_SHARES, first_step + plan.steps + step, plan.answers)
        prompts = [next(split_prompts(*row)) for row in zip(*drawn, strict=True)]
        temperature = plan.temperatures[step % len(plan.temperatures)]
        sequences, marks, said = answer_and_mark(model, tokenizer, prompts, plan, temperature, words)
        targets = torch.from_numpy(rows[:, 1:]).masked_fill(torch.from_numpy(uses[:, 1:]) < LEARNT, IGNORED)
        model.train()
        with torch.autocast(device.type, torch.bfloat16):
            likely = mean_loss(model, torch.from_numpy(rows[:, :-1]).to(device), targets.to(device))
        torch.autograd.backward(likely)
        if marks.any():
            with torch.autocast(device.type, torch.bfloat16):
                unlikely = summed_unlikelihood(model, sequences, marks)
            torch.autograd.backward(plan.weight * unlikely / said)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = plan.rate(step)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        tell({"step": step, "loss": likely.item(), "circling": float(marks.sum()) / said})


def split_prompts(tokens: np.ndarray, uses: np.ndarray) -> Iterator[list[int]]:
    """The prompts of a packed row of pairs, each with its begin token and the opening of the answer."""
    starts = [at for at in range(len(uses)) if uses[at] == PROMPT and (at == 0 or uses[at - 1] != PROMPT)]
    for start in starts:
        end = start + int((uses[start:] != PROMPT).argmax()) if (uses[start:] != PROMPT).any() else len(uses)
        yield tokens[start:end].tolist()


def find_long_words(tokenizer: PreTrainedTokenizerFast) -> list[bool]:
    """For each token, whether it begins a word of some length: a space, then letters."""
    texts = [tokenizer.decode([token]) for token in range(len(tokenizer))]
    return [text[:1] == " " and text[1:].isalpha() and len(text) > _LONG_WORD for text in texts]


@torch.no_grad()
def answer_and_mark(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[list[int]],
    plan: Unlearning,
    temperature: float,
    long_words: Sequence[bool],
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Answers of the model as it is: (rows, length) ids, (rows, length - 1) marks, how many tokens were said.

    A row is padded at its end; marks belong to the token that the place predicts.
    """
    model.eval()
    longest = max(map(len, prompts))
    padded = [[tokenizer.pad_token_id] * (longest - len(prompt)) + prompt for prompt in prompts]
    ids = torch.tensor(padded, device=model.device)
    out = model.generate(
        input_ids=ids,
        attention_mask=(ids != tokenizer.pad_token_id).long(),
        max_new_tokens=plan.answer_tokens,
        do_sample=True,
        temperature=temperature,
        top_k=0,
        use_cache=True,
    )
    rows, marks, said = [], [], 0
    for prompt, answer in zip(prompts, out[:, longest:].tolist(), strict=True):
        if tokenizer.eos_token_id in answer:
            answer = answer[: answer.index(tokenizer.eos_token_id) + 1]
        rows.append(prompt + answer)
        marks.append([False] * (len(prompt) - 1) + mark_circles(answer, prompt, long_words))
        said += len(answer)
    length = max(map(len, rows))
    sequences = torch.tensor([row + [tokenizer.pad_token_id] * (length - len(row)) for row in rows])
    places = torch.tensor([row + [False] * (length - 1 - len(row)) for row in marks])
    return sequences.to(model.device), places.to(model.device), said


def mark_circles(answer: Sequence[int], prompt: Sequence[int], long_words: Sequence[bool]) -> list[bool]:
    """Which tokens of the answer close a circle; a run that the prompt has may come more than once."""
    allowed = {tuple(prompt[at : at + _RUN]) for at in range(len(prompt))}
    seen: set[tuple[int, ...]] = set()
    marks = []
    for at, token in enumerate(answer):
        run = tuple(answer[max(0, at - _RUN + 1) : at + 1])
        circle = len(run) == _RUN and run in seen and run not in allowed
        seen.add(run)
        stutter = any(
            at + 1 >= 2 * size and answer[at + 1 - size : at + 1] == answer[at + 1 - 2 * size : at + 1 - size]
            for size in range(1, _STUTTER + 1)
        )
        near = long_words[token] and token in answer[max(0, at - _NEAR) : at]
        marks.append(circle or stutter or near)
    return marks


def mean_loss(model: LlamaForCausalLM, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy in nats over the targets that count, (rows, length) each; logits there alone."""
    hidden = model.model(input_ids=inputs, use_cache=False).last_hidden_state
    counted = targets != IGNORED
    return cross_entropy(model.lm_head(hidden[counted]).float(), targets[counted])


def summed_unlikelihood(
    model: LlamaForCausalLM, sequences: torch.Tensor, marks: torch.Tensor
) -> torch.Tensor:
    """Sum of -log(1 - p) over the marked tokens, p being the model's probability of each, in nats."""
    hidden = model.model(input_ids=sequences[:, :-1], use_cache=False).last_hidden_state
    logits = model.lm_head(hidden[marks]).float()
    chosen = torch.log_softmax(logits, dim=-1).gather(1, sequences[:, 1:][marks][:, None])
    return -torch.log1p(-chosen.exp().clamp(max=1 - 1e-6)).sum()
