"""Removes runs and projects for good: first the row says that it goes, then its files go, then the row.

A crash in between leaves a row that the next look finds again, never half a folder that is listed. Does not
know why something is removed.
"""

import logging
import shutil

from engine.contract.records import FINAL_STATES, Run
from engine.exporting import EXPORT, Exporter
from engine.processes import is_locked, kill_module
from engine.store import Store
from engine.workspace import RunFolder, Workspace

log = logging.getLogger(__name__)


class Remover:
    """Takes away what nobody wants any more, once nobody uses it."""

    def __init__(self, workspace: Workspace, store: Store, exporter: Exporter) -> None:
        self._workspace = workspace
        self._store = store
        self._exporter = exporter

    def remove_run(self, run: Run) -> None:
        if run.state not in FINAL_STATES or self._exporter.release(run.id):
            return
        folder = self._workspace.run(run.id)
        if is_locked(folder.lock):
            kill_module(EXPORT, str(folder.root))
            return
        self._store.mark_run_removed(run.id)
        try:
            _remove_tree(folder)
        except OSError as error:
            log.warning("the files of run %s cannot be removed yet: %s", run.id, error.strerror)
            return
        self._store.forget_run(run.id)

    def remove_projects(self) -> None:
        """Those whose runs are gone already."""
        for project_id, dataset_ids in self._store.removed_projects().items():
            for dataset_id in dataset_ids:
                self._workspace.dataset(dataset_id).unlink(missing_ok=True)
            self._store.forget_project(project_id)


def _remove_tree(folder: RunFolder) -> None:
    """The folder, or the link that stands in its place; what a link points to is not ours."""
    if folder.root.is_symlink():
        folder.root.unlink()
    elif folder.root.exists():
        shutil.rmtree(folder.root)
