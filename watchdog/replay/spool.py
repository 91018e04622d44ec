"""
The rows of the files, kept on disk while they are looked at: in memory there is only ever a page of them.

A first reading tells versions, counts and order; only then is it known which calls are the baseline, and they may stand
anywhere in the files. A temporary SQLite database holds them meanwhile, sorts what is out of order, and is removed at
the end. It has nothing to do with the daemon's store.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.core.model import ErrorKind
from watchdog.replay.cells import CallRow
from watchdog.replay.errors import ReplayError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CACHE_KIB = 8192
_BATCH = 5000
_KINDS = tuple(ErrorKind)
_KIND_AT = {kind: i for i, kind in enumerate(_KINDS)}
_MOST_NAMES = {"stream": 10_000, "version": 1_000, "segment": 10_000, "model": 1_000}
_BEFORE_ALL = -1e12

_SCHEMA = """
CREATE TABLE rows (
    seq INTEGER PRIMARY KEY, stream INTEGER, version INTEGER, at_s REAL, reason INTEGER, place TEXT, cell TEXT,
    segment INTEGER, model INTEGER, ok INTEGER, kind INTEGER, latency_ms REAL, cost_usd REAL, input_tokens INTEGER,
    output_tokens INTEGER, cached_tokens INTEGER
)
"""
_INSERT = "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_COLUMNS = (
    "at_s, reason, segment, model, ok, kind, latency_ms, cost_usd, input_tokens, output_tokens, cached_tokens, version"
)
_PRAGMAS = ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}", "temp_store = FILE")


class Order(Enum):
    """How the rows of a watch are put in order."""

    TIME = "time"
    ROW = "row"


@dataclass(frozen=True, kw_only=True)
class Group:
    """
    The rows of one version in one stream.

    Attributes:
        calls, unusable: rows that are calls, and that are not.
        first, last: numbers of its first and last row, in the order of the files.
        earliest_s, latest_s: of its times; None without.
        backwards: rows that are earlier than the row of this group before them.
    """

    version: str
    calls: int
    unusable: int
    first: int
    last: int
    earliest_s: float | None
    latest_s: float | None
    backwards: int


@dataclass(frozen=True, kw_only=True)
class Span:
    """
    Some rows of one stream, in order.

    Attributes:
        version: only these; None for all.
        since, until: (seconds, row number) of the first row in it and of the first behind it; None for no bound.
    """

    stream: str
    order: Order
    version: str | None = None
    since: tuple[float, int] | None = None
    until: tuple[float, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Unusable:
    """
    Attributes:
        first: where the first one stands, such as `line 37`.
        value: its cell, harmless and shortened; empty where there was none.
    """

    reason: str
    rows: int
    first: str
    value: str = ""


class Spool:
    """The rows that were read, until `spooling` ends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._ids: dict[str, dict[str, int]] = {name: {} for name in (*_MOST_NAMES, "reason")}
        self._names: dict[str, list[str]] = {name: [] for name in self._ids}
        self._last_s: dict[tuple[int, int], float] = {}
        self._backwards: dict[tuple[int, int], int] = {}
        self._stream_last_s: dict[int, float] = {}
        self._stream_backwards: dict[int, int] = {}
        self.n = 0

    def add(self, rows: Iterable[tuple[CallRow, str]]) -> None:
        """
        Args:
            rows: in the order of the files, each with its place in words.

        Raises: ReplayError: a column has so many values that it must be an id.
        """
        numbered = self._numbered(rows)
        while batch := list(islice(numbered, _BATCH)):
            self._db.executemany(_INSERT, batch)

    def _numbered(self, rows: Iterable[tuple[CallRow, str]]) -> Iterator[tuple[object, ...]]:
        for row, place in rows:
            self.n += 1
            stream, version = self._id("stream", row.stream), self._id("version", row.version)
            at_s = self._at_s(stream, version, row.at_s)
            if row.reason:
                yield (self.n, stream, version, at_s, self._id("reason", row.reason), place, row.shown, *[None] * 9)
                continue
            yield (
                self.n,
                stream,
                version,
                at_s,
                None,
                None,
                None,
                self._id("segment", row.segment),
                self._id("model", row.model),
                row.ok,
                None if row.error_kind is None else _KIND_AT[row.error_kind],
                row.latency_ms,
                row.cost_usd,
                row.input_tokens,
                row.output_tokens,
                row.cached_tokens,
            )

    def _at_s(self, stream: int, version: int, at_s: float | None) -> float:
        """A row whose time is not known stands where its neighbour before it stands."""
        last = self._last_s.get((stream, version), _BEFORE_ALL)
        if at_s is None:
            return last
        if at_s < last:
            self._backwards[stream, version] = self._backwards.get((stream, version), 0) + 1
        if at_s < self._stream_last_s.get(stream, _BEFORE_ALL):
            self._stream_backwards[stream] = self._stream_backwards.get(stream, 0) + 1
        self._last_s[stream, version] = self._stream_last_s[stream] = at_s
        return at_s

    def _id(self, column: str, name: str) -> int:
        known = self._ids[column]
        found = known.get(name)
        if found is None:
            most = _MOST_NAMES.get(column)
            if most is not None and len(known) >= most:
                raise ReplayError(
                    f"the column for {column} has more than {most:,} different values; name one that groups the calls"
                )
            found = known[name] = len(known)
            self._names[column].append(name)
        return found

    def arrange(self) -> None:
        """After the last row: what makes looking at one stream, or one version of it, cheap."""
        self._db.execute("CREATE INDEX by_version ON rows (stream, version, at_s)")
        self._db.execute("CREATE INDEX by_stream ON rows (stream, at_s)")

    @property
    def streams(self) -> tuple[str, ...]:
        """In the order in which they first appear."""
        return tuple(self._names["stream"])

    def backwards(self, stream: str) -> int:
        """Rows that are earlier than the row of this stream before them."""
        return self._stream_backwards.get(self._ids["stream"][stream], 0)

    def groups(self, stream: str) -> tuple[Group, ...]:
        """Its versions, in the order in which they first appear."""
        known = self._ids["stream"][stream]
        found = self._db.execute(
            "SELECT version, SUM(reason IS NULL), SUM(reason IS NOT NULL), MIN(seq), MAX(seq), "
            "MIN(NULLIF(at_s, ?)), MAX(NULLIF(at_s, ?)) FROM rows WHERE stream = ? GROUP BY version ORDER BY 4",
            (_BEFORE_ALL, _BEFORE_ALL, known),
        )
        return tuple(
            Group(
                version=self._names["version"][version],
                calls=calls,
                unusable=unusable,
                first=first,
                last=last,
                earliest_s=earliest,
                latest_s=latest,
                backwards=self._backwards.get((known, version), 0),
            )
            for version, calls, unusable, first, last, earliest, latest in found
        )

    def counts(self, span: Span) -> tuple[int, int]:
        """Calls and unusable rows."""
        calls, rows = self._select("COUNT(*) - COUNT(reason), COUNT(*)", span).fetchone()
        return calls, rows - calls

    def unusable(self, span: Span) -> tuple[Unusable, ...]:
        """By reason, the most frequent first."""
        return self._reasons(self._select(_FAULTS, span, _BY_REASON))

    def all_unusable(self) -> tuple[Unusable, ...]:
        """Of all streams together."""
        return self._reasons(self._db.execute(f"SELECT {_FAULTS} FROM rows WHERE 1 {_BY_REASON}"))  # noqa: S608 - constants

    def failures(self, span: Span) -> int:
        """Calls that failed."""
        (n,) = self._select("COUNT(*)", span, "AND ok = 0").fetchone()
        return int(n)

    def _reasons(self, found: Iterable[tuple[int, int, int, str, str]]) -> tuple[Unusable, ...]:
        names = self._names["reason"]
        return tuple(
            Unusable(reason=names[reason], rows=rows, first=place, value=cell) for reason, rows, _, place, cell in found
        )

    def key_at(self, span: Span, index: int) -> tuple[float, int] | None:
        """(seconds, number) of the row with this index, from 0, in the span's order; None behind its end."""
        found = self._select("at_s, seq", span, f"ORDER BY {_SORTED_BY[span.order]} LIMIT 1 OFFSET ?", index).fetchone()
        return None if found is None else (found[0], found[1])

    def in_batches(self, span: Span, width_s: float) -> int:
        """Calls that share their instant with another one while nothing else happened within `width_s`."""
        crowds = self._select(
            "COUNT(*)",
            span,
            "AND reason IS NULL GROUP BY CAST(at_s / ? AS INTEGER) HAVING COUNT(*) > 1 AND MIN(at_s) = MAX(at_s)",
            width_s,
        )
        return sum(n for (n,) in crowds)

    def rows(self, span: Span) -> Iterator[CallRow]:
        """In the span's order."""
        names = self._names
        selected = self._select(_COLUMNS, span, f"ORDER BY {_SORTED_BY[span.order]}")
        for at_s, reason, segment, model, ok, kind, *measured, version in selected:
            if reason is not None:
                yield CallRow(span.stream, names["version"][version], at_s, names["reason"][reason])
                continue
            yield CallRow(
                span.stream,
                names["version"][version],
                at_s,
                "",
                names["segment"][segment],
                names["model"][model],
                ok == 1,
                None if kind is None else _KINDS[kind],
                *measured,
            )

    def _select(self, what: str, span: Span, rest: str = "", *more: float) -> sqlite3.Cursor:
        """Some of the span's rows; its bounds are bound, and all text is this module's own."""
        where: list[str] = ["stream = ?"]
        bound: list[float] = [self._ids["stream"][span.stream]]
        if span.version is not None:
            where.append("version = ?")
            bound.append(self._ids["version"][span.version])
        for key, operator in ((span.since, ">="), (span.until, "<")):
            if key is None:
                continue
            if span.order is Order.TIME:
                where.append(f"(at_s, seq) {operator} (?, ?)")
                bound.extend(key)
            else:
                where.append(f"seq {operator} ?")
                bound.append(key[1])
        text = f"SELECT {what} FROM rows WHERE {' AND '.join(where)} {rest}"  # noqa: S608 - see above
        return self._db.execute(text, (*bound, *more))


# With MIN, SQLite takes the other columns from the row of the minimum.
_FAULTS = "reason, COUNT(*), MIN(seq), place, cell"
_BY_REASON = "AND reason IS NOT NULL GROUP BY reason ORDER BY 2 DESC, 3"
_SORTED_BY = {Order.TIME: "at_s, seq", Order.ROW: "seq"}


@contextmanager
def spooling() -> Iterator[Spool]:
    """
    An empty spool; its file goes when the block ends.

    Raises: ReplayError: the disk is full.
    """
    with tempfile.TemporaryDirectory(prefix="promptwatch-") as folder:
        connection = sqlite3.connect(Path(folder) / "rows.db", isolation_level=None)
        try:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            connection.execute(_SCHEMA)
            connection.execute("BEGIN")
            yield Spool(connection)
        except sqlite3.OperationalError as exc:
            raise ReplayError(
                f"the rows cannot be kept in {folder} while they are read: {exc}; a folder with more room is named by "
                "the environment variable TMPDIR"
            ) from exc
        finally:
            connection.close()
