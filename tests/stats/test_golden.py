"""Every number of the statistics is what it was: a constant or a formula that changes, changes what is reverted."""

from __future__ import annotations

import json

import pytest

from tests.stats.golden import CASES, KEPT, told


@pytest.mark.parametrize("case", CASES)
def test_the_evidence_is_what_it_was(case: str) -> None:
    """Meant to change? `python -m tests.stats.golden` writes it anew, and the changelog tells of it."""
    kept = json.loads(KEPT.read_text())[case]

    now = told(case)

    assert len(kept) == len(now)
    for then, here in zip(kept, now, strict=True):
        assert here == pytest.approx(then, rel=1e-8, abs=1e-9)
