"""`check` reads, `doctor` tries: both change nothing, and say what to do about what they find."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from datetime import timedelta
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from sqlalchemy import make_url, text

from watchdog.cli.compose import is_needed, platform_of, slack_of, status_pages_of
from watchdog.cli.exits import FAILED, OK, USAGE, err, out, say, stop
from watchdog.cli.where import required_settings
from watchdog.clock import SystemClock
from watchdog.core import words
from watchdog.core.diagnosis import of_status_page
from watchdog.errors import ConfigError, NotifyError, StoreError
from watchdog.store.database import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchdog.config.settings import Settings
    from watchdog.config.strength import Traffic
    from watchdog.platforms.protocol import PromptPlatform

_SKEW_WORTH_TELLING = timedelta(seconds=30)
_SKEW_TOO_MUCH = timedelta(minutes=5)
# Prompts whose strength is reported; more than that nobody reads.
_MOST_PROMPTS = 10


@dataclass(frozen=True, kw_only=True)
class Finding:
    """
    Attributes:
        ok: True, False, or None for something that works in part.
    """

    what: str
    ok: bool | None
    detail: str


def check(config: Path | None, *, as_json: bool, rate: float | None = None, baseline_calls: int | None = None) -> None:
    """
    Args:
        rate: calls a second, where the user says so; otherwise what the daemon's database knows.
        baseline_calls: that a promotion would be compared with; None for what the rate makes of `watch.baseline`.

    Raises: ConfigError: with every issue.
    """
    from watchdog.config import check as checks
    from watchdog.config.report_text import lines

    try:
        settings = required_settings(config)
        report = checks.check(settings, os.environ, _traffic(settings, rate, baseline_calls))
    except ConfigError as exc:
        if as_json:
            sys.stdout.write(json.dumps({"issues": [asdict(issue) for issue in exc.issues]}, indent=2) + "\n")
        raise
    if as_json:
        sys.stdout.write(json.dumps(asdict(report), indent=2) + "\n")
        return
    console = out()
    for line in lines(report):
        say(console, line)


def _traffic(settings: Settings, rate: float | None, baseline_calls: int | None) -> tuple[Traffic, ...]:
    """As stated, else as the daemon has seen it; empty where nothing is known."""
    if rate is None:
        if baseline_calls is not None:
            stop(USAGE, "--baseline-calls says nothing without --rate")
        return _seen_traffic(settings)
    from watchdog.config.strength import assumed_traffic

    if baseline_calls is None:
        baseline_calls = round(rate * settings.watch.baseline.total_seconds())
    return (assumed_traffic(settings.rules, rate_per_s=rate, baseline_calls=baseline_calls),)


def _seen_traffic(settings: Settings) -> tuple[Traffic, ...]:
    """The latest baseline of each prompt in a local database; a database that is elsewhere is not asked."""
    from watchdog.config.strength import Traffic
    from watchdog.store.watches import all_watches, find_baseline

    url = settings.store.read_url(os.environ)
    if not url.startswith("sqlite") or not Path(make_url(url).database or "").exists():
        return ()
    found: dict[str, Traffic] = {}
    try:
        store = Store(url, read_only=True)
        with store.read() as connection:
            for watch in all_watches(connection):
                baseline = find_baseline(connection, watch.id) if watch.prompt_slug not in found else None
                if baseline is not None and baseline.summary.calls and len(found) < _MOST_PROMPTS:
                    seconds = (baseline.until_at - baseline.from_at).total_seconds()
                    rate = baseline.summary.calls / max(1.0, seconds)
                    found[watch.prompt_slug] = Traffic(
                        prompt=watch.prompt_slug, rate_per_s=rate, baseline=baseline.summary
                    )
        store.close()
    except StoreError as exc:
        # The configuration is valid all the same; `doctor` is for the database.
        say(err(), f"promptwatch: the traffic in the database could not be read: {exc}")
        return ()
    return tuple(found[slug] for slug in sorted(found))


def schema(*, rules: bool) -> None:
    """Print a JSON Schema."""
    from watchdog.config.json_schema import config_schema, rules_schema

    sys.stdout.write(json.dumps(rules_schema() if rules else config_schema(), indent=2) + "\n")


def doctor(config: Path | None, *, as_json: bool) -> None:
    """Raises: ConfigError; typer.Exit with status 1 when something that is needed does not work."""
    settings = required_settings(config)
    findings = [
        *_platform(settings),
        *_status_pages(settings),
        *_store(settings),
        *_slack(settings),
        _package(),
    ]
    if as_json:
        sys.stdout.write(json.dumps([asdict(f) for f in findings], indent=2) + "\n")
    else:
        console = out()
        for finding in findings:
            mark = {True: "ok  ", False: "FAIL", None: "note"}[finding.ok]
            colour = {True: "green", False: "red bold", None: "yellow"}[finding.ok]
            say(console, f"{mark}  {finding.what}: {finding.detail}", style=colour)
    raise typer.Exit(FAILED if any(f.ok is False for f in findings) else OK)


def _platform(settings: Settings) -> Iterator[Finding]:
    clock = SystemClock()
    platform = platform_of(settings, os.environ, clock)
    try:
        accesses = platform.access()
        problems = {access.problem for access in accesses}
        if len(problems) == 1 and (problem := problems.pop()) is not None:
            # Nobody there, or nothing allowed: said once.
            yield Finding(what=platform.name, ok=False, detail=problem)
            return
        yield Finding(what="platform", ok=True, detail=platform.name)
        for access in accesses:
            if access.problem is None:
                yield Finding(what=access.need, ok=True, detail=f"{access.call} ({access.scope or 'no scope needed'})")
            else:
                yield Finding(
                    what=access.need,
                    ok=False if is_needed(access, settings.most_of_all) else None,
                    detail=access.problem,
                )
        yield _skew(platform)
    finally:
        platform.close()


def _skew(platform: PromptPlatform) -> Finding:
    skew = platform.clock_skew()
    what = "clock"
    if skew is None:
        return Finding(what=what, ok=None, detail="the platform did not say what time it is")
    off = words.duration(abs(skew))
    if abs(skew) >= _SKEW_TOO_MUCH:
        return Finding(what=what, ok=False, detail=f"{off} apart from the platform's; set the time (NTP)")
    if abs(skew) >= _SKEW_WORTH_TELLING:
        return Finding(what=what, ok=None, detail=f"{off} apart from the platform's; set the time (NTP)")
    return Finding(what=what, ok=True, detail=f"within {off} of the platform's")


def _status_pages(settings: Settings) -> Iterator[Finding]:
    """A page that cannot be read costs a line in a message, never the guard."""
    pages = status_pages_of(settings, SystemClock())
    if pages is None:
        return
    try:
        for provider in pages.providers:
            report = pages.look(provider)
            if report is not None:
                line = of_status_page(report, SystemClock().now()).line
                if report.problem:
                    yield Finding(what="status page", ok=None, detail=f"{line}; check the address under [status]")
                else:
                    yield Finding(what="status page", ok=True, detail=line)
    finally:
        pages.close()


def _store(settings: Settings) -> Iterator[Finding]:
    url = settings.store.read_url(os.environ)
    file = make_url(url).database or ""
    if url.startswith("sqlite") and not Path(file).exists():
        # Opening it would make it.
        ok = os.access(Path(file).parent, os.W_OK | os.X_OK)
        detail = "new, will be set up at the first start" if ok else "its folder is not writable; change the owner"
        yield Finding(what="database", ok=ok, detail=f"{file}: {detail}")
        return
    try:
        store = Store(url)
        found, wanted = store.revision()
        if found is not None:
            with store.write() as connection:
                # A transaction alone shows nothing: SQLite begins one on a read-only file as well.
                connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
        store.close()
    except StoreError as exc:
        yield Finding(what="database", ok=False, detail=str(exc))
        return
    if found is None:
        detail = "empty, will be set up at the first start"
    elif found > wanted:
        detail = f"schema {found} is newer than this program's {wanted}; upgrade prompt-watchdog"
    else:
        detail = f"schema {found}, this program uses {wanted}"
    yield Finding(what="database", ok=found is None or found <= wanted, detail=f"{store.name}: {detail}")


def _slack(settings: Settings) -> Iterator[Finding]:
    if settings.slack is None:
        yield Finding(what="Slack", ok=None, detail="not configured; notices go to the terminal")
        return
    if settings.slack.webhook is not None:
        yield Finding(what="Slack", ok=None, detail="a webhook cannot be tried without posting to the channel")
        return
    notifier = slack_of(settings.slack, os.environ)
    try:
        checkup = notifier.check()
    except (NotifyError, ConfigError) as exc:
        yield Finding(what="Slack", ok=False, detail=str(exc))
        return
    for line in checkup.lines:
        yield Finding(what="Slack", ok=True, detail=line)
    for problem in checkup.problems:
        yield Finding(what="Slack", ok=False, detail=problem)


def _package() -> Finding:
    """PyPI has another distribution that imports as `watchdog`; ours lives beside it, but it is good to know."""
    # An editable installation of ours does not list its packages.
    others = sorted(set(packages_distributions().get("watchdog", ())) - {"prompt-watchdog"})
    if not others:
        return Finding(what="package", ok=True, detail="the import name `watchdog` is ours alone")
    return Finding(
        what="package", ok=None, detail=f"the import name `watchdog` is shared with {', '.join(others)}; both work"
    )
