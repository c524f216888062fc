"""What the README claims is true: its tree names every module, its commands are the ones that CI runs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
START = "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/voicewright"
TEST = "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest"


def modules() -> set[str]:
    """Every module of the product that says something, as a path from the root."""
    files = [file for folder in ("studio", "pages", "engine") for file in (ROOT / folder).rglob("*.py")]
    return {file.relative_to(ROOT).as_posix() for file in files if file.name != "__init__.py"}


def tree() -> dict[str, str]:
    """Path -> phrase, as the README's tree draws them by indentation."""
    block = README.split("<!-- tree:")[1].split("```")[1]
    folders: list[str] = []
    found: dict[str, str] = {}
    for line in block.splitlines():
        match = re.fullmatch(r"( *)(\S+?)(/?)(?:  +(.+))?", line)
        if not match or not line.strip():
            continue
        indent, name, is_folder, phrase = match.groups()
        folders = folders[: len(indent) // 2]
        found["/".join([*folders, name])] = phrase or ""
        if is_folder:
            folders.append(name)
    return found


def test_the_tree_names_every_module_and_nothing_else() -> None:
    drawn = {path for path in tree() if path.endswith(".py")}
    assert drawn == modules()


def test_every_module_in_the_tree_has_its_phrase() -> None:
    assert [path for path, phrase in tree().items() if not phrase] == []


def test_every_folder_in_the_tree_exists() -> None:
    assert [path for path in tree() if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("command", [START, TEST])
def test_the_two_commands_stand_word_for_word(command: str) -> None:
    assert command in README.splitlines()


def test_ci_runs_the_readmes_test_command() -> None:
    assert TEST in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_every_picture_and_link_of_the_readme_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_nothing_but_the_agreed_names_stands_at_the_top() -> None:
    git = shutil.which("git")
    assert git, "the tree can only be compared in a git checkout"
    listed = subprocess.run([git, "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = {line.split("/")[0] for line in listed.stdout.splitlines() if not line.startswith(".")}
    agreed = {"pyproject.toml", "README.md", "LICENSE", "studio", "pages", "engine", "tests", "assets"}
    assert names <= agreed
