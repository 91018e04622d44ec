"""What is wrong with a configuration is said in plain words, at its place, and all at once."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import pytest

from tests.config.workbench import PLATFORM, Bench
from watchdog.config.disclosure import listed
from watchdog.config.load import load_settings
from watchdog.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Broken:
    """
    Attributes:
        text: goes behind a valid [platform], which has three lines, and a blank line.
        line, column, key: where the only issue must be.
        message: what it must say, in full.
    """

    why: str
    text: str
    line: int
    column: int
    key: str
    message: str


BROKEN = [
    Broken(
        why="a misspelt key",
        text='[watch]\npromts = ["*"]',
        line=6,
        column=1,
        key="watch.promts",
        message="unknown key `promts`; did you mean `prompts`? allowed: `prompts`, `exclude`, `environment`, "
        "`baseline`, `length`, `min_baseline_calls`, `act`, `countdown`, `tick`, `segment_by`",
    ),
    Broken(
        why="a key that nothing resembles",
        text="[log]\nxylophone = 1",
        line=6,
        column=1,
        key="log.xylophone",
        message="unknown key `xylophone`; allowed: `level`, `format`",
    ),
    Broken(
        why="a misspelt table",
        text="[recovry]",
        line=5,
        column=2,
        key="recovry",
        message="unknown key `recovry`; did you mean `recovery`? allowed: `platform`, `watch`, `rules`, `prompts`, "
        "`guards`, `recovery`, `status`, `evidence`, `slack`, `store`, `server`, `heartbeat`, `log`",
    ),
    Broken(
        why="a status page over plain http",
        text='[status]\nopenai = "http://status.openai.com"',
        line=6,
        column=1,
        key="status.openai",
        message='got "http://status.openai.com", which anybody on the way could answer in its place; must be the '
        'address of a status page, such as "https://status.openai.com"; https unless it is this machine',
    ),
    Broken(
        why="a status page with a password",
        text='[status]\nopenai = "https://me:hush@status.openai.com"',
        line=6,
        column=1,
        key="status.openai",
        message="holds a user name or password (not shown); must be the address of a status page, such as "
        '"https://status.openai.com"; https unless it is this machine',
    ),
    Broken(
        why="one provider twice",
        text='[status]\nopenai = "https://a.example"\nOpenAI = "https://b.example"',
        line=7,
        column=1,
        key="status.OpenAI",
        message="is the same provider as `openai`; case does not matter, keep one of them",
    ),
    Broken(
        why="a provider without a name",
        text='[status]\n" " = "https://a.example"',
        line=6,
        column=1,
        key="status.` `",
        message='must be the name of a provider as calls carry it, such as "openai", of at most 60 characters',
    ),
    Broken(
        why="status pages that are no table",
        text='[log]\n[[status]]\nopenai = "https://a.example"',
        line=6,
        column=3,
        key="status",
        message="got an array; must be a table, opened by the line `[status]`",
    ),
    Broken(
        why="a key in the wrong table",
        text='[watch]\n[log]\n  tick = "5s"',
        line=7,
        column=3,
        key="log.tick",
        message="unknown key `tick`; allowed: `level`, `format`",
    ),
    Broken(
        why="a value where a table belongs",
        text="[platform.paths]\nhealth = '/up'\n[rules]\nchange = 3",
        line=8,
        column=1,
        key="rules.change",
        message="got the whole number 3; must be a table, opened by the line `[rules.change]`",
    ),
    Broken(
        why="a duration without a unit",
        text='[watch]\ntick = "30"',
        line=6,
        column=1,
        key="watch.tick",
        message='"30" has no unit; must be a duration from "1s" to "10m" (units: ms, s, m, h, d)',
    ),
    Broken(
        why="a duration as a number",
        text="[watch]\ntick = 30",
        line=6,
        column=1,
        key="watch.tick",
        message='got the whole number 30; must be a duration from "1s" to "10m" (units: ms, s, m, h, d)',
    ),
    Broken(
        why="a duration in an unknown unit",
        text='[watch]\nlength = "1 week"',
        line=6,
        column=1,
        key="watch.length",
        message='"1 week": the unit `week` is not known; must be a duration from "1m" to "7d" (units: ms, s, m, h, d)',
    ),
    Broken(
        why="a duration out of range",
        text='[recovery]\ndeadline = "2d"',
        line=6,
        column=1,
        key="recovery.deadline",
        message='"2d" is too long; must be a duration from "1m" to "24h" (units: ms, s, m, h, d)',
    ),
    Broken(
        why="more failing calls than anybody reads",
        text="[evidence]\ncalls = 1000",
        line=6,
        column=1,
        key="evidence.calls",
        message="got the whole number 1000; must be a whole number from 1 to 200",
    ),
    Broken(
        why="a pattern that is none",
        text='[evidence]\nredact = ["CUST-[0-9]+", "(a"]',
        line=6,
        column=26,
        key="evidence.redact[1]",
        message='"(a" is not a regular expression: missing ), unterminated subpattern at character 1; '
        "must be a regular expression of at most 200 characters that matches at least one",
    ),
    Broken(
        why="a pattern that matches everywhere",
        text='[evidence]\nredact = ["[0-9]*"]',
        line=6,
        column=11,
        key="evidence.redact[0]",
        message='"[0-9]*" matches the empty text, which is everywhere; make it need at least one character; '
        "must be a regular expression of at most 200 characters that matches at least one",
    ),
    Broken(
        why="a pattern that may never end",
        text='[evidence]\nredact = ["(a+)+x"]',
        line=6,
        column=11,
        key="evidence.redact[0]",
        message='"(a+)+x" could take minutes on a text that was made for it; give its repeats an upper bound, such as '
        "{1,40} in the place of +; must be a regular expression of at most 200 characters that matches at least one",
    ),
    Broken(
        why="more patterns than can be applied in time",
        text="[evidence]\nredact = [" + "'a', " * 21 + "]",
        line=6,
        column=1,
        key="evidence.redact",
        message="holds 21 patterns; at most 20: join some with `|`",
    ),
    Broken(
        why="a tick longer than the watch",
        text='[watch]\nlength = "1m"\ntick = "2m"',
        line=7,
        column=1,
        key="watch.tick",
        message="is longer than the whole watch; must be at most `length`",
    ),
    Broken(
        why="a text for an array",
        text='[watch]\nprompts = "*"',
        line=6,
        column=1,
        key="watch.prompts",
        message='got "*"; must be an array of texts in square brackets, such as ["a", "b"]',
    ),
    Broken(
        why="an empty array",
        text="[watch]\nprompts = []",
        line=6,
        column=1,
        key="watch.prompts",
        message="is empty; must hold at least one text; leave the key out for the default",
    ),
    Broken(
        why="one wrong item on a later line of an array",
        text='[watch]\nexclude = [\n  "a",\n  true,\n]',
        line=8,
        column=3,
        key="watch.exclude[1]",
        message='got true; must be a glob on the slug of a prompt, such as "*" or "support-*"',
    ),
    Broken(
        why="a word that is not one of the few",
        text='[watch]\nact = "rever"',
        line=6,
        column=1,
        key="watch.act",
        message='got "rever" (did you mean `revert`?); must be one of `alert`, `suggest`, `countdown`, `revert`',
    ),
    Broken(
        why="a boolean for a count",
        text="[watch]\nmin_baseline_calls = true",
        line=6,
        column=1,
        key="watch.min_baseline_calls",
        message="got true; must be a whole number from 1 to 1000000",
    ),
    Broken(
        why="per cent for a share",
        text="[rules]\nalpha = 5",
        line=6,
        column=1,
        key="rules.alpha",
        message="got the whole number 5; must be the share of harmless promotions that may trip any rule, such as "
        "0.005, above 0 and below 0.5",
    ),
    Broken(
        why="a number that is none",
        text="[rules]\nalpha = nan",
        line=6,
        column=1,
        key="rules.alpha",
        message="got the number nan; must be the share of harmless promotions that may trip any rule, such as "
        "0.005, above 0 and below 0.5",
    ),
    Broken(
        why="a path without its placeholder",
        text='[platform.paths]\nversions = "/api/versions"',
        line=6,
        column=1,
        key="platform.paths.versions",
        message="the placeholder `{prompt_id}` is missing; must be a path that starts with / and holds {prompt_id}",
    ),
    Broken(
        why="a path with a foreign placeholder",
        text='[platform.paths]\nhealth = "/{version_id}/up"',
        line=6,
        column=1,
        key="platform.paths.health",
        message="the placeholder `{version_id}` is not known here; must be a path that starts with / and holds no "
        "placeholder",
    ),
    Broken(
        why="a path with half a placeholder",
        text='[platform.paths]\nprompt = "/p/{prompt_id"',
        line=6,
        column=1,
        key="platform.paths.prompt",
        message='"/p/{prompt_id" has a brace without its partner; must be a path that starts with / and holds '
        "{prompt_id}",
    ),
    Broken(
        why="a path with a question mark",
        text='[platform.paths]\nhealth = "/up?full=1"',
        line=6,
        column=1,
        key="platform.paths.health",
        message='got "/up?full=1", with something behind ? or #; must be a path that starts with / and holds no '
        "placeholder",
    ),
    Broken(
        why="a channel's name",
        text='[slack]\ntoken = "env:PROMPTHELM_TOKEN"\nchannel = "#alerts"',
        line=7,
        column=1,
        key="slack.channel",
        message='got "#alerts"; must be a channel ID such as "C0123456789", not a name: in Slack open the channel, '
        "click its name, and copy the ID at the end of the tab About",
    ),
    Broken(
        why="Slack without a way in",
        text="[slack]",
        line=5,
        column=2,
        key="slack.token",
        message="is missing; Slack needs `token` and `channel`, or `webhook` alone",
    ),
    Broken(
        why="Slack with half a way in",
        text='[slack]\nchannel = "C0123456789"',
        line=5,
        column=2,
        key="slack.token",
        message="is missing; `channel` needs it",
    ),
    Broken(
        why="a database in memory",
        text='[store]\nurl = "sqlite://"',
        line=6,
        column=1,
        key="store.url",
        message="a SQLite address needs three slashes and a path, and a database in memory forgets its incidents; "
        'must be "sqlite:///promptwatch.db" (relative to the folder of this file), "sqlite:////absolute/path.db", '
        '"postgresql://host/name", or "env:NAME" or "file:PATH" that holds such an address',
    ),
    Broken(
        why="an unknown pack",
        text='[rules]\npacks = ["defalt"]',
        line=6,
        column=10,
        key="rules.packs[0]",
        message="there is no built-in pack `defalt`; did you mean `default`? built-in: `cost-guard`, `default`, "
        "`json-output`, `latency-guard`, `strict`; a file of your own ends in `.toml`",
    ),
    Broken(
        why="a pack that is not there",
        text='[rules]\npacks = ["default", "mine.toml"]',
        line=6,
        column=21,
        key="rules.packs[1]",
        message="`mine.toml`: there is no such file; a path is relative to the folder of the configuration file",
    ),
    Broken(
        why="a pack twice",
        text='[rules]\npacks = ["default", "default"]',
        line=6,
        column=21,
        key="rules.packs[1]",
        message="the pack `default` is listed twice; remove one",
    ),
    Broken(
        why="a change of a rule that no pack has",
        text="[rules.change.succes]\nweight = 1",
        line=5,
        column=15,
        key="rules.change.succes",
        message="no pack has a rule `succes`; did you mean `success`? the packs have: `success`, `success_floor`, "
        "`latency_p95`, `latency_distribution`, `cost`, `feedback`",
    ),
    Broken(
        why="a change that does not fit its rule",
        text="[rules.change.success]\nquantile = 0.95",
        line=6,
        column=1,
        key="rules.change.success.quantile",
        message="means nothing with the statistic `proportion` of `success`; remove it",
    ),
    Broken(
        why="a change of what a rule measures",
        text='[rules.change.success]\nmetric = "cost"',
        line=6,
        column=1,
        key="rules.change.success.metric",
        message="unknown key `metric`; allowed: `quantile`, `margin_abs`, `margin_rel`, `limit_share`, `limit_ms`, "
        "`limit_usd`, `weight`, `min_calls`, `action`, `severity`, `method`, "
        "`late_onset`, `without_peers`",
    ),
    Broken(
        why="a threshold that nobody offers",
        text='[rules]\nthreshold = "certifed"',
        line=6,
        column=1,
        key="rules.threshold",
        message='got "certifed" (did you mean `certified`?); must be one of `proven`, `certified`',
    ),
    Broken(
        why="a method that cannot answer",
        text='[rules.change.latency_p95]\nmethod = "fisher"',
        line=6,
        column=1,
        key="rules.change.latency_p95.method",
        message="`fisher` cannot answer the statistic `quantile`; must be `sequential`, or left out",
    ),
    Broken(
        why="a method among several that cannot answer",
        text='[rules.change.latency_distribution]\nmethod = "welch"',
        line=6,
        column=1,
        key="rules.change.latency_distribution.method",
        message="`welch` cannot answer the statistic `distribution`; must be one of `sequential`, `mann_whitney`, `ks`",
    ),
    Broken(
        why="a count of calls over a mean",
        text='[rules]\npacks = ["cost-guard"]\n[rules.change.cost_guard_ceiling]\nmethod = "fixed"',
        line=8,
        column=1,
        key="rules.change.cost_guard_ceiling.method",
        message="`fixed` counts the calls above a limit, and a limit on the mean has none to count; set `quantile`, "
        "such as 0.95, or leave `method` out",
    ),
    Broken(
        why="prompts as one table",
        text='[prompts]\nmatch = "a"',
        line=5,
        column=2,
        key="prompts",
        message="got a table; must be one table or more, each opened by the line `[[prompts]]`",
    ),
    Broken(
        why="prompts at the top",
        text='[watch]\n[[prompts]]\nprompts = ["a"]\nmatch = "*"',
        line=7,
        column=1,
        key="prompts[0].prompts",
        message="unknown key `prompts`; allowed: `match`, `act`, `packs`, `alpha`, `threshold`, `change`",
    ),
    Broken(
        why="rules for no prompts",
        text="[[prompts]]\nalpha = 0.01",
        line=5,
        column=3,
        key="prompts[0].match",
        message='is missing; must be a glob on the slug of a prompt, such as "*" or "support-*"',
    ),
    Broken(
        why="the same prompts twice",
        text='[[prompts]]\nmatch = "a-*"\n[[prompts]]\nmatch = "a-*"',
        line=8,
        column=1,
        key="prompts[1].match",
        message="`a-*` is matched by an earlier table, and the first one counts; join the two",
    ),
    Broken(
        why="a rule that the packs for these prompts do not have",
        text='[[prompts]]\nmatch = "a-*"\npacks = ["cost-guard"]\n[prompts.change.success]\nweight = 1',
        line=8,
        column=17,
        key="prompts[0].change.success",
        message="no pack has a rule `success`; the packs have: `cost_guard_mean`, `cost_guard_p95`, "
        "`cost_guard_ceiling`",
    ),
    Broken(
        why="a change for some prompts that does not fit its rule",
        text='[[prompts]]\nmatch = "a-*"\n[prompts.change.success]\nquantile = 0.95',
        line=8,
        column=1,
        key="prompts[0].change.success.quantile",
        message="means nothing with the statistic `proportion` of `success`; remove it",
    ),
    Broken(
        why="an unknown pack for some prompts",
        text='[[prompts]]\nmatch = "a-*"\npacks = ["strct"]',
        line=7,
        column=10,
        key="prompts[0].packs[0]",
        message="there is no built-in pack `strct`; did you mean `strict`? built-in: `cost-guard`, `default`, "
        "`json-output`, `latency-guard`, `strict`; a file of your own ends in `.toml`",
    ),
    Broken(
        why="a label with blanks around it",
        text='[watch]\nsegment_by = " task"',
        line=6,
        column=1,
        key="watch.segment_by",
        message='got " task"; must be a label that the calls carry, such as "task"',
    ),
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.why.replace(" ", "_"))
def test_a_mistake_is_explained_at_its_place(bench: Bench, broken: Broken) -> None:
    """Line, column, key and the whole message are exact."""
    issue = bench.issue(f"{PLATFORM}\n{broken.text}\n")

    assert (broken.line, broken.column, broken.key) == (issue.line, issue.column, issue.key)
    assert broken.message == issue.message


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://api.prompthelm.app", 'got "http://api.prompthelm.app", which would send the token unencrypted'),
        ("https://u:hunter2@api.prompthelm.app", "holds a user name or password (not shown)"),
        ("https://api.prompthelm.app/api/v1", "leave out"),
        ("https://api.prompthelm.app?x=1", "with something behind ? or #"),
        ("https://169.254.169.254", "which is the address of no server"),
        ("https://0.0.0.0", "which is the address of no server"),
        ("https://host:port", "whose host or port cannot be read"),
        ("https://[::1", "whose host or port cannot be read"),
        ("api.prompthelm.app", 'got "api.prompthelm.app"; must be an address without a path'),
        ("", "got an empty text"),
        ("ftp://api.prompthelm.app", 'got "ftp://api.prompthelm.app"; must be'),
        ("http://localhost.evil.example", "which would send the token unencrypted"),
    ],
)
def test_an_unfit_address_is_refused(bench: Bench, url: str, message: str) -> None:
    """The platform's address is an https origin and nothing more."""
    issue = bench.issue(f'[platform]\nurl = "{url}"\ntoken = "env:PROMPTHELM_TOKEN"\n')

    assert (2, 1, "platform.url") == (issue.line, issue.column, issue.key)
    assert message in issue.message
    assert "hunter2" not in str(issue)


@pytest.mark.parametrize(
    "url", ["http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:8080/", "https://ph.internal:8443"]
)
def test_a_fit_address_loses_only_its_last_slash(bench: Bench, url: str) -> None:
    """This machine needs no encryption, and other ports and hosts are welcome."""
    settings = bench.load(f'[platform]\nurl = "{url}"\ntoken = "env:PROMPTHELM_TOKEN"\n')

    assert url.rstrip("/") == settings.platform.url


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_lines(bench: Bench) -> None:
    """Types, unknown keys, missing keys, secrets, packs and changes: nobody fixes a file error by error."""
    bench.write('description = "mine"\n[rule.x]\nmetric = "cost"\nstatistic = "mean"\n', "mine.toml")
    issues = bench.issues(
        "colour = 1\n"
        "[platform]\n"
        'token = "env:NOT_SET"\n'
        "timeout = 5\n"
        "[rules]\n"
        'packs = [7, "nope", "mine.toml"]\n'
        "alpha = 1\n"
        "[rules.change.x]\n"
        "weight = 0\n"
        "[log]\n"
        'level = "loud"\n'
    )

    assert [
        ("promptwatch.toml", 1, "colour"),
        ("promptwatch.toml", 2, "platform.url"),
        ("promptwatch.toml", 3, "platform.token"),
        ("promptwatch.toml", 4, "platform.timeout"),
        ("promptwatch.toml", 6, "rules.packs[0]"),
        ("promptwatch.toml", 6, "rules.packs[1]"),
        ("promptwatch.toml", 7, "rules.alpha"),
        ("promptwatch.toml", 9, "rules.change.x.weight"),
        ("promptwatch.toml", 11, "log.level"),
        ("mine.toml", 2, "rule.x.margin_rel"),
    ] == [(issue.file.rpartition("/")[2], issue.line, issue.key) for issue in issues]


def test_issues_of_some_prompts_come_with_all_others(bench: Bench) -> None:
    """A table that can be read is checked although the one beside it, and the rest of the file, cannot."""
    issues = bench.issues(
        PLATFORM
        + '[log]\nlevel = "loud"\n'
        + '[[prompts]]\nmatch = 3\n[[prompts]]\nmatch = "a"\n[prompts.change.succes]\nweight = 1\n'
    )

    assert [(5, "log.level"), (7, "prompts[0].match"), (10, "prompts[1].change.succes")] == [
        (issue.line, issue.key) for issue in issues
    ]


def test_what_is_wrong_with_a_pack_is_said_once(bench: Bench) -> None:
    """However many tables name it."""
    bench.write('description = "mine"\n[rule.x]\nmetric = "cost"\nstatistic = "mean"\n', "mine.toml")

    issue = bench.issue(
        f'{PLATFORM}[rules]\npacks = ["mine.toml"]\n[[prompts]]\nmatch = "a"\n'
        '[[prompts]]\nmatch = "b"\npacks = ["mine.toml"]\n'
    )

    assert "rule.x.margin_rel" == issue.key


def test_the_caret_stands_below_the_key(bench: Bench) -> None:
    """The line is printed as it is, tabs as one blank, with a caret under the first character of the key."""
    issue = bench.issue(f'{PLATFORM}[watch]\n\tact\t= "rever"  # what now\n')

    assert f'{bench.config}:5:2: watch.act: {issue.message}\n     act = "rever"  # what now\n     ^' == str(issue)


def test_a_message_speaks_no_pydantic(bench: Bench) -> None:
    """Neither the library's sentences nor its addresses reach the user."""
    with pytest.raises(ConfigError) as caught:
        bench.load("watch = 1\n[platform]\nurl = 2\nx = 3\n[rules]\npacks = {}\n")

    text = str(caught.value).lower()
    for jargon in ("pydantic", "input should", "validation error", "extra inputs", "field required", "dictionary"):
        assert jargon not in text


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a = \n", (1, 5), "not valid TOML: invalid value; a text needs quotes, and a number or true/false none"),
        (
            "[platform]\n[watch]\n[platform]\n",
            (3, 10),
            "not valid TOML: cannot declare [platform] twice; this table is already written above; join the two",
        ),
        (
            'x = 1\nx = "a"\n',
            (2, 8),
            "not valid TOML: cannot overwrite a value; this key is already written above; keep one of the two",
        ),
        (
            "a = [1,\n\n",
            (1, 8),
            (
                "not valid TOML: the file ends in the middle of something; close the text, array or table that was "
                "opened last"
            ),
        ),
        ("a = [1 2]\n", (1, 8), "not valid TOML: unclosed array; close it with ]"),
        ("what\n", (1, 5), "not valid TOML: expected '=' after a key in a key/value pair"),
    ],
)
def test_a_syntax_error_has_its_place_too(bench: Bench, text: str, place: tuple[int, int], message: str) -> None:
    """The parser's position is taken over, and its message says what to do."""
    issue = bench.issue(text)

    assert (*place, message) == (issue.line, issue.column, issue.message)


def test_a_missing_file_says_where_to_begin(bench: Bench) -> None:
    """Nobody knows the format by heart on the first day."""
    with pytest.raises(ConfigError) as caught:
        load_settings(bench.config, {})

    expected = "there is no such file; copy config.example.toml to it, and fill in the address and the token"

    assert f"{bench.config}: {expected}" == str(caught.value)


def test_a_folder_is_not_a_configuration(bench: Bench) -> None:
    """The usual slip with a mounted volume."""
    with pytest.raises(ConfigError, match="is a folder; name the file in it"):
        load_settings(bench.folder, {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(bench: Bench) -> None:
    """A file of another user's is an error of its mode, not of its content."""
    bench.write(PLATFORM).chmod(0)

    with pytest.raises(ConfigError, match="may not be read by this user; check its owner and mode"):
        load_settings(bench.config, {})


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "behind a byte order mark"])
def test_bytes_that_are_not_utf_8_are_placed(bench: Bench, mark: bytes) -> None:
    """An umlaut in Latin-1 is found at its line and column."""
    bench.config.write_bytes(mark + b"[platform]\nurl = '\xc3\xa4\xe4'\n")

    with pytest.raises(ConfigError) as caught:
        load_settings(bench.config, {})

    assert f"{bench.config}:2:9: byte 0xe4 is not UTF-8; save the file as UTF-8" == str(caught.value)


@pytest.mark.parametrize(
    "key", ['[platform]\nca_file = "{}"', '[guards]\nhold_file = "{}"', '[store]\nurl = "sqlite:///{}"']
)
@pytest.mark.parametrize(
    ("path", "message"),
    [("a" * 300, "name too long"), ("loop", "symbolic links"), ("loop/deeper", "symbolic links")],
    ids=["too long", "a link to itself", "below a link to itself"],
)
def test_a_path_that_cannot_be_looked_at_is_refused(bench: Bench, key: str, path: str, message: str) -> None:
    """With the system's own reason; so is a folder that may not be entered, which root may."""
    (bench.folder / "loop").symlink_to("loop")
    table = key.format(path)
    issue = bench.issue(table.replace("[platform]", PLATFORM) if "platform" in table else f"{PLATFORM}{table}\n")

    assert "cannot be looked at: " in issue.message
    assert message in issue.message.lower()


def test_what_a_pack_calls_its_rules_cannot_steer_a_terminal(bench: Bench) -> None:
    """They are listed where somebody misspells one."""
    bench.write(
        'description = "mine"\n[rule."\\u001b[31mred"]\nmetric = "success"\nstatistic = "proportion"\n', "mine.toml"
    )
    text = f'{PLATFORM}[rules]\npacks = ["default", "mine.toml"]\n[rules.change.COST]\nmargin_rel = 0.2\n'

    assert all(issue.message.isprintable() for issue in bench.issues(text))


def test_of_many_names_the_first_are_listed() -> None:
    """An error is read on one screen."""
    assert listed(tuple(f"r{n}" for n in range(22))).endswith("`r18`, `r19` and 2 more")
    assert "`a`, `b`" == listed(("a", "b"))
    assert "(hidden: it looks like a secret)" == listed(("phk_0123456789abcdef",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 100_000, "nested too deeply"),
        ("a = " + "9" * 10_000, "a number that is too long"),
        ("#" * (1 << 20) + "\n", "larger than 1 MiB"),
        ("a." * 20_000 + "a = 1", "a key of more than 50 parts"),
        ("[" + "'a' . " * 60 + "b]", "a key of more than 50 parts"),
    ],
)
def test_a_monstrous_file_is_refused_with_a_reason(bench: Bench, text: str, message: str) -> None:
    """No traceback, whatever the file is."""
    assert message in bench.issue(text).message


def test_a_key_without_end_is_placed(bench: Bench) -> None:
    """Where it begins; reading it would take a time that grows with the square of its parts."""
    issue = bench.issue(f"{PLATFORM}\nx = {{ {'a.' * 60}a = 1 }}\n")

    assert (5, 7) == (issue.line, issue.column)


def test_thousands_of_wrong_items_are_reported_at_once(bench: Bench) -> None:
    """All of them, on one line or on many, in seconds: each used to be held against each other."""
    began_s = time.process_time()
    for between in (",", ",\n"):
        assert 2000 == len(bench.issues(f"{PLATFORM}[watch]\nprompts = [{between.join(['1'] * 2000)}]\n"))

    assert time.process_time() - began_s < 10.0
