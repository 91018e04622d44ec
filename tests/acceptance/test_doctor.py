"""`promptwatch doctor`: tries everything, changes nothing."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.acceptance.guarded import Guarded
from tests.acceptance.shell import eventually, promptwatch
from tests.acceptance.test_refusals import with_permissions
from watchdog.embedded.status_page import Indicator
from watchdog.embedded.tokens import Scope

pytestmark = pytest.mark.acceptance


def test_where_all_is_well_every_line_says_so(guarded):
    """Platform, clock, database, Slack and the package; nothing was written anywhere."""
    ended = guarded.promptwatch("doctor")

    lines = ended.out.splitlines()
    assert (0, "") == (ended.status, ended.err)
    assert {"ok"} == {line.split()[0] for line in lines}
    for part in ("POST /api/v1/prompts/:prompt_id", "clock: within", "database: ", "Slack: ", "package: "):
        assert any(part in line for line in lines)
    assert not (guarded.folder / "promptwatch.db").exists()
    assert [] == guarded.slack.messages()
    assert guarded.v1 == guarded.pointer()


def test_a_missing_scope_is_a_failure_that_names_it(tmp_path):
    """With the call that was refused; the scopes that are there are fine."""
    with Guarded(tmp_path, scopes=(Scope.PROMPTS_WRITE, Scope.AUDIT_READ)) as guarded:
        ended = guarded.promptwatch("doctor")

    assert 1 == ended.status
    (failed, *_) = [line for line in ended.out.splitlines() if line.startswith("FAIL")]
    assert "GET /api/v1/execution-logs" in failed
    assert "analytics:read" in failed


def test_what_guarding_can_do_without_is_a_note(tmp_path):
    """Without the audit log the pointers are watched."""
    with Guarded(tmp_path, scopes=(Scope.PROMPTS_WRITE, Scope.ANALYTICS_READ)) as guarded:
        ended = guarded.promptwatch("doctor")

    assert 0 == ended.status
    (noted,) = [line for line in ended.out.splitlines() if line.startswith("note")]
    assert "audit:read" in noted


def test_a_platform_that_cannot_be_reached_is_a_failure(guarded):
    """Said within seconds; all the rest is tried all the same."""
    guarded.stop_platform()

    ended = guarded.promptwatch("doctor", timeout_s=15.0)

    assert 1 == ended.status
    (failed,) = [line for line in ended.out.splitlines() if line.startswith("FAIL")]
    assert f"PromptHelm at {guarded.url.removeprefix('http://')}: " in failed
    assert "ok    Slack: " in ended.out


def test_a_slack_that_refuses_the_token_is_a_failure(guarded):
    """The token is not repeated."""
    guarded.env["SLACK_BOT_TOKEN"] = "xoxb-0123456789-rotated"

    ended = guarded.promptwatch("doctor")

    assert 1 == ended.status
    (failed,) = [line for line in ended.out.splitlines() if line.startswith("FAIL")]
    assert failed.startswith("FAIL  Slack: ")
    assert "rotated" not in ended.out + ended.err


def test_a_webhook_is_noted_as_not_tried(guarded):
    """To try it would be to post."""
    config = guarded.folder / "config.toml"
    config.write_text(config.read_text().split("[slack]")[0] + '[slack]\nwebhook = "env:HOOK"\n')
    guarded.env["HOOK"] = "https://hooks.slack.com/services/T0/B0/0123456789"

    ended = guarded.promptwatch("doctor")

    assert 0 == ended.status
    (noted,) = [line for line in ended.out.splitlines() if line.startswith("note")]
    assert "Slack: a webhook cannot be tried without posting" in noted


def test_a_read_only_database_is_a_failure(guarded):
    """SQLite itself would say so only at the first write."""
    guarded.adopted()
    (guarded.folder / "promptwatch.db").chmod(0o444)

    ended = promptwatch("doctor", folder=guarded.folder, env=guarded.env, before=with_permissions())

    assert 1 == ended.status
    assert "FAIL  database: " in ended.out
    assert "read-only" in ended.out


def test_json_is_a_list_of_findings(guarded):
    """Each with what was tried, whether it worked, and a sentence."""
    ended = guarded.promptwatch("doctor", "--json")

    findings = json.loads(ended.out)
    assert {"what", "ok", "detail"} == set(findings[0])
    assert {True} == {finding["ok"] for finding in findings}


def test_the_other_watchdog_on_pypi_is_told_of(guarded, tmp_path_factory):
    """It imports under the same name; which of the two is found depends on the order of installation."""
    other = tmp_path_factory.mktemp("site") / "watchdog-6.0.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: watchdog\nVersion: 6.0.0\n")
    (other / "top_level.txt").write_text("watchdog\n")
    (other / "RECORD").write_text("watchdog/__init__.py,,\n")
    guarded.env["PYTHONPATH"] = str(other.parent)

    ended = guarded.promptwatch("doctor")
    shutil.rmtree(other.parent)

    assert 0 == ended.status
    (noted,) = [line for line in ended.out.splitlines() if line.startswith("note")]
    assert "package: the import name `watchdog` is shared with" in noted


def with_status_page(guarded, url, provider="OpenAI"):
    config = guarded.folder / "config.toml"
    config.write_text(f'{config.read_text()}\n[status]\n{provider} = "{url}"\n')


def test_a_status_page_is_tried_and_quoted(guarded):
    """What it says is no failure of ours, be it ever so bad."""
    with_status_page(guarded, f"{guarded.url}/status")
    guarded.platform.admin.say_status(Indicator.MAJOR, incident="Elevated errors")

    ended = guarded.promptwatch("doctor")

    assert 0 == ended.status
    (line,) = [line for line in ended.out.splitlines() if "status page" in line]
    assert line.startswith("ok    status page: OpenAI status page at ")
    assert '"Partial System Outage"; open incident "Elevated errors" since ' in line


def test_a_status_page_that_cannot_be_read_is_a_note(guarded):
    """Nothing is guarded less; what to mend is said."""
    with_status_page(guarded, guarded.url)

    ended = guarded.promptwatch("doctor")

    assert 0 == ended.status
    (line,) = [line for line in ended.out.splitlines() if line.startswith("note")]
    assert line.endswith(": could not be read: answered 404; check the address under [status]")


def test_a_daemon_looks_upstream_and_show_tells_what_it_found(guarded):
    """The page of the calls' provider, in Slack and in `show`; the token stays with the platform."""
    with_status_page(guarded, f"{guarded.url}/status", provider="Simulated")
    guarded.adopted()
    guarded.promoted_harmful()
    guarded.platform.admin.say_status(Indicator.CRITICAL, incident="Elevated errors")

    with guarded.daemon():
        eventually(lambda: any("status page" in message.text for message in guarded.slack.messages()))
    (listed,) = json.loads(guarded.promptwatch("incidents", "--json").out)
    shown = guarded.promptwatch("show", listed["id"][:8]).out
    told = json.loads(guarded.promptwatch("show", listed["id"], "--json").out)

    assert ["status:Simulated", "gateway", "application"] == [f["source"] for f in told["incident"]["findings"]]
    assert [True, False, False] == [f["trouble"] for f in told["incident"]["findings"]]
    assert [] == told["watch"]["findings"]
    lines = shown[shown.index("Upstream\n") :].splitlines()[1:4]
    assert ["trouble", "fine", "fine"] == [line.split()[1] for line in lines]
    assert '"Major System Outage"; open incident "Elevated errors"' in lines[0]
    assert "points at the prompt" in lines[2]
    assert [] == [m for m in guarded.slack.messages() if guarded.env["PROMPTHELM_TOKEN"] in str(m)]
