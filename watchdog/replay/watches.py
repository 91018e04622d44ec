"""
Files of calls to judged promotions: read, split, summarised, judged, one stream after the other.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from watchdog.config.kinds import duration_text
from watchdog.config.settings import WatchSettings
from watchdog.core import words
from watchdog.core.rules import Action, Metric
from watchdog.core.windows import WINDOW, Summary
from watchdog.replay.cells import OK_IS_A_SHARE, CellReader, time_field
from watchdog.replay.columns import FIELDS, Naming, listed, otherwise_spelt
from watchdog.replay.errors import ReplayError
from watchdog.replay.formats import CallFile
from watchdog.replay.gather import Pace, blocks_of, merged, windows_of
from watchdog.replay.run import Outcome, judge_calls
from watchdog.replay.split import Question, Split, skipped, splits
from watchdog.replay.spool import Order, Spool, Unusable, spooling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from watchdog.core.model import ErrorKind
    from watchdog.core.rules import RuleSet
    from watchdog.replay.cells import CallRow

_SETTINGS = WatchSettings()
# Call by call a verdict takes no call more than it must. This many windows take seconds to judge, so that of more calls
# each window takes more.
_MOST_WINDOWS = 5_000
_WINDOWS_A_DAY = timedelta(days=1) // WINDOW
# Seconds in a column of milliseconds, or the reverse, shows in the median.
_SLOW_MS = 300_000.0
_FAST_MS = 5.0
_FASTEST_MS = 0.5
_BARS = 60


@dataclass(frozen=True, kw_only=True)
class Request:
    """
    What is to be replayed, and how.

    Attributes:
        streams: glob on a stream's name; the others are passed over.
        every, tick: what a window is; None for what fits the files.
        length: how long a promotion is watched, where times are known.
        kind_of: the kind of failure that an error code stands for.
        min_baseline_calls: fewer, and only absolute rules judge.
        most: the most that may be done.
        profiles: also describe both sides as wholes, for a picture.

    Raises: ReplayError: two kinds of window.
    """

    paths: tuple[Path, ...]
    rules: RuleSet
    kind_of: Callable[[str], ErrorKind]
    naming: Naming = field(default_factory=Naming)
    question: Question = field(default_factory=Question)
    streams: str = "*"
    every: int | None = None
    tick: timedelta | None = None
    length: timedelta = _SETTINGS.length
    min_baseline_calls: int = _SETTINGS.min_baseline_calls
    most: Action = Action.REVERT
    profiles: bool = False

    def __post_init__(self) -> None:
        if self.every is not None and self.tick is not None:
            raise ReplayError("--every and --tick both say what a window is; keep one")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """
    What was found in the files as a whole.

    Attributes:
        rows: of the streams that were asked for, unusable ones included.
        used, unread: columns that stand for a field, and those that were left alone.
        skipped: streams that have only one of the two sides.
    """

    rows: int
    used: tuple[str, ...]
    unread: tuple[str, ...]
    notes: tuple[str, ...]
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FileWatch:
    """
    One promotion out of a file, judged.

    Attributes:
        window: what a window was, in words.
        baseline, blocks: the baseline's calls, and the same in order of time.
        candidate_calls: in the file; `outcome.candidate` holds those that were judged.
        unusable_before, unusable_after: rows of each side that could not be used, by reason.
        after: all the candidate's calls in order, in at most 60 parts; empty unless profiles were asked for.
    """

    split: Split
    window: str
    outcome: Outcome
    baseline: Summary
    blocks: tuple[Summary, ...]
    candidate_calls: int
    unusable_before: tuple[Unusable, ...]
    unusable_after: tuple[Unusable, ...]
    notes: tuple[str, ...]
    after: tuple[Summary, ...] = ()


@contextmanager
def replayed(request: Request) -> Iterator[tuple[Reading, Iterator[FileWatch]]]:
    """
    What was read, and the watches, each judged when it is asked for.

    Raises: ReplayError: the files cannot be read, or do not hold what was asked for.
    """
    _refuse_twice(request.paths)
    files = [CallFile(path, request.naming) for path in request.paths]
    present = _same_fields(files)
    cells = CellReader(present, request.kind_of, _stream_of(request.paths))
    with spooling() as spool:
        left_out = _read(spool, files, cells, request.streams)
        if not spool.n:
            raise ReplayError(_nothing_read(request, left_out))
        spool.arrange()
        _refuse_shares(spool, request)
        made = splits(spool, request.question, time_field=time_field(present))
        reading = Reading(
            rows=spool.n,
            used=tuple(request.naming.source_of(name) for name in FIELDS if name in present),
            unread=tuple(dict.fromkeys(name for file in files for name in file.unread)),
            notes=_notes(present, cells, files[0].unread, request.rules),
            skipped=skipped(spool, made),
        )
        yield reading, (_judged(spool, split, request, present) for split in made)


def _refuse_twice(paths: tuple[Path, ...]) -> None:
    """
    Raises: ReplayError: a file is named twice; its calls would count twice.
    """
    seen: set[Path] = set()
    for path in paths:
        if (real := path.resolve()) in seen:
            raise ReplayError(f"{path}: is named twice, and its calls would count twice; name it once")
        seen.add(real)


def _same_fields(files: list[CallFile]) -> frozenset[str]:
    """
    Raises: ReplayError: a file lacks what another has; it would count as unknown, and look like a change.
    """
    first = files[0]
    for file in files[1:]:
        if file.present != first.present:
            name = min(file.present ^ first.present)
            one, other = (file, first) if name in file.present else (first, file)
            raise ReplayError(f"{other.name}: has no {name}, and {one.name} has; all files must have the same columns")
    return first.present


def _stream_of(paths: tuple[Path, ...]) -> str:
    """A name for calls that name no stream: the file's, without what follows the first dot."""
    return paths[0].name.partition(".")[0] if len(paths) == 1 else "all files"


def _read(spool: Spool, files: list[CallFile], cells: CellReader, glob: str) -> set[str]:
    """Fill the spool; returns some of the streams that were passed over."""
    wanted: dict[str, bool] = {}

    def rows() -> Iterator[tuple[CallRow, str]]:
        for file in files:
            place = f"{file.name} {file.unit}" if len(files) > 1 else file.unit
            for number, taken in file.rows():
                row = cells.unreadable(taken) if isinstance(taken, str) else cells.read(taken)
                if row.stream not in wanted:
                    wanted[row.stream] = fnmatchcase(row.stream, glob)
                if wanted[row.stream]:
                    yield row, f"{place} {number}"

    spool.add(rows())
    return {stream for stream, is_wanted in wanted.items() if not is_wanted}


def _nothing_read(request: Request, left_out: set[str]) -> str:
    if left_out:
        return f"--stream {request.streams}: no stream has such a name; there are {listed(sorted(left_out))}"
    names = ", ".join(str(path) for path in request.paths)
    return f"{names}: has a header and no row"


def _refuse_shares(spool: Spool, request: Request) -> None:
    """
    Raises: ReplayError: the rows are no calls but averages over calls; or no row can be used.
    """
    found = spool.all_unusable()
    # The place names the file only where there are several.
    file = f"{request.paths[0]}: " if len(request.paths) == 1 else ""
    shares = [unusable for unusable in found if OK_IS_A_SHARE in unusable.reason]
    if sum(unusable.rows for unusable in shares) > spool.n / 10:
        first = shares[0]
        raise ReplayError(
            f'{file}{first.first}: {OK_IS_A_SHARE} ("{first.value}"); a row must be one call, with ok 1 or 0'
        )
    if sum(unusable.rows for unusable in found) == spool.n:
        raise ReplayError(f"{file}no row can be used: {unusable_words(found)}")


def unusable_words(found: tuple[Unusable, ...]) -> str:
    """`latency_s is not a number: 12 rows, first at line 37 ("fast")`, one after the other."""
    return "; ".join(
        f"{u.reason}: {words.count(u.rows, 'row')}, first at {u.first}" + (f' ("{u.value}")' if u.value else "")
        for u in found
    )


def _notes(present: frozenset[str], cells: CellReader, unread: tuple[str, ...], rules: RuleSet) -> tuple[str, ...]:
    notes = [f"in other capitals than a field's name, and not read: {way}" for way in otherwise_spelt(present, unread)]
    if not present & {"ok", "error"}:
        notes.append("no ok and no error column: success rules have nothing to judge")
    if not present & {"latency_s", "latency_ms"}:
        notes.append("no latency column: latency rules have nothing to judge")
    if "cost_usd" not in present and any(rule.metric is Metric.COST for rule in rules.rules):
        notes.append("no cost_usd column: cost rules have nothing to judge")
    if cells.naive_times:
        notes.append(f"{words.count(cells.naive_times, 'time')} without a time zone: taken as UTC")
    return tuple(notes)


def _judged(spool: Spool, split: Split, request: Request, present: frozenset[str]) -> FileWatch:
    candidate_calls, _ = spool.counts(split.after)
    pace, n_windows = _pace(request, split, candidate_calls)
    blocks = blocks_of(spool.rows(split.before), timed=split.order is Order.TIME)
    baseline = merged(blocks)
    silent = _silent(baseline.failures + spool.failures(split.after), request.rules, present)
    outcome = judge_calls(
        request.rules,
        baseline=baseline,
        blocks=blocks,
        windows=windows_of(spool.rows(split.after), pace),
        n_windows=n_windows,
        min_baseline_calls=request.min_baseline_calls,
        most=request.most,
        control=split.control,
        candidate=split.candidate,
        silent=silent,
    )
    notes = [*split.notes, *_unit_notes(baseline, request.naming, present)]
    kinds = [rule.name for rule in request.rules.rules if rule.metric is Metric.ERROR_KIND and rule.name in silent]
    if kinds:
        notes.append(f"{silent[kinds[0]]} (--column error=COLUMN): {', '.join(kinds)} cannot judge")
    beyond = candidate_calls - outcome.candidate.calls
    if beyond and outcome.decided_after is None:
        length = duration_text(request.length)
        notes.append(f"{words.count(beyond, 'call')} later than {length} after the first: not judged (--length)")
    after: tuple[Summary, ...] = ()
    if request.profiles:
        after = blocks_of(spool.rows(split.after), timed=False, most=_BARS)
    return FileWatch(
        split=split,
        window=_window_words(pace),
        outcome=outcome,
        baseline=baseline,
        blocks=blocks,
        candidate_calls=candidate_calls,
        unusable_before=spool.unusable(split.before),
        unusable_after=spool.unusable(split.after),
        notes=tuple(notes),
        after=after,
    )


def _pace(request: Request, split: Split, calls: int) -> tuple[Pace, int]:
    """
    What a window is, and how many there are in the whole watch.

    Raises: ReplayError: ticks of a clock were asked for, and there is none.
    """
    spread = -(-calls // _MOST_WINDOWS)
    if request.every is None and split.order is Order.TIME:
        n_ticks = max(1, request.length // (request.tick or WINDOW))
        if request.tick is not None:
            return Pace(tick=request.tick, length=request.length), n_ticks
        # Hours without a call still pass.
        every = max(1, spread)
        return Pace(tick=WINDOW, every=every, length=request.length), n_ticks + calls // every
    if request.tick is not None:
        raise ReplayError(f"--tick: {split.stream} has no times that order its calls; give --every N calls instead")
    every = request.every or max(1, spread)
    return Pace(every=every), max(_WINDOWS_A_DAY, -(-calls // every))


def _window_words(pace: Pace) -> str:
    parts = [] if pace.tick is None else [duration_text(pace.tick)]
    if pace.every is not None:
        parts.append(words.count(pace.every, "call"))
    return " or ".join(parts)


def _silent(failures: int, rules: RuleSet, present: frozenset[str]) -> dict[str, str]:
    """Why rules have nothing to look at, by name: zero of what nothing tells would be no finding, but ignorance."""
    found: dict[str, str] = {}
    for rule in rules.rules:
        match rule.metric:
            case Metric.SUCCESS if not present & {"ok", "error"}:
                found[rule.name] = "no ok and no error column"
            case Metric.ERROR_KIND if not present & {"ok", "error"} or ("error" not in present and failures):
                found[rule.name] = "no error column tells of which kind a failure is"
            case Metric.LATENCY if not present & {"latency_s", "latency_ms"}:
                found[rule.name] = "no latency column"
            case Metric.COST if "cost_usd" not in present:
                found[rule.name] = "no cost_usd column"
            case Metric.FEEDBACK:
                found[rule.name] = "a file of calls holds no feedback"
            case _:
                pass  # its column is there
    return found


def _unit_notes(baseline: Summary, naming: Naming, present: frozenset[str]) -> list[str]:
    """A wrong unit changes no verdict about ratios, but every number that is shown, and every limit."""
    median = baseline.latency_ms.quantile(0.5)
    if median is None:
        return []
    read = "latency_s" if "latency_s" in present else "latency_ms"
    column = naming.source_of(read)
    what = f"the baseline's median latency is {words.milliseconds(median)}"
    if read == "latency_s":
        if median > _SLOW_MS:
            return [f"{what}: that looks like milliseconds; try --column latency_ms={column}"]
        return [f"{what}: is {column} in seconds?"] if median < _FASTEST_MS else []
    if median < _FAST_MS:
        return [f"{what}: that looks like seconds; try --column latency_s={column}"]
    return [f"{what}: is {column} in milliseconds?"] if median > _SLOW_MS else []
