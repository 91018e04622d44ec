"""The parts of the battery, by their names on the command line."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.faults import clocks, http_matrix, human, kills, late, slack_matrix, tcp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.faults.cell import Cell


def _some(cells: list[Cell], seed: int, count: int | None) -> list[Cell]:
    """All, or so many of them as the seed draws."""
    return cells if count is None else random.Random(seed).sample(cells, min(count, len(cells)))  # noqa: S311


PARTS: dict[str, Callable[[int, int | None], Iterable[Cell]]] = {
    "http": lambda seed, count: _some(http_matrix.cells(), seed, count),
    "pairs": lambda seed, count: _some(http_matrix.pairs(), seed, count),
    "slack": lambda seed, count: _some(slack_matrix.cells(), seed, count),
    "tcp": tcp.cells,
    "late": late.cells,
    "human": human.cells,
    "clock": clocks.cells,
    "kill": kills.cells,
}
