"""A cut of `python -m tests.fuzz`: no traceback, no hang, no secret, no change by halves, whatever is read."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.fuzz.parts import PARTS
from tests.fuzz.running import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

_SEED = 20261126


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of refusals need not be logged."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("part", "count", "lived"),
    [
        ("configs", 300, ("read", "refused")),
        ("payloads", 1000, ("calls", "BadAnswer", "Refused", "promotions", "status")),
        ("messenger", 300, ("delivered", "unknown", "permanent")),
        ("callfiles", 60, ("judged", "refused")),
    ],
)
def test_whatever_is_read_comes_out_as_a_value_or_as_an_error_that_says_what(part, count, lived):
    """Should a case fail, `python -m tests.fuzz` with its number tells it again."""
    tally = run(part, PARTS[part], seed=_SEED, first=0, count=count)

    assert [] == tally.broken
    assert all(tally.came[what] for what in lived), tally.came


class Broken:
    """Goes wrong in each way that is looked for."""

    def one(self, luck: Random) -> tuple[str, list[str]]:
        n = luck.randrange(3)
        if n == 0:
            raise RuntimeError("a bug")
        return ("odd", ["it was taken"]) if n == 1 else ("fine", [])


def test_what_goes_wrong_is_seen_and_told_again_by_its_number():
    """Or a fuzzer that finds nothing would say nothing."""

    def room(_folder: Path):
        from contextlib import nullcontext

        return nullcontext(Broken())

    tally = run("broken", room, seed=1, first=0, count=30)

    assert {"traceback", "odd", "fine"} == set(tally.came)
    assert tally.came["traceback"] + tally.came["odd"] == len(tally.broken)
    number, what = next((i, said) for i, said in tally.broken if "RuntimeError: a bug" in said)
    assert [(number, what)] == run("broken", room, seed=1, first=number, count=1).broken
