"""
From a row's cells to one call, or to the reason why it is none.

Cells are text (CSV), or what JSON and Parquet make of them. What is empty is unknown; what is there but makes no sense
makes the row unusable, since a value that was guessed could revert a good prompt, or hide a bad one.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from watchdog.core.model import ErrorKind
from watchdog.replay.columns import TIMES, position

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# What exports write for "nothing".
_ABSENT = frozenset({"", "null", "none", "nan", "na", "n/a", "<na>", "nat"})
_YES = frozenset({"1", "true", "t", "yes", "y", "1.0"})
_NO = frozenset({"0", "false", "f", "no", "n", "0.0"})
_LONGEST_LABEL = 100
# Seconds since 1970 in the year 2286; more is a count of milliseconds.
_LATEST_S = 1e10
_SLOWEST_MS = 1e9
_DEAREST_USD = 1e6
_MOST_TOKENS = 1e9
_MOST_SHOWN = 40
_COMMA = re.compile(r"[+-]?\d+(?:,\d+)+(?:\.\d+)?")

OK_IS_A_SHARE = "ok is a share and not the outcome of one call"

_STREAM, _VERSION, _SEGMENT, _MODEL = map(position, ("stream", "version", "segment", "model"))
_TIME, _UNIX, _SECONDS = map(position, ("time", "t_unix", "t_s"))
_OK, _ERROR = map(position, ("ok", "error"))
_LATENCY_S, _LATENCY_MS, _COST = map(position, ("latency_s", "latency_ms", "cost_usd"))
_TOKENS = tuple((name, position(name)) for name in ("prompt_tokens", "completion_tokens", "cached_tokens"))


class CallRow(NamedTuple):
    """
    One row: a call, or the reason why it is none. One is made for each of a million rows, hence not a dataclass.

    Attributes:
        at_s: seconds since 1970, or since an origin that the file alone knows; None where there is no usable time.
        reason: why it cannot be used, without its number; empty for a call.
        latency_ms: > 0; None when unknown.
        shown: the cell for which it cannot be used, harmless to show and at most 40 characters long; empty for a call.
    """

    stream: str
    version: str
    at_s: float | None
    reason: str
    segment: str = ""
    model: str = ""
    ok: bool = False
    error_kind: ErrorKind | None = None
    latency_ms: float | None = None
    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    shown: str = ""


class _UnusableError(Exception):
    """
    The row cannot be used; says why, in words that are the same for all rows with this fault.

    Attributes:
        cell: what it was about; None where there was nothing.
    """

    def __init__(self, reason: str, cell: object = None) -> None:
        super().__init__(reason)
        self.cell = cell


class CellReader:
    """
    Reads the rows of files that have the same columns.

    Attributes:
        naive_times: rows so far whose time named no zone; taken as UTC.
    """

    def __init__(self, present: frozenset[str], kind_of: Callable[[str], ErrorKind], stream: str) -> None:
        """
        Args:
            present: fields that the files have.
            kind_of: the kind of failure that an error code stands for.
            stream: name for the calls that name no stream.
        """
        self._time = time_field(present)
        self._stream = stream
        self._latency = "latency_s" if "latency_s" in present else "latency_ms"
        self._has_ok = "ok" in present
        self._kind_of = kind_of
        self._kinds: dict[str, ErrorKind] = {}
        self.naive_times = 0

    def read(self, cells: Sequence[object]) -> CallRow:
        """The row; unusable or not, it says whose it is as far as that can be told."""
        stream, version = _label(cells[_STREAM]) or self._stream, _label(cells[_VERSION])
        at_s: float | None = None
        try:
            at_s = self._at_s(cells)
            ok, kind = self._outcome(cells)
            latency_ms = self._latency_ms(cells, ok=ok)
            cost_usd = _number(cells[_COST], "cost_usd", least=0.0, most=_DEAREST_USD)
            input_tokens, output_tokens, cached_tokens = [_count(cells[i], name) for name, i in _TOKENS]
        except _UnusableError:
            reason, shown = self._faults(cells)
            return CallRow(stream, version, at_s, reason, shown=shown)
        return CallRow(
            stream,
            version,
            at_s,
            "",
            _label(cells[_SEGMENT]),
            _label(cells[_MODEL]),
            ok,
            kind,
            latency_ms,
            cost_usd,
            input_tokens,
            output_tokens,
            cached_tokens,
        )

    def unreadable(self, reason: str) -> CallRow:
        """A row that could not even be taken apart."""
        return CallRow(self._stream, "", None, reason)

    def _faults(self, cells: Sequence[object]) -> tuple[str, str]:
        """Everything that is wrong with the row, so that a file is mended in one go; and the first cell of it."""
        found: list[_UnusableError] = []
        naive_times = self.naive_times
        ways: list[Callable[[], object]] = [
            lambda: self._at_s(cells),
            lambda: self._outcome(cells),
            # Whether the call failed only matters for a latency of 0, which is then no fault of its own.
            lambda: self._latency_ms(cells, ok=_flag(cells[_OK]) or False),
            lambda: _number(cells[_COST], "cost_usd", least=0.0, most=_DEAREST_USD),
            lambda: [_count(cells[i], name) for name, i in _TOKENS],
        ]
        for way in ways:
            try:
                way()
            except _UnusableError as exc:
                if str(exc) not in map(str, found):
                    found.append(exc)
        self.naive_times = naive_times  # the row was counted when it was read
        return " and ".join(map(str, found)), _shown(found[0].cell)

    def _at_s(self, cells: Sequence[object]) -> float | None:
        match self._time:
            case "time":
                return self._instant_s(cells[_TIME])
            case "t_unix":
                return _required(_number(cells[_UNIX], "t_unix", least=-_LATEST_S, most=_LATEST_S), "t_unix")
            case "t_s":
                return _required(_number(cells[_SECONDS], "t_s", least=-_LATEST_S, most=_LATEST_S), "t_s")
            case _:
                return None

    def _instant_s(self, cell: object) -> float:
        if isinstance(cell, str):
            try:
                cell = datetime.fromisoformat(cell.strip())
            except ValueError:
                raise _UnusableError(_no_time(cell), cell) from None
        if not isinstance(cell, datetime):
            raise _UnusableError(_no_time(cell), cell)
        if cell.tzinfo is None:
            self.naive_times += 1
            cell = cell.replace(tzinfo=UTC)
        return cell.timestamp()

    def _outcome(self, cells: Sequence[object]) -> tuple[bool, ErrorKind | None]:
        """`ok` decides where it is there; an error alone says that the call failed."""
        ok = _flag(cells[_OK])
        error = _code(cells[_ERROR])
        if ok is None:
            if error:
                ok = False
            elif self._has_ok:
                raise _UnusableError("ok is empty")
            else:
                ok = True
        return ok, None if ok else self._kind(error)

    def _kind(self, code: str) -> ErrorKind:
        if not code:
            return ErrorKind.OTHER
        kind = self._kinds.get(code)
        if kind is None:
            kind = self._kind_of(code)
            if len(self._kinds) < 10_000:  # messages with ids in them would fill the memory
                self._kinds[code] = kind
        return kind

    def _latency_ms(self, cells: Sequence[object], *, ok: bool) -> float | None:
        in_s = self._latency == "latency_s"
        factor, i = (1000.0, _LATENCY_S) if in_s else (1.0, _LATENCY_MS)
        value = _number(cells[i], self._latency, least=0.0, most=_SLOWEST_MS / factor)
        if value == 0.0:
            # Some tools log 0 for a call that never got an answer: nothing was measured.
            if not ok:
                return None
            raise _UnusableError(f"{self._latency} is 0", cells[i])
        return None if value is None else value * factor


def time_field(present: frozenset[str]) -> str | None:
    """Which of the time columns is read; None where there is none."""
    return next((name for name in TIMES if name in present), None)


def _label(cell: object) -> str:
    """A name, as text; empty for none. Its length is bounded, since it is kept and shown."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))  # 0314 has become 314.0 on its way through a data frame
    return str(cell).strip()[:_LONGEST_LABEL]


def _code(cell: object) -> str:
    text = _label(cell)
    return "" if text.lower() in _ABSENT else text


def _flag(cell: object) -> bool | None:
    if cell is None or isinstance(cell, bool):
        return cell
    text = str(cell).strip().lower()
    if text in _YES:
        return True
    if text in _NO:
        return False
    if text in _ABSENT:
        return None
    if text.endswith("%") or _lies_between_0_and_1(text):
        raise _UnusableError(OK_IS_A_SHARE, cell)
    raise _UnusableError("ok is none of 1, 0, true, false, yes, no", cell)


def _no_time(cell: object) -> str:
    """Why it is none; a number has a field of its own."""
    try:
        float(cell)  # type: ignore[arg-type]  # what has no float raises TypeError
    except (TypeError, ValueError, OverflowError):
        return "time is not an ISO time"
    return "time is a number and not an ISO time (seconds since 1970 are t_unix=, since another origin t_s=)"


def _shown(cell: object) -> str:
    """Somebody else's text, on one line, without what could steer a terminal; empty for nothing."""
    if cell is None:
        return ""
    # The beginning alone: a cell may hold a mebibyte.
    text = "".join(c if c.isprintable() else "\N{MIDDLE DOT}" for c in str(cell)[: _MOST_SHOWN + 1])
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"


def _lies_between_0_and_1(text: str) -> bool:
    try:
        return 0.0 < float(text) < 1.0
    except ValueError:
        return False


def _number(cell: object, name: str, *, least: float, most: float) -> float | None:
    if cell is None or cell == "":
        return None
    try:
        value = float(cell)  # type: ignore[arg-type]  # what has no float raises TypeError
    except (TypeError, ValueError, OverflowError):
        if isinstance(cell, str) and cell.strip().lower() in _ABSENT:
            return None
        if isinstance(cell, str) and _COMMA.fullmatch(cell.strip()):
            raise _UnusableError(f"{name} has a comma; write 1.5 for 1,5 and 1500 for 1,500", cell) from None
        raise _UnusableError(f"{name} is not a number", cell) from None
    if least <= value <= most:
        return value
    if math.isnan(value):
        return None
    if value < 0.0 == least:
        raise _UnusableError(f"{name} is negative", cell)
    raise _UnusableError(f"{name} is out of range; is its unit right?", cell)


def _count(cell: object, name: str) -> int | None:
    value = _number(cell, name, least=0.0, most=_MOST_TOKENS)
    if value is None:
        return None
    if value != int(value):
        raise _UnusableError(f"{name} is not a whole number", cell)
    return int(value)


def _required(value: float | None, name: str) -> float:
    if value is None:
        raise _UnusableError(f"{name} is empty")
    return value
