"""From settings to the parts that do the work."""

from __future__ import annotations

import random
import socket
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url

from watchdog.clock import SystemClock
from watchdog.config.swap import differences, needs_restart, swapped
from watchdog.config.urls import listen_address
from watchdog.core.guards import Limits
from watchdog.core.rules import Action
from watchdog.core.terms import Evidence, Terms
from watchdog.errors import NotifyError
from watchdog.jobs.claims import Lease, Shared, Unshared
from watchdog.jobs.deps import Deps, Policy, Standing
from watchdog.jobs.kill_switch import KillSwitch
from watchdog.jobs.reload import Offer
from watchdog.server.listener import Address
from watchdog.store.database import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from watchdog.clock import Clock
    from watchdog.config.settings import PlatformSettings, Settings, SlackSettings
    from watchdog.jobs.claims import Claims
    from watchdog.notify.protocol import Notifier
    from watchdog.notify.slack import SlackNotifier
    from watchdog.platforms.heartbeat import HttpHeartbeat
    from watchdog.platforms.prompthelm import PromptHelm
    from watchdog.platforms.protocol import Access
    from watchdog.platforms.status_page import HttpStatusPages

# Beside a SQLite database.
HOLD_FILE = "hold"
# How a replica is called; its host's name where this is not set.
REPLICA_VARIABLE = "PROMPTWATCH_REPLICA"
_LONGEST_NAME = 100
# A proxy may hold a request for as long again as we waited for it, and no less than this is safe.
_SETTLE_FLOOR = timedelta(seconds=30)


def deps_of(settings: Settings, env: Mapping[str, str], console: Console, clock: Clock | None = None) -> Deps:
    """
    Everything a daemon needs.

    Raises: ConfigError: a secret that does not resolve, or an option that cannot be used. StoreError.
    """
    clock = clock or SystemClock()
    store = Store(settings.store.read_url(env))
    return Deps(
        store=store,
        platform=platform_of(settings, env, clock),
        notifier=notifier_of(settings, env, console),
        clock=clock,
        standing=Standing(policy=policy_of(settings)),
        status_pages=status_pages_of(settings, clock),
        thrown=kill_switch_of(settings, env).thrown,
        dead_mans_switch=heartbeat_of(settings, env, clock),
        claims=claims_of(store, settings, env),
    )


def claims_of(store: Store, settings: Settings, env: Mapping[str, str]) -> Claims:
    """Several daemons may share a PostgreSQL; a SQLite file has one."""
    if not store.is_shared:
        return Unshared()
    name = env.get(REPLICA_VARIABLE, "").strip() or socket.gethostname()
    return Shared(store, name=name[:_LONGEST_NAME], lease=Lease.for_requests(settings.platform.timeout.total_seconds()))


def kill_switch_of(settings: Settings, env: Mapping[str, str]) -> KillSwitch:
    """Raises: ConfigError: the database's address cannot be read."""
    file = settings.guards.hold_file
    if file is None:
        url = make_url(settings.store.read_url(env))
        if url.get_backend_name() == "sqlite" and url.database:
            file = Path(url.database).with_name(HOLD_FILE)
    return KillSwitch(file=file, env=env)


def address_of(settings: Settings) -> Address | None:
    """Where health and metrics are; None where nobody wants them."""
    if not settings.server.listen:
        return None
    host, port = listen_address(settings.server.listen)
    return Address(host=host, port=port, remote=settings.server.remote)


def heartbeat_of(settings: Settings, env: Mapping[str, str], clock: Clock) -> HttpHeartbeat | None:
    """None where nobody is to be told that the watchdog lives."""
    url = settings.heartbeat.url
    if url is None:
        return None
    from watchdog.platforms.heartbeat import HttpHeartbeat

    given = settings.platform
    return HttpHeartbeat(lambda: url.read(env), clock=clock, proxy_from_env=given.proxy_from_env, ca_file=given.ca_file)


def status_pages_of(settings: Settings, clock: Clock) -> HttpStatusPages | None:
    """None where no page is configured: nobody is asked then."""
    if not settings.status.pages:
        return None
    from watchdog.platforms.status_page import HttpStatusPages

    given = settings.platform
    return HttpStatusPages(
        settings.status.pages, clock=clock, proxy_from_env=given.proxy_from_env, ca_file=given.ca_file
    )


def platform_of(settings: Settings, env: Mapping[str, str], clock: Clock) -> PromptHelm:
    from watchdog.platforms.prompthelm import PromptHelm, PromptHelmOptions

    given: PlatformSettings = settings.platform
    options = PromptHelmOptions(
        url=given.url,
        app_url=given.pages_url,
        compare_path=given.compare_path,
        environment=settings.watch.environment,
        segment_by=settings.watch.segment_by,
        timeout_s=given.timeout.total_seconds(),
        paths=given.paths,
        proxy_from_env=given.proxy_from_env,
        ca_file=given.ca_file,
    )
    return PromptHelm(
        options,
        read_token=lambda: given.token.read(env),
        clock=clock,
        uniform=random.SystemRandom().random,
    )


def is_needed(access: Access, act: Action) -> bool:
    """Whether nothing can be guarded without it. Who may only alert never writes, but must read like everybody else."""
    return access.required and not (act is Action.ALERT and access.call.startswith("POST "))


def notifier_of(settings: Settings, env: Mapping[str, str], console: Console) -> Notifier:
    """Slack where it is configured, else the terminal."""
    given = settings.slack
    if given is None:
        from watchdog.notify.terminal import TerminalNotifier

        return TerminalNotifier(console)
    webhook = given.webhook
    if webhook is not None:
        from watchdog.notify.webhook import WebhookNotifier

        return WebhookNotifier(url=lambda: webhook.read(env))
    return slack_of(given, env)


def slack_of(given: SlackSettings, env: Mapping[str, str]) -> SlackNotifier:
    """Raises: ConfigError: no token."""
    from watchdog.notify.slack import SlackNotifier

    token = given.token
    if token is None or given.channel is None:
        raise NotifyError("Slack: no token and channel are configured; a webhook can only be posted to", permanent=True)
    return SlackNotifier(token=lambda: token.read(env), channel=given.channel, base_url=given.api_url)


class Configuration:
    """The configuration that a daemon runs by, and its file, which may say something else by now."""

    def __init__(self, settings: Settings, env: Mapping[str, str]) -> None:
        self._standing = settings
        self._offered = settings
        self._env = env

    def read(self) -> Offer:
        """
        What the file says now, and what of it can be taken over.

        Raises: ConfigError: with every issue.
        """
        from watchdog.config.load import load_settings

        if (file := self._standing.file) is None:
            raise ValueError("the settings were made in Python; there is no file to read anew")
        read = load_settings(file, self._env)
        self._offered = swapped(self._standing, read)
        return Offer(
            file=str(file),
            policy=policy_of(self._offered),
            changes=differences(self._standing, self._offered),
            needs_restart=needs_restart(self._standing, read),
        )

    def accept(self) -> None:
        """What was read last is in force."""
        self._standing = self._offered


def policy_of(settings: Settings) -> Policy:
    """What is judged, and how."""
    return Policy(
        rules=settings.rules,
        terms=terms_of(settings),
        overrides=tuple((override.glob, override.rules) for override in settings.overrides),
        acts=tuple((override.glob, override.act) for override in settings.overrides),
    )


def terms_of(settings: Settings) -> Terms:
    """What the jobs need to know."""
    timeout = settings.platform.timeout
    return Terms(
        prompts=settings.watch.prompts,
        exclude=settings.watch.exclude,
        baseline=settings.watch.baseline,
        length=settings.watch.length,
        min_baseline_calls=settings.watch.min_baseline_calls,
        most=settings.watch.act,
        countdown=settings.watch.countdown,
        limits=Limits(
            per_hour=settings.guards.per_hour,
            per_day=settings.guards.per_day,
            cooldown=settings.guards.cooldown,
            oldest_target=settings.guards.oldest_target,
        ),
        tick=settings.watch.tick,
        fast_tick=min(settings.watch.tick, timedelta(seconds=5)),
        recovery_deadline=settings.recovery.deadline,
        evidence=Evidence(
            payloads=settings.evidence.payloads,
            calls=settings.evidence.calls,
            slack=settings.evidence.slack,
            redact=settings.evidence.redact,
        ),
        settle=max(_SETTLE_FLOOR, 2 * timeout),
        config_digest=settings.digest,
    )
