"""
Cursors of listings ordered by (time of record, sequence number).

Sequence numbers only ever grow, so a row that is written while a reader turns the page comes after the cursor even
when it bears the same millisecond: nothing is skipped and nothing comes twice.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import tuple_

from watchdog.embedded.envelope import invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Column, ColumnElement

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000

RowT = TypeVar("RowT")


@dataclass(frozen=True, kw_only=True)
class Page:
    """
    Attributes:
        after: the last row already seen, as (milliseconds, sequence number); None for the first page.
        limit: 1 to 1000.
    """

    after: tuple[int, int] | None = None
    limit: int = DEFAULT_LIMIT

    def condition(self, time: Column[int], seq: Column[int]) -> ColumnElement[bool] | None:
        """What limits a query to the rows after the cursor; None on the first page."""
        return None if self.after is None else tuple_(time, seq) > self.after


def write_cursor(ms: int, seq: int) -> str:
    return base64.urlsafe_b64encode(f"{ms}.{seq}".encode()).decode().rstrip("=")


def read_cursor(text: str) -> tuple[int, int]:
    """Raises: Problem: not one of ours."""
    try:
        ms, seq = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().split(".")
        return int(ms), int(seq)
    except (ValueError, binascii.Error) as exc:
        raise invalid("cursor: not a nextCursor of this listing; start again without it") from exc


def cut(rows: Sequence[RowT], limit: int) -> tuple[Sequence[RowT], RowT | None]:
    """
    Split what a query with `limit + 1` found.

    Returns: the page, and its last row where more follow (None on the last page).
    """
    return (rows[:limit], rows[limit - 1]) if len(rows) > limit else (rows, None)
