"""What of a configuration that was read anew is taken over, and what is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.config.workbench import PLATFORM, Bench
from watchdog.config.swap import differences, needs_restart, swapped

if TYPE_CHECKING:
    from watchdog.config.settings import Settings

SLACK = '[slack]\ntoken = "env:PROMPTHELM_TOKEN"\nchannel = "C0123456789"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("# a comment\n", ()),
        ('[watch]\nprompts = ["a"]\ntick = "10s"\n', ("watch.prompts", "watch.tick")),
        ('[recovery]\ndeadline = "1h"\n', ("recovery.deadline",)),
        ("[evidence]\npayloads = true\nredact = ['a']\n", ("evidence.payloads", "evidence.redact")),
        ("[rules]\nalpha = 0.01\n", ("alpha 0.005 -> 0.01",)),
        ('[rules]\nthreshold = "certified"\n', ("threshold proven -> certified",)),
        ("[rules.change.cost]\nmargin_rel = 0.3\n", ("rule cost changed",)),
        (
            '[rules]\npacks = ["default", "cost-guard"]\n',
            ("rule cost_guard_mean added", "rule cost_guard_p95 added", "rule cost_guard_ceiling added"),
        ),
        ('[[prompts]]\nmatch = "a"\n', ("rules for a",)),
    ],
)
def test_what_changes_is_said_in_short_phrases(bench: Bench, text: str, expected: tuple[str, ...]) -> None:
    """One for each thing that differs."""
    standing = bench.load(PLATFORM)

    assert expected == differences(standing, bench.load(PLATFORM + text))


def test_a_rule_that_is_gone_is_said_as_well(bench: Bench) -> None:
    """From the other side."""
    standing = bench.load(f'{PLATFORM}[rules]\npacks = ["default", "json-output"]\n')

    assert "rule json_truncated removed" in differences(standing, bench.load(PLATFORM))


def test_another_order_of_the_overrides_is_a_change(bench: Bench) -> None:
    """The first match counts."""
    one, other = '[[prompts]]\nmatch = "a"\n', '[[prompts]]\nmatch = "*"\nalpha = 0.01\n'
    standing = bench.load(PLATFORM + one + other)

    assert ("order of [[prompts]]",) == differences(standing, bench.load(PLATFORM + other + one))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SLACK, ()),
        (SLACK.replace("C0123456789", "C9876543210"), ("slack.channel",)),
        ("", ("slack",)),
        (SLACK + '[store]\nurl = "sqlite:///other.db"\n', ("store.url",)),
        (SLACK + '[server]\nlisten = ""\n', ("server.listen",)),
        (SLACK + '[heartbeat]\nurl = "env:HEARTBEAT"\n', ("heartbeat.url",)),
        (SLACK + '[log]\nformat = "json"\n', ("log.format",)),
        (SLACK + '[status]\nopenai = "https://status.openai.com"\n', ("status",)),
        (SLACK + '[watch]\nenvironment = "staging"\nsegment_by = "task"\n', ("watch.environment", "watch.segment_by")),
        (SLACK + '[watch]\ntick = "10s"\n', ()),
    ],
)
def test_what_needs_a_restart_is_named_by_its_key(bench: Bench, text: str, expected: tuple[str, ...]) -> None:
    """Never with its value."""
    bench.env["HEARTBEAT"] = "https://hc.example/ping/1"
    standing = bench.load(PLATFORM + SLACK)

    assert expected == needs_restart(standing, bench.load(PLATFORM + text))


def test_another_platform_is_named_key_by_key(bench: Bench) -> None:
    """The address and the token's place."""
    standing = bench.load(PLATFORM)
    bench.env["OTHER"] = "phk_1"
    other = PLATFORM.replace("PROMPTHELM_TOKEN", "OTHER").replace("api.", "eu.")

    assert ("platform.url", "platform.token") == needs_restart(standing, bench.load(other))


def loaded(bench: Bench) -> tuple[Settings, Settings]:
    standing = bench.load(PLATFORM)
    read = bench.load(
        PLATFORM.replace("api.", "eu.")
        + '[watch]\nenvironment = "staging"\nsegment_by = "task"\nlength = "2h"\nact = "alert"\n'
        + '[recovery]\ndeadline = "1h"\n[evidence]\ncalls = 5\n[rules]\nalpha = 0.01\n[[prompts]]\nmatch = "a"\n'
    )
    return standing, read


def test_a_swap_takes_all_that_can_be_taken(bench: Bench) -> None:
    """Rules, overrides, recovery, evidence, and the terms of a watch."""
    standing, read = loaded(bench)
    after = swapped(standing, read)

    assert (read.rules, read.overrides, read.recovery) == (after.rules, after.overrides, after.recovery)
    assert 5 == after.evidence.calls
    assert timedelta(hours=2) == after.watch.length
    assert read.watch.act is after.watch.act


def test_a_swap_leaves_the_rest_as_it_was(bench: Bench) -> None:
    """The platform, and whose calls are read."""
    standing, read = loaded(bench)
    after = swapped(standing, read)

    assert standing.platform == after.platform
    assert ("production", "") == (after.watch.environment, after.watch.segment_by)


def test_the_digest_is_of_what_is_in_force(bench: Bench) -> None:
    """Not of what the file says and a restart would bring."""
    standing, read = loaded(bench)

    assert read.digest != swapped(standing, read).digest
    assert standing.digest == swapped(standing, replace(standing, platform=read.platform)).digest
