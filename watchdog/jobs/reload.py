"""
Take over a configuration that was read anew: validate all of it, then swap, by one assignment.

With an error anywhere the standing policy stays, and people are told: once for each distinct error, however often the
signal is repeated. What cannot be swapped is named as well, for a change that quietly does nothing is the worst answer.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from watchdog.core import words
from watchdog.core.notice import Fact, Notice, Tone
from watchdog.errors import ConfigError, StoreError
from watchdog.store import audit, outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from watchdog.jobs.deps import Deps, Policy

log = logging.getLogger(__name__)

# A message of a screenful says where to look; `promptwatch check` lists the rest.
_ISSUES_SHOWN = 5
_CHANGES_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Offer:
    """
    A valid configuration, as far as it can be taken over.

    Attributes:
        file: the configuration file, for messages.
        changes: what differs from what is in force, one short phrase each.
        needs_restart: keys that differ and stay as they were until the next start.
    """

    file: str
    policy: Policy
    changes: tuple[str, ...]
    needs_restart: tuple[str, ...]


class Reloader:
    """Belongs to the one thread that is told to reload."""

    def __init__(self, deps: Deps, read: Callable[[], Offer], accept: Callable[[], None] = lambda: None) -> None:
        """
        Args:
            read: reads and validates everything; raises ConfigError.
            accept: called when the offer that was read last is in force.
        """
        self._deps = deps
        self._read = read
        self._accept = accept
        # The last good reload, or the start: an error is told once for each.
        self._since = deps.clock.now()
        self._refused = False

    def run(self) -> bool:
        """
        Read, and swap if all is well; never raises.

        Returns: whether what was read is in force now.
        """
        now = self._deps.clock.now()
        try:
            try:
                offer = self._read()
            except ConfigError as exc:
                self._refuse(exc, now)
                return False
            self._take(offer, now)
        except StoreError as exc:
            # Only the notice is lost; what was decided stands, and the log says it.
            log.warning("the reload could not be announced", extra={"action": "store_failed", "why": str(exc)})
        except Exception:
            # The outermost frame of the reload: guarding goes on under the rules that stand.
            log.exception("unexpected failure of a reload", extra={"action": "reload_failed"})
            return False
        return not self._refused

    def _take(self, offer: Offer, now: datetime) -> None:
        repaired, since = self._refused, self._since
        if offer.changes:
            self._deps.standing.policy = offer.policy
            self._accept()
        if offer.changes or repaired:
            self._since = now
        self._refused = False
        log.info(
            "configuration reloaded",
            extra={
                "action": "reloaded",
                "changed": "; ".join(offer.changes) or "nothing",
                "needs_restart": ", ".join(offer.needs_restart) or "nothing",
                "config_digest": offer.policy.terms.config_digest,
            },
        )
        if offer.changes or offer.needs_restart or repaired:
            # Keys and digests: a value may be anything that a file can hold.
            detail = {
                "config_sha256": offer.policy.terms.config_digest,
                "rules": offer.policy.rules.digest,
                "changed": len(offer.changes),
                "needs_restart": list(offer.needs_restart),
            }
            self._announce(_reloaded(offer, since, now, repaired=repaired), "config_reloaded", detail)

    def _refuse(self, exc: ConfigError, now: datetime) -> None:
        self._refused = True
        log.error(
            "configuration not reloaded, the rules that were in force stay",
            extra={"action": "reload_refused", "why": "; ".join(_place(str(issue)) for issue in exc.issues)},
        )
        self._announce(_refused(exc, self._since, now), "config_refused", {"problems": len(exc.issues)})

    def _announce(self, notice: Notice, kind: str, detail: Mapping[str, Any]) -> None:
        """Told and entered in the audit; a refusal once, however often the signal is repeated."""
        with self._deps.store.write() as connection:
            if outbox.put(connection, notice):
                audit.note(connection, kind, at=notice.at, detail=detail)
        self._deps.bell.sender.set()


def _refused(exc: ConfigError, since: datetime, at: datetime) -> Notice:
    """Under the same key as long as the same rules stand and the same is wrong."""
    n = len(exc.issues)
    digest = hashlib.sha256(str(exc).encode()).hexdigest()[:16]
    more = f" The first {_ISSUES_SHOWN} are listed; `promptwatch check` says all." if n > _ISSUES_SHOWN else ""
    return Notice(
        key=f"reload:refused:{since.isoformat()}:{digest}",
        thread=f"reload:{since.isoformat()}",
        tone=Tone.ALARM,
        headline=f"The configuration was NOT reloaded: {words.count(n, 'problem')}",
        step=f"The rules that were in force stay, and everything is guarded by them.{more} Mend the file, run "
        "`promptwatch check`, and send SIGHUP again.",
        at=at,
        evidence=tuple(_place(str(issue)) for issue in exc.issues[:_ISSUES_SHOWN]),
    )


def _reloaded(offer: Offer, since: datetime, at: datetime, *, repaired: bool) -> Notice:
    n = len(offer.changes)
    headline = f"Rules reloaded: {n} changed" if n else "Configuration reloaded: no rule changed"
    parts = ["It is valid again." if repaired else "", f"Taken over: {_listed(offer.changes)}." if n else ""]
    if offer.needs_restart:
        one = len(offer.needs_restart) == 1
        follows = "needs a restart, and stays as it was" if one else "need a restart, and stay as they were"
        parts.append(f"{', '.join(offer.needs_restart)} {follows} until then.")
    facts = (Fact(label="Configuration", value=offer.file), Fact(label="Rules", value=offer.policy.rules.digest[:12]))
    return Notice(
        key=f"reload:done:{since.isoformat()}:{at.isoformat()}",
        thread=f"reload:{since.isoformat()}",
        tone=Tone.GOOD if repaired else Tone.QUIET,
        headline=headline,
        step=" ".join(part for part in parts if part),
        at=at,
        facts=facts,
    )


def _listed(changes: tuple[str, ...]) -> str:
    shown = "; ".join(changes[:_CHANGES_SHOWN])
    return f"{shown}; and {len(changes) - _CHANGES_SHOWN} more" if len(changes) > _CHANGES_SHOWN else shown


def _place(issue: str) -> str:
    """The issue's first line: the others are the source and its caret, which need a terminal's letters."""
    return issue.splitlines()[0]
