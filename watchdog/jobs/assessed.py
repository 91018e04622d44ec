"""One look at the calls since a verdict, by the machinery that verifies recoveries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from watchdog.core.recovery import Finding


@dataclass(frozen=True, kw_only=True)
class Assessed:
    """
    What was found, with all that it rests on beside the windows: those that start from `since` on and before
    `sealed_until`.

    Attributes:
        overdue, peers_worse, rejected: as `core.recovery.assess` was told.
    """

    finding: Finding
    since: datetime
    sealed_until: datetime
    overdue: bool
    peers_worse: str
    rejected: Mapping[str, int]
