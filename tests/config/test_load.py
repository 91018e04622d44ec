"""A configuration becomes frozen settings."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.config.workbench import PLATFORM, Bench, switched_on
from watchdog.cli.compose import kill_switch_of, policy_of
from watchdog.config.load import load_settings
from watchdog.config.packs import load_rules
from watchdog.config.schema import ConfigTable
from watchdog.config.secret import SecretRef
from watchdog.config.settings import (
    PLATFORM_PATHS,
    EvidenceSettings,
    LogFormat,
    LogLevel,
    LogSettings,
    PlatformSettings,
    RecoverySettings,
    Settings,
    SlackSettings,
    StoreSettings,
    WatchSettings,
)
from watchdog.config.table import keys_of
from watchdog.core.guards import Limits
from watchdog.core.rules import Action
from watchdog.errors import ConfigError
from watchdog.platforms import paths as platform_paths

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"

FULL = """\
[platform]
url = "https://ph.internal:8443/"
token = "file:token"
app_url = "https://app.internal/ph/"
compare_path = "/c/{prompt_id}?a={bad}&b={good}"
timeout = "2.5s"
proxy_from_env = true
ca_file = "ca.pem"
[platform.paths]
execution_log = "/logs/{call_id}"
[watch]
prompts = ["support-*", "checkout"]
exclude = ["support-test"]
environment = "staging"
baseline = "7d"
length = "90m"
min_baseline_calls = 1_000
act = "suggest"
tick = "1m"
[rules]
packs = ["strict", "json-output"]
alpha = 0.01
[rules.change.success]
margin_abs = 0.02
action = "alert"
[evidence]
payloads = true
calls = 7
slack = true
redact = ["CUST-[0-9]{6}"]
[recovery]
deadline = "1h"
[slack]
token = "env:SLACK_BOT_TOKEN"
channel = "C0123456789"
api_url = "http://127.0.0.1:8081/api"
[store]
url = "sqlite:///state/watch.db"
[log]
level = "debug"
format = "json"
"""


def test_every_key_of_a_full_file_arrives(bench: Bench) -> None:
    """Nothing that is written is lost or changed on the way."""
    bench.write("phk_1", "token")
    bench.write("pem", "ca.pem")
    (bench.folder / "state").mkdir()
    bench.env["SLACK_BOT_TOKEN"] = "xoxb-1"

    settings = bench.load(FULL)

    assert (
        PlatformSettings(
            url="https://ph.internal:8443",
            token=SecretRef.file(bench.folder / "token"),
            app_url="https://app.internal/ph",
            compare_path="/c/{prompt_id}?a={bad}&b={good}",
            timeout=timedelta(seconds=2.5),
            proxy_from_env=True,
            ca_file=bench.folder / "ca.pem",
            paths={"execution_log": "/logs/{call_id}"},
        )
        == settings.platform
    )
    assert (
        WatchSettings(
            prompts=("support-*", "checkout"),
            exclude=("support-test",),
            environment="staging",
            baseline=timedelta(days=7),
            length=timedelta(minutes=90),
            min_baseline_calls=1000,
            act=Action.SUGGEST,
            tick=timedelta(minutes=1),
        )
        == settings.watch
    )
    assert RecoverySettings(deadline=timedelta(hours=1)) == settings.recovery
    assert EvidenceSettings(payloads=True, calls=7, slack=True, redact=("CUST-[0-9]{6}",)) == settings.evidence
    assert (
        SlackSettings(
            token=SecretRef.env("SLACK_BOT_TOKEN"), channel="C0123456789", api_url="http://127.0.0.1:8081/api/"
        )
        == settings.slack
    )
    assert StoreSettings(url=f"sqlite:///{bench.folder}/state/watch.db", folder=bench.folder) == settings.store
    assert LogSettings(level=LogLevel.DEBUG, format=LogFormat.JSON) == settings.log
    assert bench.config == settings.file


def test_rules_are_the_packs_with_the_changes(bench: Bench) -> None:
    """Both packs are in force, the file's alpha wins, and only what was named is changed."""
    bench.write("phk_1", "token")
    bench.write("pem", "ca.pem")
    (bench.folder / "state").mkdir()
    bench.env["SLACK_BOT_TOKEN"] = "xoxb-1"

    rules = bench.load(FULL).rules
    success = next(rule for rule in rules.rules if rule.name == "success")

    assert "strict + json-output, changed: success" == rules.source
    assert 0.01 == rules.alpha
    assert 10 == len(rules.rules)
    assert (0.02, Action.ALERT, 0.4) == (success.margin_abs, success.action, success.weight)


def test_a_minimal_file_has_the_defaults_of_the_settings(bench: Bench) -> None:
    """Three lines are enough, and settings made in Python without a file are the same."""
    made_in_python = Settings(
        platform=PlatformSettings(url="https://api.prompthelm.app", token=SecretRef.env("PROMPTHELM_TOKEN")),
        rules=load_rules(("default",)),
        store=StoreSettings(folder=bench.folder),
    )

    loaded = bench.load(PLATFORM)

    assert made_in_python == dataclasses.replace(loaded, file=None, packs=())
    assert made_in_python.digest == loaded.digest


def test_settings_cannot_be_changed(bench: Bench) -> None:
    """What was checked once stays as it was checked."""
    settings = bench.load(PLATFORM)

    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.watch.act = Action.ALERT  # type: ignore[misc]


def test_the_digest_changes_with_what_the_daemon_does(bench: Bench) -> None:
    """An incident records it, so that one can tell later under which settings it arose."""
    one = bench.load(PLATFORM).digest

    assert one == bench.load(f"# moved\n\n{PLATFORM}").digest
    assert one != bench.load(f'{PLATFORM}[watch]\nact = "alert"\n').digest
    assert one != bench.load(f"{PLATFORM}[rules.change.cost]\nweight = 0.3\n").digest


def test_a_relative_database_lies_beside_the_configuration(bench: Bench) -> None:
    """The daemon finds its memory from whatever folder it is started."""
    settings = bench.load(PLATFORM)

    assert f"sqlite:///{bench.folder}/promptwatch.db" == settings.store.read_url({})


def test_a_database_in_a_missing_folder_is_an_error_of_its_line(bench: Bench) -> None:
    """SQLite would say no more than that it is unable to open the file."""
    issue = bench.issue(f'{PLATFORM}[store]\nurl = "sqlite:///state/watch.db"\n')

    assert 5 == issue.line
    assert f"the folder `{bench.folder}/state` does not exist; create it first" in issue.message


def test_a_byte_order_mark_is_passed_over(bench: Bench) -> None:
    """Some editors write one; the file is right all the same."""
    bench.config.write_bytes(b"\xef\xbb\xbf" + PLATFORM.encode())

    assert "https://api.prompthelm.app" == load_settings(bench.config, bench.env).platform.url


def test_the_example_is_valid_as_it_is() -> None:
    """The file that everybody copies works once the token is set."""
    settings = load_settings(EXAMPLE, {"PROMPTHELM_TOKEN": "phk_1"})

    assert (WatchSettings(), LogSettings(), None) == (settings.watch, settings.log, settings.slack)


def test_nobody_is_asked_how_he_is_unless_it_is_configured(bench: Bench) -> None:
    """Pages are kept by the names that the file gives, without a slash at the end; without a table there are none."""
    pages = '[status]\nOpenAI = "https://status.openai.com/"\n"my provider" = "http://127.0.0.1:8787/status"\n'

    assert {} == bench.load(PLATFORM).status.pages
    assert {"OpenAI": "https://status.openai.com", "my provider": "http://127.0.0.1:8787/status"} == bench.load(
        PLATFORM + pages
    ).status.pages


def test_the_example_is_valid_with_every_line_switched_on(bench: Bench) -> None:
    """What the example shows in comments is no less true than the rest."""
    bench.write("pem", "company-ca.pem")
    bench.env["SLACK_BOT_TOKEN"] = "xoxb-1"

    settings = bench.load(switched_on(EXAMPLE.read_text(encoding="utf-8")))

    assert "C0123456789" == settings.slack.channel if settings.slack else False
    assert set(PLATFORM_PATHS) == set(settings.platform.paths)
    assert {name: call.template for name, call in platform_paths.CALLS.items()} == settings.platform.paths


def test_the_example_names_every_key() -> None:
    """Nobody has to look up whether there is another key."""
    text = EXAMPLE.read_text(encoding="utf-8")
    missing = [
        ".".join(path)
        for path in keys_of(ConfigTable)
        if "*" not in path and f"\n{path[-1]} = " not in text and f"\n# {path[-1]} = " not in text
    ]

    assert [] == missing


def test_the_paths_are_those_of_the_platform() -> None:
    """A path that can be overridden is one that the client uses, with the same placeholders."""
    expected = {name: call.placeholders for name, call in platform_paths.CALLS.items()}

    assert expected == dict(PLATFORM_PATHS)


_SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.booleans(), st.integers(), st.floats(), st.sampled_from(["", "*", "5s", "env:X", "file:.", "alert", "a{b}", "é"])
)
_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("ab"), inner, max_size=2)),
)


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f"'{value}'"
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case dict():
            return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
        case _:
            return repr(value)


@hypothesis_settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(
        st.sampled_from([".".join(path).replace("*", "x") for path in keys_of(ConfigTable)]), _TREES, max_size=5
    )
)
def test_no_value_of_any_key_is_a_traceback(bench: Bench, keys: dict[str, Any]) -> None:
    """Whatever stands at a key: settings, or issues with words, and nothing else."""
    text = "".join(f"{key} = {_toml(value)}\n" for key, value in keys.items())
    bench.write(text)
    issues: list[str] = []
    try:
        load_settings(bench.config, bench.env)
    except ConfigError as exc:
        issues = [issue.message for issue in exc.issues]

    assert all(issues)


def test_the_ladder_and_the_guards_arrive_where_they_count(bench: Bench) -> None:
    """The most for all prompts, the most for some, and how much may be done unasked."""
    settings = bench.load(
        f"{PLATFORM}"
        '[watch]\nact = "alert"\ncountdown = "10m"\n'
        '[guards]\nper_hour = 1\nper_day = 2\ncooldown = "1h"\noldest_target = "7d"\nhold_file = "stop"\n'
        '[[prompts]]\nmatch = "support-*"\nact = "countdown"\n[[prompts]]\nmatch = "*"\nalpha = 0.001\n'
    )
    policy = policy_of(settings)

    assert (Action.COUNTDOWN, Action.ALERT) == (policy.most_for("support-reply"), policy.most_for("other"))
    assert Action.COUNTDOWN is settings.most_of_all
    assert timedelta(minutes=10) == policy.terms.countdown
    expected = Limits(per_hour=1, per_day=2, cooldown=timedelta(hours=1), oldest_target=timedelta(days=7))
    assert expected == policy.terms.limits
    assert bench.folder / "stop" == kill_switch_of(settings, {}).file


def test_the_kill_switch_is_beside_the_database_unless_it_is_said(bench: Bench) -> None:
    """With PostgreSQL there is no file unless one is named."""
    assert bench.folder.absolute() / "hold" == kill_switch_of(bench.load(PLATFORM), {}).file
    elsewhere = f'{PLATFORM}[store]\nurl = "postgresql://host/name"\n'
    assert kill_switch_of(bench.load(elsewhere), {}).file is None
