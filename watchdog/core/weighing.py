"""
What the peers have said so far about a watch: is the candidate alone with its trouble, or does everybody have it?

Kept apart from the judge's own progress, because the peers' calls are read by themselves: the candidate is judged as
its calls come, and weighed beside its peers as theirs do. A rule that tripped acts once it is shown that the candidate
is worse by itself.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchdog.core.windows import WINDOW
from watchdog.stats import common_shock
from watchdog.stats.common_shock import ShockState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from watchdog.core.beside import Beside
    from watchdog.core.panel import Panel
    from watchdog.core.windows import Summary

# Probability, by the peers' calls alone, with which a common shock is taken to have begun, and to be over.
_BEGUN, _OVER = 0.95, 0.5
# Whether a peer is worse by itself is seen from its calls of about so long.
_HALF_LIFE = timedelta(minutes=30)
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """
    One rule beside the peers.

    Attributes:
        states: one for each view of the rule.
        trouble_since: start of the window in which the peers' present trouble was first seen; None in calm.
        trouble_ended: end of their last trouble; None before it, and while it lasts.
        shared: whether the rule had tripped while the peers were in trouble.
        calls_since: the candidate's calls since that trouble ended.
        heard_at: end of the last window in which a peer made a call that the rule can see, or where the weighing began;
            None before the first of them.
        anew_at: what the candidate showed before is to be forgotten, once the weighing has come so far; None for never.
        lately: calls and bad ones of each peer of the first view, older ones counting for less.
    """

    states: tuple[ShockState, ...]
    trouble_since: datetime | None = None
    trouble_ended: datetime | None = None
    shared: bool = False
    calls_since: int = 0
    heard_at: datetime | None = None
    anew_at: datetime | None = None
    lately: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Weighing:
    """
    Attributes:
        until: windows that end at or before this were weighed; None before the candidate's first call.
        rules: by name.
        own_calls, peer_calls: so far.
        called_at: end of the last window in which the candidate made a call.
    """

    until: datetime | None = None
    rules: Mapping[str, Weighed] = field(default_factory=dict)
    own_calls: int = 0
    peer_calls: int = 0
    called_at: datetime | None = None


def begin(beside: Beside, at: datetime | None = None) -> Weighing:
    """Before any window; or before those from `at` on, where what was before is no evidence."""
    return Weighing(
        until=at,
        rules={
            name: Weighed(
                states=tuple(common_shock.start(view.test) for view in views),
                heard_at=at,
                lately=((0.0, 0.0),) * len(views[0].members),
            )
            for name, views in beside.views.items()
        },
    )


def weigh(
    beside: Beside,
    panel: Panel,
    so_far: Weighing,
    own: Mapping[datetime, Summary],
    theirs: Sequence[Mapping[datetime, Summary]],
    *,
    since: datetime,
    until: datetime,
    tripped: Collection[str],
) -> Weighing:
    """
    Take both sides' windows together, in order.

    Args:
        own: the candidate's windows by their start.
        theirs: one such mapping for each peer.
        since: start of the candidate's first window.
        until: the windows of both sides that end at or before this are sealed.
        tripped: names of the rules that have tripped.
    """
    at = so_far.until or since
    starts = sorted({s for side in (own, *theirs) for s in side if at <= s and s + WINDOW <= until})
    for start in starts:
        windows = [
            window if window is not None and peer.counts_at(start) else None
            for peer, window in zip(beside.peers, (side.get(start) for side in theirs), strict=True)
        ]
        mine = own.get(start)
        so_far = _pass_time(beside, so_far, at, start)
        so_far = _take(beside, so_far, start, None if mine is None else panel.folded(mine), windows, tripped)
        at = start + WINDOW
    if until > at:
        so_far = _pass_time(beside, so_far, at, until)
        at = at + (until - at) // WINDOW * WINDOW
    return replace(so_far, until=at)


def forget(so_far: Weighing, names: Collection[str], *, before: datetime) -> Weighing:
    """The same with what the candidate showed before then no evidence for these rules; the peers' part stays."""
    rules = {
        name: replace(weighed, anew_at=before, shared=False, calls_since=0) if name in names else weighed
        for name, weighed in so_far.rules.items()
    }
    return replace(so_far, rules=rules)


def troubled(so_far: Weighing, names: Collection[str]) -> datetime | None:
    """Since when the peers are in trouble, by any of these rules; None in calm."""
    since = [w.trouble_since for name, w in so_far.rules.items() if name in names and w.trouble_since is not None]
    return min(since, default=None)


def to_bytes(so_far: Weighing) -> dict[str, bytes]:
    """By rule name, and the common part under the empty name; exact."""
    stored = {name: _rule_to_bytes(weighed) for name, weighed in so_far.rules.items()}
    common = {
        "until": _text(so_far.until),
        "own_calls": so_far.own_calls,
        "peer_calls": so_far.peer_calls,
        "called_at": _text(so_far.called_at),
    }
    return {"": json.dumps(common).encode(), **stored}


def from_bytes(stored: Mapping[str, bytes]) -> Weighing:
    """
    The inverse of `to_bytes`.

    Raises: StatsInputError: not bytes that `to_bytes` made.
    """
    common = json.loads(stored[""])
    return Weighing(
        until=_instant(common["until"]),
        rules={name: _rule_from_bytes(value) for name, value in stored.items() if name},
        own_calls=common["own_calls"],
        peer_calls=common["peer_calls"],
        called_at=_instant(common["called_at"]),
    )


def _take(
    beside: Beside,
    so_far: Weighing,
    start: datetime,
    own: Summary | None,
    windows: Sequence[Summary | None],
    tripped: Collection[str],
) -> Weighing:
    rules = {}
    so_far = replace(so_far, rules={name: _aged(_anew(weighed, start)) for name, weighed in so_far.rules.items()})
    own_calls = own.calls if own is not None else 0
    for name, weighed in so_far.rules.items():
        states, heard_at = [], weighed.heard_at
        for view, state in zip(beside.views[name], weighed.states, strict=True):
            calls, bad = view.own(own) if own is not None else (0.0, 0.0)
            peer_calls, peer_bad = view.theirs(windows)
            heard_at = start + WINDOW if peer_calls.any() else heard_at
            states.append(
                common_shock.step(view.test, state, calls=calls, bad=bad, peer_calls=peer_calls, peer_bad=peer_bad)
            )
        fresh = beside.views[name][0].unweighted(windows)
        lately = tuple((n + calls, y + bad) for (n, y), (calls, bad) in zip(weighed.lately, fresh, strict=True))
        stepped = replace(weighed, states=tuple(states), heard_at=heard_at, lately=lately)
        rules[name] = _with_trouble(stepped, start, own_calls, name in tripped)
    peer_calls_now = sum(window.calls for window in windows if window is not None)
    return replace(
        so_far,
        rules=rules,
        own_calls=so_far.own_calls + own_calls,
        peer_calls=so_far.peer_calls + peer_calls_now,
        called_at=start + WINDOW if own_calls else so_far.called_at,
    )


def _with_trouble(weighed: Weighed, start: datetime, own_calls: int, tripped: bool) -> Weighed:
    """Trouble begins and ends by the peers' calls alone."""
    now = sum(state.trouble for state in weighed.states) / len(weighed.states)
    if weighed.trouble_since is None and now >= _BEGUN:
        weighed = replace(weighed, trouble_since=start, trouble_ended=None, calls_since=0)
    elif weighed.trouble_since is not None and now < _OVER:
        weighed = replace(weighed, trouble_since=None, trouble_ended=start + WINDOW)
    elif weighed.trouble_since is None and weighed.shared:
        weighed = replace(weighed, calls_since=weighed.calls_since + own_calls)
    return replace(weighed, shared=True) if tripped and weighed.trouble_since is not None else weighed


def _anew(weighed: Weighed, start: datetime) -> Weighed:
    if weighed.anew_at is None or start < weighed.anew_at:
        return weighed
    return replace(weighed, states=tuple(common_shock.anew(state) for state in weighed.states), anew_at=None)


def _aged(weighed: Weighed) -> Weighed:
    return replace(weighed, lately=_faded(weighed.lately, 1))


def _faded(lately: tuple[tuple[float, float], ...], windows: int) -> tuple[tuple[float, float], ...]:
    kept = 0.5 ** (windows * (WINDOW / _HALF_LIFE))
    return tuple((kept * n, kept * y) for n, y in lately)


def _pass_time(beside: Beside, so_far: Weighing, since: datetime, until: datetime) -> Weighing:
    """Windows in which nobody called."""
    n = (until - since) // WINDOW
    if n <= 0:
        return so_far
    rules = {
        name: replace(
            weighed,
            states=tuple(
                common_shock.skip(view.test, state, n)
                for view, state in zip(beside.views[name], weighed.states, strict=True)
            ),
            lately=_faded(weighed.lately, n),
        )
        for name, weighed in so_far.rules.items()
    }
    return replace(so_far, rules=rules)


def _rule_to_bytes(weighed: Weighed) -> bytes:
    head = json.dumps(
        {
            "trouble_since": _text(weighed.trouble_since),
            "trouble_ended": _text(weighed.trouble_ended),
            "shared": weighed.shared,
            "calls_since": weighed.calls_since,
            "heard_at": _text(weighed.heard_at),
            "anew_at": _text(weighed.anew_at),
            "lately": weighed.lately,
        }
    ).encode()
    parts = [head, *(state.to_bytes() for state in weighed.states)]
    return b"".join(_LENGTH.pack(len(part)) + part for part in parts)


def _rule_from_bytes(stored: bytes) -> Weighed:
    parts, at = [], 0
    while at < len(stored):
        (length,) = _LENGTH.unpack_from(stored, at)
        parts.append(stored[at + _LENGTH.size : at + _LENGTH.size + length])
        at += _LENGTH.size + length
    head = json.loads(parts[0])
    return Weighed(
        states=tuple(ShockState.from_bytes(part) for part in parts[1:]),
        trouble_since=_instant(head["trouble_since"]),
        trouble_ended=_instant(head["trouble_ended"]),
        shared=head["shared"],
        calls_since=head["calls_since"],
        heard_at=_instant(head["heard_at"]),
        anew_at=_instant(head["anew_at"]),
        lately=tuple((n, y) for n, y in head["lately"]),
    )


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
