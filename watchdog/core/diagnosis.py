"""
Prompt or upstream? What a person would look at when the numbers got worse, as findings of one line each.

PromptHelm's documentation names three places to look: the provider's status, the gateway's health and the
application's side. The last is read from the calls themselves: which failures are more than usual, how many requests
came, and of what kind. A finding informs people. It never changes a verdict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchdog.core import mix, words
from watchdog.core.model import ErrorKind
from watchdog.core.upstream import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from watchdog.core.upstream import Health, OpenIncident, StatusReport
    from watchdog.core.windows import Summary

GATEWAY = "gateway"
APPLICATION = "application"

# Who answers for a failure: the provider and the way there, or what the prompt makes the model write.
_UPSTREAM = frozenset({ErrorKind.SERVER_ERROR, ErrorKind.TIMEOUT, ErrorKind.RATE_LIMIT})
_PROMPT = frozenset({ErrorKind.VALIDATION, ErrorKind.UNPARSABLE, ErrorKind.TRUNCATED})
_NOUNS = {
    ErrorKind.SERVER_ERROR: "server error",
    ErrorKind.TIMEOUT: "timeout",
    ErrorKind.RATE_LIMIT: "rate limit refusal",
    ErrorKind.VALIDATION: "validation error",
    ErrorKind.TRUNCATED: "truncated output",
    ErrorKind.UNPARSABLE: "unparsable output",
    ErrorKind.CLIENT_ERROR: "client error",
    ErrorKind.OTHER: "unknown failure",
}
# Fewer failures beyond the usual say nothing about where they come from.
_FEWEST_FAILURES = 5
# Nor do more that chance may well bring, in standard deviations of the usual number.
_HARDLY_CHANCE = 3.0
# So large a part of them must be of one origin to point there.
_DOMINANT = 0.7
# The day has its rhythm: a volume within these is nothing to speak of.
_MUCH_MORE, _MUCH_LESS = 2.0, 0.5
# Fewer calls show no volume.
_FEWEST_CALLS = 20


@dataclass(frozen=True, kw_only=True)
class Observed:
    """
    Some calls and the time in which they were made.

    Attributes:
        label: whose calls, as people name the version.
    """

    calls: Summary
    span: timedelta
    label: str = ""

    @property
    def per_minute(self) -> float | None:
        minutes = self.span.total_seconds() / 60.0
        return self.calls.calls / minutes if minutes > 0.0 else None


def of_status_page(report: StatusReport, at: datetime) -> Finding:
    """What the provider says of itself, in its own words, quoted."""
    parts = [_quoted(report.says)] if report.says else []
    parts += [_open(incident, at) for incident in report.incidents]
    if report.more:
        parts.append(f"and {report.more:,} more open")
    if report.trouble is False and not report.incidents:
        parts.append("no open incident" if not report.problem else "")
    parts.append(report.problem)
    said = "; ".join(part for part in parts if part)
    return Finding(
        source=f"status:{report.provider}",
        trouble=report.trouble,
        line=f"{report.provider} status page at {_time(at)}: {said or 'says nothing'}",
        at=at,
    )


def of_gateway(health: Health, at: datetime) -> Finding:
    """What the gateway says of itself."""
    said = f"gave no clear answer: {health.said}" if health.well is None else health.said
    trouble = None if health.well is None else not health.well
    return Finding(source=GATEWAY, trouble=trouble, line=f"gateway at {_time(at)}: {said}", at=at)


def of_application(before: Observed | None, now: Observed, at: datetime) -> Finding:
    """
    Where the failures come from, and whether other or more requests came.

    Args:
        before: the baseline; None where there is none, and then all failures count as unusual.
        now: the latest calls of the version that looks bad, or of the one that was put back.
    """
    trouble, failures = _failures(before, now.calls)
    parts = [failures, _volume(before, now), *mix.compare(before.calls if before else None, now.calls).notes]
    of = f" of {now.label}" if now.label else ""
    said = "; ".join(part for part in parts if part)
    return Finding(source=APPLICATION, trouble=trouble, line=f"application at {_time(at)}, calls{of}: {said}", at=at)


def conclusion(findings: Sequence[Finding]) -> str:
    """All of them in one sentence."""
    pointing = [_name(f) for f in findings if f.trouble]
    if pointing:
        return f"Points upstream of the prompt: {', '.join(pointing)}."
    unknown = [_name(f) for f in findings if f.trouble is None]
    blind = f" Not known: {', '.join(unknown)}." if unknown else ""
    if any(f.source == APPLICATION and f.trouble is False for f in findings):
        return f"Nothing was found upstream, and the failures point at the prompt.{blind}"
    return f"Nothing was found upstream of the prompt.{blind}"


def _failures(before: Observed | None, now: Summary) -> tuple[bool | None, str]:
    """Whether the unusual failures come from upstream, and what they are."""
    if not now.calls:
        return None, "no calls"
    share = f"{now.failures:,} of {now.calls:,} failed ({words.percent(now.failures / now.calls)}"
    usual = f", usually {words.percent(_rate(before.calls))})" if before and before.calls.calls else ")"
    expected = now.calls * _rate(before.calls) if before and before.calls.calls else 0.0
    if now.failures - expected < max(_FEWEST_FAILURES, _HARDLY_CHANCE * math.sqrt(expected)):
        return None, f"{share}{usual}: {'hardly more than usual' if before else 'too few to tell where they come from'}"
    excess = _excess(before.calls if before else None, now)
    total = sum(excess.values())
    ranked = sorted((kind for kind in now.errors if excess.get(kind)), key=lambda kind: -excess[kind])
    kinds = ", ".join(_counted(kind, now.errors[kind]) for kind in ranked)
    told = f"{share}{usual}: {kinds}"
    for trouble, kinds_of_one_origin, where in (
        (True, _UPSTREAM, "provider-side errors dominate, which points upstream of the prompt"),
        (False, _PROMPT, "what the model wrote was refused, which points at the prompt"),
    ):
        if sum(excess.get(kind, 0.0) for kind in kinds_of_one_origin) >= _DOMINANT * total:
            return trouble, f"{told}; {where}"
    return None, f"{told}; no origin dominates"


def _excess(before: Summary | None, now: Summary) -> Mapping[ErrorKind, float]:
    """Failures by kind beyond those that as many calls of the baseline would have had."""
    if before is None or not before.calls:
        return dict(now.errors)
    scale = now.calls / before.calls
    return {kind: max(0.0, n - scale * before.errors.get(kind, 0)) for kind, n in now.errors.items()}


def _volume(before: Observed | None, now: Observed) -> str:
    """Whether many more or fewer requests came than in the baseline's mean minute; empty where it cannot be said."""
    usual, rate = before.per_minute if before else None, now.per_minute
    if not usual or not rate or now.calls.calls < _FEWEST_CALLS:
        return ""
    ratio = rate / usual
    figures = f"({usual:,.1f} -> {rate:,.1f} calls a minute)"
    if _MUCH_LESS < ratio < _MUCH_MORE:
        return f"request volume as usual {figures}"
    return f"request volume {words.ratio(ratio)} {figures}"


def _open(incident: OpenIncident, at: datetime) -> str:
    since = ""
    if incident.since is not None:
        since = f" since {incident.since:%H:%M UTC}"
        if incident.since.date() != at.date():
            since = f" since {incident.since:%Y-%m-%d %H:%M UTC}"
    return f"open incident {_quoted(incident.name)}{since}{' (no impact)' if incident.harmless else ''}"


def _counted(kind: ErrorKind, n: int) -> str:
    return words.count(n, _NOUNS[kind])


def _rate(calls: Summary) -> float:
    return calls.failures / calls.calls


def _quoted(text: str) -> str:
    """Somebody else's words, so that nobody takes them for ours."""
    return f'"{text.replace(chr(34), chr(39))}"'


def _name(finding: Finding) -> str:
    kind, _, provider = finding.source.partition(":")
    return f"{provider} status page" if provider else kind


def _time(at: datetime) -> str:
    return f"{at:%H:%M:%S UTC}"
