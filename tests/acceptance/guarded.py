"""What a configured daemon guards: the embedded platform and the stand-in for Slack, on the machine's own clock."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from tests.acceptance.shell import Started, promptwatch
from tests.world import ALL_SCOPES, FAILED, GOOD, ManualClock
from watchdog.cli.compose import deps_of
from watchdog.cli.exits import out
from watchdog.clock import SystemClock
from watchdog.config.load import load_settings
from watchdog.embedded.server import EmbeddedPlatform
from watchdog.embedded.slack_workspace import SlackWorkspace
from watchdog.jobs import detect

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.shell import Ended
    from watchdog.clock import Clock
    from watchdog.embedded.tokens import Scope

SLACK_TOKEN = "xoxb-embedded"
CHANNEL = "C0DEMO0001"
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)


@dataclass
class Guarded(ExitStack):
    """
    One prompt, `support-reply`, with v1 on production and 300 good calls in the last day, v2 saved, and a config.toml.

    Attributes:
        scopes: of the daemon's token.
    """

    folder: Path
    scopes: tuple[Scope, ...] = ALL_SCOPES
    env: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        ExitStack.__init__(self)
        super().__enter__()
        self.platform = self._opened(port=0)
        now = self.now()
        admin = self.platform.admin
        self.prompt_id = admin.create_prompt("support-reply", "Support reply", at=now - 3 * _DAY)
        self.v1 = admin.save_version(self.prompt_id, system="Be kind.", temperature=0.2, at=now - 3 * _DAY)
        self.v2 = admin.save_version(self.prompt_id, system="Be quick.", temperature=1.0, at=now - 2 * _DAY)
        admin.promote(self.prompt_id, self.v1, actor_id="ana", at=now - 2 * _DAY)
        self.calls(self.v1, 300, failures=3, since=now - 20 * 60 * _MINUTE, every=3 * _MINUTE)
        self.env = {"PROMPTHELM_TOKEN": admin.create_token(self.scopes), "SLACK_BOT_TOKEN": SLACK_TOKEN}
        self.url = self.platform.start()
        self.slack = SlackWorkspace(self.folder / "slack.db", token=SLACK_TOKEN, channel=CHANNEL)
        self.slack_url = self.slack.start()
        self.callback(self.slack.stop)
        self.write_config()
        return self

    def __exit__(self, *exc: object) -> bool | None:
        self.platform.stop()
        return super().__exit__(*exc)

    def now(self) -> datetime:
        return SystemClock().now()

    def write_config(self) -> None:
        (self.folder / "config.toml").write_text(
            f"""\
[platform]
url = "{self.url}"
token = "env:PROMPTHELM_TOKEN"
timeout = "2s"

[watch]
tick = "1s"

[slack]
token = "env:SLACK_BOT_TOKEN"
channel = "{CHANNEL}"
api_url = "{self.slack_url}"
"""
        )

    def change_config(self, before: str, after: str) -> None:
        config = self.folder / "config.toml"
        text = config.read_text()
        assert before in text
        config.write_text(text.replace(before, after))

    def calls(self, version: str, n: int, *, failures: int, since: datetime, every: timedelta) -> None:
        """n calls from `since` on, the failing ones first."""
        calls = [(since + i * every, FAILED if i < failures else GOOD) for i in range(n)]
        self.platform.admin.import_executions(self.prompt_id, version, calls)

    def adopted(self) -> None:
        """As if the daemon had run an hour ago: it knows what was on production, and has been away since."""
        settings = load_settings(self.folder / "config.toml", self.env)
        then = ManualClock(self.now() - 60 * _MINUTE)
        # The daemon goes by the platform's clock, so that one must have shown the same.
        self.stop_platform()
        self.start_platform(then)
        deps = deps_of(settings, self.env, out(), then)
        deps.store.migrate()
        detect.run(deps, then.now())
        deps.platform.close()
        deps.store.close()
        self.stop_platform()
        self.start_platform()

    def promoted_harmful(self) -> None:
        """Half an hour ago; every call of the ten minutes after that failed."""
        at = self.now() - 30 * _MINUTE
        self.platform.admin.promote(self.prompt_id, self.v2, actor_id="ana", at=at)
        self.calls(self.v2, 40, failures=40, since=at + timedelta(seconds=5), every=timedelta(seconds=15))

    def daemon(self, *arguments: str) -> Started:
        return Started("run", *arguments, folder=self.folder, env=self.env)

    def promptwatch(self, *arguments: str, timeout_s: float = 60.0) -> Ended:
        return promptwatch(*arguments, folder=self.folder, env=self.env, timeout_s=timeout_s)

    def pointer(self) -> str:
        return str(self.platform.admin.registry.prompt(self.prompt_id)["productionVersionId"])

    def stop_platform(self) -> None:
        self.platform.stop()

    def start_platform(self, clock: Clock | None = None) -> None:
        """On the same port as before."""
        self.platform = self._opened(port=int(self.url.rsplit(":", 1)[1]), clock=clock)
        self.platform.start()

    def _opened(self, *, port: int, clock: Clock | None = None) -> EmbeddedPlatform:
        return EmbeddedPlatform(self.folder / "platform.db", clock or SystemClock(), port=port, durable=False)
