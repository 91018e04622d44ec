"""What a bench prints: tables with counts and limits, and each target with "met" or by how much it was missed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from scipy import special

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Cell = str | int | float | None


@dataclass(frozen=True, kw_only=True)
class Share:
    """
    A share that was counted.

    Attributes:
        hits: in [0, runs].
        runs: >= 1.
    """

    hits: int
    runs: int

    @property
    def rate(self) -> float:
        return self.hits / self.runs

    @property
    def upper(self) -> float:
        """95 % upper limit, one-sided, by Clopper and Pearson."""
        if self.hits == self.runs:
            return 1.0
        return float(special.betaincinv(self.hits + 1.0, self.runs - self.hits, 0.95))

    def __str__(self) -> str:
        return f"{self.hits}/{self.runs} (<= {_figures(self.upper)})"


@dataclass(frozen=True, kw_only=True)
class Target:
    """
    Attributes:
        measured, allowed: the smaller `measured` the better; None where nothing was measured.
    """

    name: str
    measured: float | None
    allowed: float

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        if self.measured <= self.allowed:
            return "met"
        if self.allowed == 0.0:
            return f"missed by {_figures(self.measured)}"
        return f"missed by {_figures(100.0 * (self.measured / self.allowed - 1.0))} %"

    def __str__(self) -> str:
        measured = "-" if self.measured is None else _figures(self.measured)
        return f"{self.name}: {measured}, at most {_figures(self.allowed)}: {self.verdict}"


@dataclass(frozen=True, kw_only=True)
class Table:
    """
    Attributes:
        about: runs, seeds and whatever a reader needs to repeat it.
        rows: the same keys in each row.
    """

    title: str
    about: str
    rows: Sequence[Mapping[str, Cell | Share]]
    targets: Sequence[Target] = field(default=())

    def text(self) -> str:
        """As Markdown."""
        lines = [f"### {self.title}", "", self.about, ""]
        if self.rows:
            names = list(self.rows[0])
            body = [[_shown(row[name]) for name in names] for row in self.rows]
            widths = [max(len(row[i]) for row in [names, *body]) for i in range(len(names))]
            lines += [_line(names, widths), _line(["-" * w for w in widths], widths)]
            lines += [_line(row, widths) for row in body]
            lines.append("")
        lines += [f"- {target}" for target in self.targets]
        return "\n".join([*lines, ""] if self.targets else lines)

    def json(self) -> str:
        """One object on one line."""
        rows = [{name: _plain(value) for name, value in row.items()} for row in self.rows]
        targets = [{**asdict(target), "verdict": target.verdict} for target in self.targets]
        return json.dumps({"title": self.title, "about": self.about, "rows": rows, "targets": targets})


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def _plain(value: Cell | Share) -> Cell | dict[str, float]:
    if isinstance(value, Share):
        return {"hits": value.hits, "runs": value.runs, "upper": value.upper}
    return value


def _shown(value: Cell | Share) -> str:
    if value is None:
        return "-"
    return _figures(value) if isinstance(value, float) else str(value)


def _figures(value: float) -> str:
    """Three figures, without an exponent where one can do without it."""
    return f"{value:.3g}" if abs(value) < 1000.0 else f"{value:.0f}"
