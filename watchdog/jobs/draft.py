"""A baseline that is half read: reading a busy prompt's day may take longer than one tick."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from watchdog.core.windows import Summary


@dataclass
class Draft:
    """
    The control's calls, while they are being read, newest first.

    Attributes:
        read_back_to: everything from here to the end has been read.
        blocks: by start.
        rejected: keys of rows that could not be used.
    """

    read_back_to: datetime
    blocks: dict[datetime, Summary] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    rejected: set[str] = field(default_factory=set)

    @property
    def calls(self) -> int:
        return len(self.ids)


@dataclass
class HourDraft:
    """
    An hour of a week ago, while it is being read, oldest first.

    Attributes:
        read_to: everything recorded before this has been read.
        hours: by number of the hour; the one that is being read, and what its last slice brought of the next.
    """

    read_to: datetime
    hours: dict[int, Summary] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
