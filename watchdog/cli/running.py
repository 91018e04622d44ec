"""`run` and `embedded`: what goes on until a signal."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.cli.compose import deps_of
from watchdog.cli.exits import FAILED, err, out, stop
from watchdog.cli.logs import set_up_logging
from watchdog.cli.where import settings_or_none
from watchdog.clock import SystemClock
from watchdog.config.settings import LogSettings
from watchdog.core.rules import Action
from watchdog.daemon import run_until_signal
from watchdog.errors import PlatformError

if TYPE_CHECKING:
    from types import FrameType

    from watchdog.config.settings import Settings
    from watchdog.platforms.protocol import PromptPlatform

# Recorded calls of the sample took up to two minutes; ten times as fast keeps their order and their lengths.
_SAMPLE_SPEED = 10.0
_SAMPLE_CALLS_PER_S = 1.0


def run(config: Path | None) -> None:
    """Raises: ConfigError, StoreError, AddressInUse."""
    settings = settings_or_none(config)
    if settings is None:
        _run_sample()
        return
    set_up_logging(settings.log)
    deps = deps_of(settings, os.environ, out())
    _require_access(deps.platform, settings)
    run_until_signal(deps)


def embedded(database: Path, port: int, traffic: float) -> None:
    """Raises: AddressInUse, StoreUnusable."""
    from contextlib import ExitStack

    from watchdog.embedded.sample import sample_traffic, seed_sample
    from watchdog.embedded.server import EmbeddedPlatform
    from watchdog.embedded.traffic import Traffic

    set_up_logging(LogSettings())
    clock = SystemClock()
    console = out()
    with ExitStack() as stack:
        platform = EmbeddedPlatform(database, clock, port=port)
        seeded = seed_sample(platform.admin, clock)
        stack.enter_context(platform)
        token = platform.admin.create_token(name="command line")
        console.print(f"PromptHelm-compatible platform on {platform.base_url} (database {database})", markup=False)
        console.print(f"A new token with every scope, shown only now: {token}", markup=False)
        for prompt in seeded:
            console.print(f"  prompt {prompt.slug}: {prompt.prompt_id}", markup=False)
        if traffic > 0:
            stack.enter_context(Traffic(platform.base_url, token, clock, traffic, sample_traffic()))
        console.print("Ctrl-C stops it.", markup=False)
        until_signal()


def _require_access(platform: PromptPlatform, settings: Settings) -> None:
    """
    What is refused is said before guarding begins: a watchdog that turns out to have no rights at 3 a.m. is worse than
    none. A platform that is merely down is waited for.
    """
    refused = [
        access
        for access in platform.access()
        if access.problem is not None
        and access.required
        and not (access.scope == "prompts:write" and settings.watch.act is Action.ALERT)
    ]
    if not refused:
        return
    try:
        platform.prompts()
    except PlatformError as exc:
        if exc.retryable:
            err().print(f"promptwatch: waiting for the platform: {exc}", markup=False)
            return
    for access in refused:
        err().print(f"promptwatch: cannot {access.need}: {access.problem}", markup=False)
    stop(FAILED, "the token may not do what guarding needs; nothing was started (see `promptwatch doctor`)")


def _run_sample() -> None:
    from watchdog.cli.sandbox import OpenSandbox
    from watchdog.embedded.sample import sample_traffic
    from watchdog.embedded.traffic import Traffic
    from watchdog.notify.terminal import TerminalNotifier

    set_up_logging(LogSettings())
    console = out()
    folder = Path(tempfile.gettempdir()) / f"promptwatch-sample-{os.getuid()}"
    with OpenSandbox(folder, speed=_SAMPLE_SPEED) as opened:
        world = opened.world
        prompt = world.prompts["is-prime"]
        harmful = prompt.versions["1.2.0"]
        lines = (
            "No config.toml here: guarding a SAMPLE platform with recorded calls, ten times as fast as they were.",
            f"  platform  {world.base_url}   (everything is kept in {folder})",
            f"  look      promptwatch status --store sqlite:///{folder}/watchdog.db",
            "  break it  promote a harmful version, and see what happens within half a minute:",
            f"            curl -X POST -H 'Authorization: Bearer {world.token}' \\",
            f"              {world.base_url}/api/v1/prompts/{prompt.prompt_id}/versions/{harmful}/promote",
            "To guard your own platform: copy config.example.toml to config.toml and fill in two lines. Ctrl-C stops.",
        )
        for line in lines:
            console.print(line, markup=False)
        with Traffic(world.base_url, world.token, world.clock, _SAMPLE_CALLS_PER_S, sample_traffic()):
            run_until_signal(world.deps(TerminalNotifier(console)))


def until_signal() -> None:
    """Wait for SIGTERM or SIGINT."""
    ended = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    while not ended.wait(3600):
        pass
