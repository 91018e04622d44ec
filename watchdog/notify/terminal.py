"""Notices to a terminal: a panel where somebody looks on, plain lines in a pipe or a log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import StringIO
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from watchdog.core.notice import Tone
from watchdog.errors import NotifyError
from watchdog.notify.harmless import cleaned, one_line
from watchdog.notify.protocol import Posted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from watchdog.core.notice import Fact, Notice


@dataclass(frozen=True, kw_only=True)
class _Look:
    color: str
    word: str


_LOOKS = {
    Tone.ALARM: _Look(color="red", word="ALARM"),
    Tone.WAITING: _Look(color="yellow", word="WAITING"),
    Tone.GOOD: _Look(color="green", word="GOOD"),
    Tone.QUIET: _Look(color="bright_black", word="NOTE"),
}
_TWO_COLUMNS = 100
# The one fact that the headline and the step of a reply may not tell.
_IN_REPLIES = "Recovery"


class TerminalNotifier:
    """Notices to a rich console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @property
    def name(self) -> str:
        return "terminal"

    def deliver(self, notice: Notice, *, root: Posted | None, maybe_sent: bool) -> Posted:
        if root is not None:
            notice = _only_news(notice)
        if self._console.is_terminal:
            text = self._drawn(_panel(notice, self._console.width, repeat=maybe_sent))
        else:
            # One line each whatever the width: a log is searched by line.
            text = "".join(f"{line}\n" for line in _lines(notice, repeat=maybe_sent))
        try:
            self._console.file.write(text)
            self._console.file.flush()
        except (OSError, ValueError) as exc:
            # A pipe whose reader went away does not come back.
            why = getattr(exc, "strerror", None) or "closed, or in an encoding that lacks a letter"
            raise NotifyError(f"terminal: cannot be written to: {why}", permanent=True) from exc
        return Posted(channel="", ts="")

    def _drawn(self, panel: Panel) -> str:
        # On a console of its own: where the reader of a pipe is gone, rich's print ends the program.
        paper = Console(
            file=StringIO(),
            width=self._console.width,
            force_terminal=True,
            color_system=cast(Any, self._console.color_system),
            no_color=self._console.no_color,
        )
        with paper.capture() as captured:
            paper.print(panel)
        return captured.get()


def _only_news(notice: Notice) -> Notice:
    """A reply: all the rest stands further up already, and a terminal cannot rewrite it there."""
    facts = tuple(fact for fact in notice.facts if fact.label == _IN_REPLIES)
    return replace(notice, facts=facts, evidence=(), changes=(), links=())


def _panel(notice: Notice, width: int, *, repeat: bool) -> Panel:
    look = _LOOKS[notice.tone]
    parts: list[RenderableType] = [Text(cleaned(notice.step))]
    if notice.facts:
        parts += [Text(), _facts(notice.facts, columns=2 if width >= _TWO_COLUMNS else 1)]
    if notice.evidence:
        parts += [Text(), Text("Evidence", style="bold")]
        parts += [Padding(Text(f"• {one_line(line)}"), (0, 0, 0, 2)) for line in notice.evidence]
    if notice.changes:
        parts += [Text(), Text("What changed", style="bold")]
        parts += [Padding(Text(one_line(line), style="cyan"), (0, 0, 0, 2)) for line in notice.changes]
    if notice.links:
        parts.append(Text())
        # The address itself and not a hidden link: it is copied, and not every terminal has links.
        parts += [
            Text.assemble((f"{one_line(link.text)}  ", "bold"), (one_line(link.url), "underline blue"), overflow="fold")
            for link in notice.links
        ]
    return Panel(
        Group(*parts),
        title=Text.assemble(("● ", look.color), (_headline(notice, repeat=repeat), f"bold {look.color}")),
        title_align="left",
        subtitle=Text(f"{one_line(notice.thread)}  {_moment(notice)}", style="dim"),
        subtitle_align="right",
        border_style=look.color,
        padding=(1, 2),
    )


def _facts(facts: tuple[Fact, ...], *, columns: int) -> Table:
    table = Table.grid(padding=(0, 2))
    for _ in range(columns):
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
    cells = [cell for fact in facts for cell in (Text(one_line(fact.label)), Text(one_line(fact.value)))]
    for start in range(0, len(cells), 2 * columns):
        table.add_row(*cells[start : start + 2 * columns])
    return table


def _lines(notice: Notice, *, repeat: bool) -> Iterable[str]:
    yield f"{_moment(notice)} [{_LOOKS[notice.tone].word}] {_headline(notice, repeat=repeat)}"
    for line in cleaned(notice.step).split("\n"):
        yield f"  {line}"
    label_width = max((len(one_line(fact.label)) for fact in notice.facts), default=0)
    for fact in notice.facts:
        yield f"  {one_line(fact.label):<{label_width}}  {one_line(fact.value)}"
    for line in notice.evidence:
        yield f"  evidence: {one_line(line)}"
    for line in notice.changes:
        yield f"  changed: {one_line(line)}"
    for link in notice.links:
        yield f"  {one_line(link.text)}: {one_line(link.url)}"
    yield f"  reference: {one_line(notice.thread)}"


def _headline(notice: Notice, *, repeat: bool) -> str:
    return f"(possible repeat) {one_line(notice.headline)}" if repeat else one_line(notice.headline)


def _moment(notice: Notice) -> str:
    return f"{notice.at:%Y-%m-%d %H:%M:%S} UTC"
