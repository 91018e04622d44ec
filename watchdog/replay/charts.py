"""Small charts as SVG text: axes, lines, bars, in the colours of the page around them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 10.0, 22.0, 24.0
_LETTER = 5.6  # width of one at this size, roughly


@dataclass(frozen=True, kw_only=True)
class Axis:
    """
    Attributes:
        low, high: low < high; both > 0 where logarithmic.
        text: how a value is written at its tick.
    """

    low: float
    high: float
    text: Callable[[float], str]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where a value lies between low and high: 0 to 1, and not beyond."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def ticks(self, most: int) -> list[float]:
        """Round values inside: at most so many steps between them, or so many powers of ten."""
        if self.logarithmic:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for steps in ((1, 2, 5), (1, 3), (1,)):
                found = [s * 10.0**p for p in powers for s in steps if self.low <= s * 10.0**p <= self.high]
                if len(found) <= most:
                    return found
            return found[:: math.ceil(len(found) / most)]
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / most))
        while (self.high - self.low) / step > most:
            step *= 2.0 if f"{step:e}"[0] in "15" else 2.5
        return [i * step for i in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


class Chart:
    """
    One chart, drawn part by part; `svg` ends it.

    Args:
        title: above the chart.
        alternative: what it shows, in a sentence, for readers that cannot see it.
    """

    def __init__(
        self, *, title: str, alternative: str, x: Axis, y: Axis, width: float = 290.0, height: float = 170.0
    ) -> None:
        self._x, self._y = x, y
        self._width, self._height = width, height
        self._parts = [
            f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(alternative)}">',
            f'<text class="title" x="{_LEFT}" y="13">{escape(title)}</text>',
        ]
        self._axes()

    def line(self, points: Sequence[tuple[float, float]], css: str) -> None:
        """A curve through the points."""
        if points:
            path = " ".join(f"{self._at_x(x):.1f},{self._at_y(y):.1f}" for x, y in points)
            self._parts.append(f'<polyline class="{css}" points="{path}"/>')

    def steps(self, edges: Sequence[float], heights: Sequence[float], css: str) -> None:
        """The outline of a histogram; `edges` has one more."""
        points = [(edges[0], 0.0)]
        for i, height in enumerate(heights):
            points += [(edges[i], height), (edges[i + 1], height)]
        self.line([*points, (edges[-1], 0.0)], css)

    def level(self, y: float, css: str, label: str = "") -> None:
        """A horizontal line."""
        at = self._at_y(y)
        self._parts.append(
            f'<line class="{css}" x1="{_LEFT}" x2="{self._width - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        )
        if label:
            self._parts.append(f'<text class="label" x="{_LEFT + 4}" y="{at - 4:.1f}">{escape(label)}</text>')

    def moment(self, x: float, css: str, label: str = "") -> None:
        """A vertical line, its label on the side where there is room."""
        at = self._at_x(x)
        self._parts.append(
            f'<line class="{css}" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{self._height - _BOTTOM}"/>'
        )
        if label:
            room = at + 4 + _LETTER * len(label) < self._width
            anchor, shift = ("start", 4) if room else ("end", -4)
            self._parts.append(
                f'<text class="label" text-anchor="{anchor}" x="{at + shift:.1f}" y="{self._height - _BOTTOM - 5}">'
                f"{escape(label)}</text>"
            )

    def svg(self) -> str:
        """The whole chart."""
        return "".join([*self._parts, "</svg>"])

    def _axes(self) -> None:
        bottom = self._height - _BOTTOM
        for value in self._y.ticks(4):
            at = self._at_y(value)
            self._parts.append(
                f'<line class="grid" x1="{_LEFT}" x2="{self._width - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
                f'<text class="tick" text-anchor="end" x="{_LEFT - 5}" y="{at + 3:.1f}">'
                f"{escape(self._y.text(value))}</text>"
            )
        for value in self._x.ticks(4 if self._x.logarithmic else 5):
            at = self._at_x(value)
            text = self._x.text(value)
            # A number at the very edge would be cut off.
            shown_at = min(at, self._width - _LETTER * len(text) / 2.0)
            self._parts.append(
                f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{bottom}" y2="{bottom + 3}"/>'
                f'<text class="tick" text-anchor="middle" x="{shown_at:.1f}" y="{bottom + 14}">{escape(text)}</text>'
            )

    def _at_x(self, value: float) -> float:
        return _LEFT + self._x.share(value) * (self._width - _LEFT - _RIGHT)

    def _at_y(self, value: float) -> float:
        return self._height - _BOTTOM - self._y.share(value) * (self._height - _TOP - _BOTTOM)
