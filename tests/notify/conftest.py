"""A workspace on loopback that keeps Slack's contract, and the real slack_sdk pointed at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from watchdog.embedded.slack_workspace import SlackWorkspace
from watchdog.notify.slack import SlackNotifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOKEN = "xoxb-1-CANARY"
CHANNEL = "C0DEMO0001"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[SlackWorkspace, SlackNotifier]]]:
    """Starts a workspace of its own and a notifier for it; takes the workspace's arguments."""
    running: list[SlackWorkspace] = []

    def begin(**arguments: object) -> tuple[SlackWorkspace, SlackNotifier]:
        workspace = SlackWorkspace(tmp_path / "slack.db", token=TOKEN, channel=CHANNEL, **arguments)
        running.append(workspace)
        base_url = workspace.start()
        return workspace, SlackNotifier(token=lambda: TOKEN, channel=CHANNEL, base_url=base_url, timeout_s=1)

    yield begin
    for workspace in running:
        workspace.stop()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SlackWorkspace, str]]:
    """One workspace for all tests that need nothing special of it, and its base URL."""
    workspace = SlackWorkspace(tmp_path_factory.mktemp("slack") / "slack.db", token=TOKEN, channel=CHANNEL)
    yield workspace, workspace.start()
    workspace.stop()


@pytest.fixture
def workspace(served: tuple[SlackWorkspace, str]) -> SlackWorkspace:
    served[0].reset()
    return served[0]


@pytest.fixture
def base_url(served: tuple[SlackWorkspace, str]) -> str:
    return served[1]


@pytest.fixture
def notifier(workspace: SlackWorkspace, base_url: str) -> SlackNotifier:
    return SlackNotifier(token=lambda: TOKEN, channel=CHANNEL, base_url=base_url, timeout_s=1)
