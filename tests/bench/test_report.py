"""What a bench prints: limits, targets, tables."""

from __future__ import annotations

import json

import pytest
from scipy import stats

from bench.detection.report import Share, Table, Target


@pytest.mark.parametrize(("hits", "runs"), [(0, 30_000), (27, 30_000), (5, 7)])
def test_the_upper_limit_is_that_of_clopper_and_pearson(hits: int, runs: int) -> None:
    """By scipy's exact interval."""
    expected = stats.binomtest(hits, runs, alternative="less").proportion_ci(0.95, method="exact").high

    assert expected == pytest.approx(Share(hits=hits, runs=runs).upper, rel=1e-9)


def test_the_upper_limit_of_all_hits_is_one() -> None:
    """Nothing is excluded."""
    assert Share(hits=7, runs=7).upper == 1.0


@pytest.mark.parametrize(
    ("measured", "allowed", "verdict"),
    [
        (0.001, 0.001, "met"),
        (0.0015, 0.001, "missed by 50 %"),
        (3.0, 0.0, "missed by 3"),
        (None, 1.0, "not measured"),
    ],
)
def test_a_target_says_whether_it_was_met_or_by_how_much_it_was_missed(
    measured: float | None, allowed: float, verdict: str
) -> None:
    """In so many words."""
    assert verdict == Target(name="x", measured=measured, allowed=allowed).verdict


def test_a_table_is_markdown_with_its_targets_below() -> None:
    """Title, what it is about, rows, targets."""
    table = Table(
        title="Reverts",
        about="Two rows.",
        rows=[{"world": "quiet", "reverted": Share(hits=0, runs=10)}, {"world": "loud", "reverted": None}],
        targets=[Target(name="reverts", measured=0.0, allowed=0.0)],
    )

    assert [
        "### Reverts",
        "",
        "Two rows.",
        "",
        "| world | reverted        |",
        "| ----- | --------------- |",
        "| quiet | 0/10 (<= 0.259) |",
        "| loud  | -               |",
        "",
        "- reverts: 0, at most 0: met",
        "",
    ] == table.text().split("\n")


def test_a_table_as_json_keeps_counts_apart_from_limits() -> None:
    """For programs that compare two runs."""
    table = Table(title="t", about="a", rows=[{"reverted": Share(hits=1, runs=10)}])

    assert {"hits": 1, "runs": 10, "upper": pytest.approx(0.394, abs=1e-3)} == json.loads(table.json())["rows"][0][
        "reverted"
    ]
