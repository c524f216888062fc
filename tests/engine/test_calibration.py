"""This machine is measured once per base model, and a measurement is used only where it holds."""

import csv
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.calibrating import Calibrator
from engine.calibration import Calibration, assume_calibration, find_calibration
from engine.contract.records import BUNDLED_MODEL, METHOD_NAMES, Example, Machine, Recipe, Settings
from engine.estimates import estimate_run
from engine.machine import read_machine
from engine.models.catalog import add_local_model
from engine.models.inspect import fingerprint, read_shape
from engine.token_counts import count_tokens
from engine.work import TokenLengths, Tokens
from engine.workspace import ASSETS, Workspace
from tests.base_models import SMALL_MODEL

OrderRun = Callable[..., Any]

ROOT = Path(__file__).parents[2]


Done = subprocess.CompletedProcess[str]


def calibrate(workspace: Workspace, model_folder: Path, fingerprint: str) -> Done:
    place = ["--workspace", str(workspace.root)]
    model = ["--model-folder", str(model_folder), "--fingerprint", fingerprint]
    return subprocess.run(
        [sys.executable, "-m", "engine.calibration", *place, *model],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def calibrated(
    tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path
) -> tuple[Workspace, Path, Machine]:
    """A workspace, the file that a real calibration with the tiny model left in it, and this machine."""
    workspace = Workspace(tmp_path_factory.mktemp("calibrated") / "workspace")
    workspace.create()
    name = fingerprint(tiny_model_folder)
    done = calibrate(workspace, tiny_model_folder, name)
    assert done.returncode == 0, done.stderr
    return workspace, workspace.calibrations / f"{name}.json", read_machine(workspace, calibrated=True)


def test_a_real_calibration_measures_every_method(calibrated: tuple[Workspace, Path, Machine]) -> None:
    _, file, machine = calibrated
    calibration = find_calibration(file, machine)
    assert calibration is not None
    assert calibration.measured
    assert set(calibration.rates) == set(METHOD_NAMES)
    for rates in calibration.rates.values():
        assert 0.01 < rates.startup_seconds < 60
        assert rates.training_flops_per_second > 1e6
        assert rates.evaluation_flops_per_second > 1e6
        assert 0 <= rates.step_seconds < 1
        assert rates.memory_overhead_bytes >= 0
    assert 0.5 < calibration.loading_seconds < 60
    assert 0 <= calibration.shape_seconds < 5
    assert calibration.resident_bytes > 100_000_000


def test_no_evaluation_that_is_timed_again_runs_the_frozen_layers(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine import probe
    from engine.evaluation import CompletionLoss

    run_frozen, time_action = CompletionLoss.run_frozen, probe._timed
    frozen: list[object] = []
    timed: list[int] = []

    def watch_frozen(loss: CompletionLoss, batch: Any) -> Any:
        frozen.append(batch)
        return run_frozen(loss, batch)

    def watch_time(action: Any) -> float:
        before = len(frozen)
        seconds = time_action(action)
        if action.__name__ == "evaluate":
            timed.append(len(frozen) - before)
        return seconds

    monkeypatch.setattr(CompletionLoss, "run_frozen", watch_frozen)
    monkeypatch.setattr(probe, "_timed", watch_time)
    probing = probe.Probe(tmp_path, tiny_model_folder, fingerprint(tiny_model_folder))
    probing.time_again("last-layers", probing.time_method("last-layers", 0))
    assert frozen
    # Of the first two, only the second counts.
    assert timed[1:] == [0, 0]


@pytest.mark.parametrize("with_start", [True, False])
def test_all_of_a_calibration_has_one_number_format_though_another_measurement_would_choose_the_other(
    with_start: bool, tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine import probe, training
    from engine.device import ChosenPrecision

    answers = iter([ChosenPrecision("fp32", "first"), ChosenPrecision("bf16", "second")])
    for module in (probe, training):
        monkeypatch.setattr(module, "choose_precision", lambda *_: next(answers))
    probing = probe.Probe(tmp_path, tiny_model_folder, fingerprint(tiny_model_folder))
    if with_start:
        start = probing.start()
        assert (start.precision, start.precision_reason) == ("fp32", "first")
    timing = probing.time_method("lora", 0)
    tries = {work: len(seconds) for work, seconds in timing.steps.items()}
    probing.time_again("lora", timing)
    assert {work: len(seconds) > tries[work] for work, seconds in timing.steps.items()} == dict.fromkeys(
        tries, True
    )


def test_a_calibration_leaves_nothing_but_its_file(calibrated: tuple[Workspace, Path, Machine]) -> None:
    workspace, file, _ = calibrated
    assert list(workspace.calibrations.iterdir()) == [file]
    assert list((workspace.root / "runs").iterdir()) == []


def test_a_calibrated_estimate_is_near_a_real_run(
    calibrated: tuple[Workspace, Path, Machine], tiny_model_folder: Path, order_run: OrderRun
) -> None:
    _, file, machine = calibrated
    calibration = find_calibration(file, machine)
    assert calibration is not None
    run = order_run("lora", early_stopping=False)
    lengths = TokenLengths(train=[Tokens(25, 28)] * 8, validation=[Tokens(25, 28)] * 2)
    told = estimate_run(
        read_shape(tiny_model_folder),
        run.order.recipe,
        lengths,
        calibration,
        Settings(),
        machine,
        [],
    )
    # No trainer stood ready for it.
    result = run.train()
    assert result.steps == told.steps
    assert told.peak_memory_bytes == pytest.approx(result.peak_memory_bytes, rel=0.5)
    # Other work on the machine may slow either down.
    assert told.seconds / 4 < result.seconds < (told.seconds + calibration.loading_seconds) * 4


def test_a_calibration_that_fails_leaves_no_file(workspace: Workspace, tiny_model_folder: Path) -> None:
    done = calibrate(workspace, tiny_model_folder, "0" * 64)
    assert done.returncode != 0
    assert list(workspace.calibrations.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [{"device_title": "Another processor"}, {"cores": 99}, {"device": "cuda"}],
    ids=["processor", "cores", "device"],
)
def test_a_calibration_of_another_machine_is_not_used(
    calibrated: tuple[Workspace, Path, Machine], change: dict[str, object]
) -> None:
    _, file, machine = calibrated
    assert find_calibration(file, machine.model_copy(update=change)) is None


@pytest.mark.parametrize("fact", [{"libraries": "torch 1.0"}, {"counting": 0}], ids=str)
def test_a_calibration_with_other_libraries_or_another_counting_is_not_used(
    fact: dict[str, Any], calibrated: tuple[Workspace, Path, Machine], tmp_path: Path
) -> None:
    _, file, machine = calibrated
    calibration = Calibration.model_validate_json(file.read_bytes())
    older = calibration.facts.model_copy(update=fact)
    copy = tmp_path / "older.json"
    copy.write_text(calibration.model_copy(update={"facts": older}).model_dump_json())
    assert find_calibration(copy, machine) is None


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"fingerprint": 1}', b"\xff\xfe"])
def test_a_missing_or_broken_file_is_no_calibration(
    content: bytes | None, tmp_path: Path, calibrated: tuple[Workspace, Path, Machine]
) -> None:
    file = tmp_path / "calibration.json"
    if content is not None:
        file.write_bytes(content)
    assert find_calibration(file, calibrated[2]) is None


def test_the_assumption_covers_every_method(calibrated: tuple[Workspace, Path, Machine]) -> None:
    assumed = assume_calibration(calibrated[2], weight_bytes=10**9)
    assert not assumed.measured
    assert set(assumed.rates) == set(METHOD_NAMES)
    assert assumed.resident_bytes > 10**9


def test_a_line_is_found_through_steps_of_several_lengths() -> None:
    from engine.probe import fit_line

    constant, rate = fit_line([(1e9, 0.03), (2e9, 0.05), (4e9, 0.09)])
    assert constant == pytest.approx(0.01)
    assert rate == pytest.approx(5e10)


@pytest.mark.parametrize(
    "points",
    [[(1e9, 0.05), (2e9, 0.04), (4e9, 0.03)], [(1e9, 0.01), (2e9, 0.05), (4e9, 0.2)], [(1e9, 0.1)]],
    ids=["longer was faster", "shorter was too fast", "one length only"],
)
def test_noise_never_makes_a_step_or_its_work_cost_less_than_nothing(
    points: list[tuple[float, float]],
) -> None:
    from engine.probe import fit_line

    constant, rate = fit_line(points)
    assert constant >= 0
    assert rate > 0


def test_steps_that_are_nearly_as_long_say_nothing_of_longer_ones() -> None:
    from engine.probe import fit_line

    # Of 135M parameters, a text at a time: the rows of all three had been rounded up to the same number.
    assert fit_line([(73e9, 0.40), (75e9, 0.401)]) == (0.0, pytest.approx(74e9 / 0.4005))


@pytest.mark.parametrize("parameters", [1_000_000, 20_000_000, 140_000_000])
def test_the_shortest_and_the_longest_step_differ_in_bf16(parameters: int) -> None:
    from engine import probe
    from engine.work import ROWS_MULTIPLE, round_up

    batch_size = min(8, probe.PARAMETERS_PER_BATCH["bf16"] // parameters)
    rows = [round_up(batch_size * words, ROWS_MULTIPLE["bf16"]) for words in probe.WORDS_PER_EXAMPLE]
    assert rows[-1] >= probe.LEAST_SPREAD * rows[0]


def test_time_that_passes_without_others_wanting_the_processor_counts() -> None:
    from engine.probe import _timed

    assert 0.04 < _timed(lambda: time.sleep(0.05)) < 1


@pytest.mark.slow
def test_estimates_of_the_small_model_are_within_a_factor_of_one_and_a_half(
    workspace: Workspace, order_run: OrderRun
) -> None:
    """Needs a calm machine and about two minutes."""
    model, rows = SMALL_MODEL, read_sample()
    assert calibrate(workspace, model, fingerprint(model)).returncode == 0
    machine = read_machine(workspace, calibrated=True)
    calibration = find_calibration(workspace.calibrations / f"{fingerprint(model)}.json", machine)
    counts = count_tokens(model, rows)
    lengths = TokenLengths.from_counts(counts, [row.split for row in rows])
    for method in METHOD_NAMES:
        recipe = Recipe(method=method, epochs=3, early_stopping=False)
        told = estimate_run(read_shape(model), recipe, lengths, calibration, Settings(), machine, [])
        run = order_run(method, rows)
        base = {"base_model_folder": model, "base_model_fingerprint": fingerprint(model)}
        run.order = run.order.model_copy(update={"recipe": told.recipe, **base})
        run.write_order()
        result = run.train(VOICEWRIGHT_CHECKPOINT_SECONDS="15", VOICEWRIGHT_PRECISION="")
        assert told.seconds / 1.5 < result.seconds < told.seconds * 1.5, method
        assert told.peak_memory_bytes == pytest.approx(result.peak_memory_bytes, rel=0.33), method


def read_sample() -> list[Example]:
    """The sample voice, every tenth row held out."""
    with (ASSETS / "samples" / "outdoor_shop_voice.csv").open(encoding="utf-8", newline="") as file:
        return [
            Example(
                prompt=row["Prompt"],
                completion=row["Text"],
                row=number + 2,
                split="validation" if number % 10 == 0 else "train",
            )
            for number, row in enumerate(csv.DictReader(file))
        ]


def test_a_bundled_model_that_is_not_unpacked_keeps_no_other_from_being_measured(
    workspace: Workspace, tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    name = add_local_model(workspace, tiny_model_folder).name
    calibrator = Calibrator(workspace)
    calibrator.want(BUNDLED_MODEL)
    calibrator.tick(idle=True)
    assert not calibrator.is_busy
    calibrator.want(name)
    calibrator.tick(idle=True)
    assert calibrator.is_busy
    calibrator.close()
