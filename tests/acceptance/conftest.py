"""A guarded platform, and what a finished demo left behind."""

from __future__ import annotations

import fcntl
import json
import signal
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.guarded import Guarded
from tests.acceptance.shell import Ended, promptwatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A demo that has ended, and its folder, which nobody may change."""

    folder: Path
    ended: Ended

    @property
    def report(self) -> dict[str, Any]:
        return json.loads(self.ended.out)

    @property
    def store(self) -> str:
        return f"--store=sqlite:///{self.folder / 'watchdog.db'}"


@pytest.fixture(autouse=True)
def _signals_as_from_a_shell() -> Iterator[None]:
    """What a test starts would ignore whatever is ignored here, as in the background or below `nohup`."""
    ignored = [number for number in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Finished:
    """One demo for all tests that only look at it, whichever worker they are with."""
    ours = tmp_path_factory.getbasetemp()
    shared = (ours if worker_id == "master" else ours.parent) / "finished-demo"
    shared.mkdir(exist_ok=True)
    folder, kept = shared / "demo", shared / "ended.json"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            ended = promptwatch("demo", "--json", "--dir", folder, folder=shared, timeout_s=240.0)
            kept.write_text(json.dumps(asdict(ended)))
    return Finished(folder=folder, ended=Ended(**json.loads(kept.read_text())))


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    """A platform with one prompt, a Slack, and a configuration for both."""
    with Guarded(tmp_path) as opened:
        yield opened
