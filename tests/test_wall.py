"""The wall between what shows and what computes: the UI never imports torch, the engine never streamlit."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FORBIDDEN = {
    "studio": {"torch", "transformers", "peft", "sqlite3", "sqlite_utils", "pysqlite3"},
    "pages": {"torch", "transformers", "peft", "sqlite3", "sqlite_utils", "pysqlite3"},
    "engine": {"streamlit", "studio"},
}


def imported_names(file: Path) -> set[str]:
    """Full dotted names that `file` imports anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def files_of(folder: str) -> list[Path]:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files, f"{folder} has no modules"
    return files


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_no_module_reaches_through_the_wall(folder: str) -> None:
    for file in files_of(folder):
        roots = {name.split(".")[0] for name in imported_names(file)}
        assert not roots & FORBIDDEN[folder], f"{file.name} imports {roots & FORBIDDEN[folder]}"


@pytest.mark.parametrize("folder", ["studio", "pages"])
def test_the_ui_knows_the_engine_by_its_contract_alone(folder: str) -> None:
    for file in files_of(folder):
        engine = {name for name in imported_names(file) if name.split(".")[0] == "engine"}
        beyond = {
            name for name in engine if not f"{name}.".startswith("engine.contract.") and name != "engine"
        }
        assert not beyond, f"{file.name} imports {beyond}"


@pytest.mark.parametrize(
    "module", ["studio.terminal", "studio.engine_process", "engine.__main__", "engine.server"]
)
def test_neither_the_studio_nor_the_supervisor_loads_torch(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'torch', 'transformers', 'peft'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_pages_do_not_import_each_other() -> None:
    for file in files_of("pages"):
        assert not {name for name in imported_names(file) if name.split(".")[0] == "pages"}


def test_only_one_module_of_the_studio_touches_the_session_bag() -> None:
    users = [
        file.relative_to(ROOT).as_posix()
        for folder in ("studio", "pages")
        for file in files_of(folder)
        if "session_state" in file.read_text(encoding="utf-8")
    ]
    assert users == ["studio/ui/session.py"]
