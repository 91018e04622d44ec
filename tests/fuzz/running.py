"""One case after the other, each from a luck of its own; what went wrong, and how to see it again."""

from __future__ import annotations

import faulthandler
import random
import resource
import signal
import tempfile
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tests.memory import MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

# Of the processor: a case takes milliseconds; what takes longer than this would take minutes in a larger file.
LONGEST_S = 5.0
# Of the wall: nothing waits, but a busy machine may keep it waiting.
_LONGEST_WALL_S = 90.0
# What the process may grow by, over all cases.
MOST_MIB = 400


class HangError(BaseException):
    """The case takes too long; nothing may catch this."""


class Room(Protocol):
    """What all cases of a part share: servers, files."""

    def one(self, luck: random.Random) -> tuple[str, list[str]]:
        """
        Returns: what came of it, in a word to be counted; and what should not have happened, a sentence each.
        """


@dataclass
class Tally:
    """
    Attributes:
        came: how often what came of a case.
        broken: number of the case, and what should not have happened.
    """

    came: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[int, str]] = field(default_factory=list)


def run(part: str, room: Callable[[Path], AbstractContextManager[Room]], *, seed: int, first: int, count: int) -> Tally:
    """Cases `first` up to `first + count`; each is the same whatever was before it."""
    tally = Tally()
    with tempfile.TemporaryDirectory(dir=MEMORY) as name, room(Path(name)) as opened:
        grown = _megabytes()
        for i in range(first, first + count):
            luck = random.Random(f"{seed}:{part}:{i}")  # noqa: S311 - to be told again, not to be secret
            began_s = time.process_time()
            try:
                with _at_most(LONGEST_S):
                    came, wrong = opened.one(luck)
            except HangError:
                came, wrong = "hang", [f"took more than {LONGEST_S:g} s"]
            except Exception:  # noqa: BLE001 - this is what is looked for
                came, wrong = "traceback", [traceback.format_exc(limit=-6)]
            tally.came[came] += 1
            tally.broken += [(i, what) for what in wrong]
            if (took_s := time.process_time() - began_s) > LONGEST_S and came != "hang":
                tally.broken.append((i, f"took {took_s:.1f} s"))
        if (more := _megabytes() - grown) > MOST_MIB:
            tally.broken.append((first, f"the process grew by {more} MiB"))
    return tally


def _megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def late(*_: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, late), signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, _LONGEST_WALL_S)
    # Within C no signal is heard.
    faulthandler.dump_traceback_later(2 * _LONGEST_WALL_S, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before[0])
        signal.signal(signal.SIGPROF, before[1])
        faulthandler.cancel_dump_traceback_later()
