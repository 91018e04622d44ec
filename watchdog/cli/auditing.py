"""`audit list`, `audit verify`: the chained audit, as the database has it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import typer

from watchdog.cli import facts
from watchdog.cli.exits import FAILED, USAGE, out, say, stop
from watchdog.cli.reporting import opened
from watchdog.core import words
from watchdog.store import audit

if TYPE_CHECKING:
    from pathlib import Path

    from watchdog.core.chain import Entry

# The beginning of a hash, as a log line may show it; fewer digits could fit another by chance.
_FEWEST_DIGITS = 12
_HEX = frozenset("0123456789abcdefABCDEF")


def entries(config: Path | None, store: str | None, *, as_json: bool, limit: int) -> None:
    """Raises: StoreError."""
    database = opened(config, store)
    with database.read() as connection:
        found = audit.tail(connection, limit)
    if as_json:
        sys.stdout.write(json.dumps([_facts(entry) for entry in found], indent=2, ensure_ascii=True) + "\n")
        return
    console = out()
    for entry in found:
        value = entry.value
        arrow = f"  {value['from'] or '-'} -> {value['to']}" if "from" in value else ""
        why = f"  {value['why']}" if value.get("why") else ""
        about = f"  {words.short(entry.subject)}" if entry.subject else ""
        head = f"{entry.seq:>6}  {facts.moment(entry.at)}  {entry.hash[:12]}"
        say(console, f"{head}  {entry.actor}  {entry.kind}{about}{arrow}{why}")


def verify(config: Path | None, store: str | None, *, as_json: bool, head: str) -> None:
    """Raises: StoreError; exits with 1 where the chain is broken."""
    if head and (len(head) < _FEWEST_DIGITS or not set(head) <= _HEX):
        stop(USAGE, f"--head must be a hash as the log has it, or at least its first {_FEWEST_DIGITS} digits")
    database = opened(config, store)
    with database.read() as connection:
        found = audit.checked(connection, kept=head)
    if as_json:
        value = {
            "whole": found.broken is None,
            "entries": found.n,
            "head": found.head.hash,
            "broken": None if found.broken is None else found.broken.value,
            "at": found.at,
            "why": found.why or None,
        }
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=True) + "\n")
    elif found.broken is None:
        kept = "; the head that was kept is in it" if head else ""
        n = "1 entry" if found.n == 1 else f"{found.n:,} entries"
        say(out(), f"The chain is whole: {n}, head {found.head.hash}{kept}")
    else:
        say(out(), f"The chain is BROKEN ({found.broken.value}): {found.why}", style="red bold")
        say(out(), f"Whole up to entry {found.head.seq}, {found.head.hash}")
    if found.broken is not None:
        raise typer.Exit(FAILED)


def _facts(entry: Entry) -> dict[str, Any]:
    return {**vars(entry), "at": facts.moment(entry.at), "detail": entry.value}
