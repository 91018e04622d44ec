"""The bench of what the engine costs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench import cost

if TYPE_CHECKING:
    import pytest


def test_every_kind_of_rule_has_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """Microseconds for each size of window, bytes of state, and a tick over many prompts."""
    cost.main(["--quick", "--json", "--prompts", "2", "10"])
    rules, prompts = (json.loads(line) for line in capsys.readouterr().out.splitlines())

    assert {kind.name for kind in cost.kinds()} == {row["rule"] for row in rules["rows"]}
    assert all(row[f"us, {n} calls"] > 0.0 for row in rules["rows"] for n in cost.CALLS)
    assert [6, 30] == [row["rules"] for row in prompts["rows"]]


def test_time_spent_elsewhere_is_not_counted() -> None:
    """Waiting takes no processor time."""
    assert cost.microseconds(lambda: None, 10) < 100.0
