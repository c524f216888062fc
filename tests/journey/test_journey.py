"""The whole journey in a real browser: upload, tune, watch, refresh, compare, download, load it elsewhere."""

import csv
import json
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect

SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "outdoor_shop_voice.csv"
RUN_MILLISECONDS = 240_000
POINTS = """() => Math.max(0, ...[...document.querySelectorAll('.js-plotly-plot')]
    .flatMap(plot => (plot.data || []).map(trace => (trace.x || []).length)))"""
OPEN_WITH_STOCK_LIBRARIES = """
import sys
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
assert not any(name.split(".")[0] in ("engine", "studio") for name in sys.modules)
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("base", dtype="float32"), "adapter")
tokenizer = AutoTokenizer.from_pretrained("adapter")
prompt = tokenizer.apply_chat_template([{"role": "user", "content": sys.argv[1]}], add_generation_prompt=True,
                                       return_tensors="pt", return_dict=True)
answer = model.generate(**prompt, max_new_tokens=int(sys.argv[2]), do_sample=False)
print(tokenizer.decode(answer[0, prompt["input_ids"].shape[1]:], skip_special_tokens=True), end="")
"""


@pytest.fixture(scope="module")
def semicolon_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample as a German Excel would save it: semicolons, a byte order mark, an upper-case ending."""
    rows = list(csv.reader(SAMPLE.open(encoding="utf-8", newline="")))
    file = tmp_path_factory.mktemp("upload") / "SHOP.CSV"
    with file.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream, delimiter=";").writerows(rows)
    return file


def count_points(page: Page) -> int:
    return int(page.evaluate(POINTS))


def wait_for_points(page: Page, at_least: int, seconds: float = 90) -> int:
    deadline = time.monotonic() + seconds
    while (points := count_points(page)) < at_least:
        assert time.monotonic() < deadline, f"only {points} points after {seconds:.0f} seconds"
        page.wait_for_timeout(100)
    return points


def is_training(page: Page) -> bool:
    return page.get_by_role("button", name="Stop and keep the best").is_visible()


def refuse_strangers(context: BrowserContext, own: str) -> list[str]:
    """Record every address that the browser asks for outside the studio."""
    strangers: list[str] = []

    def look(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != urlsplit(own).netloc:
            strangers.append(url)

    context.on("request", lambda request: look(request.url))
    return strangers


@pytest.mark.browser
@pytest.mark.timeout(600)
def test_a_brand_manager_gets_from_a_table_to_a_checked_download(
    studio_url: str, context: BrowserContext, page: Page, semicolon_file: Path, tmp_path: Path
) -> None:
    strangers = refuse_strangers(context, studio_url)

    # 1 examples
    page.goto(studio_url)
    page.get_by_label("Name of the voice").fill("Harbour & Oak")
    page.get_by_role("button", name="Start a new voice").click()
    page.locator("input[type=file]").set_input_files(semicolon_file)
    page.get_by_role("button", name="Use these 196 examples").click()

    # 2 method
    expect(page.get_by_role("heading", name="How shall it learn?")).to_be_visible()
    expect(page.get_by_text("Recommended")).to_have_count(1)
    # The quickest of the four.
    page.get_by_role("button", name="Choose Last layers").click()
    expect(page.get_by_text(re.compile("^Last layers, about"))).to_be_visible()
    page.get_by_role("button", name="Start tuning").dblclick()

    # 3 tuning: points while it goes, whole after a refresh and in a second tab
    expect(page.get_by_role("heading", name="Run 1")).to_be_visible(timeout=60_000)
    before = wait_for_points(page, at_least=5)
    assert is_training(page)
    page.reload()
    assert wait_for_points(page, at_least=before) >= before
    second = context.new_page()
    second.goto(page.url)
    assert wait_for_points(second, at_least=before) >= before
    second.close()
    assert is_training(page)
    page.get_by_test_id("stMain").get_by_role("button", name="Compare").click(timeout=RUN_MILLISECONDS)

    # 4 compare
    page.get_by_role("button", name="Write both").click()
    expect(page.get_by_text(re.compile(r"Ended by itself|Cut at the chosen length"))).to_have_count(
        2, timeout=60_000
    )
    texts = page.locator("[class*=st-key-quote] [data-testid=stText]").all_inner_texts()
    assert len(texts) >= 2
    assert texts[0].strip() != texts[1].strip()

    # 5 download
    page.get_by_role("button", name="Take this voice with you").click()
    link = page.get_by_role("link", name=re.compile("Download the voice"))
    link.wait_for(timeout=120_000)
    page.get_by_text(re.compile("^With its base model")).click()
    expect(link).to_have_count(0)
    page.get_by_role("button", name="Make it with its base model").click()
    link.wait_for(timeout=180_000)
    with page.expect_download() as downloading:
        link.click()
    archive = tmp_path / "voice.zip"
    downloading.value.save_as(archive)
    assert downloading.value.suggested_filename.endswith(".zip")
    check_in_a_fresh_process(archive, tmp_path / "opened")
    assert strangers == []


def check_in_a_fresh_process(archive: Path, folder: Path) -> None:
    """Stock libraries, no code of ours, an empty place: the reference answer comes back."""
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    manifest = json.loads((folder / "voicewright.json").read_text(encoding="utf-8"))
    reference = manifest["reference"]
    command = [sys.executable, "-I", "-c", OPEN_WITH_STOCK_LIBRARIES]
    done = subprocess.run(
        [*command, reference["prompt"], str(reference["max_tokens"])],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout == reference["answer"]


@pytest.mark.browser
def test_a_picture_instead_of_a_table_is_explained_and_a_run_can_be_cancelled_on_a_phone(
    studio_url: str, context: BrowserContext, page: Page, semicolon_file: Path, tmp_path: Path
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    picture = tmp_path / "brand.csv"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))

    page.goto(studio_url)
    page.get_by_label("Name of the voice").fill("On the road")
    page.get_by_role("button", name="Start a new voice").click()
    page.locator("input[type=file]").set_input_files(picture)
    expect(page.get_by_test_id("stAlert")).to_contain_text("picture")
    page.locator("input[type=file]").set_input_files(semicolon_file)
    page.get_by_role("button", name="Use these 196 examples").click()
    page.get_by_role("button", name="Start tuning").click()

    wait_for_points(page, at_least=2)
    assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.get_by_text("It was cancelled and nothing of it is kept")).to_be_visible(timeout=60_000)
