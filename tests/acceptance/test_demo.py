"""`promptwatch demo`: the whole job within a minute."""

from __future__ import annotations

import json
import shutil
import signal

import httpx
import pytest

from tests.acceptance.shell import Started, promptwatch
from watchdog.clock import SystemClock
from watchdog.embedded.server import EmbeddedPlatform
from watchdog.embedded.slack_workspace import SlackWorkspace

pytestmark = pytest.mark.acceptance


def test_it_goes_as_it_should(finished):
    """Status 0, nothing on standard error, one JSON object on standard output."""
    report = finished.report

    assert (0, "") == (finished.ended.status, finished.ended.err)
    assert report["ok"]
    assert {"ok", "promotions", "incident", "upstream", "audit", "slack", "wall_s"} == set(report)
    # About 40 s where nothing else runs; the machine of the tests has other work to do.
    assert 200.0 > report["wall_s"]


def test_the_harmless_version_is_left_alone(finished):
    """It has been judged, over enough calls, and nothing was done."""
    harmless, *_ = finished.report["promotions"]

    assert ("happy-numbers", "1.0.0", "1.1.0") == (harmless["prompt"], harmless["from"], harmless["to"])
    assert ("ok", None, None, "none") == (
        harmless["verdict"],
        harmless["calls_to_verdict"],
        harmless["rule"],
        harmless["action"],
    )
    assert 60 <= harmless["calls_seen"]


def test_the_harmful_version_is_found_within_twenty_calls(finished):
    """By the rule on success, and it is reverted."""
    _, harmful, _ = finished.report["promotions"]

    assert ("is-prime", "1.0.0", "1.2.0") == (harmful["prompt"], harmful["from"], harmful["to"])
    assert ("regressed", "success", "revert") == (harmful["verdict"], harmful["rule"], harmful["action"])
    assert 1 <= harmful["calls_to_verdict"] <= 20
    assert harmful["calls_to_verdict"] <= harmful["calls_seen"]


def test_the_incident_went_through_every_state_in_order(finished):
    """Each with the time at which it was reached, up to the verified recovery."""
    incident = finished.report["incident"]

    assert [
        "open",
        "intent",
        "sending",
        "promoted",
        "confirmed",
        "done",
        "verifying",
        "recovered",
    ] == [state["state"] for state in incident["states"]]
    times = [state["at"] for state in incident["states"]]
    assert sorted(times) == times
    assert ("is-prime", "v1.0.0", "done", "recovered") == (
        incident["prompt"],
        incident["target"],
        incident["state"],
        incident["recovery"],
    )
    assert "/compare?from=" in incident["compare_url"]


def test_the_platform_has_one_revert_in_its_audit_log(finished):
    """Tagged as one, by the watchdog's token, with the incident in its note."""
    report = finished.report

    (revert,) = [entry for entry in report["audit"] if entry["actor_type"] == "api_token"]
    assert revert["revert"]
    assert ("is-prime", "v1.2.0", "v1.0.0") == (revert["prompt"], revert["from"], revert["to"])
    assert f"watchdog:{report['incident']['id']}" == revert["reason"]
    assert [revert] == [entry for entry in report["audit"] if entry["revert"]]


def test_a_version_that_is_caught_in_its_providers_incident_stays(finished):
    """Nothing is reverted; people are told of the incident while it lasts, and once it is over."""
    *_, caught = finished.report["promotions"]
    upstream = finished.report["upstream"]

    assert ("opinion-survey", "1.0.0", "1.1.0") == (caught["prompt"], caught["from"], caught["to"])
    assert ("ok", "none") == (caught["verdict"], caught["action"])
    assert "worse too, until" in caught["reason"]
    assert ("openai", "opinion-survey", True) == (upstream["provider"], upstream["prompt"], upstream["stays"])
    times = [upstream[name] for name in ("began_at", "told_at", "ended_at", "over_told_at")]
    assert sorted(times) == times
    assert "v1.1.0" == [entry for entry in finished.report["audit"] if entry["prompt"] == "opinion-survey"][-1]["to"]


def test_slack_has_one_message_for_the_prompt_and_one_for_the_provider(finished):
    """Each tells how it ended; the steps stand in its thread, with what was found upstream."""
    slack = finished.report["slack"]
    prompt, provider = slack["texts"]

    assert "is-prime: recovered on v1.0.0 after reverting v1.2.0" in prompt
    assert "the trouble upstream is over, v1.1.0 stays" in provider
    # Three steps and a look upstream; then a look upstream, and at least that it is over.
    assert 6 <= slack["replies"]


def test_the_providers_own_word_stands_in_the_thread(finished, tmp_path):
    """Its status page announced an incident, and the gateway could not reach it."""
    folder = shutil.copytree(finished.folder, tmp_path / "slack")
    said = [message.text for message in SlackWorkspace(folder / "slack.db", channel="C0DEMO0001").messages()]

    (found,) = [text for text in said if "Points upstream of the prompt: openai status page, gateway" in text]
    assert "Elevated error rates" in found


def test_run_again_on_what_is_finished_it_does_nothing_twice(finished, tmp_path):
    """The same incident, the same audit log, the same thread."""
    folder = shutil.copytree(finished.folder, tmp_path / "again")

    again = json.loads(promptwatch("demo", "--json", "--dir", folder, folder=tmp_path).out)

    assert again["ok"]
    for part in ("audit", "slack", "upstream"):
        assert finished.report[part] == again[part]
    assert finished.report["incident"]["states"] == again["incident"]["states"]


def test_it_says_when_it_did_not_go_as_it_should(finished, tmp_path):
    """Somebody has reverted another prompt meanwhile, so that the audit log shows one revert too many."""
    folder = shutil.copytree(finished.folder, tmp_path / "tampered")
    platform = EmbeddedPlatform(folder / "platform.db", SystemClock())
    audited = platform.admin.prompt_id("prime-audit")
    first = platform.admin.registry.prompt(audited)["productionVersionId"]
    platform.admin.promote(audited, platform.admin.save_version(audited), actor_id="eve")
    platform.admin.promote(audited, first, actor_id="eve")
    platform.stop()

    ended = promptwatch("demo", "--json", "--dir", folder, folder=tmp_path)

    assert 1 == ended.status
    assert not json.loads(ended.out)["ok"]


def test_for_people_it_explains_its_clock_and_sums_up(finished, tmp_path):
    """The first line says how fast its clock is, the last one how it went."""
    folder = shutil.copytree(finished.folder, tmp_path / "again")

    ended = promptwatch("demo", "--speed", "120", "--dir", folder, folder=tmp_path)

    lines = ended.out.splitlines()
    assert (0, "") == (ended.status, ended.err)
    assert "Its clock runs 120 times as fast as yours" in lines[0]
    assert lines[-1].startswith("The demo went as it should, in ")
    assert "rollback  is-prime back to v1.0.0: done, and recovered" in lines
    assert any(line.startswith("incident  of openai: told after ") for line in lines)
    assert any(line.startswith("          opinion-survey v1.0.0 -> v1.1.0: left alone, ok over ") for line in lines)
    assert any(line.startswith("Slack     2 threads with ") for line in lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_leaves_nothing_behind(tmp_path, number):
    """With the status that shells give to an interrupted program."""
    with Started("demo", folder=tmp_path, env={"TMPDIR": str(tmp_path)}) as demo:
        demo.says("A demonstration.")
        demo.signal(number)
        ended = demo.ended(within_s=5.0)

    assert 128 + number == ended.status
    assert [] == list(tmp_path.iterdir())


def test_kept_it_leaves_the_compare_page_open(finished, tmp_path):
    """On the port on which it runs now, until a signal."""
    folder = shutil.copytree(finished.folder, tmp_path / "kept")

    with Started("demo", "--keep", "--dir", folder, folder=tmp_path) as demo:
        address = demo.says("compare   ").split()[1]
        demo.says("until Ctrl-C")
        page = httpx.get(address, trust_env=False)
        demo.signal(signal.SIGINT)

        assert 0 == demo.ended(within_s=5.0).status
    assert 200 == page.status_code
    assert "is-prime" in page.text
