"""
Judge the packet again, say how it came out, and whether every number is the one that was decided by: to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from watchdog.core import account
from watchdog.core.canonical import instant, sha256_of, us_or_none
from watchdog.core.chain import Entry, hash_of
from watchdog.core.counts import Counts
from watchdog.core.damage import gauges_of
from watchdog.core.looks import windows_from_json
from watchdog.core.policy import decide, decision_to_json
from watchdog.core.recovery import assess
from watchdog.core.retrace import evidence_of, panel_for, retraced
from watchdog.core.rollback import Event, SagaState, after
from watchdog.core.rules import Action
from watchdog.core.windows import Summary
from watchdog.errors import IllegalTransition, StatsInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from watchdog.core.packet import Packet
    from watchdog.core.retrace import Case, Retraced

# Endings of a recovery, and of a countdown by the numbers; everything else is decided by a look at the candidate.
RECOVERIES = frozenset({"recovered", "upstream_suspected", "unverified", "countdown_recovered"})


@dataclass(frozen=True, kw_only=True)
class Point:
    """One decision, judged again."""

    kind: str
    lines: tuple[str, ...]
    differences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """
    Attributes:
        points: one for each decision, oldest first, and one for the state in which the watch stands.
        differences: of everything else: the packet itself, the looks, the history.
        looks: how many were made again.
        numbers: how many values were compared.
    """

    points: tuple[Point, ...]
    differences: tuple[str, ...]
    looks: int
    numbers: int

    @property
    def agrees(self) -> bool:
        return not self.differences and not any(point.differences for point in self.points)


@dataclass
class _Ledger:
    """Counts what was compared, and keeps what differs."""

    compared: int = 0
    differences: list[str] = field(default_factory=list)

    def same(self, what: str, said: Any, found: Any) -> None:
        """Exact: floats by their bits, as JSON holds them."""
        self.compared += 1
        if said != found:
            self.differences.append(f"{what}: decided by {_short(said)}, now {_short(found)}")


def explain(packet: Packet) -> Explanation:
    """Everything that can be judged again is."""
    value, case = packet.value, packet.case
    whole = _Ledger()
    if not packet.whole:
        whole.differences.append("the packet is not as it was exported: its sum is another")
    _check_rules(value, whole)
    _check_audit(value, whole)
    _check_history(value, whole)
    decisions = {n: [d for d in value["decisions"] if d["value"].get("look") == n] for n in _looks_of(value)}
    points: list[tuple[int, Point]] = []
    kept = {d["value"].get("after_look") for d in value["decisions"]}
    seen: dict[int, Retraced] = {}
    last: Retraced | None = None
    if why := _untraceable(case):
        whole.differences.append(why)
    else:
        try:
            for last in _again(case, decisions, points, whole):
                if last.seq in kept:
                    seen[last.seq] = last
        except (KeyError, StatsInputError, ValueError) as exc:
            whole.differences.append(f"what is on record does not fit together: {type(exc).__name__}: {exc}")
        else:
            points += _outside_of_looks(value, case, seen, whole)
            points.append((len(value["decisions"]), _standing(value, last, whole)))
    ordered = tuple(point for _, point in sorted(points, key=lambda e: e[0]))
    return Explanation(
        points=ordered,
        differences=tuple(whole.differences),
        looks=0 if last is None else last.seq,
        numbers=whole.compared,
    )


def _again(
    case: Case, decisions: Mapping[int, list[Mapping[str, Any]]], points: list[tuple[int, Point]], whole: _Ledger
) -> Iterator[Retraced]:
    """Make every look again, and compare each."""
    trips = account.Trips()
    for seen in retraced(case):
        trips.note(seen)
        _check_look(seen, whole)
        points += [(d["n"], _decision(case, seen, trips, d, whole)) for d in decisions.get(seen.seq, ())]
        yield seen


def _looks_of(value: Mapping[str, Any]) -> set[int]:
    return {d["value"]["look"] for d in value["decisions"] if d["value"].get("look")}


def _untraceable(case: Case) -> str:
    """Why the looks cannot be made again; empty when they can."""
    before: Any = None
    for n, (look, _) in enumerate(case.looks, start=1):
        if n == 1 and look.since is not None and not look.anew:
            return (
                "the watch began under an earlier version of the program, which did not put its looks on record: it "
                "cannot be judged again to the bit"
            )
        if n > 1 and look.since != before and not look.anew:
            return f"look {n} does not go on from where look {n - 1} ended: one is missing"
        before = look.judged_until
    return ""


def _check_look(seen: Retraced, whole: _Ledger) -> None:
    """Where it stopped, and the evidence where it was kept; only the first look that differs is told."""
    own = _Ledger()
    own.same(
        f"look {seen.seq}, judged until", us_or_none(seen.look.judged_until), us_or_none(seen.progress.judged_until)
    )
    if seen.look.nats is not None:
        found = seen.nats()
        for rule in sorted({*seen.look.nats, *found}):
            own.same(f"look {seen.seq}, evidence of {rule}", seen.look.nats.get(rule), found.get(rule))
    whole.compared += own.compared
    if own.differences and not any(line.startswith("look ") for line in whole.differences):
        whole.differences += own.differences


def _decision(case: Case, seen: Retraced, trips: account.Trips, decided: Mapping[str, Any], whole: _Ledger) -> Point:
    said, own = decided["value"], _Ledger()
    judgement = seen.judgement()
    readings = {r.rule: r.to_json() for r in judgement.readings}
    own.same("verdict", said["verdict"], judgement.verdict.value)
    own.same("reason", said["reason"], judgement.reason)
    own.same("rules", [r["rule"] for r in said["readings"]], list(readings))
    for reading in said["readings"]:
        for name, value in reading.items():
            own.same(f"rule {reading['rule']}, {name}", value, readings.get(reading["rule"], {}).get(name))
    evidence = evidence_of(seen.progress)
    for name in sorted({*said["evidence"], *evidence}):
        own.same(f"evidence of {name}, all of its bits", said["evidence"].get(name), evidence.get(name))
    # What might be done about the promotion can become less while the watch goes on.
    watch = replace(case.watch, most=Action(seen.context.most), why_not_more=seen.context.why_not_more)
    policy = decide(judgement, watch, allowed=Action(seen.context.allowed))
    own.same("what the policy made of it", said["decided"], decision_to_json(policy))
    counts = None if said["guards"] is None else Counts.from_json(said["guards"])
    if counts is not None:
        refused = counts.refused()
        own.same("what the guards said", said["held"], refused.why if refused else "")
        own.same("which guard", said["guard"], refused.guard.value if refused else "")
    whole.compared += own.compared
    lines = account.decision(case, seen, trips, judgement, decided, counts)
    return Point(kind=decided["kind"], lines=lines, differences=tuple(own.differences))


def _outside_of_looks(
    value: Mapping[str, Any], case: Case, seen: Mapping[int, Retraced], whole: _Ledger
) -> Iterator[tuple[int, Point]]:
    for decided in value["decisions"]:
        if decided["kind"] in RECOVERIES and decided["value"].get("look") is None:
            yield decided["n"], _recovery(value, case, seen.get(decided["value"]["after_look"]), decided, whole)
        elif not 0 < (decided["value"].get("look") or 0) <= len(case.looks):
            why = f"decision {decided['n']} ({decided['kind']}) names a look that is not on record"
            yield decided["n"], Point(kind=decided["kind"], lines=(), differences=(why,))


def _recovery(
    value: Mapping[str, Any], case: Case, last: Retraced | None, decided: Mapping[str, Any], whole: _Ledger
) -> Point:
    said, own = decided["value"], _Ledger()
    if last is None or value["incident"] is None:
        return Point(kind=decided["kind"], lines=(), differences=("there is no look that it could rest on",))
    since, until = instant(said["since"]), instant(said["sealed"])
    counting = decided["kind"] == "countdown_recovered"
    calls = case.windows if counting else windows_from_json(value["restored_windows"])
    windows = [w for w in calls if since <= w[0] < until]
    panel = panel_for(case, last.context)
    tripped = {reading["rule"] for reading in value["incident"]["tripped"]}
    gauges = gauges_of(panel, tripped, Summary.from_json(last.progress.candidate.to_json()))
    finding = assess(
        panel,
        gauges,
        windows,
        overdue=said["overdue"],
        peers_worse=said["peers_worse"],
        rejected=said["rejected"],
    )
    own.same("recovery", said["recovery"], finding.recovery.value)
    own.same("reason", said["reason"], finding.reason)
    own.same("calls of the restored version", said["restored"], finding.restored.to_json())
    whole.compared += own.compared
    return Point(
        kind=decided["kind"],
        lines=account.recovery(decided, finding, windows, gauges),
        differences=tuple(own.differences),
    )


def _standing(value: Mapping[str, Any], last: Retraced | None, whole: _Ledger) -> Point:
    """What the database says of the watch now, beside the last look."""
    said, own = value["standing"], _Ledger()
    if last is None or not said["readings"]:
        return Point(kind="standing", lines=account.nothing_judged(said), differences=())
    judgement = last.judgement()
    own.same("verdict", said["verdict"], judgement.verdict.value)
    own.same("reason", said["reason"], judgement.reason)
    own.same("readings", said["readings"], [r.to_json() for r in judgement.readings])
    own.same("judged until", said["judged_until"], us_or_none(last.progress.judged_until))
    own.same("calls", said["candidate"], last.progress.candidate.to_json())
    evidence = evidence_of(last.progress)
    for name in sorted({*said["evidence"], *evidence}):
        own.same(f"evidence of {name}, all of its bits", said["evidence"].get(name), evidence.get(name))
    whole.compared += own.compared
    return Point(kind="standing", lines=account.standing(said, judgement), differences=tuple(own.differences))


def _check_rules(value: Mapping[str, Any], whole: _Ledger) -> None:
    for digest, rules in value["rules"].items():
        whole.same(f"rules {digest[:12]}, their sum", value["rules_sha256"].get(digest), sha256_of(rules))


def _check_audit(value: Mapping[str, Any], whole: _Ledger) -> None:
    """Each entry by its own hash, and each decision by the entry that vouches for it."""
    vouched = set()
    for row in value["audit"]["entries"]:
        entry = Entry(**{**row, "at": instant(row["at"])})
        whole.same(f"audit entry {entry.seq}, its hash", entry.hash, hash_of(entry))
        vouched.add(entry.value.get("sha256"))
    for decided in value["decisions"]:
        parts = [value["watch"]["id"], decided["subject"], decided["kind"], decided["at"], decided["value"]]
        whole.same(f"decision {decided['n']}, its sum", decided["sha256"], sha256_of(parts))
        if decided["sha256"] not in vouched:
            whole.differences.append(f"decision {decided['n']} ({decided['kind']}) has no entry in the audit")


def _check_history(value: Mapping[str, Any], whole: _Ledger) -> None:
    """Every step of the rollback follows from the one before."""
    if value["incident"] is None:
        return
    state = SagaState.OPEN
    names = {event.value for event in Event}
    for row in value["history"]["incident"]:
        if row["event"] not in names or row["from"] not in {s.value for s in SagaState}:
            continue
        try:
            state = after(state, Event(row["event"]))
        except IllegalTransition as exc:
            whole.differences.append(f"the rollback's history: {exc}")
            return
        whole.same(f"state after {row['event']}", row["to"], state.value)
    whole.same("state of the rollback", value["incident"]["state"], state.value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
