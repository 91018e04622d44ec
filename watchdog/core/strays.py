"""
A peer that gets worse by itself is no control: it leaves.

It is told from an outage by the other peers: they are as usual. Two that are worse than the others are no accident but
an outage of a part (one model, one region), and stay; so does the last one with the candidate's own model, since it
alone can tell an outage of that model.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from watchdog.core import words

if TYPE_CHECKING:
    from watchdog.core.beside import Beside, View
    from watchdog.core.weighing import Weighed, Weighing

# Fewer calls of the last half hour or so tell nothing about a peer.
_FEWEST_CALLS = 20.0
_FEWEST_OTHERS = 2
# By so many standard errors and by so much of its calls it must be worse than the others say.
_STANDARD_ERRORS = 5.0
_LEAST_EXCESS = 0.03


def strays(beside: Beside, so_far: Weighing) -> dict[str, str]:
    """Prompt id of each peer that is worse by itself, and why, as one phrase."""
    found: dict[str, str] = {}
    for name, weighed in so_far.rules.items():
        worse = _worse(beside, beside.views[name][0], weighed, so_far)
        if len(worse) == 1:
            (member, (now, expected)), *_ = worse.items()
            found[beside.peers[member].prompt_id] = (
                f"got worse by itself ({name}: {words.percent(now)} bad where its peers let expect "
                f"{words.percent(expected)})"
            )
    return found


def _worse(beside: Beside, view: View, weighed: Weighed, so_far: Weighing) -> dict[int, tuple[float, float]]:
    """Place among the peers -> its share of bad calls, and what the others let expect."""
    at = so_far.until
    heard = {
        i: (n, y)
        for i, (n, y) in enumerate(weighed.lately)
        if n >= _FEWEST_CALLS and (at is None or beside.peers[view.members[i]].counts_at(at))
    }
    found = {}
    for i, (n, y) in heard.items():
        member = view.members[i]
        others = [j for j in heard if j != i and _can_speak_for(beside, view, i, j)]
        if len(others) < _FEWEST_OTHERS:
            continue
        total = sum(heard[j][0] for j in others)
        excess = sum(heard[j][1] - float(view.test.peers[j, 0]) * heard[j][0] for j in others) / total
        usual = float(view.test.peers[i, 0])
        expected = min(1.0, usual + max(0.0, excess) * (1.0 - usual))
        spread = math.sqrt(max(expected * (1.0 - expected), 1.0 / n) * (1.0 / n + 1.0 / total))
        if y / n - expected > max(_LEAST_EXCESS, _STANDARD_ERRORS * spread):
            found[member] = (y / n, expected)
    return found


def _can_speak_for(beside: Beside, view: View, i: int, j: int) -> bool:
    """Of a peer with the candidate's model only others with that model can say that the model is well."""
    mine, other = beside.peers[view.members[i]].model, beside.peers[view.members[j]].model
    return mine != beside.model or other == mine
