"""Notices in a terminal and in a pipe."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.notify import incident
from tests.notify.incident import a_notice
from watchdog.core.notice import Fact, Link, Notice
from watchdog.errors import NotifyError
from watchdog.notify.protocol import Posted
from watchdog.notify.terminal import TerminalNotifier

ROOT = Posted(channel="", ts="")


def _shown(
    notice: Notice, *, terminal: bool, width: int = 120, root: Posted | None = None, maybe_sent: bool = False
) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=width, color_system="truecolor" if terminal else None)
    TerminalNotifier(console).deliver(notice, root=root, maybe_sent=maybe_sent)
    return out.getvalue()


def test_a_pipe_gets_plain_lines() -> None:
    """No colours, no frames, and no line broken whatever its length."""
    text = _shown(incident.reverted(), terminal=False, width=40)

    assert "\x1b" not in text
    assert "2026-11-20 03:13:02 UTC [WAITING] is-prime: v1.2.0 reverted to v1.1.0" == text.splitlines()[0]
    assert f"  {incident.reverted().step}" == text.splitlines()[1]
    assert "  Prompt            is-prime" in text.splitlines()
    assert "  changed: temperature 0.2 -> 1.0" in text.splitlines()
    assert f"  Compare the versions: {incident.reverted().links[0].url}" in text.splitlines()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_gets_a_panel_of_its_width(width: int) -> None:
    """In the colour of its tone, with every part, and nothing beyond the edge."""
    text = _shown(incident.tripped(), terminal=True, width=width)

    assert "\x1b[31m╭" in text
    plain = _without_styles(text)
    assert {width} == {len(line) for line in plain.splitlines()}
    for part in ("v1.2.0 made production worse", "Promoted by", "Evidence", "What changed", "temperature 0.2 -> 1.0"):
        assert part in plain


def test_the_whole_address_is_there_to_be_copied() -> None:
    """Folded where it is longer than the panel, never cut."""
    plain = _without_styles(_shown(a_notice(), terminal=True, width=60))
    joined = "".join(line.strip("│ ") for line in plain.splitlines())

    assert a_notice().links[0].url in joined


@pytest.mark.parametrize("terminal", [False, True])
def test_untrusted_text_is_neither_markup_nor_an_escape_sequence(terminal: bool) -> None:
    """Square brackets are rich's markup, and ESC is the terminal's."""
    attack = "[bold red]x[/] \x1b[2J\x1b]0;title\x07 \u202e"
    notice = a_notice(
        headline=attack,
        step=attack,
        thread=attack,
        facts=(Fact(label=attack, value=attack),),
        evidence=(attack,),
        changes=(attack,),
        links=(Link(text=attack, url=attack),),
    )
    text = _shown(notice, terminal=terminal)

    # Headline, step, label, value, evidence, change, link, address and reference.
    assert 9 == text.count("[bold red]x[/]")
    assert "\x1b[2J" not in text
    assert "\x1b]0" not in text
    assert "\x07" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize("terminal", [False, True])
def test_a_notice_of_only_a_headline_and_a_step_is_shown(terminal: bool) -> None:
    """No facts, no evidence, no changes, no links."""
    text = _shown(a_notice(facts=(), evidence=(), changes=(), links=()), terminal=terminal)

    assert "Evidence" not in text
    assert "What changed" not in text


@pytest.mark.parametrize("terminal", [False, True])
def test_a_repeat_says_so(terminal: bool) -> None:
    """A terminal cannot look either."""
    assert "(possible repeat) is-prime" in _shown(a_notice(), terminal=terminal, maybe_sent=True)


def test_a_reply_in_a_pipe_says_only_what_is_new() -> None:
    """Headline, step, the recovery, and by which reference the first message is found."""
    notice = incident.reverted()

    assert [
        f"{notice.at:%Y-%m-%d %H:%M:%S} UTC [WAITING] {notice.headline}",
        f"  {notice.step}",
        "  Recovery  being verified",
        f"  reference: {notice.thread}",
    ] == _shown(notice, terminal=False, root=ROOT).splitlines()


def test_a_reply_in_a_terminal_says_only_what_is_new() -> None:
    """The evidence, the changes and the link stand further up."""
    text = _shown(incident.reverted(), terminal=True, root=ROOT)

    assert "Recovery" in text
    assert "being verified" in text
    for part in ("Evidence", "What changed", "Compare the versions", "Promoted by"):
        assert part not in text


def test_a_reply_without_facts_is_shown() -> None:
    """A watch has no recovery."""
    text = _shown(a_notice(facts=(), evidence=(), changes=(), links=()), terminal=False, root=ROOT)

    assert 3 == len(text.splitlines())


def test_a_first_message_in_a_terminal_is_answered_under_an_empty_id() -> None:
    """Which is enough to tell that it was there when the reply comes."""
    notifier = TerminalNotifier(Console(file=io.StringIO()))

    assert ROOT == notifier.deliver(a_notice(), root=None, maybe_sent=False)


def test_a_pipe_whose_reader_is_gone_is_a_notify_error() -> None:
    """And not a traceback in the sender."""

    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(NotifyError, match="cannot be written to: Broken pipe") as caught:
        TerminalNotifier(Console(file=Gone())).deliver(a_notice(), root=None, maybe_sent=False)

    assert caught.value.permanent


def _without_styles(text: str) -> str:
    from rich.text import Text

    return Text.from_ansi(text).plain
