"""`promptwatch backtest`: the user's own past promotions, read from the platform over HTTP, on calls that were made."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.shell import in_terminal, promptwatch
from tests.world import FAILED, GOOD, ManualClock
from watchdog.clock import SystemClock
from watchdog.core.quiet_days import midnight
from watchdog.embedded.recordings import load_recording
from watchdog.embedded.sample import seed_sample
from watchdog.embedded.server import EmbeddedPlatform
from watchdog.embedded.tokens import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from tests.acceptance.shell import Ended
    from watchdog.embedded.recordings import RecordedCall
    from watchdog.embedded.sample import SeededPrompt

pytestmark = pytest.mark.acceptance

# What colours a terminal.
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
HOUR = timedelta(hours=1)
DAY = 24 * HOUR
# What reading takes; `prompts:write` is the platform's only scope for prompts.
READS = (Scope.PROMPTS_WRITE, Scope.ANALYTICS_READ, Scope.AUDIT_READ)


@dataclass
class Past:
    """A platform with a past, and a configuration that points at it."""

    folder: Path
    platform: EmbeddedPlatform
    now: datetime

    def backtest(self, *arguments: str, scopes: Sequence[Scope] = READS) -> Ended:
        self.configure(scopes)
        return promptwatch("backtest", *arguments, folder=self.folder)

    def found(self, *arguments: str) -> dict:
        """By slug."""
        ended = self.backtest("--json", *arguments)
        assert 0 == ended.status, ended.err
        return {prompt["prompt"]: prompt for prompt in json.loads(ended.out)["prompts"]}

    def configure(self, scopes: Sequence[Scope] = READS) -> None:
        (self.folder / "token").write_text(self.platform.admin.create_token(scopes))
        (self.folder / "token").chmod(0o600)
        (self.folder / "config.toml").write_text(
            f'[platform]\nurl = "{self.platform.base_url}"\ntoken = "file:token"\n'
        )


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """
    The sample organisation five hours ago. Since then `is-prime` got the model version that answers far worse, which
    somebody took back after three hours; and `happy-numbers` a version that changed nothing.
    """
    folder = tmp_path_factory.mktemp("past")
    now = SystemClock().now()
    with ExitStack() as stack:
        platform = EmbeddedPlatform(folder / "platform.db", SystemClock(), durable=False)
        prompts = {p.slug: p for p in seed_sample(platform.admin, ManualClock(now - 5 * HOUR))}
        prime, happy = prompts["is-prime"], prompts["happy-numbers"]
        promoted(platform, prime, "1.2.0", load_recording("prime/gpt-4", "0613"), at=now - 4 * HOUR)
        promoted(platform, prime, "1.0.0", load_recording("prime/gpt-4", "0314")[:20], at=now - HOUR)
        promoted(platform, happy, "1.1.0", load_recording("happynumber/gpt-4", "0314")[1::2], at=now - 4 * HOUR)
        stack.enter_context(platform)
        yield Past(folder=folder, platform=platform, now=now)


def promoted(
    platform: EmbeddedPlatform, prompt: SeededPrompt, label: str, calls: Sequence[RecordedCall], *, at: datetime
) -> None:
    """One call every twenty seconds from then on, in the recorded order."""
    platform.admin.promote(prompt.prompt_id, prompt.versions[label], actor_id="ana@example.com", at=at)
    every = timedelta(seconds=20)
    timed = [(at + (i + 1) * every, call) for i, call in enumerate(calls[:500])]
    platform.admin.import_executions(prompt.prompt_id, prompt.versions[label], timed)


def test_the_harmful_promotion_would_have_been_reverted(sample: Past) -> None:
    """
    Soon, and many failed calls earlier than people did it; the harmless one would have been left alone. To say so
    changes nothing, on the platform or here.
    """
    pointer = sample.platform.admin.registry.prompt(sample.platform.admin.prompt_id("is-prime"))
    found = sample.found()

    assert pointer == sample.platform.admin.registry.prompt(sample.platform.admin.prompt_id("is-prime"))
    assert not list(sample.folder.glob("promptwatch.db*"))
    first, harmful, taken_back = found["is-prime"]["promotions"]
    assert ("v1.0.0", "v1.2.0", "regressed", "revert") == tuple(
        harmful[key] for key in ("control", "candidate", "verdict", "action")
    )
    assert "success" in harmful["rules"]
    assert harmful["candidate_calls"] <= 20
    assert 0 < harmful["acted_after_s"] < 900
    assert "reverted after 3 h" == harmful["human"]
    assert 100 < harmful["failed_calls_saved"] <= harmful["failures_after"]
    assert taken_back["action"] is None
    assert [None, None] == [first["control"], first["action"]]
    assert [None, None] == [p["action"] for p in found["happy-numbers"]["promotions"]]


def test_it_is_a_table_in_a_pipe_and_ends_with_the_strength_of_the_rules(sample: Past) -> None:
    """One line a promotion, tab-separated; a token that may only read is enough."""
    ended = sample.backtest("--prompt", "is-prime")

    assert 0 == ended.status
    lines = ended.out.splitlines()
    (harmful,) = [line.split("\t") for line in lines if "v1.0.0 -> v1.2.0" in line and "\t" in line]
    assert ["regressed", "revert"] == harmful[3:5]
    assert "reverted after 3 h" == harmful[7]
    assert any(line.startswith("1 of 3 promotions would have been reverted; about ") for line in lines)
    assert any(line.startswith("prompt\trule\tto see\ttakes about\t") for line in lines)
    assert "happy-numbers" not in ended.out
    assert "" == ended.err


def test_other_rules_judge_otherwise(sample: Past) -> None:
    """A pack that only looks at the cost sees nothing wrong."""
    _, harmful, _ = sample.found("--prompt", "is-prime", "--rules", "cost-guard")["is-prime"]["promotions"]

    assert "success" not in harmful["rules"]


def test_without_the_right_to_the_audit_log_it_says_so(sample: Past) -> None:
    """With the scope that is missing."""
    ended = sample.backtest(scopes=READS[:2])

    assert (1, "") == (ended.status, ended.out)
    assert "the past cannot be read with this token" in ended.err
    assert "audit:read" in ended.err


def test_a_glob_that_no_prompt_has_is_a_usage_error(sample: Past) -> None:
    """With where the guarded prompts are named."""
    ended = sample.backtest("--prompt", "nothing-*")

    assert 2 == ended.status
    assert "no guarded prompt has a slug like 'nothing-*'" in ended.err


def test_without_promotions_it_says_so_and_weighs_the_rules(sample: Past) -> None:
    """The survey's only promotion was more than a day ago."""
    ended = sample.backtest("--prompt", "opinion-survey", "--days", "1")

    assert 0 == ended.status
    assert "The audit log knows no promotion of 1 guarded prompt in the last 1 day" in ended.out
    assert "How strong each rule is at today's traffic" in ended.out


def test_in_a_terminal_it_is_a_table_after_a_bar(sample: Past) -> None:
    """The bar tells what is being read, and is gone when the tables come."""
    sample.configure()
    shown = in_terminal("backtest", "--prompt", "is-prime", folder=sample.folder, columns=200)

    assert "is-prime: v1.2.0" in shown
    assert "is-prime: v1.2.0" not in shown[shown.rindex("Past promotions (") :].splitlines()[1]
    assert "\t" not in shown


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Past]:
    """One version for nine days, four calls an hour; each night but one is like the others."""
    now = SystemClock().now()
    with EmbeddedPlatform(tmp_path / "platform.db", SystemClock(), durable=False) as platform:
        admin = platform.admin
        prompt_id = admin.create_prompt("support-reply", at=now - 12 * DAY)
        version = admin.save_version(prompt_id, at=now - 12 * DAY)
        admin.promote(prompt_id, version, at=now - 10 * DAY)
        first = midnight((now - 9 * DAY).date())
        calls = [(first + i * HOUR / 4, GOOD) for i in range(9 * 96) if first + i * HOUR / 4 < now]
        outage = [(first + 3 * DAY + i * timedelta(seconds=30), FAILED) for i in range(30)]
        admin.import_executions(prompt_id, version, [*calls, *outage])
        yield Past(folder=tmp_path, platform=platform, now=now)


def test_an_outage_of_the_provider_is_a_false_alarm_on_a_quiet_day(quiet: Past) -> None:
    """Nothing was promoted; the rule is told to ask for more, or to alert only."""
    found = quiet.found("--days", "10")["support-reply"]

    success = next(rule for rule in found["quiet_days"] if rule["rule"] == "success")
    assert success["days"] >= 7
    assert 1 == success["false_alarms"]
    assert success["asks_now_nats"] > success["worst_nats"]
    latency = next(rule for rule in found["quiet_days"] if rule["rule"] == "latency_distribution")
    assert 0 == latency["false_alarms"]


@pytest.fixture(scope="module")
def narrow(sample: Past) -> list[str]:
    """The lines of `is-prime` in a terminal of 80 columns, after the bar and without colours."""
    sample.configure()
    shown = COLOURS.sub("", in_terminal("backtest", "--prompt", "is-prime", folder=sample.folder, columns=80))
    return shown[shown.rindex("Past promotions (") :].replace("\r", "").splitlines()


def test_at_80_columns_no_word_is_broken(narrow: list[str]) -> None:
    """Each row of the promotions is one line; rules, verdicts and numbers are whole."""
    assert max(map(len, narrow[:4])) <= 80
    harmful = next(line for line in narrow if "v1.0.0 -> v1.2.0" in line)
    assert re.search(r"20\d\d-\d\d-\d\d \d\d:\d\d +v1.0.0 -> v1.2.0 +regressed +revert +\d+ min \d+ s +\d+", harmful)
    assert any(
        re.fullmatch(r"v1.2.0: by success.*, after \d+ calls; in truth reverted after 3 h; .* failed", line)
        for line in narrow
    )
    assert any(line.startswith("latency_distribution ") for line in narrow)


def test_a_rule_without_an_answer_says_why_below_the_table(narrow: list[str]) -> None:
    """In the column for calls it would be broken over many lines."""
    (row,) = [line for line in narrow if line.startswith("feedback ")]
    assert "silent" in row
    assert any(line.startswith("is-prime feedback: silent: ") for line in narrow)


def test_an_inconclusive_promotion_says_why(sample: Past) -> None:
    """The first one has nothing before it; a return to it is shown with what it replaced."""
    ended = sample.backtest("--prompt", "is-prime")

    assert "is-prime v1.0.0: only absolute rules judge: success: there is no earlier version" in ended.out
    assert ["nothing -> v1.0.0", "v1.0.0 -> v1.2.0", "v1.2.0 -> v1.0.0"] == re.findall(
        r"^is-prime\t[^\t]+\t([^\t]+)\t(?:inc|reg)", ended.out, re.MULTILINE
    )


def test_where_nobody_calls_the_environment_is_named(sample: Past) -> None:
    """Most likely the configuration names the wrong one."""
    sample.configure()
    with (sample.folder / "config.toml").open("a") as config:
        config.write('[watch]\nenvironment = "staging"\n')

    ended = promptwatch("backtest", "--prompt", "is-prime", folder=sample.folder)

    assert "No calls of the versions on production in the environment staging" in ended.out
    assert re.search(r"is-prime v1.2.0: .* \(environment staging\)", ended.out)
    assert "0 of 3 promotions would have been reverted." in ended.out
