"""
A whole world in one folder: the embedded platform with sample prompts, its traffic, and a stand-in for Slack.

Everything is on disk, so that a process that was killed goes on in the same world. Only the clock is not the wall's:
recorded calls took up to two minutes, and nobody wants to wait for them. While nobody runs the world its time stands
still, or the day of past calls would be long over when somebody comes back after an hour.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from watchdog.cli.compose import kill_switch_of, platform_of, policy_of, status_pages_of
from watchdog.clock import ScaledClock, SystemClock
from watchdog.config.packs import load_rules
from watchdog.config.secret import SecretRef
from watchdog.config.settings import PlatformSettings, Settings, StatusSettings, StoreSettings, WatchSettings
from watchdog.errors import StoreUnusable
from watchdog.jobs.deps import Deps, Standing
from watchdog.store.database import Store
from watchdog.store.engine import SingleDaemon

if TYPE_CHECKING:
    from watchdog.embedded.sample import SeededPrompt
    from watchdog.embedded.server import EmbeddedPlatform
    from watchdog.jobs.deps import Policy
    from watchdog.notify.protocol import Notifier
    from watchdog.platforms.prompthelm import PromptHelm

_TOKEN_FILE = "token"  # noqa: S105 - the name of the file
_CLOCK_FILE = "clock.json"
# The stamp of a file is that of the last tick of the kernel's clock.
_STAMP_ERROR = timedelta(milliseconds=100)
_WAIT_AS_RECORDED = 1.0
# Of the wall.
_LEAST_BETWEEN_LOOKS = timedelta(milliseconds=200)


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """
    Attributes:
        prompts: by slug.
        settings: as a configuration of this world would say.
    """

    folder: Path
    clock: ScaledClock
    embedded: EmbeddedPlatform
    prompts: dict[str, SeededPrompt]
    token: str
    settings: Settings

    @property
    def base_url(self) -> str:
        return self.embedded.base_url

    def client(self) -> PromptHelm:
        """A client of the platform, over HTTP like any other."""
        return platform_of(self.settings, os.environ, self.clock)

    def deps(self, notifier: Notifier) -> Deps:
        return Deps(
            store=Store(self.settings.store.read_url(os.environ)),
            platform=self.client(),
            notifier=notifier,
            clock=self.clock,
            standing=Standing(policy=self._policy()),
            status_pages=status_pages_of(self.settings, self.clock),
            thrown=kill_switch_of(self.settings, os.environ).thrown,
        )

    def _policy(self) -> Policy:
        """As configured, with no more looks a second than a small machine has time for besides serving the calls."""
        policy = policy_of(self.settings)
        fast = max(policy.terms.fast_tick, self.clock.speed * _LEAST_BETWEEN_LOOKS)
        return replace(policy, terms=replace(policy.terms, fast_tick=fast))


class OpenSandbox(ExitStack):
    """Opens the world in a folder, or makes it, and closes it in the end."""

    def __init__(self, folder: Path, *, speed: float, port: int = 0) -> None:
        """
        Args:
            speed: > 1; seconds of the world's clock in one of the wall.
        """
        super().__init__()
        self._folder = folder
        self._speed = speed
        self._port = port
        self.world: Sandbox

    def __enter__(self) -> Self:
        """Raises: AddressInUse, StoreUnusable; DaemonRunning: another process is in this world."""
        from watchdog.embedded.sample import seed_sample
        from watchdog.embedded.server import EmbeddedPlatform

        super().__enter__()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise StoreUnusable(f"{self._folder}: no folder can be made here: {exc.strerror}") from exc
        with SingleDaemon(f"sqlite:///{self._folder.absolute() / 'watchdog.db'}"):
            clock = _clock(self._folder, self._speed)
        embedded = EmbeddedPlatform(
            self._folder / "platform.db", clock, port=self._port, wait_factor=_WAIT_AS_RECORDED, durable=False
        )
        prompts = {prompt.slug: prompt for prompt in seed_sample(embedded.admin, clock)}
        token = _token(self._folder / _TOKEN_FILE, embedded)
        self.enter_context(embedded)
        settings = Settings(
            platform=PlatformSettings(
                url=embedded.base_url,
                app_url=embedded.base_url,
                token=SecretRef.file(self._folder.absolute() / _TOKEN_FILE),
            ),
            rules=load_rules(("default",)),
            watch=WatchSettings(tick=timedelta(seconds=30)),
            # A stand-in for the page of the provider that the recorded calls went to.
            status=StatusSettings(pages={"openai": f"{embedded.base_url}/status"}),
            store=StoreSettings(url="sqlite:///watchdog.db", folder=self._folder.absolute()),
        )
        self.world = Sandbox(
            folder=self._folder, clock=clock, embedded=embedded, prompts=prompts, token=token, settings=settings
        )
        return self


def _clock(folder: Path, speed: float) -> ScaledClock:
    """A clock that goes on from when the world was last written to: a restart must not turn it back."""
    path = folder / _CLOCK_FILE
    wall = SystemClock().now()
    clock = ScaledClock(wall, speed)
    if path.exists():
        kept = json.loads(path.read_text())
        origin, stopped = datetime.fromisoformat(kept["origin"]), _last_written(folder) + _STAMP_ERROR
        reached = origin + (stopped - origin) * float(kept["speed"])
        # The origin from which a clock of this speed shows just that now.
        clock = ScaledClock(wall - (reached - wall) / (speed - 1.0), speed)
    write_at_once(path, json.dumps({"origin": clock.origin.isoformat(), "speed": speed}))
    return clock


def _last_written(folder: Path) -> datetime:
    """When anything last happened in the world, on the wall's clock."""
    files = [folder / _CLOCK_FILE, *folder.glob("*.db"), *folder.glob("*.db-wal")]
    return datetime.fromtimestamp(max(file.stat().st_mtime for file in files), UTC)


def _token(path: Path, embedded: EmbeddedPlatform) -> str:
    """Made once; the platform keeps only a keyed hash of it."""
    if not path.exists():
        write_at_once(path, embedded.admin.create_token(name="sandbox"))
    return path.read_text().strip()


def write_at_once(path: Path, text: str) -> None:
    """Whole or not at all, readable by the owner alone."""
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(part).replace(path)
