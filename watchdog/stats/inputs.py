"""What the mathematics accepts. Every refusal names the value and the allowed range."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from watchdog.errors import StatsInputError

if TYPE_CHECKING:
    from watchdog.stats.histogram import LogHistogram


def require_counts(what: str, n: int, bad: int) -> None:
    """
    Raises: StatsInputError: unless 0 <= bad <= n.
    """
    if not 0 <= bad <= n:
        raise StatsInputError(f"{what}: {bad} bad of {n}; must be 0 <= bad <= calls")


def require_margin(name: str, margin: float) -> None:
    """
    Raises: StatsInputError: unless 0 <= margin < infinity.
    """
    if not 0.0 <= margin < math.inf:
        raise StatsInputError(f"{name} is {margin}; must be finite and >= 0")


def require_dispersion(dispersion: float) -> None:
    """
    Raises: StatsInputError: unless 1 <= dispersion < infinity.
    """
    if not 1.0 <= dispersion < math.inf:
        raise StatsInputError(f"dispersion is {dispersion}; must be finite and >= 1")


def require_quantile(p: float) -> None:
    """
    Raises: StatsInputError: unless 0.01 <= p < 1.
    """
    if not 0.01 <= p < 1.0:
        raise StatsInputError(f"quantile is {p}; must be in [0.01, 1)")


def require_confidence(confidence: float) -> None:
    """
    Raises: StatsInputError: unless 0.5 < confidence < 1.
    """
    if not 0.5 < confidence < 1.0:
        raise StatsInputError(f"confidence is {confidence}; must be in (0.5, 1)")


def require_values(baseline: LogHistogram) -> None:
    """
    Raises: StatsInputError: a baseline without values, or with nothing but zeros: a margin relative to 0 is no margin.
    """
    if baseline.total == 0:
        raise StatsInputError("baseline of 0 values; wait for calls, or use a limit")
    if not baseline.counts:
        raise StatsInputError(
            f"all {baseline.zeros} baseline values are 0: there is nothing to compare with; use a limit"
        )
