"""Answers of the platform, of status pages and of a dead man's switch, from the wire to the values that are judged."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.fuzz.answering import Answers, StandingClock, answer
from tests.fuzz.values import as_json, broken_bytes, mutated
from tests.platforms.hostile_server import HostileServer
from watchdog.core.windows import summarise
from watchdog.errors import PlatformError
from watchdog.platforms.heartbeat import HttpHeartbeat
from watchdog.platforms.prompthelm import PromptHelm, PromptHelmOptions
from watchdog.platforms.status_page import HttpStatusPages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

    from watchdog.core.model import Call
    from watchdog.platforms.protocol import CallPage

TOKEN = "phk_CANARY0123456789abcdef01234567"
_NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
_SINCE = _NOW - timedelta(hours=1)


@dataclass
class Payloads:
    """One server, and a client that is made anew for each case: none may owe anything to the one before."""

    server: HostileServer
    answers: Answers

    def one(self, luck: Random) -> tuple[str, list[str]]:
        self.server.seen.clear()
        asked = luck.choice((_calls, _calls, _calls, _prompts, _prompt, _versions, _promotions, _feedback, _payload,
                             _promote, _access, _status, _heartbeat))  # fmt: skip
        clock = StandingClock(_NOW)
        if asked is _status:
            return _status(self, luck, clock)
        if asked is _heartbeat:
            return _heartbeat(self, luck, clock)
        client = PromptHelm(
            PromptHelmOptions(url=self.server.url, timeout_s=4.0, segment_by="metadata.task", max_pages=3),
            read_token=lambda: TOKEN,
            clock=clock,
            uniform=lambda: 0.0,
        )
        try:
            return asked(self, client, luck)
        except PlatformError as exc:
            said = f"{exc} {exc.__cause__!r} {exc.__context__!r}"
            wrong = [f"an error holds the token: {said[:300]!r}"] if "CANARY" in said else []
            if not str(exc).isprintable() or len(str(exc)) > 2000:
                wrong.append(f"an error that cannot be read: {str(exc)[:300]!r}")
            return type(exc).__name__, wrong
        finally:
            client.close()

    def say(self, value: object, luck: Random, *, times: tuple[int, ...] = (0, 1, 1, 2, 3)) -> bool:
        """The next answer: the value, mutated. Returns: whether it is as good as it was."""
        n = luck.choice(times)
        for _ in range(n):
            value = mutated(value, luck)
        body = as_json(value).encode("utf-8", "surrogatepass")
        if luck.random() < 0.05:
            n, body = 1, broken_bytes(body, luck)
        self.answers.whole = answer(body, luck)
        return n == 0


@contextmanager
def payloads(folder: Path) -> Iterator[Payloads]:
    server = HostileServer()
    answers = Answers()
    server.answer = answers
    try:
        yield Payloads(server=server, answers=answers)
    finally:
        server.stop()


def call_row(i: int) -> dict[str, Any]:
    """One execution log, complete and unremarkable."""
    return {
        "id": f"log_{i}",
        "promptId": "p1",
        "versionId": "v1",
        "environment": "production",
        "createdAt": f"2026-11-20T11:30:{i % 60:02}.000Z",
        "startedAt": f"2026-11-20T11:29:{i % 60:02}.000Z",
        "latencyMs": 812.5,
        "status": "success" if i % 5 else "error",
        "errorCode": None if i % 5 else "PROVIDER_ERROR",
        "cost": 0.0123,
        "inputTokens": 500,
        "outputTokens": 120,
        "cachedTokens": 0,
        "model": "acme-large",
        "provider": "acme",
        "metadata": {"task": "reply"},
    }


def _calls(of: Payloads, client: PromptHelm, luck: Random) -> tuple[str, list[str]]:
    """Good rows beside bad ones: each good one is a call, each bad one a call, rejected, or not asked for."""
    good = [call_row(i) for i in range(luck.randrange(1, 6))]
    bad: list[Any] = [call_row(100 + i) for i in range(luck.randrange(1, 4))]
    for _ in range(luck.choice((1, 2, 4))):
        bad = mutated(bad, luck)
        if not isinstance(bad, list):
            bad = [bad]
    rows = [*good, *bad]
    luck.shuffle(rows)
    of.say({"items": rows, "nextCursor": None}, luck, times=(0, 0, 0, 0, 1))
    pages = list(client.calls("p1", since=_SINCE, until=_NOW))
    calls = [call for page in pages for call in page.calls]
    wrong = [what for call in calls for what in _of_call(call)]
    _summed(calls)
    body = of.answers.whole.partition(b"\r\n\r\n")[2]
    untouched = body == as_json({"items": rows, "nextCursor": None}).encode("utf-8", "surrogatepass")
    if untouched and pages:
        wrong += _counted(good, bad, pages)
    return "calls", wrong


def _counted(good: list[Any], bad: list[Any], pages: list[CallPage]) -> list[str]:
    calls = [call.id for page in pages for call in page.calls]
    rejected = sum(len(page.rejected) for page in pages)
    wrong = [f"the good row {row['id']} was not read" for row in good if row["id"] not in calls]
    if rejected < sum(not isinstance(row, dict) for row in bad):
        wrong.append(f"{rejected} rows were rejected of {len(bad)} that are no objects or odd ones")
    if len(calls) + rejected > len(good) + len(bad):
        wrong.append(f"{len(calls)} calls and {rejected} rejected of {len(good) + len(bad)} rows")
    return wrong


def _of_call(call: Call) -> list[str]:
    numbers = {"latency": call.latency_ms, "cost": call.cost_usd}
    wrong = [
        f"{name} {value} was taken" for name, value in numbers.items() if value is not None and not 0 <= value < 1e8
    ]
    wrong += [
        f"the text {text[:80]!r} was taken"
        for text in (call.id, call.version_id or "", call.model, call.provider, call.segment, call.error_code)
        if not text.isprintable() or len(text) > 256
    ]
    if not _SINCE <= call.recorded_at < _NOW or call.started_at > _NOW + timedelta(minutes=6):
        wrong.append(f"a call of {call.recorded_at} was taken, although it was not asked for")
    return wrong


def _summed(calls: list[Call]) -> None:
    """Raises: ValueError: what is judged later is not finite."""
    summary = summarise(calls)
    for value in (summary.cost_usd.mean(), summary.success_rate):
        if value is not None and not math.isfinite(value):
            raise ValueError(f"a summary of {value}")


def _listing(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"items": rows, "nextCursor": None}


def _prompts(of: Payloads, client: PromptHelm, luck: Random) -> tuple[str, list[str]]:
    of.say(_listing([{"id": f"p{i}", "slug": f"s{i}", "name": "N", "productionVersionId": "v1"} for i in (1, 2)]), luck)
    found = client.prompts()
    return "prompts", [what for p in found for what in _ids(p.id, p.slug, p.name, p.production_version_id)]


def _prompt(of: Payloads, client: PromptHelm, luck: Random) -> tuple[str, list[str]]:
    of.say({"id": "p1", "slug": "s1", "name": "N", "productionVersionId": None}, luck)
    found = client.prompt("p1")
    return "prompt", _ids(found.id, found.slug, found.name, found.production_version_id)


def _versions(of: Payloads, client: PromptHelm, luck: Random) -> tuple[str, list[str]]:
    row = {
        "id": "v1",
        "promptId": "p1",
        "version": "1.0.0",
        "createdAt": "2026-11-20T10:00:00Z",
        "lastPromotedAt": None,
        "model": "acme",
        "temperature": 0.2,
        "stopSequences": ["}"],
        "content": {"system": "Be brief.", "user": "{{q}}", "variables": ["q"]},
    }
    of.say(_listing([row, {**row, "id": "v2", "createdAt": None}]), luck)
    found = client.versions("p1")
    return "versions", [what for v in found for what in _ids(v.id, v.label)]


def _promotions(of: Payloads, client: PromptHelm, luck: Random) -> tuple[str, list[str]]:
    row = {
        "id": "a1",
        "action": "prompt.promote",
        "actorType": "user",
        "actorId": "ana",
        "createdAt": "2026-11-20T11:30:00Z",
        "resource": {"type": "prompt", "id": "p1"},
        "metadata": {"previousVersionId": "v1", "newVersionId": "v2", "revert": False, "reason": "better"},
    }
    of.say(_listing([row, {**row, "id": "a2"}]), luck)
    found = client.promotions(since=_SINCE, prompt_id="p1")
    wrong = [what for p in found for what in _ids(p.id, p.prompt_id, p.to_version_id, p.actor_id)]
    wrong += [f"a promotion of {p.at} was taken" for p in found if p.at < _SINCE]
    for p in found:
        p.note.encode()
    return "promotions", wrong


def _feedback(of: Payloads, client: PromptHelm, luck: Random) -> tuple[str, list[str]]:
    row = {"id": "f1", "promptId": "p1", "versionId": "v1", "kind": "thumbs_down", "createdAt": "2026-11-20T11:30:00Z"}
    of.say(_listing([row, {**row, "id": "f2"}]), luck)
    return "feedback", [what for f in client.feedback("p1", since=_SINCE) for what in _ids(f.id)]


def _payload(of: Payloads, client: PromptHelm, luck: Random) -> tuple[str, list[str]]:
    of.say(
        {
            "id": "log_1",
            "request": {"messages": [{"role": "user", "content": "Is 7 prime?"}], "variables": {"n": 7}},
            "response": {"choices": [{"message": {"content": '{"answer": true}'}, "finish_reason": "stop"}]},
            "error": None,
        },
        luck,
    )
    client.payload("log_1")
    return "payload", []


def _promote(of: Payloads, client: PromptHelm, luck: Random) -> tuple[str, list[str]]:
    of.say({"ok": True, "versionId": "v1"}, luck)
    client.promote("p1", "v1", note="watchdog: x", revert_of="a1")
    return "promote", []


def _access(of: Payloads, client: PromptHelm, luck: Random) -> tuple[str, list[str]]:
    """Never raises."""
    of.say({"status": "ok", "items": []}, luck)
    said = [access.problem or "" for access in client.access()] + [repr(client.health())]
    return "access", [f"it says {text[:200]!r}" for text in said if "CANARY" in text or not text.isprintable()]


def _status(of: Payloads, luck: Random, clock: StandingClock) -> tuple[str, list[str]]:
    """Never raises; whatever a stranger's page says becomes a line of text."""
    of.say(
        {
            "status": {"indicator": "major", "description": "Elevated errors"},
            "incidents": [
                {
                    "name": "API errors",
                    "status": "investigating",
                    "impact": "major",
                    "started_at": "2026-11-20T11:00:00Z",
                }
            ],
        },
        luck,
    )
    pages = HttpStatusPages({"acme": of.server.url}, clock=clock)
    try:
        report = pages.look("ACME")
    finally:
        pages.close()
    if report is None:
        return "status", ["a page that is configured was not asked"]
    said = [report.says, report.problem, *(i.name for i in report.incidents)]
    late = [i for i in report.incidents if i.since is not None and i.since > _NOW]
    return "status", [f"it says {t[:200]!r}" for t in said if not t.isprintable() or len(t) > 700] + [
        repr(i) for i in late
    ]


def _heartbeat(of: Payloads, luck: Random, clock: StandingClock) -> tuple[str, list[str]]:
    """Never raises; and of the address nothing but its host is told."""
    of.say({"ok": True}, luck)
    switch = HttpHeartbeat(lambda: f"{of.server.url}/ping/CANARY", clock=clock)
    try:
        said = switch.press()
    finally:
        switch.close()
    return "heartbeat", [f"it says {said[:200]!r}"] if "CANARY" in said or not said.isprintable() else []


def _ids(*texts: str | None) -> list[str]:
    return [f"the text {t[:80]!r} was taken" for t in texts if t is not None and (not t.isprintable() or len(t) > 310)]
