"""
A question that may take long, asked by one at a time and not too often: whoever asks waits a little, and no longer.

A database that is locked, or a server that is gone, must not let the pages hang that are there to say so.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import TYPE_CHECKING, Generic, TypeVar

from watchdog.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

AnswerT = TypeVar("AnswerT")


class Look(Generic[AnswerT]):
    """
    Args:
        ask: raises StoreError; called in a thread of its own.
        fresh_s: an answer is handed out again for so long.
        patience_s: so long each caller waits.
    """

    def __init__(self, ask: Callable[[], AnswerT], *, fresh_s: float, patience_s: float) -> None:
        self._ask = ask
        self._fresh_s = fresh_s
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._asked: Future[AnswerT] | None = None
        self._answered_s = 0.0

    def get(self) -> AnswerT:
        """Raises: StoreError: the store's own, or that it has not answered in time."""
        with self._lock:
            stale = self._asked is not None and self._asked.done() and self._age_s() > self._fresh_s
            if self._asked is None or stale:
                self._asked = Future()
                threading.Thread(target=self._run, args=(self._asked,), name="look", daemon=True).start()
            asked = self._asked
        try:
            return asked.result(timeout=self._patience_s)
        except NotYet:
            raise StoreError(f"the database has not answered within {self._patience_s:g} s") from None

    def _age_s(self) -> float:
        return time.monotonic() - self._answered_s

    def _run(self, asked: Future[AnswerT]) -> None:
        try:
            answer = self._ask()
        except BaseException as exc:  # noqa: BLE001 - whoever waits gets it
            self._answered_s = time.monotonic()
            asked.set_exception(exc)
        else:
            self._answered_s = time.monotonic()
            asked.set_result(answer)
