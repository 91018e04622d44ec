"""One incident as people were told of it: tripped, reverted, recovered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from watchdog.core.notice import Fact, Link, Notice, Tone

_AT = datetime(2026, 11, 20, 3, 12, 45, tzinfo=UTC)
THREAD = "5f0c2a4e-9d1b-5c3e-8a77-0f6b1d2e3c4a"


def _facts(rollback: str, recovery: str) -> tuple[Fact, ...]:
    return (
        Fact(label="Prompt", value="is-prime"),
        Fact(label="Bad version", value="v1.2.0"),
        Fact(label="Restored version", value="v1.1.0"),
        Fact(label="Promoted by", value="dana@example.com, 2026-11-20 03:10:31 UTC"),
        Fact(label="Rule", value="success-rate"),
        Fact(label="Rollback", value=rollback),
        Fact(label="Recovery", value=recovery),
    )


def a_notice(**parts: Any) -> Notice:
    """The first notice of the incident, with some parts replaced."""
    whole: dict[str, Any] = {
        "key": f"{THREAD}:tripped",
        "thread": THREAD,
        "tone": Tone.ALARM,
        "headline": "is-prime: v1.2.0 made production worse; reverting to v1.1.0",
        "step": (
            "Failures 16.0 % -> 61.1 % after 18 calls (2 min), at least +12.4 pp (95 %, any time); odds of this by "
            "chance with a margin of 1 pp: 1 in 2,300. Reverting v1.2.0 -> v1.1.0 now."
        ),
        "at": _AT,
        "facts": _facts("under way", "not yet"),
        "evidence": (
            "success-rate: failures 16.0 % -> 61.1 %, at least +12.4 pp; odds of this by chance 1 in 2,300",
            "p95-latency: p95 812 ms -> 1,940 ms, not yet certain",
        ),
        "changes": (
            "temperature 0.2 -> 1.0",
            'stop sequences: added "}"',
            "system prompt: - Think step by step.",
        ),
        "links": (
            Link(
                text="Compare the versions",
                url="https://prompthelm.example.com/app/prompts/is-prime/compare?from=v1.1.0&to=v1.2.0",
            ),
        ),
    }
    return Notice(**{**whole, **parts})


def tripped() -> Notice:
    return a_notice()


def reverted() -> Notice:
    return a_notice(
        key=f"{THREAD}:confirmed",
        tone=Tone.WAITING,
        headline="is-prime: v1.2.0 reverted to v1.1.0",
        step=(
            "Rolled back v1.2.0 -> v1.1.0 after 18 calls (2 min): failures 16.0 % -> 61.1 %, at least +12.4 pp (95 %, "
            "any time); odds of this by chance with a margin of 1 pp: 1 in 2,300."
        ),
        at=_AT.replace(minute=13, second=2),
        facts=_facts("confirmed by read-back", "being verified"),
    )


def recovered() -> Notice:
    return a_notice(
        key=f"{THREAD}:recovered",
        tone=Tone.GOOD,
        headline="is-prime: recovered on v1.1.0 after reverting v1.2.0",
        step=(
            "Failures are back at 15.8 % over 120 calls (14 min), against 16.0 % before v1.2.0. Fix v1.2.0 on "
            "development before promoting it again."
        ),
        at=_AT.replace(minute=27, second=2),
        facts=_facts("done and audited", "recovered"),
    )
