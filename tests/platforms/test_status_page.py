"""A provider's status page, over a real socket: whatever it does, one report comes of it, within the time."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.platforms.constants import NOW, StoppedClock
from tests.platforms.hostile_server import (
    Answer,
    HostileServer,
    Seen,
    by_path,
    hang_up,
    head,
    in_turn,
    json_answer,
    raw_answer,
    refusal,
)
from watchdog.clock import SystemClock
from watchdog.core.upstream import OpenIncident, StatusReport
from watchdog.errors import ConfigError
from watchdog.platforms.status_page import INCIDENTS_PATH, MAX_BODY_BYTES, STATUS_PATH, HttpStatusPages

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

ELEVATED = {
    "id": "abc",
    "name": "Elevated errors on API",
    "status": "investigating",
    "impact": "major",
    "created_at": "2026-11-20T11:58:00.000Z",
    "started_at": "2026-11-20T11:55:00.000Z",
    "incident_updates": [{"body": "We are looking into it."}],
}


def page(indicator: object = "none", description: object = "All Systems Operational", incidents: object = ()) -> Answer:
    """A page in the common form."""
    status = {"page": {"id": "p"}, "status": {"indicator": indicator, "description": description}}
    listed = list(incidents) if isinstance(incidents, tuple) else incidents
    return answers(json_answer(status), json_answer({"page": {"id": "p"}, "incidents": listed}))


def answers(status: Answer, incidents: Answer) -> Answer:
    return by_path({f"GET {STATUS_PATH}": status, f"GET {INCIDENTS_PATH}": incidents})


@pytest.fixture
def look(hostile: HostileServer) -> Iterator[Callable[..., StatusReport]]:
    """Looks at the page of `OpenAI`, as the configuration spells it."""
    opened: list[HttpStatusPages] = []

    def look(answer: Answer, **options: Any) -> StatusReport:
        hostile.answer = answer
        pages = HttpStatusPages({"OpenAI": hostile.url}, clock=StoppedClock(), **options)
        opened.append(pages)
        report = pages.look("openai")
        assert report is not None
        return report

    yield look
    for pages in opened:
        pages.close()


def test_a_page_that_says_all_is_well_is_taken_at_its_word(look: Callable[..., StatusReport]) -> None:
    """And quoted."""
    assert StatusReport(provider="OpenAI", trouble=False, says="All Systems Operational") == look(page())


def test_an_outage_is_reported_with_its_incident(look: Callable[..., StatusReport]) -> None:
    """By the provider's own time of its beginning."""
    report = look(page("major", "Partial System Outage", (ELEVATED,)))

    assert (True, "Partial System Outage", "") == (report.trouble, report.says, report.problem)
    began = datetime(2026, 11, 20, 11, 55, tzinfo=UTC)
    assert (OpenIncident(name="Elevated errors on API", since=began),) == report.incidents


def test_providers_are_known_by_name_whatever_the_case(hostile: HostileServer) -> None:
    """And one without a page is not asked."""
    hostile.answer = page()
    pages = HttpStatusPages({"OpenAI": hostile.url}, clock=StoppedClock())

    assert ("OpenAI",) == pages.providers
    assert pages.look("OPENAI") is not None
    assert pages.look("anthropic") is None
    assert 2 == len(hostile.seen)
    pages.close()


@pytest.mark.parametrize(
    ("indicator", "trouble"),
    [("none", False), ("minor", True), ("major", True), ("critical", True), ("maintenance", True)],
)
def test_every_indicator_of_the_common_form_is_known(
    look: Callable[..., StatusReport], indicator: str, trouble: bool
) -> None:
    """Maintenance takes a part of the provider away as well."""
    assert trouble is look(page(indicator, "So it is")).trouble


def test_an_indicator_that_nobody_knows_means_nothing(look: Callable[..., StatusReport]) -> None:
    """Neither trouble nor the absence of it."""
    report = look(page("purple", "So it is"))

    assert (None, "So it is") == (report.trouble, report.says)
    assert 'its status could not be read: answered with the indicator "purple", which is not known here' == (
        report.problem
    )


def test_an_open_incident_is_trouble_whatever_the_indicator_says(look: Callable[..., StatusReport]) -> None:
    """Pages turn red late."""
    assert look(page(incidents=(ELEVATED,))).trouble is True


@pytest.mark.parametrize("row", [{"impact": "none"}, {"status": "resolved"}, {"status": "postmortem"}])
def test_what_has_no_impact_or_is_over_is_no_trouble(look: Callable[..., StatusReport], row: dict[str, object]) -> None:
    """Some pages list it as unresolved all the same."""
    assert look(page(incidents=({**ELEVATED, **row},))).trouble is False


def test_of_many_incidents_two_are_named(look: Callable[..., StatusReport]) -> None:
    """The others are counted."""
    report = look(page("critical", "Major System Outage", tuple({**ELEVATED, "name": f"No. {i}"} for i in range(9))))

    assert (["No. 0", "No. 1"], 7) == ([i.name for i in report.incidents], report.more)


def drip(server: HostileServer) -> Answer:
    """One byte now and then, for ever."""

    def answer(seen: Seen, connection: socket.socket) -> None:
        connection.sendall(head(200, {"content-type": "application/json"}))
        while not server.stopping.wait(0.05):
            connection.sendall(b" ")

    return answer


def half_a_body(seen: Seen, connection: socket.socket) -> None:
    connection.sendall(head(200, {"content-length": "500"}) + b'{"status": {')


DEAD = [
    (refusal(503, "X", "y"), "answered 503"),
    (refusal(429, "X", "y", {"retry-after": "3600"}), "answered 429"),
    (refusal(404, "X", "y"), "answered 404"),
    (raw_answer(200, b"<html>Welcome"), "answered 200 with JSON expected, but it was HTML"),
    (raw_answer(200, b"{]"), "answered 200 with JSON expected, but it was something else"),
    (raw_answer(200, b"[" * 100_000), "answered 200 with JSON expected"),
    (raw_answer(200, b""), "the answer is not an object"),
    (raw_answer(200, b"[1, 2]"), "the answer is not an object"),
    (raw_answer(200, b'{"status": "none"}'), "status is not an object"),
    (raw_answer(200, b'{"status": {"indicator": 1}}'), "indicator is not text"),
    (raw_answer(200, b'{"status": {"indicator": null}}'), "missing indicator"),
    (half_a_body, "the connection was lost"),
    (hang_up, "the connection was lost"),
    (raw_answer(200, b" " * (10 * 2**20)), f"a body of more than {MAX_BODY_BYTES:,} bytes, which is not read"),
    (
        raw_answer(302, b"", {"location": "https://elsewhere.example/"}),
        "answered 302, a redirect, which is not followed",
    ),
    (raw_answer(200, b"x", {"content-encoding": "br"}), "compressed as 'br'"),
]


@pytest.mark.parametrize(("answer", "why"), DEAD, ids=[why for _, why in DEAD])
def test_a_page_that_cannot_be_read_says_why_and_nothing_else(
    look: Callable[..., StatusReport], hostile: HostileServer, answer: Answer, why: str
) -> None:
    """Each question is asked once: nothing is repeated here."""
    report = look(answer)

    assert (None, "", (), 0) == (report.trouble, report.says, report.incidents, report.more)
    assert report.problem.startswith("could not be read: ")
    assert why in report.problem
    assert "elsewhere" not in report.problem
    assert len(hostile.seen) <= 2


def test_nobody_listening_is_a_line_as_well(hostile: HostileServer) -> None:
    """At once."""
    url = hostile.url
    hostile.stop()
    pages = HttpStatusPages({"OpenAI": url}, clock=SystemClock())

    report = pages.look("OpenAI")

    assert report is not None
    assert "could not be read: no connection" in report.problem
    pages.close()


def test_a_slow_page_is_given_up_at_the_deadline(look: Callable[..., StatusReport], hostile: HostileServer) -> None:
    """Of both questions together, however alive the connection looks."""
    began = time.monotonic()

    report = look(drip(hostile), timeout_s=0.3)

    assert time.monotonic() - began < 2.0
    assert "could not be read: answered 200, then no complete answer within 0.3 s" == report.problem


def test_half_a_page_is_told_with_what_is_missing(look: Callable[..., StatusReport]) -> None:
    """The indicator without the incidents, or the incidents without the indicator."""
    ok = json_answer({"status": {"indicator": "minor", "description": "Degraded"}})
    gone = refusal(404, "X", "y")

    first = look(answers(ok, gone))
    second = look(answers(gone, json_answer({"incidents": [ELEVATED]})))

    assert (True, "Degraded") == (first.trouble, first.says)
    assert "its incidents could not be read: answered 404" == first.problem
    assert (True, "Elevated errors on API") == (second.trouble, second.incidents[0].name)
    assert "its status could not be read: answered 404" == second.problem


@pytest.mark.parametrize("incidents", [None, "none", {"a": 1}, 7])
def test_incidents_of_another_shape_are_none(look: Callable[..., StatusReport], incidents: object) -> None:
    """The indicator stands."""
    report = look(page("minor", "Degraded", incidents))

    assert (True, ()) == (report.trouble, report.incidents)
    assert "incidents is not a list" in report.problem


def test_rows_that_are_no_incidents_are_counted(look: Callable[..., StatusReport]) -> None:
    """And the others are told."""
    report = look(page("minor", "Degraded", (None, 7, {"name": 3}, {"status": "x"}, ELEVATED)))

    assert ["Elevated errors on API"] == [i.name for i in report.incidents]
    assert "its incidents could not be read: 4 of 5 are no incidents" == report.problem


HOSTILE = "\x1b[2J<!channel> @here\u202e\u0000\ud800\nBuy [now](https://evil.example) " + "x" * 5000


def test_words_of_a_stranger_are_cleaned_and_cut(look: Callable[..., StatusReport]) -> None:
    """No control characters, no line breaks, no half of a letter, and no more than fits on a line."""
    report = look(page("minor", HOSTILE, ({**ELEVATED, "name": HOSTILE},)))

    for words, longest in ((report.says, 80), (report.incidents[0].name, 120)):
        assert words.isprintable()
        assert longest == len(words)
        assert "<!channel>" in words  # shown for what it is; whoever renders it makes it harmless
    json.dumps(report.says).encode("utf-8")


@pytest.mark.parametrize(
    ("row", "since"),
    [
        ({"started_at": "yesterday"}, datetime(2026, 11, 20, 11, 58, tzinfo=UTC)),
        ({"started_at": 5, "created_at": None}, None),
        ({"started_at": "2026-11-20", "created_at": "2026-13-45T00:00:00Z"}, None),
        ({"started_at": (NOW + timedelta(days=900)).isoformat(), "created_at": None}, None),
        ({"started_at": "2026-11-20T14:00:00+03:00"}, datetime(2026, 11, 20, 11, 0, tzinfo=UTC)),
    ],
)
def test_a_beginning_that_cannot_be_true_is_left_out(
    look: Callable[..., StatusReport], row: dict[str, object], since: datetime | None
) -> None:
    """The incident is told all the same."""
    assert since == look(page("minor", "Degraded", ({**ELEVATED, **row},))).incidents[0].since


def test_no_token_and_no_cookie_is_ever_sent(look: Callable[..., StatusReport], hostile: HostileServer) -> None:
    """Not even to a page that asks for one."""
    look(refusal(401, "UNAUTHORIZED", "who are you?", {"www-authenticate": "Bearer", "set-cookie": "a=1"}))

    assert 2 == len(hostile.seen)
    for seen in hostile.seen:
        assert set() == {"authorization", "cookie"} & set(seen.headers)
        assert ("identity", b"") == (seen.headers["accept-encoding"], seen.body)


def test_a_page_that_asked_for_quiet_is_left_alone(hostile: HostileServer) -> None:
    """For as long as it asked."""
    hostile.answer = in_turn(refusal(429, "X", "y", {"retry-after": "600"}))
    pages = HttpStatusPages({"OpenAI": hostile.url}, clock=StoppedClock())

    pages.look("openai")
    asked = len(hostile.seen)
    pages.look("openai")

    assert asked == len(hostile.seen) == 1
    pages.close()


def test_an_address_that_no_page_can_have_is_refused(hostile: HostileServer) -> None:
    """Whoever makes the settings; the password in it is not repeated."""
    with pytest.raises(ConfigError) as caught:
        HttpStatusPages({"a": hostile.url, "b": "https://me:hush@b.example"}, clock=StoppedClock())

    assert "status.b" in str(caught.value)
    assert "hush" not in str(caught.value)
