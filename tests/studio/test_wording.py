"""Numbers are said as a person says them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.wording import (
    render_bytes,
    render_count,
    render_duration,
    render_duration_range,
    render_list,
    render_money_range,
    render_percent,
    render_rows,
)


@pytest.mark.parametrize(
    ("seconds_range", "said"),
    [
        ((0, 0), "a few seconds"),
        ((2, 4), "a few seconds"),
        ((3, 12), "about 5–10 seconds"),
        ((38, 42), "about 40 seconds"),
        ((50, 95), "about 1–2 minutes"),
        ((55, 80), "about 55–80 seconds"),
        ((240, 370), "about 4–6 minutes"),
        ((170, 190), "about 3 minutes"),
        ((130, 100), "about 2 minutes"),
        ((3500, 3700), "about 58–62 minutes"),
        ((5000, 12000), "about 1.5–3.5 hours"),
        ((20000, 40000), "about 6–11 hours"),
    ],
)
def test_durations_are_ranges_without_false_precision(seconds_range: tuple[float, float], said: str) -> None:
    assert render_duration_range(seconds_range) == said


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_any_duration_can_be_said(low: float, high: float) -> None:
    assert render_duration_range((low, high)).startswith(("about ", "a few "))


def test_one_duration_is_said_once() -> None:
    assert render_duration(61) == "about 60 seconds"
    assert render_duration(600) == "about 10 minutes"


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, "1 byte"),
        (512, "512 bytes"),
        (4_200, "4.2 KB"),
        (999_999, "1.0 MB"),
        (86_000_000, "86 MB"),
        (1.2e9, "1.2 GB"),
        (16.5e9, "16 GB"),
    ],
)
def test_bytes_are_said_in_the_unit_people_know(count: float, said: str) -> None:
    assert render_bytes(count) == said


@pytest.mark.parametrize(
    ("amounts", "currency", "said"),
    [
        ((0, 0), "€", "nothing"),
        ((0.0001, 0.004), "€", "less than a cent"),
        ((0.0001, 0.004), "£", "less than a penny"),
        ((0.0001, 0.004), "CHF", "less than 0.01 CHF"),
        ((0.001, 0.03), "$", "up to $0.03"),
        ((0.02, 0.05), "€", "about €0.02–0.05"),
        ((3, 3), "CHF", "about 3.00 CHF"),
        ((12.4, 18.2), "€", "about €12–18"),
    ],
)
def test_money_is_said_as_it_is_paid(amounts: tuple[float, float], currency: str, said: str) -> None:
    assert render_money_range(amounts, currency) == said


def test_counts_rows_lists_and_shares() -> None:
    assert render_count(1, "example") == "1 example"
    assert render_count(1204, "example") == "1,204 examples"
    assert render_rows([4]) == "row 4"
    assert render_rows([3, 7, 12]) == "rows 3, 7 and 12"
    assert render_rows(list(range(2, 45))) == "rows 2, 3, 4, 5, 6 and 38 more"
    assert render_list(["a", "b"], "or") == "a or b"
    assert render_percent(0.314) == "31\u00a0%"
    assert render_percent(0.001) == "less than 1\u00a0%"
