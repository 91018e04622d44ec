"""`run` and `embedded`: what goes on until a signal."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.cli.compose import Configuration, address_of, deps_of, is_needed
from watchdog.cli.exits import FAILED, err, out, say, stop
from watchdog.cli.logs import set_up_logging
from watchdog.cli.where import settings_or_none
from watchdog.clock import SystemClock
from watchdog.config.settings import LogSettings
from watchdog.daemon import Hangups, Signals, run_until_signal
from watchdog.errors import PlatformError
from watchdog.jobs.reload import Reloader

if TYPE_CHECKING:
    from watchdog.config.settings import Settings
    from watchdog.platforms.protocol import PromptPlatform

# Recorded calls of the sample took up to two minutes; ten times as fast keeps their order and their lengths.
_SAMPLE_SPEED = 10.0
_SAMPLE_CALLS_PER_S = 1.5


def run(config: Path | None) -> None:
    """Raises: ConfigError, StoreError, AddressInUse."""
    # Before the file is read: a change after that brings a SIGHUP which must not be lost.
    hangups = Hangups()
    settings = settings_or_none(config)
    if settings is None:
        hangups.release()
        _run_sample()
        return
    set_up_logging(settings.log)
    deps = deps_of(settings, os.environ, out())
    _require_access(deps.platform, settings)
    configuration = Configuration(settings, os.environ)
    reloader = Reloader(deps, configuration.read, configuration.accept)
    run_until_signal(deps, hangups=hangups, on_hangup=reloader.run, listen=address_of(settings), env=os.environ)


def embedded(database: Path, port: int, traffic: float) -> None:
    """Raises: AddressInUse, StoreUnusable."""
    from contextlib import ExitStack

    from watchdog.embedded.sample import sample_traffic, seed_sample
    from watchdog.embedded.server import EmbeddedPlatform
    from watchdog.embedded.traffic import Traffic

    set_up_logging(LogSettings())
    clock = SystemClock()
    console = out()
    with ExitStack() as stack, Signals() as signals:
        platform = EmbeddedPlatform(database, clock, port=port)
        seeded = seed_sample(platform.admin, clock)
        stack.enter_context(platform)
        token = platform.admin.create_token(name="command line")
        say(console, f"PromptHelm-compatible platform on {platform.base_url} (database {database})")
        say(console, f"A new token with every scope, shown only now: {token}")
        for prompt in seeded:
            say(console, f"  prompt {prompt.slug}: {prompt.prompt_id}")
        if traffic > 0:
            stack.enter_context(Traffic(platform.base_url, token, clock, traffic, sample_traffic()))
        say(console, "Ctrl-C stops it.")
        # Whoever reads this through a pipe needs the token now.
        sys.stdout.flush()
        signals.wait()


def _require_access(platform: PromptPlatform, settings: Settings) -> None:
    """
    What is refused is said before guarding begins: a watchdog that turns out to have no rights at 3 a.m. is worse than
    none. A platform that is merely down is waited for.
    """
    refused = [
        access for access in platform.access() if access.problem is not None and is_needed(access, settings.most_of_all)
    ]
    if not refused:
        return
    try:
        platform.prompts()
    except PlatformError as exc:
        if exc.retryable:
            say(err(), f"promptwatch: waiting for {platform.name}: {exc}")
            return
    for access in refused:
        say(err(), f"promptwatch: cannot {access.need}: {access.problem}")
    stop(FAILED, "the token may not do what guarding needs; nothing was started (see `promptwatch doctor`)")


def _run_sample() -> None:
    from watchdog.cli.sandbox import OpenSandbox
    from watchdog.embedded.sample import sample_traffic
    from watchdog.embedded.traffic import Traffic
    from watchdog.notify.terminal import TerminalNotifier

    set_up_logging(LogSettings())
    console = out()
    # A world of its own each time: in an old one the last day would be days ago by its faster clock.
    with (
        tempfile.TemporaryDirectory(prefix="promptwatch-sample-") as made,
        OpenSandbox(Path(made), speed=_SAMPLE_SPEED) as opened,
    ):
        folder, world = Path(made), opened.world
        prompt = world.prompts["is-prime"]
        harmful = prompt.versions["1.2.0"]
        lines = (
            "No config.toml here: guarding a SAMPLE platform with recorded calls, ten times as fast as they were.",
            f"  platform  {world.base_url}   (everything is in {folder}, until it stops)",
            f"  look      promptwatch status --store sqlite:///{folder}/watchdog.db",
            "  break it  promote a harmful version, and see what happens within half a minute:",
            f"            curl -X POST -H 'Authorization: Bearer {world.token}' \\",
            f"              {world.base_url}/api/v1/prompts/{prompt.prompt_id}/versions/{harmful}/promote",
            "To guard your own platform: copy config.example.toml to config.toml and fill in two lines. Ctrl-C stops.",
        )
        for line in lines:
            say(console, line)
        sys.stdout.flush()
        with Traffic(world.base_url, world.token, world.clock, _SAMPLE_CALLS_PER_S, sample_traffic()):
            run_until_signal(world.deps(TerminalNotifier(console)))
