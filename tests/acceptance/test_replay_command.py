"""`promptwatch replay`: files of calls through the real command."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

import watchdog.embedded
from tests.acceptance.shell import in_terminal, promptwatch
from tests.replay.callfiles import calls, csv_of, promotion, write

pytestmark = pytest.mark.acceptance

RECORDED = Path(watchdog.embedded.__file__).parent / "recorded" / "llmdrift_calls.csv.gz"


def test_the_example_that_is_shipped_is_judged(tmp_path):
    """As the README shows it: a change of model that really happened, within 20 calls."""
    ended = promptwatch(
        "replay", RECORDED, "--column", "version=variant", "--from", "0314", "--to", "0613", "--stream", "prime/*",
        folder=tmp_path,
    )  # fmt: skip

    assert (0, "") == (ended.status, ended.err)
    assert "prime/gpt-4: 0314 -> 0613" in ended.out
    assert "REGRESSED after 7 calls: would revert, by rule success" in ended.out


def test_json_is_one_object_a_watch(tmp_path):
    """One line each, in the order of the streams, and nothing else on standard output."""
    ended = promptwatch("replay", RECORDED, "--column", "version=variant", "--json", folder=tmp_path)

    watches = [json.loads(line) for line in ended.out.splitlines()]
    assert (0, "") == (ended.status, ended.err)
    assert ["happynumber/gpt-4", "opinionqa/gpt-3.5-turbo", "prime/gpt-4"] == [w["stream"] for w in watches]
    happy = watches[0]
    assert {
        "baseline_calls": 500,
        "candidate_calls": 500,
        "verdict": "regressed",
        "rule": "success",
        "action": "revert",
    }.items() <= happy.items()
    assert happy["calls_to_verdict"] <= 25
    success = next(rule for rule in happy["rules"] if rule["rule"] == "success")
    assert success["nats"] >= success["needed_nats"]
    assert 0 < success["interval"]["lower"] < success["after"] - success["before"] < success["interval"]["upper"]


def test_what_did_not_trip_has_no_calls_to_a_verdict(tmp_path):
    """null, and the action is none."""
    ended = promptwatch("replay", promotion(tmp_path / "x.csv", failure_rate=0.02), "--json", folder=tmp_path)

    (watch,) = map(json.loads, ended.out.splitlines())
    assert ("ok", None, None, "none") == (watch["verdict"], watch["rule"], watch["calls_to_verdict"], watch["action"])


def test_it_fits_a_terminal_of_80_columns(tmp_path):
    """Tables are not torn apart; sentences are folded by the terminal."""
    shown = in_terminal("replay", promotion(tmp_path / "support.csv"), folder=tmp_path, columns=80)

    table = [_plain(line) for line in shown[shown.index("rule  ") :].splitlines()]
    assert max(map(len, table)) <= 80
    for rule in ("success", "success_floor", "latency_p95", "latency_distribution", "cost", "feedback"):
        assert any(line.split()[0] == rule for line in table if line.strip())


def test_the_rules_can_be_chosen(tmp_path):
    """A pack by its name, a file by its path."""
    bad = promotion(tmp_path / "bad.csv")
    write(
        tmp_path / "mine.toml",
        'description = "Mine."\n[rule.mine]\nmetric = "success"\nstatistic = "proportion"\n'
        'margin_abs = 0.01\naction = "suggest"\n',
    )

    ended = promptwatch("replay", bad, "--rules", "mine.toml", "--json", folder=tmp_path)
    packed = promptwatch("replay", bad, "--rules", "latency-guard", "--json", folder=tmp_path)

    assert ("mine", "suggest") == (json.loads(ended.out)["rule"], json.loads(ended.out)["action"])
    assert "success" not in [rule["rule"] for rule in json.loads(packed.out)["rules"]]


def test_a_picture_is_written(tmp_path):
    """Beside the words."""
    ended = promptwatch("replay", promotion(tmp_path / "bad.csv"), "--plot", "out.html", folder=tmp_path)

    assert (0, "") == (ended.status, ended.err)
    assert "picture: out.html" in ended.out
    assert (tmp_path / "out.html").read_text().startswith("<!doctype html>")


def test_unusable_rows_are_told_with_their_line(tmp_path):
    """By reason, on the side on which they stand."""
    rows = [*calls(100, version="a"), "b,slow,1", *calls(100, version="b")]
    path = write(tmp_path / "calls.csv", csv_of("version,latency_s,ok", rows))

    ended = promptwatch("replay", path, folder=tmp_path)

    assert 'unusable (candidate): latency_s is not a number: 1 row, first at line 102 ("slow")' in ended.out


def test_windows_that_are_too_large_are_no_ok(tmp_path):
    """A thousand calls as one window can trip nothing."""
    path = promotion(tmp_path / "calls.csv", failure_rate=0.1, n=1000)

    ended = promptwatch("replay", path, "--every", "1000", folder=tmp_path)

    assert "INCONCLUSIVE over 1,000 calls: nothing to do" in ended.out
    assert "take smaller windows (a smaller --every or --tick, or neither of them)" in ended.out


def test_why_a_rule_cannot_judge_is_told(tmp_path):
    """Below the table, which has no room for it."""
    path = promotion(tmp_path / "calls.csv", n=30)

    ended = promptwatch("replay", path, folder=tmp_path)

    assert "\nsuccess cannot judge: " in ended.out
    assert "\nfeedback cannot judge: " not in ended.out


def test_a_value_in_a_file_cannot_steer_the_terminal(tmp_path):
    """It is shown, and harmless."""
    rows = [*calls(100, version="a"), "b,\x1b[2J\x07slow,1", *calls(100, version="b")]
    path = write(tmp_path / "calls.csv", csv_of("version,latency_s,ok", rows))

    shown, facts = (promptwatch("replay", path, *more, folder=tmp_path).out for more in ((), ("--json",)))

    assert '("·[2J·slow")' in shown
    assert "·[2J·slow" == json.loads(facts)["unusable"]["candidate"][0]["value"]


def test_evidence_is_never_below_nothing(tmp_path):
    """In the table, and for programs."""
    ended = promptwatch("replay", promotion(tmp_path / "x.csv", failure_rate=0.02), "--json", folder=tmp_path)

    assert 0.0 == min(rule["nats"] for rule in json.loads(ended.out)["rules"])


def test_names_in_a_file_cannot_steer_the_terminal(tmp_path):
    """A stream's name is somebody else's text, and no markup of ours."""
    rows = [f"{stream},{v},1" for stream in ("\x1b[2Jevil", "[/red]") for v in ("a", "b") for _ in range(30)]
    path = write(tmp_path / "calls.csv", csv_of("stream,version,ok", rows))

    ended = promptwatch("replay", path, folder=tmp_path)

    assert (0, "") == (ended.status, ended.err)
    assert "\x1b" not in ended.out
    assert 2 == ended.out.count("[/red]")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("none.csv", "none.csv: there is no such file"),
        ("calls.csv --from a --to c", "no stream has both a and c; versions seen: a (2 rows), b (2 rows)"),
        ("calls.csv --every 2 --tick 10s", "keep one"),
        ("calls.csv --promote-at 0.5", "did you mean 50%?"),
        ("calls.csv --tick 10", "has no unit; must be a duration such as 10s"),
        ("calls.csv --rules defualt", "there is no built-in pack"),
    ],
)
def test_a_mistake_is_a_usage_error_that_says_what_is_wrong(tmp_path, arguments, says):
    """Status 2, nothing printed, no file made."""
    write(tmp_path / "calls.csv", csv_of("version,ok", ["a,1", "a,1", "b,1", "b,1"]))

    ended = promptwatch("replay", *arguments.split(), folder=tmp_path)

    assert (2, "") == (ended.status, ended.out)
    assert says in ended.err
    assert ["calls.csv"] == [path.name for path in tmp_path.iterdir()]


def test_a_reader_that_leaves_is_no_failure(tmp_path):
    """`promptwatch replay ... --json | head -1`."""
    program = Path(sys.executable).with_name("promptwatch")
    line = f"'{program}' replay '{RECORDED}' --column version=variant --json | head -1"

    ended = promptwatch("replay", "--help", folder=tmp_path, before=("sh", "-c", line))

    assert (0, "") == (ended.status, ended.err)
    assert "happynumber/gpt-4" == json.loads(ended.out)["stream"]


def _plain(line: str) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line).rstrip()
