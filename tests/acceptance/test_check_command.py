"""`promptwatch check`: the configuration in plain sentences, or every issue in it at once."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.acceptance.shell import promptwatch

pytestmark = pytest.mark.acceptance

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
ENV = {"PROMPTHELM_TOKEN": "phk_0123456789abcdef0123456789abcdef"}
BROKEN = """\
colour = "blue"

[platform]
url = "https://api.prompthelm.app"
token = "env:NO_SUCH_VARIABLE"

[watch]
promts = ["*"]
tick = "30"

[rules]
packs = ["defualt"]
alpha = 2.0
"""


def test_the_example_as_it_is_copied_is_valid(tmp_path):
    """`cp config.example.toml config.toml`, the token in the environment, `promptwatch check`."""
    shutil.copy(EXAMPLE, tmp_path / "config.toml")

    ended = promptwatch("check", folder=tmp_path, env=ENV)

    assert (0, "") == (ended.status, ended.err)
    assert "The watchdog may revert by itself." in ended.out
    assert ENV["PROMPTHELM_TOKEN"] not in ended.out


def test_what_the_examples_own_header_says_works(tmp_path):
    """Its first lines are commands; the ones that name our program or copy the file are run as they stand."""
    header = [line.removeprefix("#").strip() for line in EXAMPLE.read_text().splitlines()[:10]]

    assert "cp config.example.toml config.toml" in header
    assert "promptwatch check" in header


def test_every_issue_is_reported_at_once_with_its_place(tmp_path):
    """File, line, column, the line itself and a caret under the place; on standard error, with status 2."""
    (tmp_path / "config.toml").write_text(BROKEN)

    ended = promptwatch("check", folder=tmp_path)

    assert (2, "") == (ended.status, ended.out)
    for issue in (
        "config.toml:1:1: colour: unknown key",
        "config.toml:5:1: platform.token: the environment variable `NO_SUCH_VARIABLE` is not set",
        "config.toml:8:1: watch.promts: unknown key `promts`; did you mean `prompts`?",
        "config.toml:9:1: watch.tick:",
        "config.toml:12:10: rules.packs[0]:",
        "config.toml:13:1: rules.alpha:",
    ):
        assert issue in ended.err
    assert '    promts = ["*"]\n    ^\n' in ended.err
    assert "promptwatch: 6 problems in the configuration; nothing was started\n" in ended.err


def test_what_is_no_toml_is_reported_with_its_place(tmp_path):
    """The parser's own words, and a caret."""
    (tmp_path / "config.toml").write_text('[platform]\nurl = "https://x\n')

    ended = promptwatch("check", folder=tmp_path)

    assert 2 == ended.status
    assert "config.toml:2:" in ended.err
    assert "^" in ended.err
    assert "1 problem in the configuration" in ended.err


def test_json_is_one_object(tmp_path):
    """With the rules and the digest of what decides."""
    shutil.copy(EXAMPLE, tmp_path / "config.toml")

    ended = promptwatch("check", "--json", folder=tmp_path, env=ENV)

    report = json.loads(ended.out)
    assert "config.toml" == report["file"]
    assert "success" in [rule["name"] for rule in report["rules"]]
    assert 64 == len(report["digest"])


def test_broken_for_a_machine_the_issues_are_json_too(tmp_path):
    """On standard output, one object an issue; standard error stays for people."""
    (tmp_path / "config.toml").write_text(BROKEN)

    ended = promptwatch("check", "--json", folder=tmp_path)

    issues = json.loads(ended.out)["issues"]
    assert 2 == ended.status
    assert 6 == len(issues)
    assert {"file": "config.toml", "line": 1, "column": 1, "key": "colour"}.items() <= issues[0].items()


@pytest.mark.parametrize("named", [("mine.toml",), ("--config", "mine.toml")])
def test_a_file_of_another_name_is_named_in_two_ways(tmp_path, named):
    """As an argument, or as an option."""
    shutil.copy(EXAMPLE, tmp_path / "mine.toml")

    assert 0 == promptwatch("check", *named, folder=tmp_path, env=ENV).status


def test_two_files_are_one_too_many(tmp_path):
    """A usage error that names both."""
    ended = promptwatch("check", "one.toml", "--config", "two.toml", folder=tmp_path)

    assert 2 == ended.status
    assert "two configurations are named, one.toml and two.toml; keep one" in ended.err


def test_the_command_line_outdoes_the_environment(tmp_path):
    """PROMPTWATCH_CONFIG is a default."""
    shutil.copy(EXAMPLE, tmp_path / "mine.toml")
    env = {**ENV, "PROMPTWATCH_CONFIG": "no-such-file.toml"}

    assert 0 == promptwatch("check", "mine.toml", folder=tmp_path, env=env).status
    assert "no-such-file.toml: there is no such file" in promptwatch("check", folder=tmp_path, env=env).err


@pytest.mark.parametrize("command", ["check", "doctor"])
def test_without_a_configuration_it_says_how_to_get_one(tmp_path, command):
    """In an empty folder."""
    ended = promptwatch(command, folder=tmp_path)

    assert 2 == ended.status
    assert "no config.toml here; name one with --config, or copy config.example.toml to config.toml" in ended.err


def test_at_a_known_rate_it_says_what_each_rule_needs(tmp_path):
    """Calls and time, for a worsening in words, and what it assumes."""
    shutil.copy(EXAMPLE, tmp_path / "config.toml")

    ended = promptwatch("check", "--rate", "0.4", folder=tmp_path, env=ENV)

    assert "Strength of the rules at 0.4 calls/s, baseline of 34,560 calls (assumed: success 99 %" in ended.out
    assert re.search(r"success: +needs about \d+ calls, \d+ min, to see -5 pp \(failures 1 % -> 6 %\)", ended.out)


def test_warnings_do_not_fail_it(tmp_path):
    """A rule that is silent at this traffic is no mistake of the file."""
    shutil.copy(EXAMPLE, tmp_path / "config.toml")

    ended = promptwatch("check", "--rate", "0.01", "--baseline-calls", "100", "--json", folder=tmp_path, env=ENV)

    report = json.loads(ended.out)
    assert 0 == ended.status
    assert any("rule latency_p95 is silent: baseline of 100 calls" in warning for warning in report["warnings"])
    assert 100 == report["strength"][0]["baseline_calls"]
    assert "success" == report["strength"][0]["forecasts"][0]["rule"]


def test_a_baseline_without_a_rate_is_a_usage_error(tmp_path):
    """It would say nothing."""
    shutil.copy(EXAMPLE, tmp_path / "config.toml")

    ended = promptwatch("check", "--baseline-calls", "100", folder=tmp_path, env=ENV)

    assert (2, "promptwatch: --baseline-calls says nothing without --rate\n") == (ended.status, ended.err)


def test_what_the_daemon_has_seen_is_better_than_any_assumption(finished, tmp_path):
    """The prompts in its database, each at its own rate and from its own baseline."""
    (tmp_path / "config.toml").write_text(
        f'{EXAMPLE.read_text()}\n[store]\nurl = "sqlite:///{finished.folder / "watchdog.db"}"\n'
    )

    ended = promptwatch("check", "--json", folder=tmp_path, env=ENV)

    report = json.loads(ended.out)
    assert 0 == ended.status
    assert "" == report["assumed"]
    assert report["strength"]
    assert all(seen["prompt"] and seen["rate_per_s"] > 0 for seen in report["strength"])


@pytest.mark.parametrize(("which", "key"), [("config", "platform"), ("rules", "rule")])
def test_the_schema_for_editors_is_printed(tmp_path, which, key):
    """JSON on standard output, and nothing else is needed for it."""
    ended = promptwatch("schema", which, folder=tmp_path)

    assert (0, "") == (ended.status, ended.err)
    assert key in json.loads(ended.out)["properties"]
