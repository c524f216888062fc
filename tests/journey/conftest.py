"""A real studio (the `voicewright` command with its engine) and a real Chromium, once for the journey."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

READY = re.compile(r"open at (http://127\.0\.0\.1:\d+)")
# The switches keep Chromium from looking for its makers' servers; without a sandbox it also runs as root.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


@dataclass
class Studio:
    """One running `voicewright` and how to reach it."""

    process: subprocess.Popen[str]
    url: str
    workspace: Path

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)


def start_studio(workspace: Path, *arguments: str) -> Studio:
    """The command as a person types it; returns when it says that it is open."""
    command = [sys.executable, "-m", "studio", "--no-browser", "--port", "0", "--workspace", str(workspace)]
    process = subprocess.Popen(
        [*command, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        cwd=workspace.parent,
        env={**os.environ, "COLUMNS": "400"},
    )
    assert process.stderr is not None
    for line in process.stderr:
        if found := READY.search(line):
            return Studio(process, found[1], workspace)
    raise AssertionError(f"the studio did not open (exit code {process.wait()})")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = find_chromium()
    if chromium is None:
        assert not os.environ.get("CI"), "CI must have a Chromium: a browser test may not be skipped there"
        pytest.skip("needs Chromium (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    studio = start_studio(tmp_path_factory.mktemp("studio") / "workspace")
    yield studio
    studio.end()


@pytest.fixture(scope="module")
def studio_url(studio: Studio) -> str:
    return studio.url


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()
