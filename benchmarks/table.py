"""Rows of figures, and the one table that is made of them.

A topic yields rows; rows of the same `what` by others (peers) stand beside Lambent's, with the ratio. Goals are part of
the row, so that the table says itself what is met.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

OURS = "lambent"


@dataclass(frozen=True)
class Figure:
    """A number with its unit (`/s`, `s`, `ms`, `µs`, `MB`; none: a count); `goal` is what is to be reached, if anything
    is. `is_count_to_reach`: more is better, as it is of rates."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    is_count_to_reach: bool = False

    @property
    def higher_is_better(self) -> bool:
        return self.unit == "/s" or self.is_count_to_reach

    @property
    def is_met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.value >= self.goal if self.higher_is_better else self.value <= self.goal

    def __str__(self) -> str:
        name = f"{self.name} " if self.name else ""
        return f"{name}{self._text(self.value)}"

    def goal_text(self) -> str:
        if self.goal is None:
            return ""
        name = f"{self.name} " if self.name else ""
        sign = "≥" if self.higher_is_better else "≤"
        verdict = "met" if self.is_met else "missed"
        return f"{name}{sign} {self._text(self.goal)}: {verdict}"

    def _text(self, value: float) -> str:
        return f"{_number(value)}{'' if self.unit in ('', '/s') else ' '}{self.unit}"


@dataclass(frozen=True)
class Row:
    """What was measured, and what came out. The first figure is the one to compare by. `note`: why there is none."""

    what: str
    figures: tuple[Figure, ...]
    by: str = OURS
    note: str = ""

    def text(self) -> str:
        return ", ".join([*map(str, self.figures), *([self.note] if self.note else [])])


def render(rows: Sequence[Row]) -> str:
    """The table, in Markdown."""
    ours = [row for row in rows if row.by == OURS]
    known = {row.what for row in ours}
    lines = [("what", "measured", "goal", "beside")]
    for row in ours:
        others = [other for other in rows if other.by != OURS and other.what == row.what]
        goals = "; ".join(filter(None, (figure.goal_text() for figure in row.figures)))
        lines.append((row.what, row.text(), goals, "; ".join(_beside(row, other) for other in others)))
    lines += [(row.what, "", "", f"{row.by}: {row.text()}") for row in rows if row.what not in known]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    printed = [_line(line, widths) for line in lines]
    return "\n".join([printed[0], _line(tuple("-" * width for width in widths), widths), *printed[1:]])


def document(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows for `--json`."""
    return [asdict(row) for row in rows]


def _beside(ours: Row, other: Row) -> str:
    text = f"{other.by}: {other.text()}"
    if not (ours.figures and other.figures):
        return text
    mine, theirs = ours.figures[0], other.figures[0]
    if not (mine.value and theirs.value):
        return text
    ratio = mine.value / theirs.value if mine.higher_is_better else theirs.value / mine.value
    return f"{text} ({ratio:.1f} times as good)" if ratio >= 1 else f"{text} ({1 / ratio:.1f} times better)"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.2f}" if value < 10 else f"{value:.1f}"


_BLOCK = re.compile(r"(?P<begin><!-- begin measured: (?P<name>\w+) -->\n).*?(?P<end><!-- end measured -->)", re.DOTALL)


def page_table(rows: Sequence[Row]) -> str:
    """The table for a page, in Markdown: a column for each who was measured."""
    others = list(dict.fromkeys(row.by for row in rows if row.by != OURS))
    found = {(row.what, row.by): row for row in rows}
    lines = [["what", "Lambent", "goal", *others]]
    for what in dict.fromkeys(row.what for row in rows):
        ours = found.get((what, OURS))
        goals = "; ".join(filter(None, (figure.goal_text() for figure in ours.figures))) if ours else ""
        texts = [found[what, by].text() if (what, by) in found else "" for by in (OURS, *others)]
        lines.append([what, texts[0], goals, *texts[1:]])
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines)


def renew(page: str, name: str, text: str) -> str:
    """The page with `text` between the marks of that name. Raises KeyError if there are none."""
    if name not in {match["name"] for match in _BLOCK.finditer(page)}:
        raise KeyError(f"no <!-- begin measured: {name} --> in the page")
    return _BLOCK.sub(lambda match: match["begin"] + text + match["end"] if match["name"] == name else match[0], page)
