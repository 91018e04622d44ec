"""
What must hold whatever happened, told by the platform's log and by Slack's messages, not by what the daemon believes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from watchdog.core.rollback import SagaState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.story import Story
    from watchdog.embedded.slack_workspace import Message

HUMAN = "needs a human"
REPEAT = "possible repeat"
RECOVERED = "recovered on"


@dataclass(frozen=True, kw_only=True)
class Expected:
    """
    Attributes:
        unreverted: nothing may have been applied, if a human was told.
        twice: what stands between applied one request twice.
        unconfirmed: the pointer shows the past for longer than anybody waits, and so a human may be told although it
            was reverted.
        calls_hidden: the platform said that there were none, so some of them may never have been counted.
        repeats: the history of Slack may not be readable, and a message may come again, if it says so.
        root_stays: Slack lets nobody change the thread's first message; its last reply has the last word then.
    """

    unreverted: bool = False
    twice: bool = False
    calls_hidden: bool = False
    unconfirmed: bool = False
    repeats: bool = False
    root_stays: bool = False


def violations(story: Story, expected: Expected) -> list[str]:
    """One sentence each; empty where everything holds."""
    checks = (
        _one_promotion(story, expected),
        _unmarked_repeats(story) if expected.repeats else _one_thread(story),
        _last_word(story, expected),
        _counted(story, expected),
    )
    return [what for check in checks for what in check]


def own(story: Story) -> list[dict[str, Any]]:
    """Our promotions, by the platform."""
    return list(story.world.reverts())


def tripped_roots(story: Story) -> list[Message]:
    """Root messages of incidents."""
    return [m for m in story.world.roots() if (key_of(m) or "").endswith(":tripped")]


def key_of(message: Message) -> str | None:
    metadata = message.payload.get("metadata") or {}
    key = (metadata.get("event_payload") or {}).get("key")
    return None if key is None else str(key)


def last_word(story: Story) -> str:
    """The headline under which the incident's thread stands; empty where there is none."""
    # Where a network made two of it, the watchdog goes on in one of them.
    roots = sorted(tripped_roots(story), key=lambda root: root.edited)
    return roots[-1].text.splitlines()[0] if roots else ""


def _one_promotion(story: Story, expected: Expected) -> Iterator[str]:
    world = story.world
    bad = next((e for e in world.audit() if e["metadata"]["newVersionId"] == world.v2), None)
    found = own(story)
    # A version on top of itself moves nothing.
    moved = [e for e in found if e["metadata"]["previousVersionId"] != e["metadata"]["newVersionId"]]
    if len(moved) > 1 or len(found) > (2 if expected.twice else 1):
        yield f"{len(found)} promotions by the watchdog"
    if not found and not expected.unreverted:
        yield "the bad version was never reverted"
    for entry in found:
        said = entry["metadata"]
        if said["newVersionId"] != world.v1:
            yield f"{entry['id']} promoted {said['newVersionId']}, not the last good version"
        if bad is None or said["revertOf"] != bad["id"]:
            yield f"{entry['id']} undoes {said['revertOf']}"
        if not str(said["reason"]).startswith("watchdog:"):
            yield f"{entry['id']} does not have our note"
    if found and not found[0]["metadata"]["revert"]:
        yield f"{found[0]['id']} is not marked as a revert"
    if moved and world.pointer() != world.v1:
        yield f"production is on {world.pointer()}"
    watched = [w.candidate_version_id for w in world.watches()]
    if watched != [world.v2]:
        yield f"watched are {watched}"


def _one_thread(story: Story) -> Iterator[str]:
    if (n := len(tripped_roots(story))) != 1:
        yield f"{n} threads in Slack"
    keys = Counter(key_of(m) for m in story.world.slack.messages() if key_of(m) is not None)
    yield from (f"{n} messages with the key {key}" for key, n in keys.items() if n > 1)


def _unmarked_repeats(story: Story) -> Iterator[str]:
    messages: dict[str, list[str]] = {}
    for message in story.world.slack.messages():
        messages.setdefault(key_of(message) or message.ts, []).append(message.text)
    for key, texts in messages.items():
        # An update of the first one may have taken its remark over.
        if any(REPEAT not in text for text in texts[1:]) and not any(REPEAT in text for text in texts):
            yield f"{key} came again, and does not say so"


def _last_word(story: Story, expected: Expected) -> Iterator[str]:
    said, world = last_word(story), story.world
    if expected.root_stays:
        (root,) = tripped_roots(story)
        said = world.slack.replies(root.ts)[-1].text.splitlines()[0]
    if own(story) and expected.unconfirmed and HUMAN in said:
        return
    if own(story) and RECOVERED not in said:
        yield f"the last word is {said!r}"
    if not own(story) and HUMAN not in said:
        yield f"nothing was reverted, and the last word is {said!r}"
    if own(story) and world.incidents() and world.incidents()[0].state is not SagaState.DONE:
        yield f"the incident ended in {world.incidents()[0].state.value}"


def _counted(story: Story, expected: Expected) -> Iterator[str]:
    """No call twice: what was counted beside what the platform has."""
    world = story.world
    rows = platform_calls(story)
    for watch in world.watches():
        if watch.judged_until is None:
            continue
        mine = [
            r for r in rows if r[0] == watch.candidate_version_id and watch.promotion.at <= r[1] < watch.judged_until
        ]
        counted, made = watch.candidate.calls, len(mine)
        if counted > made or (counted < made and not expected.calls_hidden):
            yield f"{counted} calls of the bad version were counted; until then there were {made}"
        if watch.candidate.failures > sum(not ok for _, _, ok in mine):
            yield f"{watch.candidate.failures} failures were counted of {sum(not ok for _, _, ok in mine)}"
    began = [datetime.fromisoformat(str(e["createdAt"])) for e in own(story)]
    for incident in world.incidents():
        after = [r for r in rows if began and r[0] == world.v1 and r[1] >= began[0] - timedelta(seconds=1)]
        if incident.restored.calls > len(after):
            yield f"{incident.restored.calls} calls of the restored version were counted of {len(after)}"


def platform_calls(story: Story) -> list[tuple[str, datetime, bool]]:
    """Version, start and whether it succeeded, of every call that the platform has."""
    world, found, cursor = story.world, [], ""
    with httpx.Client(base_url=world.platform.base_url, trust_env=False) as client:
        while True:
            query = {"promptId": world.prompt_id, "limit": "500", **({"cursor": cursor} if cursor else {})}
            page = client.get(
                "/api/v1/execution-logs", params=query, headers={"authorization": f"Bearer {world.full_token()}"}
            )
            page.raise_for_status()
            found += [
                (str(r["versionId"]), datetime.fromisoformat(str(r["createdAt"])), str(r["status"]) == "success")
                for r in page.json()["items"]
            ]
            cursor = page.json()["nextCursor"]
            if not cursor:
                return found
