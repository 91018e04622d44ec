"""A secret is referred to, read afresh, and never repeated: not by a message, a caret line, a repr or a report."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.workbench import PLATFORM, TOKEN, Bench
from watchdog.config.check import check
from watchdog.config.disclosure import names_secret
from watchdog.config.report_text import lines
from watchdog.config.schema import ConfigTable
from watchdog.config.secret import SecretRef
from watchdog.config.table import keys_of
from watchdog.errors import ConfigError

CANARY = "cAnArYsEcReT"
SLACK_CANARY = f"xoxb-1234567890-{CANARY}"
URL = 'url = "https://api.prompthelm.app"\n'
CHANNEL = 'channel = "C0123456789"\n'


@pytest.mark.parametrize(
    "text",
    [
        f'[platform]\n{URL}token = "{CANARY}"\n',
        f'[platform]\n{URL}token = "phk_{CANARY}"\n',
        f'[platform]\n{URL}token = "Bearer {CANARY}"\n',
        f'[platform]\n{URL}token = "env: {CANARY}"\n',
        f'[platform]\n{URL}token = "env:phk_{CANARY}"\n',
        f'[platform]\n{URL}token = "env:xoxb-{CANARY}"\n',
        f'[platform]\n{URL}token = "file:{SLACK_CANARY}"\n',
        f'[platform]\n{URL}token = "cmd:cat {CANARY}"\n',
        f'[platform]\n{URL}token = ["{CANARY}"]\n',
        f'[platform]\n{URL}token = """\n{CANARY}"""\n',
        f'[platform]\n{URL}token = "a\\n{CANARY}"\n',
        f'[platform]\n{URL}tokn = "{CANARY}"\n',
        f'[platform]\n{URL}api_key = "{CANARY}"\n',
        f'[platform]\n{URL}password = "{CANARY}"\n',
        f'[platform]\n{URL}bot = "{CANARY}"\n',
        f'platform = {{ bot = "{CANARY}", timeout = 5 }}\n',
        f'platform = {{ url = 1, token = "{CANARY}", timeout = 5 }}\n',
        f'platform = {{ token = """\n{CANARY}""", timeout = 5, url = 2 }}\n',
        f'{PLATFORM}[slack]\n{CHANNEL}token = "{SLACK_CANARY}"\n',
        f'{PLATFORM}[slack]\nchannel = "{SLACK_CANARY}"\n',
        f'{PLATFORM}[slack]\nwebhook = "https://hooks.slack.com/services/T0/B0/{CANARY}"\n',
        f'{PLATFORM}[slack]\nurl = "https://hooks.slack.com/services/T0/B0/{CANARY}"\n',
        f'{PLATFORM}[watch]\nact = "{SLACK_CANARY}"\n',
        f'{PLATFORM}[watch]\nprompts = ["a", "phk_{CANARY}", 3]\n',
        f'{PLATFORM}[log]\n"phk_{CANARY}" = 1\n',
        f'{PLATFORM}[log]\n"phk_{CANARY}".x = 1\n',
        f'{PLATFORM}[store]\nurl = "postgresql://watchdog:{CANARY}@db/watchdog"\n',
        f'{PLATFORM}[store]\nurl = "postgresql://watchdog:p@{CANARY}@db/watchdog"\n',
        f'{PLATFORM}[store]\nurl = "postgresql://db/watchdog?user=a&password={CANARY}"\n',
        f'{PLATFORM}[store]\nurl = "mysql://watchdog:{CANARY}@db/watchdog"\n',
        f'{PLATFORM}[store]\nuri = "mysql://watchdog:{CANARY}"\n',
        f'[platform]\nurl = "https://me:{CANARY}@api.prompthelm.app"\ntoken = "env:PROMPTHELM_TOKEN"\n',
        f'[platform]\nurl = "https://{CANARY}@api.prompthelm.app"\ntoken = "env:PROMPTHELM_TOKEN"\n',
        # Not even TOML:
        f"[platform]\ntoken = {CANARY}\n",
        f'[platform]\ntoken = "{CANARY}\n',
        f'[platform]\ntoken = "env:A"\ntoken = "{CANARY}"\n',
        f'[platform]\ntoken: "{CANARY}"\n',
        f'[platform]\nx = {{ token = "{CANARY}" "" }}\n',
        f'[platform]\nx = "{SLACK_CANARY}\n',
        f'[platform]\ntoken = """\n{CANARY}\n',
    ],
)
def test_a_literal_secret_is_refused_and_not_repeated(bench: Bench, text: str) -> None:
    """However it got into the file, no line of the error holds it; and there is an error, with a line."""
    issues = bench.issues(text)

    assert CANARY.lower() not in str(ConfigError(issues)).lower()
    assert all(issue.line > 0 for issue in issues)


@pytest.mark.parametrize(
    "token",
    [
        "phk_0123456789abcdef0123456789abcdef",
        "xoxb-1234567890-abcdefghij",
        "xapp-1-A0123456789-0123",
        "https://hooks.slack.com/services/T0/B0/abc",
        "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
        "ghr_abcdefghijklmnopqrstuvwxyzabcdefghij",
        "sk-lf-01234567-89ab-cdef-0123-456789abcdef",
    ],
)
@pytest.mark.parametrize(
    "key",
    [
        '[watch]\nenvironment = "{}"',
        '[watch]\nprompts = ["{}"]',
        '[guards]\nhold_file = "{}"',
        '[[prompts]]\nmatch = "{}"',
    ],
)
def test_a_token_where_a_name_belongs_is_refused(bench: Bench, key: str, token: str) -> None:
    """Nothing is wrong with it as a name; but `promptwatch check`, logs and alerts would show it."""
    issue = bench.issue(f"{PLATFORM}{key.format(token)}\n")

    assert "holds a token" in issue.message
    assert "environment" in issue.message
    assert token not in str(issue)
    assert issue.line > 0


@pytest.mark.parametrize(
    "name",
    [
        "sk-product-descriptions-2026-11-26",
        "phk_summary",
        "phk_summarizecustomerletters",
        "xoxo-cards-for-valentines-v2",
        "foxoxen-2026-11-26",
        "boxoxo.template.v1.0",
        "ghp_short",
        "pk-9",
    ],
)
def test_a_name_that_only_begins_like_a_token_is_taken(bench: Bench, name: str) -> None:
    """A prompt cannot be renamed for our sake."""
    assert bench.load(f'{PLATFORM}[watch]\nprompts = ["{name}"]\n').watch.prompts == (name,)


def test_a_literal_secret_is_told_from_a_missing_one(bench: Bench) -> None:
    """The message says what to write instead, and the line is named but not shown."""
    issue = bench.issue(f'[platform]\n{URL}token = "{TOKEN}"\n')

    assert (3, 1, "platform.token", None) == (issue.line, issue.column, issue.key, issue.source)
    assert (
        "holds the secret itself; the value is not shown here, and does not belong into this file; must be "
        '"env:NAME" (an environment variable) or "file:PATH" (a file that holds nothing else)'
    ) == issue.message


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("env:NOT_SET", "the environment variable `NOT_SET` is not set"),
        ("env:EMPTY", "the environment variable `EMPTY` is empty"),
        ("env:TWO_LINES", "the environment variable `TWO_LINES` holds blanks, line breaks or letters that no token"),
        ("env:not-a-name", "what follows env: is not the name of an environment variable"),
        ("env:", "what follows env: is not the name of an environment variable"),
        ("file:", "what follows file: is not a path"),
        ("file:none", "does not exist"),
        ("file:empty", "is empty"),
        ("file:.", "is a folder"),
        ("file:binary", "is not UTF-8 text"),
        ("file:huge", "is larger than 64 KiB; that is not a token"),
        ("cmd:pass show prompthelm", "commands are not run to get at a secret"),
        ("vault:prompthelm", "holds the secret itself"),
    ],
)
def test_a_reference_that_does_not_resolve_says_why(bench: Bench, reference: str, reason: str) -> None:
    """Each way to miss a secret has its own sentence, at the line of the reference."""
    bench.env.update(EMPTY=" \n", TWO_LINES="a\nb")
    bench.write("\n", "empty")
    bench.write("x" * 70_000, "huge")
    (bench.folder / "binary").write_bytes(b"\xff\xfe")

    issue = bench.issue(f'[platform]\n{URL}token = "{reference}"\n')

    assert (3, "platform.token") == (issue.line, issue.key)
    assert reason in issue.message


def test_a_secret_file_is_found_beside_the_configuration_and_read_afresh(bench: Bench) -> None:
    """A relative path means the configuration's folder, line ends are dropped, and a rotated secret is seen."""
    bench.write("first\r\n", "secrets/token")
    settings = bench.load(f'[platform]\n{URL}token = "file:secrets/token"\n')

    assert "first" == settings.platform.token.read({})

    bench.write("second\n", "secrets/token")

    assert "second" == settings.platform.token.read({})


def test_a_secret_that_vanished_is_a_config_error(bench: Bench) -> None:
    """What was there at the start may be gone at a rotation; the error names the reference."""
    with pytest.raises(ConfigError, match="env:GONE: the environment variable `GONE` is not set"):
        SecretRef.env("GONE").read({})


def test_a_webhook_must_hold_an_address(bench: Bench) -> None:
    """A token where an address belongs is noticed before the first alert is lost."""
    issue = bench.issue(f'{PLATFORM}[slack]\nwebhook = "env:PROMPTHELM_TOKEN"\n')

    assert issue.message.startswith("what env:PROMPTHELM_TOKEN holds is not an https address; it is not shown; must be")


def test_a_webhook_stands_alone(bench: Bench) -> None:
    """Two ways into Slack would post everything twice, or leave open which one counts."""
    bench.env["HOOK"] = "https://hooks.slack.com/services/T0/B0/x"
    issue = bench.issue(f'{PLATFORM}[slack]\n{CHANNEL}webhook = "env:HOOK"\n')

    assert (6, "slack.webhook") == (issue.line, issue.key)
    assert "stands beside `token` or `channel`; keep `token` and `channel`, or `webhook` alone" == issue.message


def test_a_database_behind_a_reference_is_checked_too(bench: Bench) -> None:
    """The address that the variable holds is judged like a literal one, and not repeated."""
    bench.env["DB"] = f"postgres://watchdog:{CANARY}@db/watchdog"
    issue = bench.issue(f'{PLATFORM}[store]\nurl = "env:DB"\n')

    assert issue.message.startswith("`postgres:` is not a known kind of database; did you mean `postgresql:`?")
    assert CANARY not in str(issue)


def test_a_repr_shows_the_reference_only(bench: Bench) -> None:
    """Settings may be logged as a whole."""
    bench.env["DB"] = f"postgresql://watchdog:{CANARY}@db/watchdog"
    settings = bench.load(f'{PLATFORM}[store]\nurl = "env:DB"\n')

    assert "env:PROMPTHELM_TOKEN" == repr(settings.platform.token)
    assert TOKEN not in repr(settings)
    assert CANARY not in repr(settings)
    assert bench.env["DB"] == settings.store.read_url(bench.env)


def test_a_report_tells_the_length_of_a_secret_and_no_more(bench: Bench) -> None:
    """Enough to see an empty or cut-off secret, and nothing to steal."""
    report = check(bench.load(PLATFORM), bench.env)

    assert ("platform.token", "env:PROMPTHELM_TOKEN", 36) == (
        report.secrets[0].key,
        report.secrets[0].reference,
        report.secrets[0].length,
    )
    assert TOKEN not in "\n".join(lines(report))


def test_harmless_keys_keep_their_caret_line() -> None:
    """The caution about names that sound like secrets hides no line of a well-known key."""
    hidden = {".".join(path) for path in keys_of(ConfigTable) if names_secret(path[-1])}

    assert {"platform.token", "slack.token", "slack.webhook"} == hidden


def test_a_reference_made_in_python_has_the_same_form() -> None:
    """The demo and the tests build settings without a file."""
    assert "file:/run/token" == repr(SecretRef.file(Path("/run/token")))
