"""
Which rows are the baseline and which the candidate: by two versions, or by one cut through a stream.

Where the question does not have one answer, the user is told what there is to choose from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import Enum
from typing import TYPE_CHECKING

from watchdog.config.kinds import parse_duration
from watchdog.core import words
from watchdog.core.windows import WINDOW
from watchdog.replay.columns import listed
from watchdog.replay.errors import ReplayError
from watchdog.replay.spool import Order, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchdog.replay.spool import Group, Spool

_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_NUMBER = re.compile(r"-?\d*[.,]\d*")
_MOST_VERSIONS = 10
_LONGEST_VERSION = 200


class CutKind(Enum):
    ROW = "row"  # number of the candidate's first row in its stream, from 1
    SHARE = "share"  # of the stream's rows, in (0, 1)
    SECONDS = "seconds"  # on the scale of t_s, or after the stream's first row
    INSTANT = "instant"  # seconds since 1970


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Where one stream is cut; `text` is what the user wrote."""

    kind: CutKind
    value: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Split:
    """
    Attributes:
        control, candidate: names of the two sides, for people.
        notes: sentences on what was decided for the user.
    """

    stream: str
    control: str
    candidate: str
    before: Span
    after: Span
    notes: tuple[str, ...]

    @property
    def order(self) -> Order:
        return self.after.order


@dataclass(frozen=True, kw_only=True)
class Question:
    """
    Which versions, or which cut; all None: two versions, in the order in which they come.

    Raises: ReplayError: half a question, or two.
    """

    from_version: str | None = None
    to_version: str | None = None
    cut: Cut | None = None

    def __post_init__(self) -> None:
        named = [name for name in (self.from_version, self.to_version) if name is not None]
        if self.cut is not None and named:
            raise ReplayError("--promote-at cuts a stream, --from and --to name versions; keep one of the two ways")
        if len(named) == 1:
            raise ReplayError("--from and --to belong together; name both versions")
        if len(named) == 2 and named[0] == named[1]:
            raise ReplayError(f"--from and --to are both {named[0]}; to cut one version in two there is --promote-at")


def cut_at(text: str) -> Cut:
    """
    `1001` (a row), `50%` (of the rows), `3600s` or `90m` (a time in seconds), `2026-11-20T12:00:00Z`.

    Raises: ReplayError: none of these.
    """
    given = text.strip()
    allowed = "must be a row (1001), a share (50%), a time in the file (3600s, 90m) or an ISO time"
    if given.isdecimal():
        if int(given) < 2:
            raise ReplayError(f"--promote-at {text}: the candidate's first row is the second one at the earliest")
        return Cut(kind=CutKind.ROW, value=float(given), text=given)
    if given.endswith("%"):
        try:
            share = float(given[:-1]) / 100.0
        except ValueError:
            share = 0.0
        if not 0.0 < share < 1.0:
            raise ReplayError(f"--promote-at {text}: must be above 0% and below 100%")
        return Cut(kind=CutKind.SHARE, value=share, text=given)
    if _THOUSANDS.fullmatch(given):
        raise ReplayError(f"--promote-at {text}: {allowed}; did you mean {given.replace(',', '')}?")
    if _NUMBER.fullmatch(given) and any(c.isdecimal() for c in given):
        # Half of the rows, half a second, half a row: a guess would cut somewhere, and say nothing.
        point = given.replace(",", ".")
        meant = f"{100.0 * float(point):g}%" if 0.0 < float(point) < 1.0 else f"{point}s"
        raise ReplayError(f"--promote-at {text}: {allowed}; did you mean {meant}?")
    try:
        sign, span = (-1.0, given[1:]) if given.startswith("-") else (1.0, given)
        return Cut(kind=CutKind.SECONDS, value=sign * parse_duration(span).total_seconds(), text=given)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        raise ReplayError(f"--promote-at {text}: {allowed}") from None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return Cut(kind=CutKind.INSTANT, value=at.timestamp(), text=given)


def splits(spool: Spool, question: Question, *, time_field: str | None) -> tuple[Split, ...]:
    """
    One for each stream that has both sides, in the order in which the streams appear.

    Args:
        time_field: which of the time columns was read; None where there is none.

    Raises: ReplayError: no stream has both sides, or it cannot be told which they are.
    """
    if question.cut is not None:
        return _cuts(spool, question.cut, time_field)
    found: list[Split] = []
    lacking: list[str] = []
    for stream in spool.streams:
        pair = _pair(spool, stream, question)
        if pair is None:
            lacking.append(stream)
        else:
            found.append(_by_version(spool, stream, *pair, timed=time_field is not None))
    if not found:
        raise ReplayError(
            f"no stream has {_wanted(question)}; {_meant(spool, question)}{_seen(spool, spool.streams)}"
            f"{_apart(spool, question)}"
        )
    return tuple(found)


def skipped(spool: Spool, made: Sequence[Split]) -> tuple[str, ...]:
    """Streams that have only one of the two sides."""
    have = {split.stream for split in made}
    return tuple(stream for stream in spool.streams if stream not in have)


def _pair(spool: Spool, stream: str, question: Question) -> tuple[Group, Group] | None:
    """The two versions of a stream; None when it lacks one of them."""
    groups = spool.groups(stream)
    if question.from_version is not None and question.to_version is not None:
        by_name = {group.version: group for group in groups}
        if question.from_version in by_name and question.to_version in by_name:
            return by_name[question.from_version], by_name[question.to_version]
        return None
    named = [group for group in groups if group.version]
    if len(named) < 2:
        return None
    first, second = named[0], named[1]
    in_rows = first.last < second.first
    in_time = first.latest_s is not None and second.earliest_s is not None and first.latest_s <= second.earliest_s
    if len(named) > 2 or not (in_rows or in_time):
        why = "more than two versions" if len(named) > 2 else "two versions side by side"
        raise ReplayError(
            f"{_stream(stream)}has {why}; say which is the baseline: --from {first.version} --to {second.version}. "
            f"{_seen(spool, (stream,))}"
        )
    return first, second


def _by_version(spool: Spool, stream: str, before: Group, after: Group, *, timed: bool) -> Split:
    notes: list[str] = []
    sides = [Span(stream=stream, order=Order.TIME, version=group.version) for group in (before, after)]
    order, why = _order(spool, sides, before.backwards + after.backwards, timed=timed)
    notes += why
    others = [group for group in spool.groups(stream) if group.version not in (before.version, after.version)]
    nameless = sum(group.calls + group.unusable for group in others if not group.version)
    if nameless:
        notes.append(f"{words.count(nameless, 'row')} without a version: left out")
    return Split(
        stream=stream,
        control=before.version,
        candidate=after.version,
        before=Span(stream=stream, order=order, version=before.version),
        after=Span(stream=stream, order=order, version=after.version),
        notes=tuple(notes),
    )


def _cuts(spool: Spool, cut: Cut, time_field: str | None) -> tuple[Split, ...]:
    """Of the streams that reach over the cut; where none does, the error of the first."""
    found: list[Split] = []
    first_error: ReplayError | None = None
    for stream in spool.streams:
        try:
            found.append(_cut(spool, stream, cut, time_field))
        except ReplayError as exc:
            first_error = first_error or exc
    if not found and first_error is not None:
        raise first_error
    return tuple(found)


def _cut(spool: Spool, stream: str, cut: Cut, time_field: str | None) -> Split:
    whole = Span(stream=stream, order=Order.TIME)
    order, notes = _order(spool, [whole], spool.backwards(stream), timed=time_field is not None)
    whole = Span(stream=stream, order=order)
    rows = sum(spool.counts(whole))
    if cut.kind in (CutKind.ROW, CutKind.SHARE):
        index = int(cut.value) - 1 if cut.kind is CutKind.ROW else max(1, round(rows * cut.value))
        key = spool.key_at(whole, index)
        if key is None:
            raise ReplayError(f"--promote-at {cut.text}: {_stream(stream)}has only {words.count(rows, 'row')}")
    else:
        # In the order of the rows a time says nothing.
        order = Order.TIME
        key = (_seconds(spool, stream, cut, time_field), 0)
    before = Span(stream=stream, order=order, until=key)
    after = Span(stream=stream, order=order, since=key)
    for side, where in ((before, "before"), (after, "from")):
        if not sum(spool.counts(side)):
            raise ReplayError(
                f"--promote-at {cut.text}: {_stream(stream)}has no row {where} it; {_times(spool, stream)}"
            )
    return Split(
        stream=stream,
        control=f"before {cut.text}",
        candidate=f"from {cut.text}",
        before=before,
        after=after,
        notes=tuple(notes),
    )


def _seconds(spool: Spool, stream: str, cut: Cut, time_field: str | None) -> float:
    if time_field is None:
        raise ReplayError(f"--promote-at {cut.text}: the files have no time; give a row (1001) or a share (50%)")
    if cut.kind is CutKind.INSTANT:
        if time_field == "t_s":
            raise ReplayError(f"--promote-at {cut.text}: the files tell t_s alone; give seconds, such as 3600s")
        return cut.value
    if time_field == "t_s":
        return cut.value
    earliest, _ = _range(spool, stream)
    return cut.value + (earliest or 0.0)


def _order(spool: Spool, sides: Sequence[Span], backwards: int, *, timed: bool) -> tuple[Order, list[str]]:
    """Whether times or rows tell the order, and what the user should know about it."""
    if not timed:
        return Order.ROW, []
    for side in sides:
        calls, _ = spool.counts(side)
        batched = spool.in_batches(side, WINDOW.total_seconds())
        if batched > calls / 2:
            note = (
                f"{batched:,} of {words.count(calls, 'call')} bear the time of a whole batch, which orders nothing: "
                "taken in the order of the rows"
            )
            return Order.ROW, [note]
    if backwards:
        return Order.TIME, [f"{words.count(backwards, 'row')} earlier than the row before: put in the order of time"]
    return Order.TIME, []


def _wanted(question: Question) -> str:
    if question.from_version is None:
        return "two versions (name the column with --column version=COLUMN, or cut with --promote-at)"
    return f"both {question.from_version} and {question.to_version}"


def _versions(spool: Spool) -> set[str]:
    return {group.version for stream in spool.streams for group in spool.groups(stream) if group.version}


def _meant(spool: Spool, question: Question) -> str:
    """`did you mean 0613? `, where a version that was named is in no stream."""
    known = sorted(_versions(spool))
    found: list[str] = []
    for name in (question.from_version, question.to_version):
        if name is not None and name not in known:
            found += get_close_matches(name, known, n=1)
    return f"did you mean {' and '.join(found)}? " if found else ""


def _apart(spool: Spool, question: Question) -> str:
    """What to do when both versions are there, but never in one stream."""
    both = {question.from_version, question.to_version} if question.from_version is not None else _versions(spool)
    if len(spool.streams) < 2 or len(both) < 2 or not both <= _versions(spool):
        return ""
    return ". They are in different streams; --column stream= takes all calls as one"


def _seen(spool: Spool, streams: Sequence[str]) -> str:
    """The versions that there are, with counts."""
    counts: dict[str, int] = {}
    for stream in streams:
        for group in spool.groups(stream):
            counts[group.version] = counts.get(group.version, 0) + group.calls + group.unusable
    seen = [f"{version or '(none)'} ({words.count(n, 'row')})" for version, n in counts.items()]
    # In full: they are to be typed.
    return f"versions seen: {listed(seen, most=_MOST_VERSIONS, longest=_LONGEST_VERSION)}"


def _range(spool: Spool, stream: str) -> tuple[float | None, float | None]:
    """Its earliest and its latest time in seconds; None without."""
    groups = spool.groups(stream)
    earliest = min((g.earliest_s for g in groups if g.earliest_s is not None), default=None)
    return earliest, max((g.latest_s for g in groups if g.latest_s is not None), default=None)


def _times(spool: Spool, stream: str) -> str:
    earliest, latest = _range(spool, stream)
    if earliest is None or latest is None:
        return "it has no times"
    return f"its times run from {earliest:,.0f} s to {latest:,.0f} s"


def _stream(stream: str) -> str:
    return f"stream {stream} " if stream else "the file "
