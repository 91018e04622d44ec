"""
How a rule is asked beside the candidate's peers: which calls count as bad on either side, and what a common shock does
to each (`stats.common_shock`).

For shares a bad call is a failure, and a shock spoils the same share of everybody's calls. For latency and cost a bad
call is one above a value that was fixed with the baseline, each side's own, and a shock multiplies everybody's values
by the same factor: what that does to the share above the value is read off each side's own baseline, so that prompts of
different spread can stand beside each other. A rule about a quantile looks there; one about all quantiles or the mean
looks at three of them, since a shift of the middle and a few runaway calls show at different ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from watchdog.core.lens import VALUES, Lens, histogram_of, share_of
from watchdog.core.peers import FEWEST_PEER_CALLS, weights
from watchdog.core.rules import Metric, Statistic
from watchdog.errors import StatsInputError
from watchdog.stats.calibrator import upper_limit
from watchdog.stats.common_shock import N_SLOW_SLOWER, N_SLOW_SPOILT, SLOWER, SPOILT, CommonShockTest
from watchdog.stats.histogram import bucket_of, shift_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from watchdog.core.panel import Panel
    from watchdog.core.peers import Peer
    from watchdog.core.seat import Seat
    from watchdog.core.windows import Summary
    from watchdog.stats.histogram import FloatArray, LogHistogram

# The candidate's own share in calm is taken a standard error higher than its baseline showed: one in six.
_ONE_SIXTH = np.array([math.log(6.0)])
_ALL_QUANTILES = (0.5, 0.9, 0.99)
# A large shock need not strike alike: long answers time out first. The candidate may suffer twice the odds of its peers
# from one that spoils at least this share, and slow down by a quarter more from one of at least this factor.
_LARGE_SPOILT, _LARGE_SLOWER = 0.08, 1.6
_MORE_ODDS, _MORE_SLOWER = 2.0, 1.25
_SUFFERED = tuple(factor * _MORE_SLOWER if factor >= _LARGE_SLOWER else factor for factor in SLOWER)
# Beyond what is usual for a peer by as much as chance seldom does.
_STANDARD_ERRORS = 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """
    One way of calling a call bad, on both sides.

    Attributes:
        lens: the rule's own, through which the candidate is seen.
        over: bucket above which the candidate's value is bad; None for shares.
        members: shape (P,), places among the watch's peers of those that this view sees.
        peer_over: bucket of each of them; empty for shares.
        weight: shape (P,), in (0, 1], how much each one's calls count.
    """

    test: CommonShockTest
    lens: Lens
    over: int | None
    members: tuple[int, ...]
    peer_over: tuple[int, ...]
    weight: FloatArray

    def own(self, window: Summary) -> tuple[float, float]:
        """The candidate's calls and bad ones."""
        if self.over is None:
            share = self.lens.share(window)
            return float(share.total), float(share.bad)
        values = self.lens.values(window)
        return float(values.total), float(_above(values, self.over))

    def theirs(self, windows: Sequence[Summary | None]) -> tuple[FloatArray, FloatArray]:
        """
        The peers' calls and bad ones, weighted, each of shape (P,).

        Args:
            windows: one for each peer of the watch; None where it made no call, or has left.
        """
        counts = np.array(self.unweighted(windows))
        return counts[:, 0] * self.weight, counts[:, 1] * self.weight

    def unweighted(self, windows: Sequence[Summary | None]) -> tuple[tuple[float, float], ...]:
        """The same as they were, for each peer of the view."""
        found = []
        for i, member in enumerate(self.members):
            window = windows[member]
            found.append((0.0, 0.0) if window is None else tuple(map(float, self.counts_of(i, window))))
        return tuple((calls, bad) for calls, bad in found)

    def counts_of(self, i: int, window: Summary) -> tuple[int, int]:
        """Calls and bad ones of the view's i-th peer."""
        if self.over is None:
            share = share_of(self.lens.rule, window)
            return share.total, share.bad
        values = histogram_of(self.lens.rule, window)
        return values.total, _above(values, self.peer_over[i])


@dataclass(frozen=True, kw_only=True, eq=False)
class Beside:
    """
    Attributes:
        peers: of the watch, those that have left as well.
        model: that answers most of the candidate's calls, by its baseline; empty when unknown.
        views: by rule name; a rule that cannot be asked beside peers is absent.
    """

    peers: tuple[Peer, ...]
    model: str
    views: Mapping[str, tuple[View, ...]]


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """
    What the peers suffer.

    Attributes:
        since: start of the window in which it was first seen.
        worse, heard: how many of the peers that made calls since are worse than usual.
    """

    since: datetime
    worse: int
    heard: int


def beside_of(panel: Panel, peers: Sequence[Peer], *, n_windows: int) -> Beside:
    """
    Everything that is fixed when the baselines are frozen.

    Args:
        n_windows: of the watch.
    """
    views = {seat.rule.name: _views(seat, panel.baseline, peers, n_windows) for seat in panel.seats}
    models = panel.baseline.models if panel.baseline else {}
    model = max(sorted(models), key=lambda name: models[name], default="")
    return Beside(peers=tuple(peers), model=model, views={name: found for name, found in views.items() if found})


def worse_than_usual(beside: Beside, name: str, windows: Sequence[Sequence[Summary]]) -> tuple[int, int]:
    """
    How many peers are worse than their own baselines, and how many made calls.

    Args:
        windows: of each peer, since the trouble began.
    """
    view = beside.views[name][0]
    worse = heard = 0
    for i, member in enumerate(view.members):
        counts = [view.counts_of(i, window) for window in windows[member]]
        calls, bad = sum(n for n, _ in counts), sum(y for _, y in counts)
        usual = float(view.test.peers[i, 0])
        heard += calls > 0
        worse += bad > usual * calls + _STANDARD_ERRORS * math.sqrt(calls * usual * (1.0 - usual))
    return worse, heard


def _views(seat: Seat, baseline: Summary | None, peers: Sequence[Peer], n_windows: int) -> tuple[View, ...]:
    if seat.test is None or baseline is None or seat.rule.metric is Metric.FEEDBACK:
        return ()
    rule = seat.rule
    if rule.metric not in VALUES:
        found = [_share_view(seat, baseline, peers, n_windows)]
    elif rule.statistic is Statistic.QUANTILE and rule.quantile is not None:
        found = [_value_view(seat, peers, n_windows, rule.quantile)]
    elif rule.statistic is Statistic.LIMIT:
        found = [_limit_view(seat, baseline, peers, n_windows)]
    else:
        found = [_value_view(seat, peers, n_windows, p) for p in _ALL_QUANTILES]
    return tuple(view for view in found if view is not None)


def _share_view(seat: Seat, baseline: Summary, peers: Sequence[Peer], n_windows: int) -> View | None:
    rule, share = seat.rule, seat.lens.share(baseline)
    if rule.statistic is Statistic.LIMIT:
        allowed = rule.limit_share or 0.0
    else:
        usual = float(upper_limit(share.total, share.bad, _ONE_SIXTH)[0])
        allowed = min(1.0, max(usual + rule.margin_abs, usual * (1.0 + rule.margin_rel)))
    spoilt = np.array((0.0, *SPOILT))
    suffered = np.where(spoilt >= _LARGE_SPOILT, _MORE_ODDS * spoilt / (1.0 + (_MORE_ODDS - 1.0) * spoilt), spoilt)
    members, shares = [], []
    for i, peer in enumerate(peers):
        theirs = share_of(rule, peer.baseline)
        if theirs.total >= FEWEST_PEER_CALLS:
            members.append(i)
            shares.append(_spoilt((theirs.bad + 0.5) / (theirs.total + 1.0), spoilt))
    return _view(seat, peers, members, _spoilt(allowed, suffered), shares, N_SLOW_SPOILT, n_windows)


def _value_view(seat: Seat, peers: Sequence[Peer], n_windows: int, p: float) -> View | None:
    """Bad is what lies above the baseline's p-quantile times the margin: at most 1 - p of the calls, by the rule."""
    quantile = seat.values.quantile(p)
    if not quantile:
        return None
    at, margin = bucket_of(quantile), shift_of(1.0 + seat.rule.margin_rel)
    return _over_view(seat, peers, n_windows, p, null=_slowed(seat.values, at, _SUFFERED), over=at + margin)


def _limit_view(seat: Seat, baseline: Summary, peers: Sequence[Peer], n_windows: int) -> View | None:
    """Bad is what lies above the value that the user states."""
    rule = seat.rule
    if not rule.limit_value:
        return None
    over, usual = bucket_of(rule.limit_value), histogram_of(rule, baseline)
    if not usual.total:
        return None
    # A limit on the mean says nothing about the share above it: what the baseline had there is allowed.
    allowed = 1.0 - rule.quantile if rule.quantile is not None else 0.0
    null = np.maximum(_slowed(usual, over, _SUFFERED), allowed)
    return _over_view(seat, peers, n_windows, rule.quantile or _ALL_QUANTILES[1], null=null, over=over)


def _over_view(
    seat: Seat, peers: Sequence[Peer], n_windows: int, p: float, *, null: FloatArray, over: int
) -> View | None:
    members, shares, peer_over = [], [], []
    for i, peer in enumerate(peers):
        theirs = histogram_of(seat.rule, peer.baseline)
        quantile = theirs.quantile(p) if theirs.total >= FEWEST_PEER_CALLS else None
        if quantile:
            members.append(i)
            peer_over.append(bucket_of(quantile))
            # As for shares: what was never seen in a few calls may happen all the same.
            above = theirs.total * _slowed(theirs, peer_over[-1], SLOWER)
            shares.append((above + 0.5) / (theirs.total + 1.0))
    return _view(seat, peers, members, null, shares, N_SLOW_SLOWER, n_windows, over, tuple(peer_over))


def _view(
    seat: Seat,
    peers: Sequence[Peer],
    members: Sequence[int],
    null: FloatArray,
    shares: Sequence[FloatArray],
    n_slow: int,
    n_windows: int,
    over: int | None = None,
    peer_over: tuple[int, ...] = (),
) -> View | None:
    if not members:
        return None
    try:
        test = CommonShockTest.of(null, np.stack(shares), n_slow=n_slow, alpha=seat.alpha, n_windows=n_windows)
    except StatsInputError:
        return None  # nearly all calls are bad in calm: nothing could be told apart
    return View(
        test=test,
        lens=seat.lens,
        over=over,
        members=tuple(members),
        peer_over=peer_over,
        weight=weights([peers[i].calls_per_hour for i in members]),
    )


def _spoilt(share: float, spoilt: FloatArray) -> FloatArray:
    """The share of bad calls once so many of the good ones are spoilt, shape (1 + F,)."""
    levels: FloatArray = 1.0 - (1.0 - share) * (1.0 - spoilt)
    return levels


def _slowed(values: LogHistogram, over: int, factors: Sequence[float]) -> FloatArray:
    """The share of values above a bucket once all of them grew by each factor, shape (1 + F,)."""
    buckets, counts = values.arrays()
    from_above = np.concatenate([np.cumsum(counts[::-1])[::-1], [0.0]])
    edges = np.array([over, *(over - shift_of(factor) for factor in factors)])
    levels: FloatArray = from_above[np.searchsorted(buckets, edges, side="right")] / values.total
    return levels


def _above(values: LogHistogram, over: int) -> int:
    return sum(n for bucket, n in values.counts.items() if bucket > over)
