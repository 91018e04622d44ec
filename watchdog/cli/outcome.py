"""What a demo showed: as one value for machines, and in a few lines for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from watchdog.cli import facts
from watchdog.cli.exits import say
from watchdog.cli.provider_incident import PROVIDER
from watchdog.core import watch_messages, words
from watchdog.core.incident import Recovery
from watchdog.core.watch import Verdict
from watchdog.store import incidents, outbox, watches

if TYPE_CHECKING:
    from rich.console import Console

    from watchdog.cli.provider_incident import Span
    from watchdog.cli.sandbox import Sandbox
    from watchdog.core.incident import Incident
    from watchdog.core.watch import Watch
    from watchdog.embedded.slack_workspace import SlackWorkspace
    from watchdog.jobs.deps import Deps
    from watchdog.store.outbox import Parcel


@dataclass(frozen=True, kw_only=True)
class Promoted:
    """
    Attributes:
        before, after: labels of the versions.
    """

    slug: str
    before: str = "1.0.0"
    after: str


HARMLESS = Promoted(slug="happy-numbers", after="1.1.0")
HARMFUL = Promoted(slug="is-prime", after="1.2.0")
# As harmless as the first, and its provider fails minutes later.
CAUGHT_IN_IT = Promoted(slug="opinion-survey", after="1.1.0")


def watch_over(deps: Deps, slug: str) -> Watch | None:
    """The newest watch over a prompt."""
    with deps.store.read() as connection:
        return next((w for w in watches.all_watches(connection) if w.prompt_slug == slug), None)


def upstream_notices(deps: Deps, slug: str) -> tuple[Parcel, ...]:
    """What people were told of trouble upstream of a prompt's newest promotion, oldest first."""
    watch = watch_over(deps, slug)
    if watch is None:
        return ()
    with deps.store.read() as connection:
        return tuple(p for p in outbox.parcels(connection) if p.key.startswith(watch_messages.upstream_key(watch)))


def report_of(world: Sandbox, deps: Deps, slack: SlackWorkspace, span: Span) -> dict[str, Any]:
    """
    What `--json` prints.

    Args:
        span: of the provider's incident.
    """
    promotions = [_promotion_facts(deps, which) for which in (HARMLESS, HARMFUL, CAUGHT_IN_IT)]
    with deps.store.read() as connection:
        found = incidents.all_incidents(connection)
        incident = facts.incident_facts(connection, found[0]) if found else None
    audit = _audit(world)
    roots = slack.root_messages()
    upstream = _upstream_facts(world, deps, span)
    harmless, harmful, caught = promotions
    ok = (
        harmless["verdict"] == Verdict.OK.value
        and harmless["action"] == "none"
        and harmful["action"] == "revert"
        and incident is not None
        and incident["state"] == "done"
        and incident["recovery"] == Recovery.RECOVERED.value
        and len(found) == 1
        and sum(entry["revert"] for entry in audit) == 1
        and caught["verdict"] == Verdict.OK.value
        and caught["action"] == "none"
        and upstream["stays"]
        and upstream["told_at"] is not None
        and upstream["over_told_at"] is not None
        # One thread for the prompt that was reverted, one for the provider, whomever else it struck.
        and len(roots) == 2
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
        "upstream": upstream,
        "audit": audit,
        "slack": {
            "root_messages": len(roots),
            "replies": sum(len(slack.replies(root.ts)) for root in roots),
            "texts": [root.text for root in roots],
        },
    }


def _upstream_facts(world: Sandbox, deps: Deps, span: Span) -> dict[str, Any]:
    """The provider's incident, and what was made of it."""
    told = upstream_notices(deps, CAUGHT_IN_IT.slug)
    first, over = told[0] if told else None, told[-1] if len(told) > 1 else None
    prompt = world.prompts[CAUGHT_IN_IT.slug]
    client = world.client()
    try:
        live = next((p.production_version_id for p in client.prompts() if p.id == prompt.prompt_id), None)
    finally:
        client.close()
    return {
        "provider": PROVIDER,
        "prompt": CAUGHT_IN_IT.slug,
        "began_at": facts.moment(span.began),
        "ended_at": facts.moment(span.over),
        "told_at": facts.moment(first.created_at) if first else None,
        "told_after_s": round((first.created_at - span.began).total_seconds(), 1) if first and span.began else None,
        "over_told_at": facts.moment(over.created_at) if over else None,
        "stays": live == prompt.versions[CAUGHT_IN_IT.after],
    }


def _promotion_facts(deps: Deps, which: Promoted) -> dict[str, Any]:
    watch = watch_over(deps, which.slug)
    promoted = {"prompt": which.slug, "from": which.before, "to": which.after}
    if watch is None:
        return {**promoted, "verdict": None, "action": "none"}
    with deps.store.read() as connection:
        seen = facts.watch_facts(connection, watch)
        acted = any(i.watch_id == watch.id for i in incidents.all_incidents(connection))
    tripped = []
    # A rule that an outage of everybody's tripped has said nothing about the version.
    if watch.verdict is Verdict.REGRESSED:
        tripped = [r for r in seen["rules"] if r["tripped_after"] is not None and r["action"] != "alert"]
    return {
        **promoted,
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
    harmless, harmful, caught = report["promotions"]
    incident = report["incident"] or {}
    slack = report["slack"]
    address = incident.get("compare_url", words.NOTHING)
    threads = words.count(slack["root_messages"], "thread")
    lines = (
        f"harmless  {_left_alone(harmless)}",
        f"harmful   {_reverted(harmful)}",
        f"rollback  {_rolled_back(incident)}",
        f"audit     {_audited(report['audit'])}",
        f"incident  {_told(report['upstream'])}",
        f"          {_left_alone(caught)}",
        f"Slack     {threads} with {slack['replies']} replies",
        f"compare   {address}" if keep else f"compare   {address} (closed now; --keep leaves it open)",
    )
    console.print()
    for line in lines:
        say(console, line)
    console.print()
    went = "as it should" if report["ok"] else "NOT as it should"
    say(console, f"The demo went {went}, in {report['wall_s']:.1f} s of your time.")


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
    notes = ", ".join(f"noted {entry['reason']}" for entry in reverts)
    return f"{words.count(len(reverts), 'revert')} by the watchdog's token, {notes}"


def _told(upstream: dict[str, Any]) -> str:
    if upstream["told_after_s"] is None:
        return f"of {upstream['provider']}: NOT told"
    after = words.duration(timedelta(seconds=upstream["told_after_s"]))
    end = "" if upstream["over_told_at"] else ", but NOT that it is over"
    return f"of {upstream['provider']}: told after {after}{end}"
