"""`backtest`: what would the watchdog have done about your own past promotions? Reads the platform, changes nothing."""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from watchdog.backtest.report import facts, moment
from watchdog.backtest.run import Question, backtest
from watchdog.cli.compose import platform_of, terms_of
from watchdog.cli.exits import FAILED, USAGE, err, out, say, stop
from watchdog.cli.where import required_settings
from watchdog.clock import SystemClock
from watchdog.config.report_text import takes
from watchdog.core import words
from watchdog.core.rules import Action
from watchdog.core.watch import Verdict
from watchdog.errors import Refused
from watchdog.notify.harmless import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from watchdog.backtest.quiet import RuleOnQuietDays
    from watchdog.backtest.run import Past, PromptPast
    from watchdog.backtest.trial import Judged
    from watchdog.config.settings import Settings
    from watchdog.config.strength import Forecast
    from watchdog.core.rules import RuleSet

_WOULD = {
    Action.REVERT: "revert",
    Action.COUNTDOWN: "count down",
    Action.SUGGEST: "suggest",
    Action.ALERT: "alert",
    None: "nothing",
}
# A countdown that nobody stops is a revert.
_REVERTS = (Action.REVERT, Action.COUNTDOWN)
_PROMOTION = ("promoted", "versions", "verdict", "would", "after", "saved")
_WITHOUT_AN_ANSWER = (Verdict.INCONCLUSIVE, Verdict.NO_DATA)
# Columns of short phrases that are read as one.
_WHOLE = ("promoted", "verdict", "after")
_LONGEST_CELL = 30


def run(config: Path | None, *, days: int, prompts: str, rules: Sequence[str], as_json: bool) -> None:
    """Raises: ConfigError, PlatformError."""
    settings = required_settings(config)
    clock = SystemClock()
    platform = platform_of(settings, os.environ, clock)
    try:
        platform.prompts()  # its answer says what time it is there
        now = clock.now() + (platform.clock_skew() or timedelta())
        question = Question(
            rules_for=_rules_of(settings, rules),
            terms=terms_of(settings),
            since=now - timedelta(days=days),
            now=now,
            glob=prompts,
        )
        with _Shown() as progress:
            pasts = backtest(platform, question, progress)
    except Refused as exc:
        if exc.status not in (401, 403):
            raise
        stop(FAILED, f"the past cannot be read with this token, and nothing was judged: {exc}")
    finally:
        platform.close()
    if not pasts:
        stop(USAGE, f"no guarded prompt has a slug like {prompts!r}; see [watch] prompts and exclude")
    if as_json:
        value = {
            "since": moment(question.since),
            "until": moment(now),
            "prompts": [facts(p) for p in pasts],
        }
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=True, allow_nan=False) + "\n")
        return
    _tell(out(), pasts, days, settings.watch.environment)


def _rules_of(settings: Settings, packs: Sequence[str]) -> Callable[[str], RuleSet]:
    """The configuration's rules, or the named packs for every prompt."""
    if not packs:
        return settings.rules_for
    from watchdog.config.packs import load_rules

    named = load_rules(tuple(packs))
    return lambda _slug: named


class _Shown:
    """A bar on standard error, where somebody is looking."""

    def __init__(self) -> None:
        console = err()
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("reading", total=0)
        self._total = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def expect(self, steps: int) -> None:
        self._total += steps
        self._bar.update(self._task, total=self._total)

    def step(self, what: str) -> None:
        self._bar.update(self._task, advance=1, description=one_line(what))


def _tell(console: Console, pasts: tuple[PromptPast, ...], days: int, environment: str) -> None:
    for past in pasts:
        if past.trouble:
            say(console, f"{past.prompt}: only in part: {past.trouble}", style="yellow")
    _tell_promotions(console, pasts, days, environment)
    _tell_quiet(console, pasts)
    _tell_strength(console, pasts, environment)


def _tell_promotions(console: Console, pasts: tuple[PromptPast, ...], days: int, environment: str) -> None:
    promotions = sorted((p for past in pasts for p in past.promotions), key=lambda p: p.promotion.at)
    if not promotions:
        say(
            console,
            f"The audit log knows no promotion of {words.count(len(pasts), 'guarded prompt')} in the last "
            f"{words.count(days, 'day')}; --days takes more of the past.",
        )
        return
    say(console, f"Past promotions ({len(promotions)}): what the watchdog would have done", style="bold")
    if console.is_terminal:
        for past in pasts:
            if past.promotions:
                say(console, past.prompt, style="bold")
                _table(console, _PROMOTION, [_promotion_row(p) for p in past.promotions])
                for p in past.promotions:
                    say(console, f"{p.candidate}: {_in_truth(p)}")
    else:
        columns = ("prompt", *_PROMOTION[:-1], "rule", "in truth", "failed calls saved")
        _lines(columns, [_promotion_line(p) for p in promotions])
    for p in promotions:
        if p.note and p.promotion.from_version_id is not None:
            say(console, f"{p.prompt} {p.candidate}: {p.note}", style="dim")
        if p.judged is not None and (p.judged.action is not None or p.judged.verdict in _WITHOUT_AN_ANSWER):
            say(console, f"{p.prompt} {p.candidate}: {_reason(p.judged, environment)}")
    reverted = [p.judged for p in promotions if p.judged is not None and p.judged.action in _REVERTS]
    saved = sum(j.saved or 0.0 for j in reverted)
    spared = f"; about {words.count(round(saved), 'failed call')} would have been spared" if round(saved) > 0 else ""
    say(
        console,
        f"{len(reverted)} of {words.count(len(promotions), 'promotion')} would have been reverted{spared}.",
    )


def _reason(judged: Judged, environment: str) -> str:
    where = f" (environment {environment})" if judged.verdict is Verdict.NO_DATA else ""
    return f"{judged.reason}{where}"


def _promotion_row(past: Past) -> tuple[str, ...]:
    """The columns of `_PROMOTION`."""
    when = f"{past.promotion.at:%Y-%m-%d %H:%M}"
    judged = past.judged
    # Where nothing was compared: what it took the place of.
    control = past.before if judged is None else past.control or past.before
    versions = f"{control or 'nothing'} -> {past.candidate}"
    if judged is None:
        return (when, versions, "not judged", words.NOTHING, "", "")
    return (
        when,
        versions,
        judged.verdict.value,
        _WOULD[judged.action],
        "" if past.acted_after is None else words.duration(past.acted_after),
        "" if judged.saved is None else f"{judged.saved:,.0f}",
    )


def _promotion_line(past: Past) -> tuple[str, ...]:
    """All of it in one line: there is no width to keep to."""
    *row, saved = _promotion_row(past)
    judged = past.judged
    if judged is not None and judged.action is not None:
        row[-1] += f", {words.count(judged.candidate.calls, 'call')}"
    if saved and judged is not None:
        saved += f" of {judged.failures_after:,}"
    return (past.prompt, *row, ", ".join(_rules(past)), past.human, saved)


def _in_truth(past: Past) -> str:
    judged = past.judged
    parts = [f"in truth {past.human}"]
    if judged is not None and judged.action is not None:
        calls = words.count(judged.candidate.calls, "call")
        parts.insert(0, f"by {', '.join(_rules(past))}, after {calls}")
    if judged is not None and judged.saved is not None:
        parts.append(f"{judged.failures_after:,} of {words.count(judged.calls_after, 'later call')} failed")
    return "; ".join(parts)


def _rules(past: Past) -> tuple[str, ...]:
    return () if past.judged is None else past.judged.rules


def _tell_quiet(console: Console, pasts: tuple[PromptPast, ...]) -> None:
    console.print()
    found = [past for past in pasts if any(rule.days for rule in past.quiet)]
    if not found:
        say(console, "No two whole days in a row without a promotion: there is nothing to count false alarms on.")
        return
    say(console, "Days on which nothing changed, each played as a promotion: false alarms", style="bold")
    columns = ("rule", "quiet days", "false alarms", "calibrated", "asks for now")
    rows = {past.prompt: [_quiet_row(rule) for rule in past.quiet if rule.days] for past in found}
    if not console.is_terminal:
        _lines_by_prompt(columns, rows)
    else:
        for prompt, of_prompt in rows.items():
            say(console, prompt, style="bold")
            _table(console, columns, of_prompt)


def _quiet_row(rule: RuleOnQuietDays) -> tuple[str, ...]:
    return (rule.rule, f"{rule.days}", f"{rule.alarms}", f"{rule.alarms_calibrated}", _asked(rule))


def _asked(rule: RuleOnQuietDays) -> str:
    if rule.now is None:
        return "its budget: too few quiet days of this version"
    if rule.now.demoted:
        return "only alerts"
    if rule.now.raised:
        return f"{words.odds(rule.now.needed_nats)} instead of {words.odds(rule.now.alpha_nats)}"
    return f"{words.odds(rule.now.alpha_nats)}, as its budget"


def _tell_strength(console: Console, pasts: tuple[PromptPast, ...], environment: str) -> None:
    console.print()
    weighed = [past for past in pasts if past.strength]
    if not weighed:
        say(
            console,
            f"No calls of the versions on production in the environment {environment}: how strong the rules are here "
            "cannot be said. `watch.environment` says whose calls are read.",
        )
        return
    say(console, "How strong each rule is at today's traffic", style="bold")
    columns = ("rule", "to see", "takes about", "at the least")
    rows = {past.prompt: [(f.rule, f.effect, _needs(f), _smallest(f)) for f in past.strength] for past in weighed}
    if not console.is_terminal:
        for past in weighed:
            say(console, _traffic(past))
        _lines_by_prompt(columns, rows)
    else:
        for past in weighed:
            say(console, _traffic(past), style="bold")
            _table(console, columns, rows[past.prompt])
    for past in weighed:
        for forecast in past.strength:
            if forecast.unable:
                say(console, f"{past.prompt} {forecast.rule}: silent: {forecast.unable}", style="dim")


def _needs(forecast: Forecast) -> str:
    if forecast.unable:
        return "silent"
    return "more than a watch" if forecast.calls is None else takes(forecast)


def _smallest(forecast: Forecast) -> str:
    return forecast.smallest_text or words.NOTHING


def _traffic(past: PromptPast) -> str:
    calls = words.count(past.baseline_calls or 0, "call")
    return f"{past.prompt}: {past.rate_per_s:.3g} calls/s, {calls} in the baseline"


def _lines_by_prompt(columns: tuple[str, ...], rows: Mapping[str, Sequence[tuple[str, ...]]]) -> None:
    _lines(("prompt", *columns), [(prompt, *row) for prompt, found in rows.items() for row in found])


def _lines(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Tab-separated, for a pipe."""
    for row in (columns, *rows):
        sys.stdout.write("\t".join(one_line(cell) for cell in row) + "\n")


def _table(console: Console, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """
    For a terminal, 80 columns wide: what is one word stays whole, what is several breaks between them. Each prompt has
    a table of its own, since a column for its name would leave too little for the rest.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        whole = all(" " not in row[i] for row in rows) or column in _WHOLE
        # A name that a stranger chose may be longer than the terminal is wide.
        table.add_column(column, no_wrap=whole, overflow="fold", max_width=_LONGEST_CELL if whole else None)
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    console.print(table)
