"""
The evidence packet: one JSON value that holds everything that a verdict was made from, and can be judged again
without a database and without a platform.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from watchdog.core.canonical import instant, instant_or_none, sha256_of, us, us_or_none
from watchdog.core.looks import Context, Look, windows_from_json
from watchdog.core.model import ActorType, Promotion
from watchdog.core.peers import Peer
from watchdog.core.retrace import Case, Frozen
from watchdog.core.rules import Action, RuleSet
from watchdog.core.watch import Verdict, Watch, WatchState
from watchdog.core.windows import Summary
from watchdog.errors import PacketError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = 1
_SUM = "sha256"


@dataclass(frozen=True, kw_only=True)
class Packet:
    """
    Attributes:
        value: all of it, as it was exported.
        case: of the watch; what can be judged again.
        whole: whether it is as it was exported, by the sum that it carries.
    """

    value: Mapping[str, Any]
    case: Case
    whole: bool


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """With its sum, over the canonical text of all the rest."""
    rest = {name: part for name, part in value.items() if name != _SUM}
    return {**rest, _SUM: sha256_of(rest)}


def opened(value: Any) -> Packet:
    """
    Read a packet, or the answer of `show --json` that holds one.

    Raises: PacketError: it is none, or one of a later version.
    """
    if isinstance(value, dict) and "packet" in value and isinstance(value["packet"], dict):
        value = value["packet"]
    if not isinstance(value, dict) or "packet" not in value:
        raise PacketError("this is no evidence packet; make one with `promptwatch show ID --packet`")
    if value["packet"] != SCHEMA:
        raise PacketError(
            f"the packet has schema {value['packet']!r}, this program reads {SCHEMA}; explain it with the program "
            "that made it"
        )
    try:
        case = _case(value)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as exc:
        # What is wrong is named by the place only: the values are not ours to repeat.
        raise PacketError(
            f"the packet is damaged: a part of it is missing or of another kind ({type(exc).__name__})"
        ) from None
    return Packet(value=value, case=case, whole=value.get(_SUM) == sealed(value)[_SUM])


def watch_to_json(watch: Watch) -> dict[str, Any]:
    """What of a watch does not change."""
    return {
        "id": watch.id,
        "prompt_id": watch.prompt_id,
        "prompt": watch.prompt_slug,
        "promotion": {
            "id": watch.promotion.id,
            "from": watch.promotion.from_version_id,
            "to": watch.promotion.to_version_id,
            "at": us(watch.promotion.at),
            "not_before": us(watch.promotion.not_before),
            "actor_type": watch.promotion.actor_type.value,
            "actor": watch.promotion.actor_id,
        },
        "control": watch.control_version_id,
        "control_until": us(watch.control_until),
        "control_label": watch.control_label,
        "candidate_label": watch.candidate_label,
        "control_model": watch.control_model,
        "candidate_model": watch.candidate_model,
        "provider": watch.provider,
        "peers_note": watch.peers_note,
        "most": watch.most.value,
        "why_not_more": watch.why_not_more,
        "opened_at": us(watch.opened_at),
        "lag_ms": watch.lag.total_seconds() * 1000.0,
    }


def peer_to_json(peer: Peer) -> dict[str, Any]:
    """With what was usual for it."""
    return {
        "prompt_id": peer.prompt_id,
        "prompt": peer.slug,
        "version": peer.version_id,
        "provider": peer.provider,
        "model": peer.model,
        "calls_per_hour": peer.calls_per_hour,
        "feed": peer.feed,
        "baseline": peer.baseline.to_json(),
        "joined_at": us(peer.joined_at),
        "left_at": us_or_none(peer.left_at),
        "why_left": peer.why_left,
    }


def _case(value: Mapping[str, Any]) -> Case:
    looks, context = [], None
    for look in value["looks"]:
        told = look.get("context")
        context = context if told is None else Context.from_json(told)
        if context is None:
            raise KeyError("context")
        looks.append((Look.from_json(look), context))
    baseline = value["baseline"]
    frozen = Frozen(
        baseline=None if baseline is None else Summary.from_json(baseline["summary"]),
        from_at=None if baseline is None else instant(baseline["from_at"]),
        until_at=None if baseline is None else instant(baseline["until_at"]),
        blocks=windows_from_json(value["blocks"]),
        peers=tuple(_peer(peer) for peer in value["peers"]),
        week=windows_from_json(value["week"]),
    )
    return Case(
        watch=_watch(value["watch"]),
        frozen=frozen,
        rules={digest: RuleSet.from_json(rules) for digest, rules in value["rules"].items()},
        windows=windows_from_json(value["windows"]),
        peer_windows={prompt: windows_from_json(windows) for prompt, windows in value["peer_windows"].items()},
        looks=tuple(looks),
    )


def _watch(value: Mapping[str, Any]) -> Watch:
    moved = value["promotion"]
    at = instant(moved["at"])
    return Watch(
        id=value["id"],
        prompt_id=value["prompt_id"],
        prompt_slug=value["prompt"],
        promotion=Promotion(
            id=moved["id"],
            prompt_id=value["prompt_id"],
            from_version_id=moved["from"],
            to_version_id=moved["to"],
            at=at,
            not_before=instant(moved["not_before"]),
            actor_type=ActorType(moved["actor_type"]),
            actor_id=moved["actor"],
            revert=False,
            note="",
        ),
        control_version_id=value["control"],
        control_until=instant(value["control_until"]),
        most=Action(value["most"]),
        why_not_more=value["why_not_more"],
        state=WatchState.WATCHING,
        opened_at=instant(value["opened_at"]),
        first_call_at=None,
        lag=timedelta(milliseconds=value["lag_ms"]),
        judged_until=None,
        verdict=Verdict.NO_DATA,
        reason="",
        candidate=Summary(),
        rules_digest="",
        n_windows=1,
        min_baseline_calls=0,
        trouble="",
        trouble_since=None,
        candidate_label=value["candidate_label"],
        control_label=value["control_label"],
        ended_at=None,
        provider=value["provider"],
        peers_note=value["peers_note"],
        control_model=value["control_model"],
        candidate_model=value["candidate_model"],
    )


def _peer(value: Mapping[str, Any]) -> Peer:
    return Peer(
        prompt_id=value["prompt_id"],
        slug=value["prompt"],
        version_id=value["version"],
        provider=value["provider"],
        model=value["model"],
        calls_per_hour=float(value["calls_per_hour"]),
        feed=value["feed"],
        baseline=Summary.from_json(value["baseline"]),
        joined_at=instant(value["joined_at"]),
        left_at=instant_or_none(value["left_at"]),
        why_left=value["why_left"],
    )
