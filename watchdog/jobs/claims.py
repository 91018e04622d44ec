"""
Which part of the work is this daemon's.

On SQLite all of it. On PostgreSQL several replicas share it: each has claims on prompts, and on the work that is about
all prompts, and prolongs them while it lives. A claim that ran out is taken over by another.

Three lines keep two replicas from doing the same: every write is checked against the claim in its own transaction (see
`store.claims`); a request is sent only while the lease lasts longer than the request can; and while it is sent, a lock
of the sender's session keeps others from taking over, also from a process that is stopped in that very moment.
"""

from __future__ import annotations

import logging
import threading
import uuid
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

from watchdog.clock import elapsed_s
from watchdog.errors import ClaimLost, SchemaTooNew
from watchdog.jobs import blocked
from watchdog.store import claims as rows
from watchdog.store.claims import prompt_item
from watchdog.store.schema import HEAD, current_revision

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchdog.jobs.deps import Deps
    from watchdog.store.claims import Claim
    from watchdog.store.database import Store

log = logging.getLogger(__name__)

# Work that is about all prompts.
DETECT = "all:detect"
PEERS = "all:peers"
COMMANDS = "all:commands"
CALIBRATE = "all:calibrate"
_SHARDS = 8
_OUTBOX = tuple(f"all:outbox:{n}" for n in range(_SHARDS))
_FOR_ALL = (DETECT, PEERS, COMMANDS, CALIBRATE, *_OUTBOX)
# Incidents are diagnosed, and their failing calls looked at, for so long.
_FRESH = timedelta(hours=1)


def outbox_item(thread: str) -> str:
    """A thread's notices are sent by one replica, in order; the threads are dealt out among a few items."""
    return _OUTBOX[crc32(thread.encode()) % _SHARDS]


@dataclass(frozen=True, kw_only=True)
class Lease:
    """
    All in seconds of the wall.

    Attributes:
        length_s: so long a claim lasts; longer than `renew_s` and a request together, with some room.
        renew_s: between two prolongations.
        look_s: between two looks at what there is to claim.
        request_s: the longest that one request may take.
        margin_s: between the end of a request and the end of the lease.
    """

    length_s: float = 30.0
    renew_s: float = 10.0
    look_s: float = 1.0
    request_s: float = 10.0
    margin_s: float = 2.0

    @classmethod
    def for_requests(cls, request_s: float) -> Lease:
        """One that outlasts requests of this length, however lately it was prolonged."""
        length_s = max(cls.length_s, 3 * request_s)
        return cls(length_s=length_s, renew_s=length_s / 3, request_s=request_s)


class Claims(Protocol):
    """What the jobs ask."""

    @property
    def shared(self) -> bool:
        """Whether there may be other replicas."""

    @property
    def name(self) -> str:
        """Of this replica; empty where it is the only one."""

    def ours(self, item: str) -> bool:
        """Whether this replica works at it now."""

    def on(self, item: str) -> AbstractContextManager[None]:
        """
        Work at it, for the length of the block and in this thread: all writes are checked.

        Raises: ClaimLost: at the beginning, or from a write.
        """

    def sending(self, item: str) -> AbstractContextManager[None]:
        """
        Around a request that must not be made twice, and around the write of its intent: nobody takes over meanwhile.

        Raises: ClaimLost: somebody else is sending.
        """

    def lasts(self, item: str) -> bool:
        """Whether a request that is sent now is over before anybody can take over."""

    def held(self) -> int | None:
        """How many claims this replica has; None where it is the only one."""

    def begin(self, deps: Deps) -> None:
        """Before the first work. Raises: StoreError."""

    def look(self, deps: Deps) -> int:
        """
        Prolong, hand over, take; now and then.

        Returns: 0: there is never more to do at once.
        Raises: StoreError.
        """

    def end(self) -> None:
        """After the last work: others need not wait for the end of the leases. Raises: StoreError."""

    @property
    def look_s(self) -> float:
        """Between two looks, in seconds of the wall."""


class Unshared:
    """The only daemon on its database: everything is its own, at no cost."""

    shared = False
    name = ""
    look_s = 0.0

    def ours(self, item: str) -> bool:  # noqa: ARG002
        return True

    def on(self, item: str) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()

    def sending(self, item: str) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()

    def lasts(self, item: str) -> bool:  # noqa: ARG002
        return True

    def held(self) -> int | None:
        return None

    def begin(self, deps: Deps) -> None:
        pass

    def look(self, deps: Deps) -> int:  # noqa: ARG002
        return 0

    def end(self) -> None:
        pass


@dataclass(kw_only=True)
class _Held:
    """
    Attributes:
        until_s: the lease's end by our own monotonic clock, counted from before it was asked for.
        busy: threads that work at it just now.
    """

    claim: Claim
    until_s: float
    busy: int = 0


class Shared:
    """
    One of several replicas.

    Args:
        name: as people know it; the same after a restart.
    """

    shared = True

    def __init__(self, store: Store, *, name: str, lease: Lease | None = None) -> None:
        self._store = store
        self._lease = lease or Lease()
        self._id = str(uuid.uuid4())
        self._name = name
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()
        self._renewed_s: float | None = None
        self._stopped: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self._name

    @property
    def look_s(self) -> float:
        return self._lease.look_s

    def held(self) -> int | None:
        now_s = elapsed_s()
        with self._lock:
            return sum(now_s < held.until_s for held in self._held.values())

    def ours(self, item: str) -> bool:
        held = self._held.get(item)
        return held is not None and elapsed_s() < held.until_s

    def lasts(self, item: str) -> bool:
        held = self._held.get(item)
        return held is not None and held.until_s - elapsed_s() > self._lease.request_s + self._lease.margin_s

    @contextmanager
    def on(self, item: str) -> Iterator[None]:
        with self._lock:
            held = self._held.get(item)
            if held is None or elapsed_s() >= held.until_s:
                raise ClaimLost(f"{item}: this replica has no claim on it")
            held.busy += 1
        try:
            with rows.fenced(held.claim):
                yield
        finally:
            with self._lock:
                held.busy -= 1

    @contextmanager
    def sending(self, item: str) -> Iterator[None]:
        with self._store.session_lock(item) as got:
            if not got:
                raise ClaimLost(f"{item}: another replica is within a request for it")
            yield

    def begin(self, deps: Deps) -> None:
        log.info("one of the replicas", extra={"action": "replica_began", "replica": self._name, "id": self._id})
        self.look(deps)

    def look(self, deps: Deps) -> int:
        since = deps.clock.now() - _FRESH
        lease = timedelta(seconds=self._lease.length_s)
        asked_s = elapsed_s()
        due = self._renewed_s is None or asked_s - self._renewed_s >= self._lease.renew_s
        with self._store.claiming() as connection:
            found = current_revision(connection)
            if found != HEAD:
                self._drop(list(self._held), "the schema changed")
                what = f"its schema is {found} by now, this program knows {HEAD}"
                raise SchemaTooNew(f"{self._store.name}: {what}; this replica does nothing any more, upgrade it")
            rows.see(connection, self._id, self._name)
            live = rows.live(connection, lease)
            prolonged = rows.renew(connection, self._id, lease) if due else set()
            owned = rows.owned(connection, self._id)
            prompts = rows.prompts_with_work(connection, since)
        self._renewed_s = asked_s if due else self._renewed_s
        self._settle(owned, prolonged, asked_s + self._lease.length_s)
        wanted = (*_FOR_ALL, *(prompt_item(prompt_id) for prompt_id in sorted(prompts)))
        share = -(-len(wanted) // max(1, live))
        self._hand_over(frozenset(wanted), share)
        self._take(deps, wanted, share)
        return 0

    def end(self) -> None:
        with self._lock:
            self._held.clear()
        with self._store.claiming() as connection:
            rows.leave(connection, self._id)

    def _settle(self, owned: dict[str, int], prolonged: set[str], until_s: float) -> None:
        """What the database says counts."""
        lost = [item for item, held in self._held.items() if owned.get(item) != held.claim.token]
        self._drop(lost, "another replica took it over, or it ran out")
        with self._lock:
            for item in prolonged & self._held.keys():
                self._held[item].until_s = until_s

    def _drop(self, items: list[str], why: str) -> None:
        with self._lock:
            for item in items:
                self._held.pop(item, None)
        for item in items:
            log.warning("a claim was lost", extra={"action": "claim_lost", "item": item, "why": why})

    def _hand_over(self, wanted: frozenset[str], share: int) -> None:
        """What nobody needs any more, and what is more than our share: only what no thread is working at."""
        with self._lock:
            idle = sorted((item for item, held in self._held.items() if not held.busy), key=lambda item: item in wanted)
            unneeded = sum(item not in wanted for item in idle)
            leaving = idle[: max(unneeded, len(self._held) - share)]
            for item in leaving:
                del self._held[item]
        if not leaving:
            return
        with self._store.claiming() as connection:
            rows.give_up(connection, self._id, leaving)
        for item in leaving:
            log.info("a claim was given up", extra={"action": "claim_given_up", "item": item})

    def _take(self, deps: Deps, wanted: tuple[str, ...], share: int) -> None:
        room = share - len(self._held)
        missing = [item for item in wanted if item not in self._held]
        if room <= 0 or not missing:
            return
        asked_s = elapsed_s()
        length = timedelta(seconds=self._lease.length_s)
        with self._store.claiming() as connection:
            taken, stopped = rows.take(connection, self._id, missing, room, length, frozen=2 * length)
        self._tell_stopped(deps, frozenset(stopped))
        if not taken:
            return
        with self._store.read() as connection:
            # Another replica may have gone on with them: what was kept from an earlier time is stale.
            deps.forget(rows.watches_of(connection, [claim.item for claim in taken]))
        with self._lock:
            for claim in taken:
                self._held[claim.item] = _Held(claim=claim, until_s=asked_s + self._lease.length_s)
        for claim in taken:
            said = {"item": claim.item, "token": claim.token, "taken_from": claim.taken_from}
            log.info("a claim was taken", extra={"action": "claim_taken", **said})
        deps.bell.actor.set()
        deps.bell.sender.set()

    def _tell_stopped(self, deps: Deps, stopped: frozenset[str]) -> None:
        """Said once for each spell: production waits for a person to end that process."""
        fresh = stopped - self._stopped
        if fresh:
            blocked.tell(deps, fresh)
        for item in sorted(fresh):
            log.warning(
                "a replica is stopped within a request; nobody takes over before its process or its session has ended",
                extra={"action": "takeover_blocked", "item": item},
            )
        self._stopped = stopped
