"""A detected value travels with its reason, and a gain within the noise changes nothing."""

import pytest
import torch

from engine.device import (
    Device,
    autocast,
    choose_precision,
    detect_device,
    environment,
    peak_memory_bytes,
    time_product,
)

CPU = Device("cpu", "a test")


def test_the_device_says_why() -> None:
    assert detect_device().reason


@pytest.mark.parametrize(("brief", "expected"), [(0.005, "bf16"), (0.019, "fp32"), (0.04, "fp32")])
def test_bf16_is_taken_only_where_it_is_clearly_faster(
    brief: float, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VOICEWRIGHT_PRECISION", raising=False)
    seconds = {"fp32": 0.02, "bf16": brief}
    monkeypatch.setattr("engine.device.time_product", lambda precision, *sizes: seconds[precision])
    chosen = choose_precision(CPU, 64, 128)
    assert chosen.name == expected
    assert "µs in bf16" in chosen.reason


def test_a_larger_product_takes_longer() -> None:
    assert time_product("fp32", 1024, 4096) > time_product("fp32", 64, 64) > 0


def test_an_order_overrules_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEWRIGHT_PRECISION", "bf16")
    seconds = {"fp32": 0.0, "bf16": 1.0}
    monkeypatch.setattr("engine.device.time_product", lambda precision, *sizes: seconds[precision])
    assert choose_precision(CPU, 64, 128).name == "bf16"


def test_autocast_keeps_the_weights_as_they_are() -> None:
    layer = torch.nn.Linear(4, 4)
    with autocast(CPU, "bf16"):
        assert layer(torch.ones(1, 4)).dtype == torch.bfloat16
    assert layer.weight.dtype == torch.float32


def test_the_environment_tells_threads_and_precision_apart() -> None:
    assert environment(CPU, "fp32") != environment(CPU, "bf16")
    assert environment(CPU, "fp32")["threads"] == torch.get_num_threads()


def test_peak_memory_is_at_least_what_the_libraries_take() -> None:
    assert peak_memory_bytes(CPU) > 100 * 2**20
