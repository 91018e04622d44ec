"""`replay`: what would the watchdog have said about these calls? Prints; the replaying is done elsewhere."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from watchdog.cli.exits import USAGE, err, out, say, stop
from watchdog.config.kinds import parse_duration
from watchdog.config.packs import load_rules
from watchdog.core import words
from watchdog.core.judgement import ReadingState
from watchdog.core.model import ErrorKind
from watchdog.core.watch import Verdict
from watchdog.notify.harmless import one_line
from watchdog.platforms.error_codes import CallStatus, error_kind
from watchdog.replay import picture, report
from watchdog.replay.columns import naming
from watchdog.replay.errors import ReplayError
from watchdog.replay.split import Question, cut_at
from watchdog.replay.watches import Request, replayed, unusable_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path

    from rich.console import Console

    from watchdog.replay.watches import FileWatch, Reading

_COLOURS = {
    Verdict.OK: "green",
    Verdict.REGRESSED: "red",
    Verdict.UPSTREAM: "magenta",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.NO_DATA: "dim",
}
_DONE = {
    "revert": "would revert",
    "countdown": "would count down to a revert",
    "suggest": "would suggest a revert",
    "alert": "would alert",
    "none": "nothing to do",
}
_LONGEST_NAME = 34


def replay(
    files: Sequence[Path],
    *,
    from_version: str | None,
    to_version: str | None,
    promote_at: str | None,
    columns: Sequence[str],
    segment: str | None,
    streams: str,
    rules: Sequence[str],
    every: int | None,
    tick: str | None,
    length: str | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Raises: ConfigError: the rules; typer.Exit with status 2 when the files or the question cannot be replayed."""
    try:
        cut = None if promote_at is None else cut_at(promote_at)
        request = Request(
            paths=tuple(files),
            rules=load_rules(tuple(rules) or ("default",)),
            kind_of=_kind_of,
            naming=naming(columns, segment),
            question=Question(from_version=from_version, to_version=to_version, cut=cut),
            streams=streams,
            every=every,
            tick=None if tick is None else _duration("--tick", tick),
            length=Request.length if length is None else _duration("--length", length),
            profiles=plot is not None,
        )
        if plot is not None:
            picture.require(plot)
        _run(request, plot, as_json=as_json)
    except ReplayError as exc:
        stop(USAGE, str(exc))


def _run(request: Request, plot: Path | None, *, as_json: bool) -> None:
    seen: list[FileWatch] = []
    console = out()
    with replayed(request) as (reading, watches):
        if not as_json:
            _say_reading(console, reading)
        elif reading.skipped:
            say(err(), _skipped(reading))
        for watch in watches:
            if as_json:
                sys.stdout.write(json.dumps(report.facts(watch), allow_nan=False) + "\n")
                sys.stdout.flush()
            else:
                _say_watch(console, watch)
            seen.append(watch)
    if not as_json and len(seen) > 1:
        console.print(_overview(seen))
    if plot is not None:
        picture.write(plot, seen)
        if not as_json:
            console.print()
            say(console, f"picture: {plot}")


def _kind_of(code: str) -> ErrorKind:
    return error_kind(CallStatus.FAILED, code) or ErrorKind.OTHER


def _duration(option: str, given: str) -> timedelta:
    try:
        length = parse_duration(given)
    except ValueError as exc:
        raise ReplayError(f"{option} {exc}; must be a duration such as 10s or 24h") from exc
    if not length:
        raise ReplayError(f"{option} {given}: must be longer than nothing")
    return length


def _say_reading(console: Console, reading: Reading) -> None:
    say(console, f"{words.count(reading.rows, 'row')}; columns {', '.join(reading.used)}")
    if reading.unread:
        say(console, f"not used: {', '.join(reading.unread)}", style="dim")
    for note in reading.notes:
        say(console, f"note: {note}", style="yellow")
    if reading.skipped:
        say(console, f"note: {_skipped(reading)}", style="yellow")


def _skipped(reading: Reading) -> str:
    names = ", ".join(one_line(name) for name in reading.skipped[:5])
    more = f" and {len(reading.skipped) - 5:,} more" if len(reading.skipped) > 5 else ""
    return f"with one of the two sides only, passed over: {names}{more}"


def _say_watch(console: Console, watch: FileWatch) -> None:
    outcome, split = watch.outcome, watch.split
    verdict = outcome.judgement.verdict
    console.print()
    say(console, f"{split.stream}: {split.control} -> {split.candidate}", style="bold")
    say(console, _headline(watch), style=_COLOURS[verdict])
    say(console, outcome.judgement.reason)
    order = "order of time" if split.order.value == "time" else "order of the rows"
    say(
        console,
        f"{words.count(watch.baseline.calls, 'baseline call')}; {words.count(watch.candidate_calls, 'call')} after, "
        f"{outcome.candidate.calls:,} judged; window {watch.window}, {order}",
        style="dim",
    )
    for note in watch.notes:
        say(console, f"note: {note}", style="yellow")
    for side, found in (("baseline", watch.unusable_before), ("candidate", watch.unusable_after)):
        if found:
            say(console, f"unusable ({side}): {unusable_words(found)}", style="yellow")
    console.print(_table(watch))
    for reading in watch.outcome.judgement.readings:
        # A column that is missing was spoken of above.
        if reading.state is ReadingState.UNABLE and reading.rule not in watch.outcome.silent:
            say(console, f"{reading.rule} cannot judge: {reading.sentence}", style="dim")


def _headline(watch: FileWatch) -> str:
    outcome = watch.outcome
    verdict = outcome.judgement.verdict.value.upper().replace("_", " ")
    if outcome.calls_to_verdict is None:
        return f"{verdict} over {words.count(outcome.candidate.calls, 'call')}: {_DONE['none']}"
    action = outcome.action.value if outcome.action else "none"
    return f"{verdict} after {words.count(outcome.calls_to_verdict, 'call')}: {_DONE[action]}, by rule {outcome.rule}"


def _table(watch: FileWatch) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("rule", no_wrap=True)
    table.add_column("says", no_wrap=True)
    table.add_column("nats", justify="right", no_wrap=True)
    table.add_column("before -> after", overflow="fold")
    table.add_column("rise (95 %)", overflow="fold")
    for reading, effect in zip(watch.outcome.judgement.readings, report.effects(watch), strict=True):
        after = watch.outcome.trips.get(reading.rule)
        state = reading.state.value if after is None else f"{reading.state.value} @{after:,}"
        nats = max(0.0, reading.nats)
        evidence = f"{nats:.1f}" if nats < 100.0 else f"{nats:.0f}"
        table.add_row(reading.rule, state, f"{evidence}/{reading.needed_nats:.1f}", effect.change, effect.bounds)
    return table


def _overview(watches: Sequence[FileWatch]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", title="\nall streams", title_justify="left")
    table.add_column("stream", overflow="fold", max_width=_LONGEST_NAME)
    for name in ("before", "after", "verdict at"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("action", no_wrap=True)
    for watch in watches:
        outcome = watch.outcome
        at = words.NOTHING if outcome.calls_to_verdict is None else f"{outcome.calls_to_verdict:,}"
        table.add_row(
            Text(one_line(watch.split.stream)),
            f"{watch.baseline.calls:,}",
            f"{watch.candidate_calls:,}",
            at,
            outcome.judgement.verdict.value,
            "none" if outcome.action is None else outcome.action.value,
            style=_COLOURS[outcome.judgement.verdict],
        )
    return table
