"""From plain text or Markdown to passages: one a paragraph, or one a line where nothing parts paragraphs.

A passage keeps its line breaks and spaces. Headings, rules and the data above a Markdown page are none.
Does not know what the passages are for.
"""

import io
import re
from dataclasses import dataclass, field

from engine.contract.records import Finding
from studio.cells import Record, Sheet
from studio.column_names import LONE_COLUMN, is_known_name
from studio.header import Header
from studio.shapes import has_empty_lines
from studio.wording import render_count, render_list

_HEADING = re.compile(r"#{1,6}(?:\s.*)?")
_RULE = re.compile(r"(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,}|={3,}")
_UNDERLINE = re.compile(r"-{3,}|={3,}")
# A line above dashes is a heading only if it reads like one: people part their texts by dashes, too.
_TITLE = re.compile(r"(?:\S+\s+){0,7}\S*[^\s.!?…:;,]")
_HEADINGS_NAMED = 3


@dataclass
class _Page:
    passages: list[str] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    rules: int = 0
    _open: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        """Take one more line, which may end the passage that is open."""
        bare = line.strip()
        if not bare:
            self.close()
        elif _HEADING.fullmatch(bare):
            self.close()
            self.headings.append(bare.strip("# "))
        elif _RULE.fullmatch(bare):
            self._add_rule(bare)
        else:
            self._open.append(line)

    def close(self) -> None:
        if self._open:
            self.passages.append("".join(self._open).rstrip("\r\n"))
            self._open.clear()

    def _add_rule(self, bare: str) -> None:
        if len(self._open) == 1 and _UNDERLINE.fullmatch(bare) and _TITLE.fullmatch(self._open[0].strip()):
            self.headings.append(self._open.pop().strip())
        else:
            self.close()
            self.rules += 1


def read_passages(text: str) -> tuple[Sheet, Header]:
    """The passages of a text, numbered from 1, in a single column."""
    lines = _skip_front_matter(list(io.StringIO(text, newline="")))
    by_line = not has_empty_lines(text) and not any(_RULE.fullmatch(line.strip()) for line in lines)
    if by_line and lines and is_known_name(lines[0]):
        lines = lines[1:]
    page = _Page()
    for line in lines:
        page.add(line)
        if by_line:
            page.close()
    page.close()
    records = [Record(number, [passage]) for number, passage in enumerate(page.passages, 1)]
    findings = (_passages_finding(by_line), *_heading_findings(page))
    return Sheet(records, findings, "", len(records), is_cut=False), Header([LONE_COLUMN], 0)


def _skip_front_matter(lines: list[str]) -> list[str]:
    """Web sites put data about a Markdown page between two lines of dashes on top of it."""
    marks = [place for place, line in enumerate(lines) if line.rstrip() == "---"][:2]
    if len(marks) < 2 or marks[0] != 0 or not all(_is_datum(line) for line in lines[1 : marks[1]]):
        return lines
    return lines[marks[1] + 1 :]


def _is_datum(line: str) -> bool:
    return re.match(r"[\w-]+:|\s|#|-\s|$", line) is not None


def _passages_finding(by_line: bool) -> Finding:
    message = "Every line was taken as one text." if by_line else "Every paragraph was taken as one text."
    remedy = (
        "If a text has several lines, put an empty line between every two texts."
        if by_line
        else "If a text has several paragraphs, put the texts into a table, one in each row."
    )
    return Finding(severity="note", kind="passages", message=message, remedy=remedy)


def _heading_findings(page: _Page) -> list[Finding]:
    counts = [(len(page.headings), "heading"), (page.rules, "dividing line")]
    found = [render_count(count, noun) for count, noun in counts if count]
    if not found:
        return []
    names = ", ".join(f"“{name}”" for name in page.headings[:_HEADINGS_NAMED] if name)
    which = f" ({names}{', …' if len(page.headings) > _HEADINGS_NAMED else ''})" if names else ""
    was = "was" if len(page.headings) + page.rules == 1 else "were"
    message = f"{render_list(found)}{which} {was} left out: only the texts below are learnt."
    return [Finding(severity="note", kind="headings", message=message)]
