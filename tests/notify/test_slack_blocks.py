"""Notices as Slack messages: every limit at n and n + 1, and text that tries to be more than text."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.notify.incident import THREAD, a_notice
from watchdog.core.notice import Fact, Link, Tone
from watchdog.embedded import slack_contract
from watchdog.notify.slack_blocks import (
    as_plain_text,
    metadata_key,
    reply_message,
    root_message,
    without_metadata,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGN = len("🔴 ") + 1  # two UTF-16 units for the sign, one for the blank


def _blocks(message: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    every = [*message["blocks"], *(b for a in message.get("attachments", []) for b in a["blocks"])]
    return [block for block in every if block["type"] == kind]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize(("n", "whole"), [(150 - _SIGN, True), (151 - _SIGN, False)])
def test_a_headline_fits_the_header_or_says_what_is_left_out(n: int, whole: bool) -> None:
    """150 units with the sign."""
    message = root_message(a_notice(headline="h" * n))

    assert whole == ("h" * n == message["blocks"][0]["text"]["text"].removeprefix("🔴 "))
    assert [] == slack_contract.problems(message)


@pytest.mark.parametrize(("n", "whole"), [(3000, True), (3001, False)])
def test_a_step_fits_the_section_or_says_what_is_left_out(n: int, whole: bool) -> None:
    """3,000 units, in the root message and in the reply."""
    for message in (root_message(a_notice(step="s" * n)), reply_message(a_notice(step="s" * n))):
        assert whole == ("s" * n == _blocks(message, "section")[0]["text"]["text"])
        assert [] == slack_contract.problems(message)


@pytest.mark.parametrize(("n", "whole"), [(2000, True), (2001, False)])
def test_a_fact_fits_its_field_or_says_what_is_left_out(n: int, whole: bool) -> None:
    """2,000 units."""
    message = root_message(a_notice(facts=(Fact(label="Rule", value="f" * n),)))

    assert whole == ("f" * n == _blocks(message, "section")[1]["fields"][1]["text"])
    assert [] == slack_contract.problems(message)


@pytest.mark.parametrize(("n", "sections"), [(5, 1), (6, 2), (200, 40), (201, 40)])
def test_facts_are_spread_over_sections_of_ten_fields(n: int, sections: int) -> None:
    """Five facts make ten fields; a message never has more than 50 blocks."""
    message = root_message(a_notice(facts=tuple(Fact(label=f"L{i}", value=f"V{i}") for i in range(n))))

    assert sections == len([b for b in _blocks(message, "section") if "fields" in b])
    assert [] == slack_contract.problems(message)
    assert len(message["blocks"]) + len(message["attachments"][0]["blocks"]) <= 50


def test_facts_that_do_not_fit_are_counted() -> None:
    """The last field says how many are left out."""
    message = root_message(a_notice(facts=tuple(Fact(label=f"L{i}", value=f"V{i}") for i in range(250))))

    assert "… 51 more facts" == _blocks(message, "section")[-1]["fields"][-1]["text"]


@pytest.mark.parametrize("letter", ["t", "<", "🔴", "&"])
@pytest.mark.parametrize("n", [1, 999, 3_500, 4_000, 40_001])
def test_text_never_exceeds_its_limit_with_its_entities_counted(n: int, letter: str) -> None:
    """4,000 units, and the link and the reference are always there."""
    message = root_message(a_notice(step=letter * n))

    assert slack_contract.length(message["text"]) <= 4000
    assert "/compare?from=v1.1.0&amp;to=v1.2.0>" in message["text"]
    assert f"Reference {THREAD}" in message["text"]


def test_text_of_exactly_its_limit_is_whole() -> None:
    """n is whole and n + 1 is not."""
    empty = a_notice(step="", facts=(), evidence=(), changes=())
    room = 4000 - slack_contract.length(root_message(empty)["text"]) + len("-")

    fits = root_message(a_notice(step="s" * room, facts=(), evidence=(), changes=()))
    over = root_message(a_notice(step="s" * (room + 1), facts=(), evidence=(), changes=()))

    assert 4000 == slack_contract.length(fits["text"])
    assert "more characters" not in fits["text"]
    assert "more characters" in over["text"]


@pytest.mark.parametrize(("n", "whole"), [(75, True), (76, False)])
def test_a_button_text_fits_or_says_what_is_left_out(n: int, whole: bool) -> None:
    """75 units."""
    message = root_message(a_notice(links=(Link(text="b" * n, url="https://x.example/"),)))

    assert whole == ("b" * n == _blocks(message, "actions")[0]["elements"][0]["text"]["text"])
    assert [] == slack_contract.problems(message)


@pytest.mark.parametrize(("n", "buttons"), [(3000, 1), (3001, 0)])
def test_an_address_that_is_too_long_gets_no_button(n: int, buttons: int) -> None:
    """3,000 units; half an address is of no use."""
    url = "https://x.example/".ljust(n, "u")
    message = root_message(a_notice(links=(Link(text="Compare", url=url),)))

    assert buttons == len(_blocks(message, "actions"))
    assert [] == slack_contract.problems(message)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "ftp://x.example/",
        "https://",
        "https://a b",
        "https://a|b",
        "http://[::1",
        "",
    ],
)
def test_what_is_no_web_address_gets_no_button_and_no_link(url: str) -> None:
    """Neither another scheme nor an address that would end its own markup."""
    message = root_message(a_notice(links=(Link(text="Compare", url=url),)))

    assert [] == _blocks(message, "actions")
    assert "<" not in message["text"]


def test_many_links_are_counted_in_the_text() -> None:
    """The text names what fits; the rest is counted."""
    links = tuple(Link(text=f"Link {i}", url=f"https://x.example/{'u' * 500}/{i}") for i in range(30))
    message = root_message(a_notice(links=links))

    assert "… 27 more links" in message["text"]
    assert slack_contract.length(message["text"]) <= 4000
    assert [] == slack_contract.problems(message)


def test_long_evidence_and_changes_are_counted() -> None:
    """What does not fit on a phone is left to the Compare page, and said so."""
    message = root_message(a_notice(evidence=("e" * 500,) * 40, changes=tuple(f"c{i}" for i in range(40))))

    rich = json.dumps(_blocks(message, "rich_text"), ensure_ascii=False)
    assert "… 31 more lines of evidence" in rich
    assert "… 26 more changes" in rich
    assert [] == slack_contract.problems(message)


def test_a_context_of_any_length_is_accepted() -> None:
    """The reference is clipped like everything else."""
    message = root_message(a_notice(thread="t" * 10_000))

    assert [] == slack_contract.problems(message)
    assert slack_contract.length(message["text"]) <= 4000


def test_empty_parts_are_accepted() -> None:
    """Slack refuses empty text, so nothing is a dash or is left away."""
    notice = a_notice(
        headline="",
        step="",
        thread="",
        facts=(Fact(label="", value=""),),
        evidence=("",),
        changes=("",),
        links=(Link(text="", url="https://x.example/"),),
    )

    assert [] == slack_contract.problems(root_message(notice))
    assert [] == slack_contract.problems(reply_message(notice))


def test_a_notice_of_only_a_headline_has_no_empty_blocks() -> None:
    """No facts, no evidence, no changes, no links."""
    message = root_message(a_notice(facts=(), evidence=(), changes=(), links=()))

    assert ["section", "context"] == [block["type"] for block in message["attachments"][0]["blocks"]]


_ATTACKS = [
    "<!channel>",
    "<!here|here>",
    "<@U0123456789>",
    "<!subteam^S123>",
    "@here @channel @everyone",
    "<https://evil.example|Compare the versions>",
    "*bold* _it_ ~no~ `code` ```block```",
    "&lt;!channel&gt;",
    "a\u202egnp.exe",
    "\x1b]8;;https://evil.example\x07link\x1b]8;;\x07",
    "line\n> quoted\n• faked",
    '"},{"type":"divider"},{"',
]


@pytest.mark.parametrize("attack", _ATTACKS)
def test_untrusted_text_stays_text(attack: str) -> None:
    """Whatever stands in a label, a value or a diff: nobody is called, nothing is linked, nothing is hidden."""
    notice = a_notice(
        thread=attack,
        headline=attack,
        step=attack,
        facts=(Fact(label=attack, value=attack),),
        evidence=(attack,),
        changes=(attack,),
        links=(Link(text=attack, url="https://x.example/"), Link(text="x", url=attack)),
    )
    for message in (root_message(notice), reply_message(notice), root_message(notice, repeat=True)):
        assert [] == slack_contract.problems(message)
        for text in _strings(without_metadata(message)):
            assert not re.search(r"<[!@#]", text)
            assert not re.search(r"@(here|channel|everyone)", text)
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
        assert {"<https://x.example/>"} >= set(re.findall(r"<[^>]*>", message["text"]))


@pytest.mark.parametrize("attack", _ATTACKS)
def test_no_untrusted_value_is_mrkdwn(attack: str) -> None:
    """Only labels are, escaped, verbatim and without the letters that style."""
    notice = a_notice(step=attack, facts=(Fact(label=attack, value=attack),), evidence=(attack,), changes=(attack,))
    fields = _blocks(root_message(notice), "section")[1]["fields"]

    assert ["mrkdwn", "plain_text"] == [field["type"] for field in fields]
    assert fields[0]["verbatim"]
    assert not re.search(r"[<>*_~`]", fields[0]["text"].removeprefix("*").removesuffix("*"))
    assert 1 == json.dumps(root_message(notice)).count('"mrkdwn"')


def test_text_escapes_the_three_characters_of_slack() -> None:
    """& first, so that nothing is escaped twice."""
    assert "a &lt; b &amp;&amp; c &gt; d, &amp;lt;" in root_message(a_notice(step="a < b && c > d, &lt;"))["text"]


def test_the_whole_fact_is_in_the_text() -> None:
    """A screen reader gets headline, step, facts, evidence, changes, link, reference and time."""
    notice = a_notice()
    text = root_message(notice)["text"].replace("&gt;", ">").replace("&amp;", "&")

    for part in (notice.headline, notice.step, *notice.evidence, *notice.changes, notice.links[0].url, THREAD):
        assert part in text
    for fact in notice.facts:
        assert f"{fact.label}: {fact.value}" in text
    assert "2026-11-20 03:12:45 UTC" in text


def test_every_tone_has_its_own_colour_and_sign() -> None:
    """Nobody needs to tell colours apart."""
    messages = [root_message(a_notice(tone=tone)) for tone in Tone]

    assert len(Tone) == len({m["attachments"][0]["color"] for m in messages})
    assert len(Tone) == len({m["blocks"][0]["text"]["text"][0] for m in messages})


def test_a_repeat_says_so_in_text_and_header() -> None:
    """Also on the phone."""
    message = root_message(a_notice(), repeat=True)

    assert message["text"].startswith("🔴 (possible repeat) is-prime")
    assert message["blocks"][0]["text"]["text"].startswith("🔴 (possible repeat) is-prime")


def test_plain_text_keeps_text_and_key_alone() -> None:
    """What is sent when blocks were refused."""
    message = as_plain_text(root_message(a_notice()))

    assert ([], []) == (message["blocks"], message["attachments"])
    assert metadata_key(a_notice().key) == message["metadata"]["event_payload"]["key"]


def test_long_keys_stay_different() -> None:
    """Slack limits metadata, and two keys with the same beginning are two notices."""
    one, two = metadata_key("k" * 5000 + "1"), metadata_key("k" * 5000 + "2")

    assert one != two
    assert len(one) <= 200
    assert "k" * 200 == metadata_key("k" * 200)
