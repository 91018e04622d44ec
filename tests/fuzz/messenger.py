"""Slack's answers, and a webhook's: whatever they are, a notice is delivered or a NotifyError says what came of it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.fuzz.answering import Answers, answer
from tests.fuzz.values import as_json, broken_bytes, mutated
from tests.notify import incident
from tests.platforms.hostile_server import HostileServer
from watchdog.errors import NotifyError
from watchdog.notify.protocol import Posted
from watchdog.notify.slack import SlackNotifier
from watchdog.notify.webhook import WebhookNotifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

_TOKEN = "xoxb-1-CANARY"
_ROOT = Posted(channel="C1", ts="1763640000.000100")
_ERRORS = (
    "ratelimited",
    "invalid_blocks",
    "thread_not_found",
    "internal_error",
    "missing_scope",
    "no_such_word",
    _TOKEN,
)


@dataclass
class Messenger:
    server: HostileServer
    answers: Answers

    def one(self, luck: Random) -> tuple[str, list[str]]:
        self.server.seen.clear()
        value: object = {
            "ok": luck.random() < 0.7,
            "channel": {"name": "alerts", "is_member": True} if luck.random() < 0.2 else "C1",
            "ts": "1763640001.000200",
            "error": luck.choice(_ERRORS),
            "needed": "channels:history",
            "messages": [
                {"ts": "1763640000.000100", "text": "x", "metadata": {"event_type": "a", "event_payload": {"key": "k"}}}
            ],
            "response_metadata": {"next_cursor": luck.choice(("", "abc"))},
            "user": "bot",
            "team": "team",
        }
        for _ in range(luck.choice((0, 1, 1, 2, 4))):
            value = mutated(value, luck)
        body = as_json(value).encode("utf-8", "surrogatepass")
        if luck.random() < 0.1:
            body = broken_bytes(body, luck)
        self.answers.whole = answer(body if luck.random() < 0.95 else luck.choice((b"", b"ok", b"no_service")), luck)
        try:
            return self._deliver(luck)
        except NotifyError as exc:
            said = f"{exc} {exc.__cause__!r} {exc.__context__!r}"
            wrong = [f"an error holds a secret: {said[:300]!r}"] if "CANARY" in said else []
            if not str(exc).isprintable() or len(str(exc)) > 1000:
                wrong.append(f"an error that cannot be read: {str(exc)[:300]!r}")
            if exc.permanent and exc.outcome_unknown:
                wrong.append("both given up and perhaps arrived")
            return "permanent" if exc.permanent else "unknown" if exc.outcome_unknown else "later", wrong

    def _deliver(self, luck: Random) -> tuple[str, list[str]]:
        maybe_sent = luck.random() < 0.5
        root = _ROOT if luck.random() < 0.5 else None
        match luck.randrange(4):
            case 0:
                address = f"{self.server.url}/services/CANARY"
                posted = WebhookNotifier(url=lambda: address, timeout_s=4).deliver(
                    incident.tripped(), root=root, maybe_sent=maybe_sent
                )
            case 1:
                checked = self._slack().check()
                said = [*checked.lines, *checked.problems]
                return "checked", [f"it says {t[:200]!r}" for t in said if "CANARY" in t or not t.isprintable()]
            case _:
                posted = self._slack().deliver(incident.tripped(), root=root, maybe_sent=maybe_sent)
        good = all(isinstance(part, str) and part.isprintable() for part in (posted.channel, posted.ts))
        return "delivered", [] if good else [f"it is said to be at {posted!r}"]

    def _slack(self) -> SlackNotifier:
        return SlackNotifier(token=lambda: _TOKEN, channel="C1", base_url=f"{self.server.url}/api/", timeout_s=4)


@contextmanager
def messenger(folder: Path) -> Iterator[Messenger]:
    server = HostileServer()
    answers = Answers()
    server.answer = answers
    try:
        yield Messenger(server=server, answers=answers)
    finally:
        server.stop()
