"""A guarded platform, and what a finished demo left behind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.guarded import Guarded
from tests.acceptance.shell import promptwatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.shell import Ended


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


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One demo for all tests that only look at it."""
    folder = tmp_path_factory.mktemp("demo")
    ended = promptwatch("demo", "--json", "--dir", folder, folder=folder, timeout_s=240.0)
    return Finished(folder=folder, ended=ended)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    """A platform with one prompt, a Slack, and a configuration for both."""
    with Guarded(tmp_path) as opened:
        yield opened
