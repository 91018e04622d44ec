"""What a demo showed: as one value for machines, and in a few lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchdog.cli import facts
from watchdog.cli.exits import say
from watchdog.core import words
from watchdog.core.incident import Recovery
from watchdog.core.watch import Verdict
from watchdog.store import incidents, watches

if TYPE_CHECKING:
    from rich.console import Console

    from watchdog.cli.sandbox import Sandbox
    from watchdog.core.incident import Incident
    from watchdog.core.watch import Watch
    from watchdog.embedded.slack_workspace import SlackWorkspace
    from watchdog.jobs.deps import Deps

HARMLESS = ("happy-numbers", "1.0.0", "1.1.0")
HARMFUL = ("is-prime", "1.0.0", "1.2.0")


def watch_over(deps: Deps, slug: str) -> Watch | None:
    """The newest watch over a prompt."""
    with deps.store.read() as connection:
        return next((w for w in watches.all_watches(connection) if w.prompt_slug == slug), None)


def report_of(world: Sandbox, deps: Deps, slack: SlackWorkspace) -> dict[str, Any]:
    """What `--json` prints."""
    promotions = [_promotion_facts(deps, *HARMLESS), _promotion_facts(deps, *HARMFUL)]
    with deps.store.read() as connection:
        found = incidents.all_incidents(connection)
        incident = facts.incident_facts(connection, found[0]) if found else None
    audit = _audit(world)
    roots = slack.root_messages()
    harmless, harmful = promotions
    ok = (
        harmless["verdict"] == Verdict.OK.value
        and harmless["action"] == "none"
        and harmful["action"] == "revert"
        and incident is not None
        and incident["state"] == "done"
        and incident["recovery"] == Recovery.RECOVERED.value
        and len(found) == 1
        and sum(entry["revert"] for entry in audit) == 1
        and len(roots) == 1
    )
    return {
        "ok": ok,
        "promotions": promotions,
        "incident": None
        if incident is None
        else {
            "id": incident["id"],
            "prompt": incident["prompt"],
            "target": incident["target"],
            "state": incident["state"],
            "states": [{"state": e["to"], "at": e["at"], "why": e["detail"]} for e in incident["history"]],
            "recovery": incident["recovery"],
            "recovery_reason": incident["recovery_reason"],
            # Of the platform as it runs now: after a restart it has another port.
            "compare_url": _compare_url(world, found[0]),
        },
        "audit": audit,
        "slack": {
            "root_messages": len(roots),
            "replies": sum(len(slack.replies(root.ts)) for root in roots),
            "text": roots[0].text if roots else None,
        },
    }


def _promotion_facts(deps: Deps, slug: str, before: str, after: str) -> dict[str, Any]:
    watch = watch_over(deps, slug)
    if watch is None:
        return {"prompt": slug, "from": before, "to": after, "verdict": None, "action": "none"}
    with deps.store.read() as connection:
        seen = facts.watch_facts(connection, watch)
        acted = any(i.watch_id == watch.id for i in incidents.all_incidents(connection))
    tripped = [r for r in seen["rules"] if r["tripped_after"] is not None and r["action"] != "alert"]
    return {
        "prompt": slug,
        "from": before,
        "to": after,
        "verdict": watch.verdict.value,
        "reason": watch.reason,
        "calls_seen": watch.candidate.calls,
        "calls_to_verdict": tripped[0]["tripped_after"] if tripped else None,
        "rule": tripped[0]["rule"] if tripped else None,
        "action": "revert" if acted else "none",
    }


def _compare_url(world: Sandbox, incident: Incident) -> str:
    saga = incident.saga
    client = world.client()
    try:
        return client.compare_url(saga.prompt_id, saga.bad_version_id, saga.target_version_id)
    finally:
        client.close()


def _audit(world: Sandbox) -> list[dict[str, Any]]:
    """The platform's own record, read over HTTP."""
    labels = {i: f"v{label}" for p in world.prompts.values() for label, i in p.versions.items()}
    slugs = {p.prompt_id: slug for slug, p in world.prompts.items()}
    client = world.client()
    try:
        found = client.promotions(since=world.clock.now().replace(year=2000))
    finally:
        client.close()
    return [
        {
            "prompt": slugs.get(p.prompt_id, p.prompt_id),
            "at": facts.moment(p.at),
            "from": labels.get(p.from_version_id or "", p.from_version_id),
            "to": labels.get(p.to_version_id, p.to_version_id),
            "actor": p.actor_id,
            "actor_type": p.actor_type.value,
            "revert": p.revert,
            "reason": p.note or None,
        }
        for p in found
    ]


def conclude(console: Console, report: dict[str, Any], *, keep: bool) -> None:
    """
    The same for people.

    Args:
        keep: the platform goes on, so that the address answers.
    """
    harmless, harmful = report["promotions"]
    incident = report["incident"] or {}
    slack = report["slack"]
    address = incident.get("compare_url", words.NOTHING)
    lines = (
        "",
        f"harmless  {_left_alone(harmless)}",
        f"harmful   {_reverted(harmful)}",
        f"rollback  {_rolled_back(incident)}",
        f"audit     {_audited(report['audit'])}",
        f"Slack     {words.count(slack['root_messages'], 'message')} with {slack['replies']} replies in its thread",
        f"compare   {address}" if keep else f"compare   {address} (closed now; --keep leaves it open)",
        "",
        f"The demo went {'' if report['ok'] else 'NOT '}as it should, in {report['wall_s']:.1f} s of your time.",
    )
    for line in lines:
        say(console, line)


def _left_alone(seen: dict[str, Any]) -> str:
    done = "left alone" if seen["action"] == "none" else "NOT left alone"
    calls = words.count(seen.get("calls_seen", 0), "call")
    return f"{seen['prompt']} v{seen['from']} -> v{seen['to']}: {done}, {seen['verdict']} over {calls}"


def _reverted(seen: dict[str, Any]) -> str:
    promotion = f"{seen['prompt']} v{seen['from']} -> v{seen['to']}"
    if seen["action"] == "none":
        return f"{promotion}: NOT reverted, {seen['verdict']}"
    return f"{promotion}: {seen['verdict']} after {seen['calls_to_verdict']} calls (rule {seen['rule']})"


def _rolled_back(incident: dict[str, Any]) -> str:
    if not incident:
        return "none"
    return f"{incident['prompt']} back to {incident['target']}: {incident['state']}, and {incident['recovery']}"


def _audited(audit: list[dict[str, Any]]) -> str:
    reverts = [entry for entry in audit if entry["revert"]]
    by = ", ".join(f"by {entry['actor_type']} {entry['actor']}, noted {entry['reason']}" for entry in reverts)
    return f"{words.count(len(reverts), 'revert')} {by}"
