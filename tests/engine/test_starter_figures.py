"""The figures of the card: loops, variety and the unigram baseline are counted as they say."""

import math

import pytest
import torch
from transformers import AutoTokenizer

from engine.starter_figures import distinct_share, is_looping, repeated_share, unigram_nats
from engine.voice_figures import STARTER


def test_repetition_is_counted_over_runs_of_four_words():
    assert repeated_share("one two three four five") == 0
    assert repeated_share("go now go now go now go now") == pytest.approx(3 / 5)
    assert repeated_share("too short") == 0


def test_an_answer_loops_when_four_words_in_a_row_stand_a_third_time():
    once = "we are very sorry "
    assert not is_looping(once * 2)
    assert is_looping(once * 3)
    assert not is_looping("")


def test_variety_is_the_share_of_different_runs_over_all_answers_together():
    answers = [["a", "b", "a"], ["a", "b"]]
    assert distinct_share(answers, 1) == pytest.approx(2 / 5)
    assert distinct_share(answers, 2) == pytest.approx(2 / 3)
    assert distinct_share([], 2) == 0


def test_the_unigram_baseline_knows_frequencies_and_nothing_else():
    tokenizer = AutoTokenizer.from_pretrained(STARTER)
    rows = [{"text": "the the the the"}, {"prompt": "the", "completion": "the"}]
    nats = unigram_nats(tokenizer, rows)
    assert math.isclose(torch.exp(-nats).sum().item(), 1)
    the = tokenizer(" the", add_special_tokens=False)["input_ids"][0]
    assert nats[the] < nats[tokenizer.eos_token_id] < nats[tokenizer.pad_token_id]
