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
from watchdog.core import words
from watchdog.core.rules import Action
from watchdog.errors import Refused
from watchdog.notify.harmless import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rich.console import Console

    from watchdog.backtest.quiet import RuleOnQuietDays
    from watchdog.backtest.run import Past, PromptPast
    from watchdog.config.settings import Settings
    from watchdog.config.strength import Forecast
    from watchdog.core.rules import RuleSet

_WOULD = {Action.REVERT: "revert", Action.SUGGEST: "suggest a revert", Action.ALERT: "alert", None: "nothing"}


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
    _tell(out(), pasts, days)


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


def _tell(console: Console, pasts: tuple[PromptPast, ...], days: int) -> None:
    for past in pasts:
        if past.trouble:
            say(console, f"{past.prompt}: only in part: {past.trouble}", style="yellow")
    _tell_promotions(console, pasts, days)
    _tell_quiet(console, pasts)
    _tell_strength(console, pasts)


def _tell_promotions(console: Console, pasts: tuple[PromptPast, ...], days: int) -> None:
    promotions = sorted((p for past in pasts for p in past.promotions), key=lambda p: p.promotion.at)
    if not promotions:
        say(
            console,
            f"The audit log knows no promotion of {words.count(len(pasts), 'guarded prompt')} in the last "
            f"{words.count(days, 'day')}; --days takes more of the past.",
        )
        return
    say(console, f"Past promotions ({len(promotions)}): what the watchdog would have done", style="bold")
    _table(
        console,
        ("prompt", "promoted", "versions", "verdict", "would", "after", "rule", "in truth", "failed calls saved"),
        [_promotion_row(p) for p in promotions],
    )
    for p in promotions:
        if p.note and p.promotion.from_version_id is not None:
            say(console, f"{p.prompt} {p.candidate}: {p.note}", style="dim")
        if p.judged is not None and p.judged.action is not None:
            say(console, f"{p.prompt} {p.candidate}: {p.judged.reason}")
    reverted = [p.judged for p in promotions if p.judged is not None and p.judged.action is Action.REVERT]
    saved = sum(j.saved or 0.0 for j in reverted)
    say(
        console,
        f"{len(reverted)} of {words.count(len(promotions), 'promotion')} would have been reverted; about "
        f"{saved:,.0f} failed calls fewer than there were.",
    )


def _promotion_row(past: Past) -> tuple[str, ...]:
    versions = f"{past.control or 'nothing'} -> {past.candidate}"
    when = f"{past.promotion.at:%Y-%m-%d %H:%M}"
    judged = past.judged
    if judged is None:
        return (past.prompt, when, versions, "not judged", words.NOTHING, "", "", past.human, "")
    after = ""
    if past.acted_after is not None:
        after = f"{words.duration(past.acted_after)}, {words.count(judged.candidate.calls, 'call')}"
    saved = "" if judged.saved is None else f"{judged.saved:,.0f} of {judged.failures_after:,}"
    return (
        past.prompt,
        when,
        versions,
        judged.verdict.value,
        _WOULD[judged.action],
        after,
        ", ".join(judged.rules),
        past.human,
        saved,
    )


def _tell_quiet(console: Console, pasts: tuple[PromptPast, ...]) -> None:
    console.print()
    found = [(past, rule) for past in pasts for rule in past.quiet if rule.days]
    if not found:
        say(console, "No two whole days in a row without a promotion: there is nothing to count false alarms on.")
        return
    say(console, "Days on which nothing changed, each played as a promotion: false alarms", style="bold")
    _table(
        console,
        ("prompt", "rule", "quiet days", "false alarms", "with calibration", "what it asks for now"),
        [
            (
                past.prompt,
                rule.rule,
                f"{rule.days}",
                f"{rule.alarms}",
                f"{rule.alarms_calibrated}",
                _asked(rule),
            )
            for past, rule in found
        ],
    )


def _asked(rule: RuleOnQuietDays) -> str:
    if rule.now is None:
        return "its budget: too few quiet days of this version"
    if rule.now.demoted:
        return "only alerts"
    if rule.now.raised:
        return f"{words.odds(rule.now.needed_nats)} instead of {words.odds(rule.now.alpha_nats)}"
    return f"{words.odds(rule.now.alpha_nats)}, as its budget"


def _tell_strength(console: Console, pasts: tuple[PromptPast, ...]) -> None:
    console.print()
    weighed = [past for past in pasts if past.strength]
    if not weighed:
        say(console, "No calls of the versions on production: how strong the rules are here cannot be said.")
        return
    say(console, "How strong each rule is at today's traffic", style="bold")
    for past in weighed:
        calls = words.count(past.baseline_calls or 0, "call")
        say(console, f"{past.prompt}: {past.rate_per_s:.3g} calls/s, {calls} in the baseline")
    _table(
        console,
        ("prompt", "rule", "to see", "takes about", "smallest in a watch"),
        [(past.prompt, f.rule, f.effect, _needs(f), _smallest(f)) for past in weighed for f in past.strength],
    )


def _needs(forecast: Forecast) -> str:
    if forecast.unable:
        return forecast.unable
    if forecast.calls is None or forecast.seconds is None:
        return "more than a watch"
    return f"{words.count(round(forecast.calls), 'call')}, {words.duration(timedelta(seconds=forecast.seconds))}"


def _smallest(forecast: Forecast) -> str:
    return forecast.smallest_text or words.NOTHING


def _table(console: Console, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """A table in a terminal; tab-separated lines in a pipe."""
    if not console.is_terminal:
        for row in (columns, *rows):
            sys.stdout.write("\t".join(one_line(cell) for cell in row) + "\n")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    console.print(table)
