"""No secret and nothing personal is kept of a body, whatever it hides behind; and what one looks for stays."""

from __future__ import annotations

import html
import json
import re
import time
import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from watchdog.core.patterns import compiled, problem_with
from watchdog.core.redact import UNSURE, glimpse, harmless, redact

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA1c\n+canary/\n-----END RSA PRIVATE KEY-----"
AWS = "q8Zr3LpXv/K7mD2nG/b9xRf1CtYw5JhQzU0sVeTa"


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("key [secret].", "key phk_0123456789abcdef0123456789abcdef."),
        ("[secret]", "sk-proj-abcDEF0123456789xyz"),
        ("[secret]", "xoxb-1234567890-abcdefghij"),
        ("[secret]", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
        ("id [secret]", "id AKIAIOSFODNN7EXAMPLE"),
        ("[secret]", JWT),
        ("Authorization: Bearer [secret]", "Authorization: Bearer abc.def-ghi"),
        ('{"authorization": "Basic [secret]"}', '{"authorization": "Basic dXNlcjpwdw=="}'),
        ("use bearer [secret] now", "use bearer 0a1b2c3d4e now"),
        ("a bearer of news", "a bearer of news"),
        ("password=[secret] x", "password=hunter2 x"),
        ('{"password": "[secret]", "a": 1}', '{"password": "pass word, with blanks", "a": 1}'),
        (r'{"password": "[secret]", "a": 1}', r'{"password": "quoted \" inside", "a": 1}'),
        (r'"{\"pwd\": \"[secret]\", \"a\": 1}"', r'"{\"pwd\": \"quoted \\\" inside\", \"a\": 1}"'),
        ('{"password": "[secret]', '{"password": "cut within the val'),
        ("api_key: [secret], max_tokens: 256", "api_key: abcd, max_tokens: 256"),
        ("AWS_SECRET_ACCESS_KEY=[secret]", f"AWS_SECRET_ACCESS_KEY={AWS}"),
        ("the token [token] is", f"the token {AWS} is"),
        ("postgres://app:[secret]@db/x", "postgres://app:hunter2@db/x"),
        ("a [key] b", f"a {PEM} b"),
        ("a [key]", "a -----BEGIN PRIVATE KEY-----\nMIIE canary without an end"),
        ("write to [mail], please", "write to canary.person+x@example.co.uk, please"),
        ("[mail]", "o'brien@example.com"),
        ('{"[mail]": 1}', '{"canary@example.com": 1}'),
        (r"\"[mail]\"", r"\"canary\u0040example\u002ecom\""),
        ("to=[mail]&x", "to=canary%40example.com&x"),
        ("[mail]", "canary&#64;example&#x2e;com"),
        ("call [phone].", "call +49 170 1234567."),
        ("call [phone] or [phone]", "call (555) 123-4567 or 555-123-4567"),
        ("[phone], [phone]", "0171 1234567, 020 7946 0958"),
        ('"phone": "[phone]"', '"phone": "5551234567"'),
        ("card [card]!", "card 4111 1111 1111 1111!"),
        ("[card] [card]", "4111-1111-1111-1111 378282246310005"),
        ("12 [card] 34", "12 5500 0000 0000 0004 34"),
        ("[iban] is mine", "DE89 3704 0044 0532 0130 00 is mine"),
        ("[iban]", "gb82west12345698765432"),
        ("[mail]", "canary\u200b@exam\u00adple.com"),
        ("[card]", "\uff14\uff11\uff11\uff11 1111 1111 1111"),
    ],
)
def test_what_must_not_be_kept_leaves_a_mark(expected: str, text: str) -> None:
    """One row a shape."""
    assert expected == redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "price 1,234,567.89 or $0.000183, 3 units@3.50",
        "on 2026-11-20 at 12:00:00, 20.11.2026, 01/02/2024, 09-12-2024 10:30",
        "order 123456, ticket 4711, id 1700000000 and 20261120123045",
        "version 1.2.3, gpt-4-turbo-2024-04-09, 0.7 of 1024 tokens",
        "550e8400-e29b-41d4-a716-446655440000",
        "exe_000000000672",
        "4111 1111 1111 1112 fails Luhn's test",
        "GB82 WEST 1234 5698 7654 33 fails as well",
        "src/main/java/com/example/HttpClient2Factory.java",
        "customer-support-reply-2024-english-version",
        "risk-assessment-of-the-whole-department",
        "tokens: 256, passing, secretary: Anna, hotel: 12345678",
        '{"reply": "Dear customer", "ok": true, "n": [1, 2, 3]}',
        "100% sure & done; a\\b C:\\temp\\new",
        "",
    ],
)
def test_what_one_looks_for_stays(text: str) -> None:
    """Prices, dates, ids, versions, paths and JSON."""
    assert text == redact(text)


SECRETS = [
    "phk_0123456789abcdef0123456789abcdef",
    "sk-ant-0123456789abcdefABCDEF",
    "xoxb-123456789012-abcdefABCDEF",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "AKIAIOSFODNN7EXAMPLE",
    JWT,
    AWS,
    "canary.person@example.com",
    "+49 170 1234567",
    "4111 1111 1111 1111",
    "DE89370400440532013000",
]
# What may stand around it without changing what it is.
EDGES = st.sampled_from([" ", "\n", '"', "'", "(", ",", ";", "<", "{", "[", ": ", "\u200b ", " \\n ", "…", "é "])


def once_escaped(text: str, where: frozenset[int]) -> str:
    return "".join(f"\\u{ord(c):04x}" if i in where else c for i, c in enumerate(text))


def unescaped(text: str) -> str:
    """As whoever wants the secret would read it."""
    for _ in range(3):
        text = re.sub(r"\\+u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    text = re.sub(r"%([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), html.unescape(text))
    return "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) not in ("Cf", "Cc"))


@settings(max_examples=400, deadline=None)
@given(
    secret=st.sampled_from(SECRETS),
    before=st.text(max_size=30),
    after=st.text(max_size=30),
    left=EDGES,
    right=EDGES,
    where=st.frozensets(st.integers(0, 60), max_size=12),
    wrapping=st.sampled_from(["plain", "value", "key", "twice", "url", "html", "gaps"]),
)
def test_a_planted_secret_never_survives(
    secret: str, before: str, after: str, left: str, right: str, where: frozenset[int], wrapping: str
) -> None:
    """In a text, as a value or a key of JSON, in JSON in JSON, in a URL, in HTML; with any letters as escapes."""
    match wrapping:
        case "plain":
            inner = once_escaped(secret, where)
        case "value":
            inner = json.dumps({"a": secret})
        case "key":
            inner = once_escaped(json.dumps({secret: 1}), where)
        case "twice":
            inner = json.dumps(json.dumps({"a": once_escaped(secret, where)}))
        case "url":
            inner = f"https://example.com/?q={quote(secret, safe='')}"
        case "html":
            inner = "".join(f"&#{ord(c)};" if i in where else c for i, c in enumerate(secret))
        case _:
            inner = "\u200b".join(secret)

    kept = redact(f"{before}{left}{inner}{right}{after}")

    assert secret not in unescaped(kept)


@settings(max_examples=300, deadline=None)
@given(
    text=st.text(max_size=200) | st.from_regex(r"(?:[a@.+0-9 \\\"%:=-]|pwd|sk-|\\u0040|\[mail\]){0,60}", fullmatch=True)
)
@example("password=password=a password=\x00b")
@example("authorization: bearer bearer x authorization:")
@example("1" * 40 + "@" + "a." * 20)
@example("[mail]@b.co +1 [phone] 234 567 8901")
def test_doing_it_again_changes_nothing(text: str) -> None:
    """With patterns of one's own as well, and when what is left is shortened."""
    patterns = compiled(("[a-c]{2,5}", "x.y", "mail"))

    once = redact(text, patterns)

    assert once == redact(once, patterns)
    short = glimpse(text, patterns, head=30, tail=20)
    assert short == glimpse(short, patterns, head=30, tail=20)
    assert UNSURE not in once


MIB = 2**20
HOSTILE = {
    "letters": "a" * MIB,
    "at signs": "a@" * (MIB // 2),
    "apostrophes": "a'" * (MIB // 2),
    "backslashes": "\\" * MIB,
    "headers of tokens": "eyJ" * (MIB // 3),
    "digits": "4" * MIB,
    "digits apart": "4 " * (MIB // 2),
    "names of secrets": 'password:"' * (MIB // 10),
    "keys without an end": "-----BEGIN A-----" * (MIB // 17),
    "country codes": "+1" * (MIB // 2),
    "accounts": "AA11 " * (MIB // 5),
    "quotes": '"' * MIB,
    "dots": "a." * (MIB // 2),
    "schemes": "://a:" * (MIB // 5),
    "headers": "authorization:" * (MIB // 14),
    "trunk codes": "01 23 " * (MIB // 6),
    "marks": "[mail]" * (MIB // 6),
    "half a pair": "\ud800" * MIB,
    "combining": "e\u0301" * (MIB // 2),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_mebibyte_that_was_made_for_it_takes_no_time(text: str) -> None:
    """Bounded first; and what is bounded costs in proportion, so that eight times as much is no sixty-four times."""
    started = time.process_time()
    glimpse(text, compiled(("CUST-[0-9]+", r"\w{1,40}!")))
    took_s = time.process_time() - started

    assert took_s < 5.0


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_the_rules_are_linear(text: str) -> None:
    """Four times the text in far less than sixteen times the time."""

    def cost_s(n: int) -> float:
        started = time.process_time()
        redact(text[:n])
        return time.process_time() - started

    # In turns: what else the machine does meanwhile then slows both alike.
    pairs = [(cost_s(12_000), cost_s(48_000)) for _ in range(5)]

    assert min(long for _, long in pairs) < 9 * min(short for short, _ in pairs) + 0.05


def test_the_beginning_and_the_end_are_kept_with_how_much_lies_between() -> None:
    """The number is of characters that are not shown."""
    text = "a " * 100 + "b " * 1607 + "c " * 50

    assert "a " * 100 + "… 3,214 more characters …" + "c " * 50 == glimpse(text, head=200, tail=100)


def test_a_cut_leaves_no_half_of_a_mark_or_a_secret() -> None:
    """Wherever it falls: redaction comes before it."""
    text = "x" * 5 + " canary@example.com phk_0123456789abcdef0123456789abcdef" * 40

    for head in range(10, 60):
        short = glimpse(text, head=head, tail=head)
        shown = re.sub(r"\[(?:mail|secret)\]", "", short)
        assert not re.search(r"canary|phk_|\[|\]", shown)


def test_a_secret_that_the_first_bound_goes_through_is_not_kept_by_half() -> None:
    """Of a very long body only the ends are looked at."""
    key = "phk_0123456789abcdef0123456789abcdef"
    for shift in range(0, 40, 3):
        filler = "-----BEGIN A-----" + "b" * (4096 - 17 - shift)

        assert "phk_" not in glimpse(filler + key + " x" * 20_000)
        assert "0123456789abcdef" not in glimpse("x " * 20_000 + key + "b" * (4096 - shift))


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("a\ufffd[31mred", "a\x1b[31mred"),
        ("ab", "a\u202eb"),
        ("a\nb\nc\nd", "a\r\nb\rc\u2028d"),
        ("a\ufffdb", "a\ud800b"),
        ("a\ufffdb\tc", "a\x00b\tc"),
        ("é ü 漢 🙂", "é ü 漢 🙂"),
    ],
)
def test_what_steers_a_screen_is_made_harmless(expected: str, text: str) -> None:
    """And what no database takes."""
    assert expected == harmless(text)


def test_patterns_of_ones_own_are_taken_out_wherever_they_are() -> None:
    """Across the pieces that they are applied to, and through escapes."""
    patterns = compiled(("CUST-[0-9]{6}", "(?i)wombat"))
    for at in range(500, 530):
        assert f"{'-' * at}[hidden]{'-' * 300}" == redact("-" * at + "CUST-123456" + "-" * 300, patterns)

    assert "[hidden] [hidden]" == redact(r"W\u006fmbat CUST\u002d123456", patterns)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("CUST-[0-9]{6}", ""),
        ("(?i)internal-\\w+", ""),
        ("(a|b)*c", ""),
        ("\\w{1,40}@\\w{1,40}", ""),
        ("(?<=id=)\\d+", ""),
        ("(", "missing ), unterminated subpattern at character 1"),
        ("[[a]", "every Python reads alike"),
        ("x*", "matches the empty text"),
        ("\\b", "matches the empty text"),
        ("a|", "matches the empty text"),
        ("(?=a)", "matches the empty text"),
        ("(a+)+$", "upper bound"),
        ("(a|aa)+", "upper bound"),
        ("(\\w{1,5},){1,20}", "upper bound"),
        ("\\w+\\s\\w+", "upper bound"),
        ("(?:(?:a?){9}){9}b", "upper bound"),
        ("a" * 201, "201 characters; at most 200"),
    ],
)
def test_a_pattern_that_cannot_be_trusted_is_refused_with_the_reason(pattern: str, problem: str) -> None:
    """Catastrophic ones above all: nobody waits a year."""
    assert problem in problem_with(pattern)
    assert bool(problem) == bool(problem_with(pattern))


@settings(max_examples=150, deadline=None)
@given(
    pattern=st.recursive(
        st.sampled_from(["a", "b", ".", "[ab]", "\\w", "a?"]),
        lambda inner: (
            st.builds("".join, st.lists(inner, min_size=1, max_size=3))
            | st.builds("({}|{})".format, inner, inner)
            | st.builds("(?:{}){}".format, inner, st.sampled_from(["*", "+", "{1,9}", "{3}", "?", "*?"]))
        ),
        max_leaves=6,
    )
)
def test_a_pattern_that_is_taken_ends_on_any_text(pattern: str) -> None:
    """No more than a moment on a body of the length that is looked at; a catastrophic one would never come back."""
    if problem_with(pattern):
        return
    started = time.process_time()
    redact("a" * 4000 + "!", compiled((pattern,)))

    assert time.process_time() - started < 10.0


def test_the_dearest_patterns_that_are_taken_are_applied_in_time() -> None:
    """Some seconds for a body that was made for them; usual ones cost nothing."""
    patterns = compiled(tuple(f"[a-y{i}]+[a-z]{{1,4}}!" for i in range(4)))
    assert all(problem_with(pattern.pattern) == "" for pattern in patterns)
    started = time.process_time()
    glimpse("a" * MIB, patterns)

    assert time.process_time() - started < 10.0
