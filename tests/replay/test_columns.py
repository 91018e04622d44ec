"""Names of columns in messages: whatever a file calls them."""

from __future__ import annotations

import pytest

from watchdog.replay.columns import listed


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "none"),
        (["latency", "cost"], "latency, cost"),
        (["a\x1b[2Jb"], "a·[2Jb"),
        (["x" * 40], "x" * 29 + "…"),
        ([str(n) for n in range(14)], "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more"),
    ],
)
def test_they_are_listed_so_that_a_terminal_can_show_them(names: list[str], said: str) -> None:
    """Short, few, and nothing that steers it."""
    assert said == listed(names)
