"""Parts of notices that several of them share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchdog.core import words
from watchdog.core.ledger import for_notice
from watchdog.core.model import ActorType
from watchdog.core.notice import Fact, Link

if TYPE_CHECKING:
    from watchdog.core.model import Promotion
    from watchdog.core.watch import Watch


def worse(version: str, *, late: bool) -> str:
    """What is wrong, without blaming a version for what did not begin with it."""
    return (
        f"production got worse under {version}, not since its promotion" if late else f"{version} made production worse"
    )


def who(promotion: Promotion) -> str:
    """Who promoted, and when."""
    actor = promotion.actor_id or {ActorType.UNKNOWN: "somebody"}.get(promotion.actor_type, promotion.actor_type.value)
    if promotion.not_before < promotion.at:
        return f"{actor}, between {words.clock_time(promotion.not_before)} and {words.clock_time(promotion.at)}"
    return f"{actor}, {words.clock_time(promotion.at)}"


def beside(watch: Watch) -> tuple[str, ...]:
    """What else moved."""
    return tuple(f"beside it: {line}" for line in for_notice(watch.ledger))


def watch_facts(watch: Watch) -> tuple[Fact, ...]:
    return (
        Fact(label="Prompt", value=watch.prompt_slug),
        Fact(label="Version", value=watch.candidate_label),
        Fact(label="Compared with", value=watch.control_label or "nothing"),
        Fact(label="Promoted by", value=who(watch.promotion)),
        Fact(label="Calls judged", value=f"{watch.candidate.calls:,}"),
    )


def peers(watch: Watch) -> tuple[Fact, ...]:
    return (Fact(label="Peers", value=watch.peers_note),) if watch.peers_note else ()


def links(compare_url: str) -> tuple[Link, ...]:
    return (Link(text="Compare the versions", url=compare_url),) if compare_url else ()


def sentence(text: str) -> str:
    if not text:
        return ""
    text = text[0].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
