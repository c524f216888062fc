"""The `voicewright` command as a person meets it: opens once per folder, ends in order, explains itself."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from engine.contract.records import NewProject
from studio import server
from studio.engine_client import connect
from studio.engine_process import is_running

READY = re.compile(r"open at (http://127\.0\.0\.1:\d+)")


def launch(workspace: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "studio", "--no-browser", "--workspace", str(workspace), *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "400"})


def wait_until_open(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if found := READY.search(line):
            return found[1]
    raise AssertionError(f"it did not open; exit code {process.wait()}")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str, Path]]:
    workspace = tmp_path / "workspace"
    process = launch(workspace, "--port", "0")
    try:
        yield process, wait_until_open(process), workspace
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def test_the_studio_opens_serves_its_page_and_ends_with_its_engine(
    running: tuple[subprocess.Popen[str], str, Path],
) -> None:
    process, url, workspace = running
    assert httpx.get(url).status_code == 200
    assert "default-src 'self'" in httpx.get(url).headers["content-security-policy"]
    assert is_running(connect(workspace))
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    assert not is_running(connect(workspace))
    assert not (workspace / "studio.json").exists()


def test_a_second_start_on_the_same_folder_points_to_the_first(
    running: tuple[subprocess.Popen[str], str, Path],
) -> None:
    _, url, workspace = running
    second = launch(workspace)
    _, said = second.communicate(timeout=60)
    assert second.returncode == 0
    assert f"already open for this folder: {url}" in said


def test_a_killed_engine_is_back_within_seconds_with_everything_in_it(
    running: tuple[subprocess.Popen[str], str, Path],
) -> None:
    _, _, workspace = running
    client = connect(workspace)
    project = client.create_project(NewProject(name="Kept"))
    engine_pid = int(re.findall(r'"pid": ?(\d+)', (workspace / "engine.json").read_text())[0])
    os.kill(engine_pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while not is_running(client) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [kept.id for kept in client.projects()] == [project.id]


def test_a_taken_port_is_said_and_nothing_is_left_running(tmp_path: Path) -> None:
    with server.bind(0) as stranger:
        port = stranger.getsockname()[1]
        process = launch(tmp_path / "workspace", "--port", str(port))
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.strip() == f"Port {port} is taken by another program. Choose another one with --port."
    assert not is_running(connect(tmp_path / "workspace"))


def test_a_folder_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    process = launch(tmp_path / "file" / "workspace")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "cannot be used" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("wrong", [["--port", "many"], ["dance"], ["tune"]])
def test_a_mistyped_command_is_one_sentence_and_exit_code_2(wrong: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "studio", *wrong], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
