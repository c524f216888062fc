"""Gathers what an estimate rests on: the model's shape, the examples' tokens, this machine, past runs.

The figures themselves are the matter of `engine/estimates.py`. Does not know HTTP or processes.
"""

from collections.abc import Sequence

from engine.calibrating import Calibrator
from engine.calibration import find_calibration
from engine.contract.failures import EngineFailure
from engine.contract.records import Estimate, EstimateRequest, Example, Recipe, TokenCounts
from engine.dataset import read_examples
from engine.estimates import FinishedRun, estimate_run
from engine.models.catalog import get_model
from engine.models.inspect import fingerprint, read_shape
from engine.store import Store
from engine.token_counts import count_tokens
from engine.work import TokenLengths
from engine.workspace import Workspace


class Planner:
    """Answers what a recipe would take, before anything starts."""

    def __init__(self, workspace: Workspace, store: Store, calibrator: Calibrator) -> None:
        self._workspace = workspace
        self._store = store
        self._calibrator = calibrator

    def count_tokens(self, base_model: str, examples: Sequence[Example]) -> TokenCounts:
        return count_tokens(get_model(self._workspace, base_model), examples)

    def estimate(self, request: EstimateRequest) -> list[Estimate]:
        """One per recipe, in their order."""
        examples = self._examples(request)
        lengths = {
            base_model: self._lengths(base_model, examples)
            for base_model in {recipe.base_model for recipe in request.recipes}
        }
        return [
            self._estimate(recipe, lengths[recipe.base_model], request.measures) for recipe in request.recipes
        ]

    def _examples(self, request: EstimateRequest) -> list[Example]:
        if request.dataset_id is not None:
            self._store.get_dataset(request.dataset_id)
            return read_examples(self._workspace.dataset(request.dataset_id))
        if not request.examples:
            raise EngineFailure(
                "bad_request", "There are no examples to estimate with.", "", "Upload some examples first."
            )
        return request.examples

    def _lengths(self, base_model: str, examples: Sequence[Example]) -> TokenLengths:
        counts = self.count_tokens(base_model, examples)
        return TokenLengths.from_counts(counts, [example.split for example in examples])

    def _estimate(self, recipe: Recipe, lengths: TokenLengths, measures: bool) -> Estimate:
        folder = get_model(self._workspace, recipe.base_model)
        machine = self._calibrator.machine(recipe.base_model)
        if measures and not machine.calibrated:
            self._calibrator.want(recipe.base_model)
        return estimate_run(
            shape=read_shape(folder),
            recipe=recipe,
            lengths=lengths,
            calibration=find_calibration(self._calibrator.file(recipe.base_model), machine),
            settings=self._store.get_settings(),
            machine=machine,
            history=self._history(),
        )

    def _history(self) -> list[FinishedRun]:
        """Newest first; a run whose base model is gone teaches nothing any more."""
        finished = []
        for run in reversed(self._store.runs_in(["succeeded"])):
            try:
                folder = get_model(self._workspace, run.recipe.base_model)
                taught = FinishedRun.from_run(run, fingerprint(folder))
            except EngineFailure:
                continue
            finished += [taught] if taught else []
        return finished
