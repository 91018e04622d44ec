"""`explain`: judge it again from its packet, and say whether it is what was decided."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from watchdog.cli.exits import FAILED, out, say
from watchdog.cli.reporting import opened as store_of
from watchdog.cli.reporting import packet_of
from watchdog.core import words
from watchdog.core.explain import explain as judged_again
from watchdog.core.packet import Packet, opened
from watchdog.errors import PacketError
from watchdog.jobs.record import made_by

if TYPE_CHECKING:
    from rich.console import Console

    from watchdog.core.explain import Explanation

# A packet is tens of megabytes at the most; what is larger is no packet.
_LARGEST_BYTES = 1 << 30
_LISTED = 20


def explain(identifier: str, config: Path | None, store: str | None, *, as_json: bool) -> None:
    """Raises: PacketError, StoreError; exits with 1 where it does not agree."""
    file = Path(identifier)
    value = _read(file) if file.is_file() else packet_of(store_of(config, store), identifier)
    packet = opened(value)
    found = judged_again(packet)
    if as_json:
        sys.stdout.write(json.dumps(_facts(packet, found), indent=2, ensure_ascii=True) + "\n")
    else:
        _print(out(), packet, found)
    if not found.agrees:
        raise typer.Exit(FAILED)


def _read(file: Path) -> Any:
    if file.stat().st_size > _LARGEST_BYTES:
        raise PacketError(f"{file}: larger than 1 GiB, which no packet is")
    try:
        return json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        raise PacketError(f"{file}: not JSON; make a packet with `promptwatch show ID --packet`") from None


def _facts(packet: Packet, found: Explanation) -> dict[str, Any]:
    return {
        "watch": packet.value["watch"]["id"],
        "agrees": found.agrees,
        "looks": found.looks,
        "compared": found.numbers,
        "made_by": packet.value["made_by"],
        "explained_by": made_by(),
        "points": [
            {"kind": p.kind, "account": list(p.lines), "differences": list(p.differences)} for p in found.points
        ],
        "differences": list(found.differences),
    }


def _print(console: Console, packet: Packet, found: Explanation) -> None:
    watch = packet.value["watch"]
    say(console, f"{watch['prompt']} {watch['control_label'] or 'nothing'} -> {watch['candidate_label']}", style="bold")
    for point in found.points:
        for line in point.lines:
            say(console, line)
        _differences(console, f"  {point.kind}", point.differences)
    _differences(console, "", found.differences)
    compared = f"{words.count(found.looks, 'look')} made again, {words.count(found.numbers, 'value')} compared"
    if found.agrees:
        say(console, f"It agrees with what was decided, to the bit: {compared}.", style="green")
        return
    say(console, f"It does NOT agree with what was decided: {compared}.", style="red bold")
    say(console, f"  {_why(packet)}")


def _differences(console: Console, what: str, differences: tuple[str, ...]) -> None:
    for line in differences[:_LISTED]:
        say(console, f"{what} DIFFERS: {line}".strip(), style="red")
    if len(differences) > _LISTED:
        say(console, f"{what} DIFFERS in {len(differences) - _LISTED} more".strip(), style="red")


def _why(packet: Packet) -> str:
    """What may be behind it: others' numbers may differ in the last bit, ours may not."""
    theirs, ours = packet.value["made_by"], made_by()
    by = [d["value"].get("made_by") for d in packet.value["decisions"]]
    made = next((b for b in by if b and b != ours), theirs)
    if made != ours:
        parts = [f"{name} {made.get(name)} and now {ours[name]}" for name in ours if made.get(name) != ours[name]]
        return f"It was decided by another program: {', '.join(parts)}. Explain it with that one to be sure."
    return "It was decided by this very program, so something of what it rests on was changed since."
