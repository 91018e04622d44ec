"""
Simulated production traffic: a product that calls the gateway at a steady rate until it is told to stop.

One thread with an event loop, so that stopping cancels calls under way at once, however long their recorded wait.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from watchdog.clock import Clock

_MAX_UNDER_WAY = 128
_TIMEOUT_S = 600.0
# Further behind than this, the calls are skipped and not made up for: a burst is no steady rate.
_MAX_LAG_CALLS = 20


@dataclass(frozen=True, kw_only=True)
class TrafficCounts:
    """
    Attributes:
        sent: calls begun. succeeded: answered 200. failed: answered otherwise, or not at all.
        skipped: not made, because too many were under way or the machine was too slow.
    """

    sent: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0


class Traffic:
    """Calls production of each prompt in turn."""

    def __init__(
        self,
        base_url: str,
        token: str,
        clock: Clock,
        calls_per_s: float,
        prompts: Mapping[str, Sequence[Mapping[str, str]]],
    ) -> None:
        """
        Args:
            token: with the scope gateway:execute.
            calls_per_s: > 0, over all prompts, in seconds of the clock.
            prompts: by slug, the variables of its calls, which come round and round; `sample.sample_traffic()`.

        Raises: ValueError: no rate, no prompt, or a prompt without variables.
        """
        if not calls_per_s > 0.0:
            raise ValueError(f"calls_per_s = {calls_per_s}; must be > 0")
        if not prompts or not all(prompts.values()):
            raise ValueError("prompts: give at least one slug, and at least one set of variables for each")
        self._url = f"{base_url.rstrip('/')}/api/v1/gateway/execute"
        self._headers = {"authorization": f"Bearer {token}"}
        self._clock = clock
        self._interval_s = 1.0 / calls_per_s
        self._prompts = {slug: tuple(variables) for slug, variables in prompts.items()}
        self._stop = Event()
        self._lock = Lock()
        self._counts = TrafficCounts()
        self._thread: Thread | None = None

    @property
    def counts(self) -> TrafficCounts:
        with self._lock:
            return self._counts

    def start(self) -> None:
        """Begin to call."""
        self._stop.clear()
        self._thread = Thread(target=self._run, name="traffic", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Cut off the calls under way; returns when the thread has ended."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def _run(self) -> None:
        asyncio.run(self._call_until_stopped())

    async def _call_until_stopped(self) -> None:
        limits = httpx.Limits(max_connections=_MAX_UNDER_WAY, max_keepalive_connections=_MAX_UNDER_WAY)
        under_way: set[asyncio.Task[None]] = set()
        bodies = self._bodies()
        due_s = self._clock.monotonic()
        async with httpx.AsyncClient(
            headers=self._headers, timeout=_TIMEOUT_S, limits=limits, trust_env=False
        ) as client:
            while not await asyncio.to_thread(self._clock.wait, self._stop, due_s - self._clock.monotonic()):
                body = next(bodies)
                if len(under_way) < _MAX_UNDER_WAY:
                    task = asyncio.create_task(self._call(client, body))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                else:
                    self._count(skipped=1)
                due_s = self._next_due_s(due_s)
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    def _next_due_s(self, due_s: float) -> float:
        due_s += self._interval_s
        behind = int((self._clock.monotonic() - due_s) / self._interval_s)
        if behind > _MAX_LAG_CALLS:
            self._count(skipped=behind)
            due_s += behind * self._interval_s
        return due_s

    async def _call(self, client: httpx.AsyncClient, body: dict[str, object]) -> None:
        self._count(sent=1)
        try:
            response = await client.post(self._url, json=body)
        except httpx.HTTPError:
            self._count(failed=1)  # a product goes on when its gateway does not answer
        else:
            self._count(succeeded=1) if response.is_success else self._count(failed=1)

    def _bodies(self) -> Iterator[dict[str, object]]:
        variables = {slug: itertools.cycle(sets) for slug, sets in self._prompts.items()}
        for slug in itertools.cycle(self._prompts):
            yield {"promptSlug": slug, "environment": "production", "variables": dict(next(variables[slug]))}

    def _count(self, *, sent: int = 0, succeeded: int = 0, failed: int = 0, skipped: int = 0) -> None:
        with self._lock:
            counts = self._counts
            self._counts = TrafficCounts(
                sent=counts.sent + sent,
                succeeded=counts.succeeded + succeeded,
                failed=counts.failed + failed,
                skipped=counts.skipped + skipped,
            )
