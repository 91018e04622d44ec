"""The report of `promptwatch check` as lines of plain text."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from watchdog.core import words
from watchdog.stats.eprocess import ThresholdMode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from watchdog.config.report import Override, Report, RuleLine, Strength
    from watchdog.config.strength import Forecast


def lines(report: Report) -> tuple[str, ...]:
    """Without a line end."""
    out = [f"{report.file} is valid." if report.file else "The settings are valid.", *report.summary, ""]
    width = max((len(pack.name) for pack in report.packs), default=0)
    out += ["Rule packs:", *(f"  {pack.name:<{width}}  {pack.description}" for pack in report.packs), ""]
    promise = f"at most {_percent(report.alpha)} of harmless promotions trip any of them"
    certified = ", certified by simulation" if report.threshold == ThresholdMode.CERTIFIED.value else ""
    out.append(f"Rules ({promise}{certified}; its share in brackets):")
    out += [*_rules(report.rules), f"  digest {report.digest[:12]}", ""]
    for override in report.overrides:
        out += [*_override(override, report), ""]
    out += [*_strength(report.strength, report.assumed), "", "Secrets:"]
    out += [f"  {secret.key} = {secret.reference}: {secret.length} characters" for secret in report.secrets]
    if report.warnings:
        out += ["", "Warnings:", *(f"  {warning}" for warning in report.warnings)]
    return tuple(out)


def _rules(rules: Sequence[RuleLine]) -> Iterator[str]:
    width = max((len(rule.name) for rule in rules), default=0)
    for rule in rules:
        yield f"  {rule.name + ':':<{width + 1}} {rule.sentence} ({_percent(rule.alpha)})"


def _override(override: Override, report: Report) -> Iterator[str]:
    said = [f"digest {override.digest[:12]}"]
    if override.threshold != report.threshold:
        said.insert(0, f"threshold {override.threshold}")
    if override.alpha != report.alpha:
        said.insert(0, f"alpha {_percent(override.alpha)}")
    yield f'For prompts "{override.glob}" ({", ".join(said)}):'
    yield f"  from {override.source}"
    yield from _rules(override.rules)
    if override.reweighed:
        shares = ", ".join(f"{rule.name} ({_percent(rule.alpha)})" for rule in override.reweighed)
        yield f"  as above, with another share: {shares}"
    if override.dropped:
        yield f"  without {', '.join(override.dropped)}"
    if not override.rules and not override.reweighed and not override.dropped:
        yield "  the same rules"


def _strength(strength: Sequence[Strength], assumed: str) -> Iterator[str]:
    resting = f" (assumed: {assumed})" if assumed else ""
    if len(strength) > 1 and not any(seen.prompt for seen in strength):
        yield f"Strength of the rules, about, by calls a second; `--rate` says more{resting}:"
        yield from _table(strength)
        return
    for n, seen in enumerate(strength):
        if n:
            yield ""
        whose = f" for {seen.prompt}" if seen.prompt else ""
        calls = words.count(seen.baseline_calls, "call")
        yield f"Strength of the rules{whose} at {seen.rate_per_s:.3g} calls/s, baseline of {calls}{resting}:"
        width = max((len(forecast.rule) for forecast in seen.forecasts), default=0)
        for forecast in seen.forecasts:
            yield f"  {forecast.rule + ':':<{width + 1}} {_sentence(forecast)}"


def _sentence(forecast: Forecast) -> str:
    if forecast.unable:
        return f"is silent: {forecast.unable}"
    smallest = f"; a whole watch shows {forecast.smallest_text} at the least" if forecast.smallest_text else ""
    if forecast.calls is None:
        return f"a watch is too short to see {forecast.effect}{smallest}"
    return f"needs about {takes(forecast)}, to see {forecast.effect}{smallest}"


def _table(strength: Sequence[Strength]) -> Iterator[str]:
    head = ["rule", "to see", *(f"{seen.rate_per_s:g}/s" for seen in strength)]
    rows = [
        [first.rule, first.effect, *(_cell(seen.forecasts[i]) for seen in strength)]
        # The largest baseline has the roundest shares.
        for i, first in enumerate(strength[-1].forecasts)
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        yield "  " + "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()


def _cell(forecast: Forecast) -> str:
    if forecast.unable:
        return "silent"
    return "not in a watch" if forecast.calls is None else takes(forecast)


def takes(forecast: Forecast) -> str:
    """`370 calls, 16 min` of a forecast that has calls; it has no more than two digits."""
    calls, seconds = forecast.calls or 0.0, forecast.seconds or 0.0
    exact = 1.0 if calls < 100.0 else 10.0 ** (math.floor(math.log10(calls)) - 1)
    unit = next((size for size in (86_400, 3600, 60) if seconds > 10 * size), 1)
    took = timedelta(seconds=math.ceil(seconds / unit) * unit)
    return f"{words.count(int(round(calls / exact) * exact), 'call')}, {words.duration(took)}"


def _percent(fraction: float) -> str:
    return f"{100.0 * fraction:.4g} %"
