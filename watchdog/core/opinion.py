"""The peers' opinion of a rule that has tripped, with its arithmetic."""

from __future__ import annotations

import math
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

from watchdog.core import words

if TYPE_CHECKING:
    from datetime import datetime

    from watchdog.core.beside import Beside
    from watchdog.core.weighing import Weighed, Weighing

# Peers that made no call for this long, or could not be read, are no control just now; nor those that were silent for
# so many times what is usual between two calls of theirs.
PATIENCE = timedelta(minutes=5)
# Before the first of them was heard, for a shorter time only: total breakage must not wait long for silent peers.
FIRST_PATIENCE = timedelta(minutes=2)
_USUAL_GAPS = 5
_LONGEST_PATIENCE = timedelta(hours=1)
# So many calls of the candidate after a shared trouble show whether it is worse by itself as well.
_CALLS_AFTER = 20


class Opinion(Enum):
    ALONE = "alone"  # worse by itself: a common shock does not explain it
    SHARED = "shared"  # the peers are worse too
    AFTERWARDS = "afterwards"  # it was shared, it is over, and the candidate shows nothing of its own since
    UNCLEAR = "unclear"  # too few calls of either to tell
    SILENT = "silent"  # the peers make no calls, cannot be read, or have left


def opinion(beside: Beside, so_far: Weighing, name: str, *, first_call_at: datetime, judged_until: datetime) -> Opinion:
    """
    Args:
        name: of a rule that has tripped and that has views.
        judged_until: how far the candidate's own calls were judged.
    """
    weighed = so_far.rules[name]
    if _nats(weighed) >= beside.views[name][0].test.threshold:
        return Opinion.ALONE
    quiet = _quiet(so_far, weighed, first_call_at, judged_until)
    # A rule that tripped in a shared trouble has its explanation: peers that fall silent later do not take it back.
    if weighed.trouble_since is not None and quiet < _LONGEST_PATIENCE:
        return Opinion.SHARED
    if weighed.trouble_since is None and weighed.shared:
        if weighed.calls_since < _CALLS_AFTER:
            return Opinion.SHARED
        if not _leans(weighed):
            return Opinion.AFTERWARDS
    return Opinion.SILENT if _silent(beside, weighed, name, quiet) else Opinion.UNCLEAR


def sentence(beside: Beside, so_far: Weighing, name: str, found: Opinion) -> str:
    """The opinion with its arithmetic, to stand behind the rule's own line."""
    weighed = so_far.rules[name]
    n = _members(beside, so_far, name)
    who = f"{words.count(n, 'peer')} ({words.count(so_far.peer_calls, 'call')})"
    is_worse, was_worse = ("is worse too", "was worse too") if n == 1 else ("are worse too", "were worse too")
    odds = words.odds(_nats(weighed))
    needed = words.odds(beside.views[name][0].test.threshold)
    match found:
        case Opinion.ALONE:
            return f"alone with it: odds that it is shared by its {who} {odds}, enough is {needed}"
        case Opinion.SHARED if weighed.trouble_since is not None:
            return f"its {who} {is_worse}, since {words.clock_time(weighed.trouble_since)}"
        case Opinion.SHARED:
            return f"its {who} {was_worse}, until {words.clock_time(weighed.trouble_ended)}"
        case Opinion.AFTERWARDS:
            over = words.clock_time(weighed.trouble_ended)
            return f"its {who} {was_worse}, until {over}; since then it shows nothing of its own"
        case Opinion.UNCLEAR:
            return f"its {who} cannot tell yet whether it is alone with it: odds {odds}, enough is {needed}"
        case Opinion.SILENT if not _members(beside, so_far, name):
            return "its peers have all left, so there is nobody to compare with"
        case Opinion.SILENT:
            return "its peers make too few calls to compare with"


def _nats(weighed: Weighed) -> float:
    """The mean of the views' evidence is at least the largest of them divided by their number."""
    if weighed.anew_at is not None:
        return 0.0  # what it says until then is to be forgotten
    return max(state.peak for state in weighed.states) - math.log(len(weighed.states))


def _leans(weighed: Weighed) -> bool:
    """Whether it is likelier than not, by now, that the candidate is worse by itself."""
    return max(state.evidence for state in weighed.states) - math.log(len(weighed.states)) > 0.0


def _quiet(so_far: Weighing, weighed: Weighed, first_call_at: datetime, judged_until: datetime) -> timedelta:
    """For how long the candidate has been calling without a peer that the rule can be asked beside."""
    if weighed.heard_at is None:
        return judged_until - first_call_at
    # Where the candidate makes no calls either, as in an outage that stops everybody, the peers are not missed.
    return (so_far.called_at or weighed.heard_at) - weighed.heard_at


def _silent(beside: Beside, weighed: Weighed, name: str, quiet: timedelta) -> bool:
    members = {i for view in beside.views[name] for i in view.members}
    staying = [beside.peers[i].calls_per_hour for i in sorted(members) if beside.peers[i].left_at is None]
    if not staying:
        return True  # there is nobody to wait for
    usual = _LONGEST_PATIENCE if sum(staying) <= 0.0 else timedelta(hours=1.0 / sum(staying))
    gaps = min(_USUAL_GAPS * usual, _LONGEST_PATIENCE)
    return quiet >= max(FIRST_PATIENCE if weighed.heard_at is None else PATIENCE, gaps)


def _members(beside: Beside, so_far: Weighing, name: str) -> int:
    """Peers that the rule is weighed beside, and that are still in."""
    at = so_far.until
    members = {i for view in beside.views[name] for i in view.members}
    return sum(at is None or beside.peers[i].counts_at(at) for i in members)
