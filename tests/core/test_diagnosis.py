"""Prompt or upstream: what the findings say, and which way they point."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.builders import MINUTE, T0, call
from watchdog.core.diagnosis import Observed, conclusion, of_application, of_gateway, of_status_page
from watchdog.core.model import ErrorKind
from watchdog.core.upstream import Finding, Health, OpenIncident, StatusReport
from watchdog.core.windows import Summary, summarise

AT = T0 + timedelta(hours=2, minutes=3, seconds=7)
PAGE = StatusReport(provider="openai", trouble=False, says="All Systems Operational")


def calls(n: int, *, tokens: int | None = None, **kinds: int) -> Summary:
    """n calls, of which so many failed of each kind."""
    failing = [ErrorKind(kind) for kind, times in kinds.items() for _ in range(times)]
    return summarise(
        replace(call(i, ok=i >= len(failing), input_tokens=tokens), error_kind=failing[i] if i < len(failing) else None)
        for i in range(n)
    )


BASELINE = Observed(calls=calls(1000, validation=8, server_error=2), span=timedelta(hours=4, minutes=10))


def now(n: int, *, minutes: float = 15.0, **kinds: int) -> Observed:
    return Observed(calls=calls(n, **kinds), span=minutes * MINUTE, label="v1.1.0")


def test_a_provider_that_says_all_is_well_is_quoted() -> None:
    """Its words, and when it said so."""
    finding = of_status_page(PAGE, AT)

    assert (
        Finding(
            source="status:openai",
            trouble=False,
            line='openai status page at 14:03:07 UTC: "All Systems Operational"; no open incident',
            at=AT,
        )
        == finding
    )


def test_an_outage_is_told_with_its_open_incidents() -> None:
    """On another day with the day."""
    today = OpenIncident(name="Elevated errors on API", since=AT - 5 * MINUTE)
    older = OpenIncident(name='The "old" one', since=AT - timedelta(days=2), harmless=True)
    report = replace(PAGE, trouble=True, says="Partial System Outage", incidents=(today, older), more=3)

    finding = of_status_page(report, AT)

    assert finding.trouble is True
    assert (
        'openai status page at 14:03:07 UTC: "Partial System Outage"; open incident "Elevated errors on API" since '
        "13:58 UTC; open incident \"The 'old' one\" since 2026-11-18 14:03 UTC (no impact); and 3 more open"
        == finding.line
    )


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (StatusReport(provider="openai", trouble=None, problem="could not be read: answered 503"), "answered 503"),
        (
            replace(PAGE, problem="its incidents could not be read: answered 404"),
            '"All Systems Operational"; its incidents could not be read: answered 404',
        ),
        (StatusReport(provider="openai", trouble=False), "no open incident"),
        (StatusReport(provider="openai", trouble=True), "says nothing"),
    ],
)
def test_what_could_not_be_read_is_said(report: StatusReport, said: str) -> None:
    """A dead page changes nothing but its line."""
    finding = of_status_page(report, AT)

    assert report.trouble is finding.trouble
    assert finding.line.endswith(said)
    assert "\n" not in finding.line


@pytest.mark.parametrize(
    ("health", "trouble", "line"),
    [
        (Health(well=True, said="answered that it is well"), False, "answered that it is well"),
        (Health(well=False, said="answered 503"), True, "answered 503"),
        (Health(well=None, said="no connection"), None, "gave no clear answer: no connection"),
    ],
)
def test_a_gateway_is_told_with_what_it_said(health: Health, trouble: bool | None, line: str) -> None:
    """One that cannot be asked is neither well nor unwell."""
    assert Finding(source="gateway", trouble=trouble, line=f"gateway at 14:03:07 UTC: {line}", at=AT) == of_gateway(
        health, AT
    )


@pytest.mark.parametrize(
    ("kinds", "trouble", "why"),
    [
        ({"server_error": 20, "timeout": 10, "validation": 1}, True, "provider-side errors dominate"),
        ({"rate_limit": 30}, True, "provider-side errors dominate"),
        ({"validation": 20, "unparsable": 10, "server_error": 2}, False, "points at the prompt"),
        ({"truncated": 30}, False, "points at the prompt"),
        ({"server_error": 15, "validation": 15}, None, "no origin dominates"),
        ({"client_error": 30}, None, "no origin dominates"),
        ({"other": 30}, None, "30 unknown failures; no origin dominates"),
        ({"validation": 4}, None, "4 of 60 failed (6.7 %, usually 1.0 %): hardly more than usual"),
        ({}, None, "0 of 60 failed (0.0 %, usually 1.0 %): hardly more than usual"),
    ],
)
def test_failures_point_where_most_of_the_unusual_ones_come_from(
    kinds: dict[str, int], trouble: bool | None, why: str
) -> None:
    """At the provider, at the prompt, or nowhere."""
    finding = of_application(BASELINE, now(60, **kinds), AT)

    assert ("application", trouble) == (finding.source, finding.trouble)
    assert why in finding.line


def test_the_line_has_the_arithmetic() -> None:
    """Counts with their kinds, the usual share, and the volume."""
    line = of_application(BASELINE, now(60, minutes=5.0, server_error=28, timeout=2, validation=1), AT).line

    assert (
        "application at 14:03:07 UTC, calls of v1.1.0: 31 of 60 failed (51.7 %, usually 1.0 %): 28 server errors, "
        "2 timeouts, 1 validation error; provider-side errors dominate, which points upstream of the prompt; request "
        "volume x3.00 (4.0 -> 12.0 calls a minute)" == line
    )


def test_failures_that_were_always_there_point_nowhere() -> None:
    """A prompt that is used to server errors is not ill with them."""
    used_to_it = Observed(calls=calls(1000, server_error=300), span=timedelta(hours=4))

    finding = of_application(used_to_it, now(100, server_error=31, validation=20), AT)

    assert finding.trouble is False
    assert "20 validation errors, 31 server errors; what the model wrote was refused" in finding.line


def test_a_few_failures_more_are_what_chance_brings() -> None:
    """Ten are usual here, and sixteen are no news."""
    assert "hardly more than usual" in of_application(BASELINE, now(1000, server_error=16), AT).line
    assert of_application(BASELINE, now(1000, server_error=30), AT).trouble is True


@pytest.mark.parametrize(
    ("n", "minutes", "said"),
    [
        (186, 15.0, "request volume x3.10 (4.0 -> 12.4 calls a minute)"),
        (60, 15.0, "request volume as usual (4.0 -> 4.0 calls a minute)"),
        (24, 15.0, "request volume x0.40 (4.0 -> 1.6 calls a minute)"),
    ],
)
def test_the_volume_is_compared_with_the_baselines_mean_minute(n: int, minutes: float, said: str) -> None:
    """The rhythm of the day is nothing to speak of."""
    assert said in of_application(BASELINE, now(n, minutes=minutes), AT).line


@pytest.mark.parametrize("observed", [now(5), now(60, minutes=0.0), now(0)])
def test_a_volume_that_cannot_be_told_is_left_out(observed: Observed) -> None:
    """Too few calls, or no time."""
    assert "volume" not in of_application(BASELINE, observed, AT).line


def test_a_mix_that_moved_is_told_by_the_judges_own_words() -> None:
    """The requests changed: that is no fault of the prompt's either."""
    usual = Observed(calls=calls(1000, tokens=800, validation=10), span=timedelta(hours=4, minutes=10))
    longer = Observed(calls=calls(60, tokens=2400), span=15 * MINUTE)

    assert "input tokens per call 800 -> 2,400" in of_application(usual, longer, AT).line


def test_without_a_baseline_all_failures_count() -> None:
    """There is nothing usual to take away, and no volume to compare with."""
    finding = of_application(None, now(60, server_error=30), AT)

    assert finding.trouble is True
    assert "30 of 60 failed (50.0 %): 30 server errors" in finding.line
    assert "volume" not in finding.line
    assert "too few to tell" in of_application(None, now(60, server_error=4), AT).line


def test_no_calls_say_nothing() -> None:
    """And no division by none."""
    assert (None, "application at 14:03:07 UTC, calls of v1.1.0: no calls") == (
        of_application(BASELINE, now(0), AT).trouble,
        of_application(BASELINE, now(0), AT).line,
    )


def found(source: str, trouble: bool | None) -> Finding:
    return Finding(source=source, trouble=trouble, line=source, at=AT)


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        (
            [found("status:openai", True), found("gateway", False), found("application", True)],
            "Points upstream of the prompt: openai status page, application.",
        ),
        (
            [found("status:openai", None), found("gateway", False), found("application", False)],
            "Nothing was found upstream, and the failures point at the prompt. Not known: openai status page.",
        ),
        (
            [found("gateway", False), found("application", None)],
            "Nothing was found upstream of the prompt. Not known: application.",
        ),
        ([found("gateway", False)], "Nothing was found upstream of the prompt."),
    ],
)
def test_all_findings_are_one_sentence(findings: list[Finding], said: str) -> None:
    """It never says more than they do."""
    assert said == conclusion(findings)
