"""The examples page in a real browser: an ugly file is mended and kept; the brand's rules are filled in."""

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "outdoor_shop_voice.csv"


@pytest.fixture(scope="module")
def ugly_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety good rows of the sample, and what real exports have: broken letters, web codes, an address."""
    rows = list(csv.reader(SAMPLE.open(encoding="utf-8", newline="")))[:91]
    rows += [
        ["Describe the jacket", "You donâ€™t need more than this jacket, itâ€™s all you need on the trail."],
        ["Describe the tent", "<p>A tent for <b>two</b> &amp; a dog.</p>"],
        ["Reply to Anna", "Write to anna.smith@example.com and we will find your parcel today."],
    ]
    file = tmp_path_factory.mktemp("upload") / "Export (final).csv"
    with file.open("w", encoding="utf-16", newline="") as stream:
        csv.writer(stream, delimiter="\t").writerows(rows)
    return file


def start_voice(page: Page, url: str, name: str) -> None:
    page.goto(url)
    page.get_by_label("Name of the voice").fill(name)
    page.get_by_role("button", name="Start a new voice").click()
    page.locator("input[type=file]").first.wait_for(state="attached")


def press(page: Page, name: str) -> None:
    """The button of this name, once it is the only one: what stood on a page stays while it is drawn anew."""
    button = page.get_by_role("button", name=name)
    expect(button).to_have_count(1, timeout=30_000)
    button.click()


@pytest.mark.browser
@pytest.mark.timeout(400)
def test_an_ugly_export_is_mended_shown_and_kept(studio_url: str, page: Page, ugly_file: Path) -> None:
    start_voice(page, studio_url, "Ugly")
    page.locator("input[type=file]").first.set_input_files(ugly_file)

    press(page, "Put the letters right")
    expect(page.get_by_text("1 row mended: letters put right.")).to_be_visible(timeout=30_000)
    press(page, "Undo")
    press(page, "Put the letters right")
    press(page, "Keep the plain text")
    expect(page.get_by_text("turned into plain text")).to_be_visible(timeout=30_000)
    press(page, "Mask it")
    expect(page.get_by_text("personal data masked")).to_be_visible(timeout=30_000)

    page.get_by_text("Exactly what the model reads").click()
    expect(page.locator("[class*=st-key-reading-learnt]").first).to_be_visible(timeout=30_000)

    press(page, "Use these 93 examples")
    expect(page.get_by_role("heading", name="How shall it learn?")).to_be_visible(timeout=30_000)


@pytest.mark.browser
@pytest.mark.timeout(400)
def test_pasted_cells_lead_to_rules_that_are_filled_in_and_kept(studio_url: str, page: Page) -> None:
    start_voice(page, studio_url, "Pasted")
    rows = list(csv.reader(SAMPLE.open(encoding="utf-8", newline="")))[:61]
    cells = io.StringIO()
    csv.writer(cells, delimiter="\t").writerows(rows)
    page.get_by_text("Or paste cells").click()
    page.get_by_label("Pasted cells or texts").fill(cells.getvalue())
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Use these 60 examples").click()
    expect(page.get_by_role("heading", name="How shall it learn?")).to_be_visible(timeout=30_000)

    page.get_by_role("link", name="Examples").click()
    page.get_by_text("How your brand sounds: its voice").click()
    expect(page.get_by_text(re.compile(r"sentences|Sentences")).first).to_be_visible(timeout=30_000)
    page.get_by_role("tab", name="Rules").click()
    page.get_by_role("button", name="Fill in from your examples").click()
    page.get_by_role("button", name="Keep rules and facts").click()
    expect(page.get_by_text("Kept. Your examples are now held")).to_be_visible(timeout=30_000)
    page.reload()
    page.get_by_role("tab", name="Rules").click()
    expect(page.get_by_role("textbox", name="Words we use")).to_have_value(
        re.compile("outdoor|durable|perfect"), timeout=30_000
    )
    page.get_by_role("textbox", name="A text").fill("Buy it now!!!!")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("4 exclamation marks")).to_be_visible(timeout=30_000)


@pytest.mark.browser
@pytest.mark.timeout(400)
def test_twenty_thousand_rows_are_read_beside_the_page_with_how_far_it_is(
    studio_url: str, page: Page, tmp_path: Path
) -> None:
    start_voice(page, studio_url, "Large")
    things = ["lamp", "tent", "mug", "rope", "boot", "stove", "map", "scarf", "bag", "axe"]
    lines = ["Prompt,Text"]
    lines += [
        f"Describe {things[i % 10]} {i},The {things[i * 7 % 10]} {i} is made of {i % 97} parts and lasts."
        for i in range(20_000)
    ]
    file = tmp_path / "large.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    page.locator("input[type=file]").first.set_input_files(file)
    expect(page.get_by_text("A large table takes a few seconds.")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("button", name="Use these 20,000 examples")).to_be_visible(timeout=60_000)
