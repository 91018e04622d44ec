"""`status`, `incidents`, `show`: what the daemon knows, read from its database without disturbing it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.table import Table

from watchdog.cli import facts, packets
from watchdog.cli.exits import FAILED, out, say, stop
from watchdog.cli.where import store_to_read
from watchdog.clock import SystemClock
from watchdog.core import phrasing, words
from watchdog.core.canonical import canonical
from watchdog.core.clusters import Report
from watchdog.core.judgement import Reading, ReadingState
from watchdog.core.ledger import Entry
from watchdog.core.quiet_days import describe
from watchdog.errors import StoreUnusable
from watchdog.notify.harmless import one_line
from watchdog.store import calibrations, claims, holds, journal, outbox, watches
from watchdog.store import incidents as incident_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console
    from sqlalchemy import Connection

    from watchdog.core.incident import Incident
    from watchdog.core.watch import Watch
    from watchdog.store.calibrations import QuietRecord
    from watchdog.store.database import Store

_COLOURS = {
    "ok": "green",
    "recovered": "green",
    "done": "green",
    "regressed": "red",
    "upstream": "magenta",
    "upstream_suspected": "magenta",
    "needs_human": "red bold",
    "held": "yellow",
    "countdown": "yellow",
    "await_approval": "yellow",
    "cancelled": "dim",
    "inconclusive": "yellow",
    "unverified": "yellow",
    "verifying": "yellow",
    "no_data": "dim",
}


def status(config: Path | None, store: str | None, *, as_json: bool) -> None:
    database = opened(config, store)
    with database.read() as connection:
        rows = [facts.watch_facts(connection, w) for w in watches.all_watches(connection, limit=20)]
        pointers = journal.pointers_seen(connection)
        polled = journal.cursor(connection, "promotions")
        unsent = outbox.waiting(connection)
        learned = {
            pointers[r.prompt_id].slug: r for r in calibrations.all_records(connection) if r.prompt_id in pointers
        }
        replicas = claims.all_replicas(connection) if database.is_shared else ()
        # By the daemon's clock, as far as it got: that of a sample is faster than ours.
        held = holds.in_force(connection, polled or SystemClock().now())
        value: dict[str, Any] = {
            "store": database.name,
            "replicas": [facts.replica_facts(r) for r in replicas],
            "holds": [facts.hold_facts(hold) for hold in held],
            "waiting_for_a_human": facts.waiting_facts(connection),
            "prompts": len(pointers),
            "last_poll_at": facts.moment(polled),
            "notices_waiting": len(unsent),
            "notices_waiting_since": facts.moment(unsent[0].created_at) if unsent else None,
            "watches": rows,
            "calibrations": [_calibration(slug, learned[slug]) for slug in sorted(learned)],
        }
    if as_json:
        print_json(value)
        return
    console = out()
    for hold in held:
        say(console, phrasing.sentence(hold.sentence), style="yellow")
    for row in value["waiting_for_a_human"]:
        say(console, f"{row['prompt']}: {row['what']} ({words.short(row['id'])}); `promptwatch approve` or `cancel` it")
    say(
        console,
        f"{words.count(len(pointers), 'prompt')} known, platform last read {words.clock_time(polled)}, "
        f"{words.count(len(unsent), 'notice')} waiting to be sent",
    )
    for replica in replicas:
        say(console, facts.replica_sentence(replica))
    for slug in sorted(learned):
        if line := describe(learned[slug].by_rule):
            say(console, f"{slug}: {line}")
    if not rows:
        say(console, "No promotion has been seen yet. The first one after the start will be watched.")
        return
    _table(
        console,
        ("watch", "prompt", "promotion", "state", "verdict", "calls", "success", "p95", "cost"),
        [
            (
                words.short(row["id"]),
                row["prompt"],
                f"{row['from'] or 'nothing'} -> {row['to']}",
                row["state"],
                row["verdict"],
                f"{row['candidate']['calls']:,}",
                _pair(row, "success_rate", words.percent),
                _pair(row, "p95_ms", words.milliseconds),
                _pair(row, "mean_cost_usd", words.dollars),
            )
            for row in rows
        ],
    )
    for row in rows:
        if row["trouble"]:
            say(console, f"{row['prompt']}: holds: {row['trouble']}")
        elif row["state"] == "watching":
            say(console, f"{row['prompt']} {row['to']}: {row['reason']}")


def _calibration(slug: str, learned: QuietRecord) -> dict[str, Any]:
    """What quiet days ask of the rules, when this version is the control."""
    return {
        "prompt": slug,
        "version": learned.version_id,
        "until": facts.moment(learned.until),
        "rules": [
            {
                "rule": rule,
                "days": found.days,
                "worst_nats": found.worst_nats,
                "alpha_nats": found.alpha_nats,
                "needed_nats": found.needed_nats,
                "only_alerts": found.demoted,
            }
            for rule, found in learned.by_rule.items()
        ],
    }


def incidents(config: Path | None, store: str | None, *, as_json: bool, limit: int) -> None:
    database = opened(config, store)
    with database.read() as connection:
        rows = [facts.incident_facts(connection, i) for i in incident_rows.all_incidents(connection, limit=limit)]
    if as_json:
        print_json(rows)
        return
    console = out()
    if not rows:
        say(console, "No incidents.")
        return
    _table(
        console,
        ("incident", "opened", "prompt", "bad", "target", "state", "recovery", "rules"),
        [
            (
                words.short(row["id"]),
                row["opened_at"],
                row["prompt"],
                row["bad"],
                row["target"],
                row["state"],
                row["recovery"],
                ", ".join(r["rule"] for r in row["rules"]),
            )
            for row in rows
        ],
    )


def show(identifier: str, config: Path | None, store: str | None, *, as_json: bool, packet_only: bool = False) -> None:
    database = opened(config, store)
    if packet_only:
        sys.stdout.write(canonical(packet_of(database, identifier)) + "\n")
        return
    with database.read() as connection:
        found_incidents, found_watches = _found(connection, identifier)
        value: dict[str, Any] = {}
        if found_incidents:
            value["incident"] = facts.incident_facts(connection, found_incidents[0])
            watch = watches.find_watch(connection, found_incidents[0].watch_id)
        else:
            watch = found_watches[0]
        if watch is not None:
            value["watch"] = facts.watch_facts(connection, watch)
            value["watch"]["history"] = facts.history_facts(connection, watch.id)
            if as_json:
                value["packet"] = packets.packet(connection, watch)
    if as_json:
        # The packet is for programs: one line of it, where a number on a line of its own would make a million.
        whole = value.pop("packet", None)
        text = json.dumps(value, indent=2, ensure_ascii=True)
        held = "" if whole is None else f',\n  "packet": {canonical(whole)}'
        sys.stdout.write(f"{text.removesuffix(chr(10) + '}')}{held}\n}}\n")
    else:
        _show(out(), value)


def packet_of(database: Store, identifier: str) -> dict[str, Any]:
    """The evidence packet of a watch, or of an incident's."""
    with database.read() as connection:
        found_incidents, found_watches = _found(connection, identifier)
        watch = watches.find_watch(connection, found_incidents[0].watch_id) if found_incidents else found_watches[0]
        if watch is None:
            stop(FAILED, f"{identifier!r}: its watch is not in the database any more")
        return packets.packet(connection, watch)


def _found(connection: Connection, identifier: str) -> tuple[list[Incident], list[Watch]]:
    """The one that is meant, in one of the two."""
    found_incidents, found_watches = facts.by_prefix(connection, identifier)
    if len(found_incidents) + len(found_watches) != 1:
        known = [i.id for i in found_incidents] + [w.id for w in found_watches]
        what = f"fits {', '.join(known)}; give more of the id" if known else "fits no incident and no watch"
        stop(FAILED, f"{identifier!r} {what}; see `promptwatch incidents` and `promptwatch status`")
    return found_incidents, found_watches


def _show(console: Console, value: dict[str, Any]) -> None:
    watch = value["watch"]
    incident = value.get("incident")
    if incident:
        say(console, f"Incident {incident['id']}", style="bold")
        _pairs(
            console,
            (
                ("prompt", incident["prompt"]),
                ("rollback", f"{incident['bad']} -> {incident['target']}: {incident['state']}"),
                *([("undoes", incident["undo_of"])] if incident["undo_of"] else []),
                *([("due at", incident["due_at"])] if incident["state"] == "countdown" else []),
                *([("asked for by", incident["asked_by"])] if incident["asked_by"] else []),
                ("recovery", f"{incident['recovery']}: {incident['recovery_reason']}"),
                ("audit entry", incident["audit_id"] or words.NOTHING),
                ("compare", incident["compare_url"] or words.NOTHING),
                ("changed", "; ".join(incident["changes"]) or "not known"),
            ),
        )
        _failing(console, incident["failing_calls"])
    say(console, f"Watch {watch['id']}", style="bold")
    _pairs(
        console,
        (
            ("promotion", f"{watch['prompt']} {watch['from'] or 'nothing'} -> {watch['to']}"),
            ("promoted by", f"{watch['promoted_by']}, {watch['promoted_at']}"),
            ("state", watch["state"]),
            ("verdict", f"{watch['verdict']}: {watch['reason']}"),
            ("limited", watch["why_not_more"] or "no"),
            ("peers", watch["peers_note"] or words.NOTHING),
            *((f"  {p['prompt']}", f"left at {p['left_at']}: {p['why_left']}") for p in watch["peers"] if p["left_at"]),
            ("a week ago", _week(watch["week"])),
        ),
    )
    _numbers(console, watch, incident)
    _table(
        console,
        ("rule", "state", "evidence", "trips at", "arithmetic"),
        [
            (r.rule, r.state.value, f"{r.nats:.1f} nats", f"{r.needed_nats:.1f} nats", r.sentence)
            for r in map(Reading.from_json, watch["rules"])
        ],
    )
    _findings(console, [*watch["findings"], *(incident["findings"] if incident else ())])
    for entry in map(Entry.from_json, watch["ledger"]):
        say(console, f"beside it: {entry.line}")
    for title, events in (("Watch", watch["history"]), ("Incident", incident["history"] if incident else ())):
        for event in events:
            arrow = f"{event['from'] or '-'} -> {event['to']}"
            say(console, f"{event['at']}  {title:<8}  {arrow:<24}  {event['detail']}")
    for asked in incident["commands"] if incident else ():
        answer = asked["answer"] or "not executed yet"
        say(console, f"{asked['requested_at']}  Command   {asked['command']} by {asked['by']}: {answer}")


def _findings(console: Console, findings: list[dict[str, Any]]) -> None:
    """What was found upstream; a line names its source and its time, the day stands before it."""
    if findings:
        say(console, "Upstream", style="bold")
    for finding in findings:
        mark = {True: "trouble", False: "fine", None: "unknown"}[finding["trouble"]]
        say(console, f"  {finding['at'][:10]}  {mark:<8}  {finding['line']}")


def _week(week: dict[str, Any]) -> str:
    """How far the same hours a week ago stand beside the baseline."""
    if week["why_not"]:
        return f"not compared with: {week['why_not']}"
    return f"the same hours are compared with, read to {week['read_to']}" if week["read_to"] else "not read yet"


def _failing(console: Console, value: dict[str, Any] | None) -> None:
    """What the failing calls looked like: redacted text of strangers, so each on one line and harmless."""
    if value is None:
        return
    found = Report.from_json(value)
    say(console, f"{found.choice.value.capitalize()} calls", style="bold")
    if found.failed:
        say(console, f"  could not be read: {found.failed}")
    elif not found.clusters:
        say(console, "  there were none")
    if found.unread:
        say(console, f"  the bodies of {words.count(found.unread, 'call')} of {found.looked_at:,} could not be read")
    for cluster in found.clusters:
        say(console, f"  {cluster.sentence}")
        for example in cluster.examples:
            message = f" [{one_line(example.message)}]" if example.message else ""
            say(console, f"    {example.call_id}: {one_line(example.output)}{message}")


def _numbers(console: Console, watch: dict[str, Any], incident: dict[str, Any] | None) -> None:
    columns = [("baseline", watch["baseline"]), ("candidate", watch["candidate"])]
    if incident and incident["restored"]["calls"]:
        columns.append(("restored", incident["restored"]))
    rows = [
        (
            name,
            f"{n['calls']:,}",
            words.percent(n["success_rate"]),
            words.milliseconds(n["p50_ms"]),
            words.milliseconds(n["p95_ms"]),
            words.dollars(n["mean_cost_usd"]),
            f"{n['late_calls']:,}",
        )
        for name, n in columns
        if n is not None
    ]
    _table(console, ("calls of", "calls", "success", "p50", "p95", "cost per call", "late"), rows)


def _pair(row: dict[str, Any], name: str, text: Any) -> str:
    before = text(row["baseline"][name]) if row["baseline"] else words.NOTHING
    return f"{before} -> {text(row['candidate'][name])}"


def _pairs(console: Console, pairs: tuple[tuple[str, str], ...]) -> None:
    for label, text in pairs:
        say(console, f"  {label:<12} {text}")


def _table(console: Console, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """A table in a terminal; tab-separated lines in a pipe."""
    if not console.is_terminal:
        for row in (columns, *rows):
            sys.stdout.write("\t".join(one_line(cell) for cell in row) + "\n")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_coloured(one_line(cell)) for cell in row))
    console.print(table)


def _coloured(cell: str) -> str:
    from rich.markup import escape

    colour = _COLOURS.get(cell) or ("red" if cell == ReadingState.TRIPPED.value else "")
    return f"[{colour}]{escape(cell)}[/]" if colour else escape(cell)


def opened(config: Path | None, store: str | None, *, read_only: bool = True) -> Store:
    """Raises: StoreUnusable: nothing there to read yet."""
    database = store_to_read(config, store, read_only=read_only)
    found, wanted = database.revision()
    if found != wanted:
        what = (
            "no daemon has written here yet" if found is None else f"its schema is {found}, this program reads {wanted}"
        )
        raise StoreUnusable(f"{database.name}: {what}; start the daemon once with this version")
    return database


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=True) + "\n")
