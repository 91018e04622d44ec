"""Configurations and rule packs that were broken on purpose, read at a start and by a reload."""

from __future__ import annotations

import json
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from tests.builders import T0
from tests.config.workbench import switched_on
from tests.fuzz.values import NUMBERS, TEXTS, Raw, as_json, broken_bytes, changed, mutated, odd, paths
from tests.mutants.running import ROOT
from tests.simulation.clock import Calendar, DaemonClock
from watchdog.cli.compose import Configuration, policy_of
from watchdog.config.check import check
from watchdog.config.load import load_settings
from watchdog.config.swap import needs_restart
from watchdog.errors import ConfigError
from watchdog.jobs.deps import Deps, Standing
from watchdog.jobs.kill_switch import VARIABLE, KillSwitch
from watchdog.jobs.reload import Reloader
from watchdog.store import outbox
from watchdog.store.database import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

    from watchdog.config.settings import Settings
    from watchdog.jobs.deps import Policy
    from watchdog.jobs.reload import Offer

# In the form of a token, so that a reader of the file can tell it for one; pasted where people paste them.
SECRET = "phk_CANARY0123456789abcdef01234567"
_PASTED = (SECRET, f"xoxb-1-{SECRET}", f"https://hooks.slack.com/services/{SECRET}", f"postgresql://u:{SECRET}@h/x")
_ENV = {"PROMPTHELM_TOKEN": SECRET, "SLACK_BOT_TOKEN": f"xoxb-1-{SECRET}", "HEARTBEAT_URL": f"https://hc/{SECRET}"}
_REFERENCES = (
    "env:PROMPTHELM_TOKEN",
    "env:",
    "env:NO_SUCH",
    "file:/",
    "file:",
    "file:token\0",
    "cmd:id",
    "env:A B",
    "file:~",
)
_GLOBS = ("[", "[!", "**", "[z-a]", "*" * 300, "", "?" * 300, "[[]", "\\", "support-[0-9]*")
_PACK = """\
description = "Support replies must be valid JSON."
alpha = 0.004

[rule.broken_json]
metric = "error_kind"
error_kind = "unparsable"
statistic = "proportion"
margin_abs = 0.02
action = "revert"
severity = "critical"

[rule.slow]
metric = "latency"
statistic = "quantile"
quantile = 0.95
margin_rel = 0.5
action = "alert"
severity = "warning"
"""


@dataclass
class Configs:
    """A folder with a configuration and a pack, and a daemon that is told to read them anew."""

    folder: Path
    store: Store
    settings: Settings

    @property
    def file(self) -> Path:
        return self.folder / "config.toml"

    def one(self, luck: Random) -> tuple[str, list[str]]:
        env = {**_ENV, **({luck.choice(tuple(_ENV)): luck.choice(TEXTS)} if luck.random() < 0.1 else {})}
        self.file.write_bytes(_written(_config(), luck))
        pack = _written(tomllib.loads(_PACK), luck) if luck.random() < 0.4 else _PACK.encode()
        (self.folder / "support.toml").write_bytes(pack)
        wrong, taken = self._reloaded(env)
        # What a start makes of the same file must agree; the reload reads it all the same, and each reading costs.
        if taken or luck.random() < 0.2:
            read = self._started(env)
            if (read is not None) is not taken:
                wrong.append(f"the reload said {taken}, a start says {not taken}")
            if read is not None:
                wrong += _used(read, env, checked=luck.random() < 0.02)
        switch = KillSwitch(file=self.file, env={VARIABLE: luck.choice(TEXTS)}).thrown()
        if not switch or any(not t.why.isprintable() for t in switch):
            wrong.append("a kill switch that is there does not hold, or would write what no screen shows")
        return "read" if taken else "refused", wrong

    def _started(self, env: dict[str, str]) -> Settings | None:
        try:
            return load_settings(self.file, env)
        except ConfigError:
            return None

    def _reloaded(self, env: dict[str, str]) -> tuple[list[str], bool]:
        """A daemon that runs by the good file takes over all of the broken one, or none. Returns: which of the two."""
        before = policy_of(self.settings)
        deps = Deps(
            store=self.store,
            platform=cast("Any", None),  # a reload asks nobody
            notifier=cast("Any", None),
            clock=DaemonClock(Calendar(T0)),
            standing=Standing(policy=before),
        )
        configuration = Configuration(self.settings, env)
        wrong: list[str] = []
        offers: list[Offer] = []

        def read() -> Offer:
            try:
                offers.append(configuration.read())
            except ConfigError as exc:
                wrong.extend(_of_error(exc, self.folder))
                raise
            return offers[-1]

        taken = Reloader(deps, read, configuration.accept).run()
        if taken != bool(offers):
            wrong.append(f"the reload said {taken} to a file that was {'good' if offers else 'refused'}")
        if offers and _decides(deps.policy) != _decides(offers[0].policy):
            wrong.append("the file was good, and in force is something else than what it says")
        if not offers and deps.policy is not before:
            wrong.append("a file that was refused touched the policy")
        with self.store.read() as connection:
            told = outbox.parcels(connection)
        if "CANARY" in repr(told):
            wrong.append("a notice of the reload holds a secret")
        if not offers and any(not line.isprintable() for p in told for line in p.notice.evidence):
            wrong.append("a notice of the reload holds what cannot be shown")
        if told:
            with self.store.write() as connection:
                connection.exec_driver_sql("DELETE FROM outbox")
        return wrong, taken


@contextmanager
def configs(folder: Path) -> Iterator[Configs]:
    store = Store(f"sqlite:///{folder / 'fuzz.db'}")
    store.migrate()
    # Where the broken ones will be: a reload reads the file that it was started with.
    (folder / "config.toml").write_text(_toml(_config()))
    (folder / "support.toml").write_text(_PACK)
    (folder / "rules").mkdir()
    try:
        yield Configs(folder=folder, store=store, settings=load_settings(folder / "config.toml", _ENV))
    finally:
        store.close()


def _config() -> dict[str, Any]:
    """Every key that the example shows, and the pack beside it."""
    value = tomllib.loads(switched_on((ROOT / "config.example.toml").read_text()))
    value["platform"].pop("ca_file", None)
    value["rules"]["packs"] = ["default", "support.toml"]
    value["prompts"][0]["packs"] = ["default", "json-output"]
    return value


def _written(value: dict[str, Any], luck: Random) -> bytes:
    """Mutated as a value, as a text, as bytes, or not at all."""
    for _ in range(luck.choice((0, 0, 0, 1, 1, 2, 5))):
        value = _special(value, luck) if luck.random() < 0.3 else mutated(value, luck)
        if not isinstance(value, dict):
            break
    body = _toml(value, luck).encode("utf-8", "surrogatepass")
    for _ in range(luck.choice((0, 0, 0, 0, 1, 3))):
        body = broken_bytes(body, luck)
    return body


def _special(value: dict[str, Any], luck: Random) -> dict[str, Any]:
    """What only a configuration can have wrong."""
    leaves = [at for at in paths(value) if at]
    if not leaves:
        return value
    at = luck.choice(leaves)
    what: object = luck.choice(
        (
            luck.choice(_PASTED),
            luck.choice(_REFERENCES),
            luck.choice(_GLOBS),
            luck.choice(NUMBERS),
            luck.choice(("0s", "-1s", "1e9d", "99999999999d", "5", "1h30m", "٣s", "1ms", "9" * 400 + "d")),
            [luck.choice(_GLOBS) for _ in range(3)],
            ["default"] * 3,
            ["../" * 20 + "x.toml", "support.toml\0", "/dev/null", "config.toml", "rules"],
            [odd(luck) for _ in range(200)],
        )
    )
    return cast("dict[str, Any]", changed(value, at, lambda _: what))


def _toml(value: object, luck: Random | None = None) -> str:
    """Tables, dotted keys or inline, whichever it falls on; with odd values as odd TOML."""
    if not isinstance(value, dict):
        return _inline(value)
    lines: list[str] = []
    _table(value, (), lines, luck)
    return "\n".join(lines) + "\n"


def _table(table: dict[str, Any], at: tuple[str, ...], lines: list[str], luck: Random | None) -> None:
    later: list[tuple[str, Any]] = []
    for key, value in table.items():
        is_tables = isinstance(value, list) and value and all(isinstance(v, dict) for v in value)
        if (isinstance(value, dict) or is_tables) and (luck is None or luck.random() < 0.9):
            later.append((key, value))
        else:
            lines.append(f"{_key(key)} = {_inline(value)}")
            if luck is not None and luck.random() < 0.005:
                lines.append(lines[-1])  # a key that is there twice
    for key, value in later:
        name = ".".join(_key(part) for part in (*at, key))
        for inner in value if isinstance(value, list) else [value]:
            lines.append(f"[[{name}]]" if isinstance(value, list) else f"[{name}]")
            _table(inner, (*at, key), lines, luck)


def _key(key: str) -> str:
    return key if key.replace("_", "").isalnum() and key.isascii() else json.dumps(key)


def _inline(value: object) -> str:
    match value:
        case Raw(text=text):
            return text
        case dict():
            return "{" + ", ".join(f"{_key(str(k))} = {_inline(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ", ".join(_inline(v) for v in value) + "]"
        case None:
            return "none"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return as_json(value)


def _of_error(exc: ConfigError, folder: Path) -> list[str]:
    """An error that helps: each issue has a place that exists and says something that can be printed."""
    wrong: list[str] = []
    text = str(exc)
    if SECRET in text or "CANARY" in text:
        wrong.append(f"a secret was repeated: {text[:300]!r}")
    if not exc.issues:
        wrong.append("an error without an issue")
    for issue in exc.issues:
        try:
            str(issue).encode()
        except UnicodeEncodeError:
            wrong.append(f"an issue that cannot be written: {issue!r}")
        said = [issue.key, issue.message, issue.source or ""]
        if not issue.message or len(issue.message) > 1000 or not all(part.isprintable() for part in said):
            wrong.append(f"an issue that cannot be read: {issue!r}"[:600])
        of_file = folder / issue.file
        if issue.line and of_file.is_file():
            lines = of_file.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
            if issue.line > len(lines) or not 1 <= issue.column <= len(lines[issue.line - 1]) + 2:
                wrong.append(f"an issue at {issue.line}:{issue.column}, where nothing is: {issue.message[:200]}")
    return wrong


def _used(read: Settings, env: dict[str, str], *, checked: bool) -> list[str]:
    """
    What was found good can be used: compared, its secrets read; and it tells nothing of them.

    Args:
        checked: as `promptwatch check` does, which takes a second.
    """
    wrong = []
    report = check(read, env) if checked else None
    needs_restart(read, read)
    if read.platform.token.read(env) not in env.values():
        wrong.append("the token is not that of the environment")
    if "CANARY" in repr(read) or "CANARY" in repr(report):
        wrong.append("the settings or their report repeat a secret")
    if not all(0.0 < rules.alpha < 1.0 for rules in (read.rules, *(o.rules for o in read.overrides))):
        wrong.append("a budget outside of (0, 1) was taken")
    return wrong


def _decides(policy: Policy) -> tuple[object, ...]:
    """All that decides something; rules in another order decide alike."""
    overrides = tuple((glob, rules.digest) for glob, rules in policy.overrides)
    return policy.rules.digest, policy.terms, overrides, policy.acts
