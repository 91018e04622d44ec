"""The parts of the battery, by their names on the command line."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.faults import clocks, disk, http_matrix, human, kills, late, slack_matrix, tcp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.faults.cell import Cell


def _some(cells: list[Cell], seed: int, count: int | None) -> list[Cell]:
    """All, or so many of them, in an order that the seed draws: a run that is cut short has seen some of everything."""
    most = len(cells)
    return random.Random(seed).sample(cells, most if count is None else min(count, most))  # noqa: S311 - draws stories


PARTS: dict[str, Callable[[int, int | None], Iterable[Cell]]] = {
    "http": lambda seed, count: _some(http_matrix.cells(), seed, count),
    "pairs": lambda seed, count: _some(http_matrix.pairs(), seed, count),
    "slack": lambda seed, count: _some(slack_matrix.cells(), seed, count),
    "tcp": tcp.cells,
    "late": late.cells,
    "human": lambda seed, count: _some(human.cells(seed, count), seed, count),
    "clock": lambda seed, count: _some(clocks.cells(), seed, count),
    "disk": lambda seed, count: _some(disk.cells(), seed, count),
    "kill": kills.cells,
}
