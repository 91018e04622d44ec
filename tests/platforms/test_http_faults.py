"""Every way in which a server can fail, and the one error that each becomes."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import time
import tracemalloc
import zlib
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.platforms.constants import CANARY, NOW, StoppedClock
from tests.platforms.hostile_server import (
    Answer,
    HostileServer,
    Seen,
    hang_up,
    head,
    in_turn,
    json_answer,
    raw_answer,
    refusal,
)
from tests.world import ManualClock
from watchdog.errors import BadAnswer, NotSent, OutcomeUnknown, Refused
from watchdog.platforms.bearer import Bearer
from watchdog.platforms.deadline import Deadline, DeadlineTransport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from watchdog.platforms.prompthelm import PromptHelm

EMPTY = {"items": [], "nextCursor": None}
MIB = 2**20


def promote(client: PromptHelm) -> None:
    client.promote("p1", "v1", note="watchdog:1", revert_of="a1")


def half_a_body(seen: Seen, connection: socket.socket) -> None:
    connection.sendall(head(200, {"content-length": "500"}) + b'{"items": [')


def drip_body(server: HostileServer) -> Answer:
    """One byte of the body now and then, for ever."""

    def answer(seen: Seen, connection: socket.socket) -> None:
        connection.sendall(head(200, {"content-type": "application/json"}))
        while not server.stopping.wait(0.05):
            connection.sendall(b" ")

    return answer


def drip_head(server: HostileServer) -> Answer:
    """One byte of the headers now and then, for ever."""

    def answer(seen: Seen, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nx-slow: ")
        while not server.stopping.wait(0.05):
            connection.sendall(b"x")

    return answer


def endless(declared: str | None, sent: list[int]) -> Answer:
    """Up to 200 MiB of JSON, made as it is sent; `sent` counts bytes that left."""

    def answer(seen: Seen, connection: socket.socket) -> None:
        connection.sendall(
            head(200, {"content-type": "application/json"} | ({"content-length": declared} if declared else {}))
        )
        chunk = b"[" * MIB
        for _ in range(200):
            connection.sendall(chunk)
            sent.append(len(chunk))

    return answer


def test_401_says_that_the_token_is_not_valid(client: PromptHelm, hostile: HostileServer) -> None:
    """And which scope a new one must have."""
    hostile.answer = refusal(401, "UNAUTHORIZED", "invalid token")

    with pytest.raises(Refused) as caught:
        client.prompts()

    assert (caught.value.status, caught.value.scope, caught.value.retryable) == (401, "prompts:write", False)
    assert str(caught.value) == (
        "GET /api/v1/prompts was refused: 401 UNAUTHORIZED (request req-1). "
        "The token is unknown, revoked or expired; set a valid one with the scope prompts:write."
    )


def test_403_names_the_call_and_the_scope(client: PromptHelm, hostile: HostileServer) -> None:
    """The audit log's scope is another one than the registry's."""
    hostile.answer = refusal(403, "FORBIDDEN", ["missing scope", "ask an owner"])

    with pytest.raises(Refused) as caught:
        client.promotions(since=NOW)

    assert caught.value.scope == "audit:read"
    assert "GET /api/v1/audit-logs" in str(caught.value)
    assert "403 FORBIDDEN (request req-1)" in str(caught.value)
    assert "ask an owner" not in str(caught.value)
    assert "lacks the scope audit:read" in str(caught.value)


def test_404_is_refused_and_not_retried(client: PromptHelm, hostile: HostileServer) -> None:
    """Asking again would not make it known."""
    hostile.answer = refusal(404, "NOT_FOUND", "no such prompt")

    with pytest.raises(Refused) as caught:
        client.prompt("p1")

    assert (caught.value.status, caught.value.scope, len(hostile.seen)) == (404, None, 1)


def test_429_with_a_short_wait_is_obeyed_and_tried_again(client: PromptHelm, hostile: HostileServer) -> None:
    """The caller never hears of it."""
    hostile.answer = in_turn(refusal(429, "RATE_LIMIT", "slow down", {"retry-after": "0"}), json_answer(EMPTY))

    assert client.prompts() == ()
    assert len(hostile.seen) == 2


def test_pauses_are_what_the_server_asks_for_and_a_random_part(
    connect: Callable[..., PromptHelm], hostile: HostileServer
) -> None:
    """Or the random part alone, doubled each time; none of it comes back in step with others."""
    clock = StoppedClock()
    client = connect(clock=clock, uniform=lambda: 0.5)

    hostile.answer = in_turn(refusal(429, "RATE_LIMIT", "x", {"retry-after": "1"}), json_answer(EMPTY))
    client.prompts()
    hostile.answer = in_turn(hang_up, hang_up, json_answer(EMPTY))
    client.prompts()

    assert [1.125, 0.125, 0.25] == clock.waits_s


def test_pauses_that_the_deadline_does_not_leave_room_for_are_not_made(
    connect: Callable[..., PromptHelm], hostile: HostileServer
) -> None:
    """The caller gets the error at once instead of a later one."""
    clock = StoppedClock()
    hostile.answer = refusal(503, "DOWN", "x", {"retry-after": "2"})

    with pytest.raises(BadAnswer):
        connect(clock=clock, timeout_s=1.0).prompts()

    assert ([], 1) == (clock.waits_s, len(hostile.seen))


def test_429_with_a_long_wait_is_handed_to_the_caller(client: PromptHelm, hostile: HostileServer) -> None:
    """A tick must not hang in the client for a minute."""
    hostile.answer = refusal(429, "RATE_LIMIT", "slow down", {"retry-after": "60"})

    with pytest.raises(Refused) as caught:
        client.prompts()

    assert (caught.value.retryable, caught.value.retry_after_s, len(hostile.seen)) == (True, 60.0, 1)


def test_after_a_429_nothing_is_sent_until_the_wait_is_over(
    connect: Callable[..., PromptHelm], hostile: HostileServer
) -> None:
    """Every call shares the limit; a promotion is not sent either, and known not to have been."""
    clock = ManualClock()
    client = connect(clock=clock)
    hostile.answer = in_turn(refusal(429, "RATE_LIMIT", "slow down", {"retry-after": "60"}), json_answer(EMPTY))
    with pytest.raises(Refused):
        client.prompts()

    with pytest.raises(Refused, match="another 60 s of quiet") as quiet:
        client.promote("p", "v", note="watchdog:x", revert_of="y")
    assert (True, 60.0) == (quiet.value.retryable, quiet.value.retry_after_s)
    assert 1 == len(hostile.seen)

    clock.move(timedelta(seconds=61))
    assert () == client.prompts()


def test_429_with_a_date_is_turned_into_seconds(client: PromptHelm, hostile: HostileServer) -> None:
    """Retry-After may be an HTTP date."""
    later = format_datetime(NOW.replace(minute=2), usegmt=True)
    hostile.answer = refusal(429, "RATE_LIMIT", "slow down", {"retry-after": later})

    with pytest.raises(Refused) as caught:
        client.prompts()

    assert caught.value.retry_after_s == 120.0


def test_a_read_survives_two_server_errors(client: PromptHelm, hostile: HostileServer) -> None:
    """Reads may be repeated freely."""
    hostile.answer = in_turn(refusal(503, "DOWN", "x"), hang_up, json_answer(EMPTY))

    assert client.prompts() == ()
    assert len(hostile.seen) == 3


def test_a_read_gives_up_after_three_server_errors(client: PromptHelm, hostile: HostileServer) -> None:
    """The tick comes again; the client does not hammer."""
    hostile.answer = refusal(502, "BAD_GATEWAY", "upstream")

    with pytest.raises(BadAnswer) as caught:
        client.prompts()

    assert (caught.value.retryable, len(hostile.seen)) == (True, 3)
    assert "502 BAD_GATEWAY" in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (raw_answer(200, b"<!DOCTYPE html><html>log in</html>"), "HTML"),
        (raw_answer(200, b"certainly not"), "JSON expected"),
        (raw_answer(200, b"\xff\xfe\x00"), "JSON expected"),
        (raw_answer(200, b"[" * 100_000), "JSON expected"),
        (raw_answer(200, b'{"items": 3}'), "not a listing"),
        (raw_answer(200, b"[]"), "not a listing"),
        (raw_answer(200, b""), "not a listing"),
        (raw_answer(200, b'{"items": [], "nextCursor": 7}'), "nextCursor is not text"),
        (raw_answer(200, b'{"items": [], "nextCursor": "\\ud800"}'), "nextCursor is not text"),
        (raw_answer(302, b"", {"location": "https://elsewhere.example/login?next=x"}), "redirect"),
        (raw_answer(200, b"\x00\x01", {"content-encoding": "br"}), "compressed as 'br'"),
        (raw_answer(200, b"not gzip at all", {"content-encoding": "gzip"}), "damaged"),
    ],
)
def test_an_answer_against_the_contract_is_a_bad_answer(
    client: PromptHelm, hostile: HostileServer, answer: Answer, found: str
) -> None:
    """Trying the same again would not help, so nobody does."""
    hostile.answer = answer

    with pytest.raises(BadAnswer, match=found) as caught:
        client.prompts()

    assert (caught.value.retryable, len(hostile.seen)) == (False, 1)


def test_a_redirect_is_never_followed(client: PromptHelm, hostile: HostileServer) -> None:
    """The token would go along to wherever it points."""
    hostile.answer = raw_answer(307, b"", {"location": f"{hostile.url}/elsewhere?token=1"})

    with pytest.raises(BadAnswer, match="/elsewhere'"):
        client.prompts()

    assert [seen.path for seen in hostile.seen] == ["/api/v1/prompts"]


@pytest.mark.parametrize("cut_gzip", [False, True])
def test_half_a_body_is_worth_another_try(client: PromptHelm, hostile: HostileServer, cut_gzip: bool) -> None:
    """The connection was lost on the way, whatever the status said."""
    halved = raw_answer(200, gzip.compress(b'{"items": []}')[:-9], {"content-encoding": "gzip"})
    hostile.answer = halved if cut_gzip else half_a_body

    with pytest.raises(BadAnswer) as caught:
        client.prompts()

    assert (caught.value.retryable, len(hostile.seen)) == (True, 3)


@pytest.mark.parametrize("declared", [None, str(200 * MIB), "9" * 30])
def test_200_mib_are_refused_without_being_held(
    client: PromptHelm, hostile: HostileServer, declared: str | None
) -> None:
    """Not read at all when the length is announced, and no further than the limit when it is not."""
    sent: list[int] = []
    hostile.answer = endless(declared, sent)
    tracemalloc.start()
    try:
        with pytest.raises(BadAnswer, match=r"more than 33,554,432 bytes|lost"):
            client.prompts()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 40 * MIB
    # The kernel's buffers hold a few MiB that left the server and were never read.
    assert sum(sent) < (48 * MIB if declared is None else 16 * MIB)


def test_bodies_of_a_call_are_read_up_to_a_mebibyte(client: PromptHelm, hostile: HostileServer) -> None:
    """Evidence is worth no more; the listings may be longer."""
    whole = json.dumps({"id": "c1", "response": {"output": "x" * (MIB - 100)}}).encode()
    hostile.answer = raw_answer(200, whole)

    assert MIB - 100 == len(client.payload("c1").output or "")

    hostile.answer = raw_answer(200, whole + b" " * 200)
    with pytest.raises(BadAnswer, match="more than 1,048,576 bytes, which is not read") as caught:
        client.payload("c1")

    assert not caught.value.retryable


def test_an_odd_body_is_a_bad_answer_that_quotes_nothing(client: PromptHelm, hostile: HostileServer) -> None:
    """Another call's, or no object at all."""
    for body in ({"id": "c2", "response": {"output": "CANARY"}}, ["CANARY"], "CANARY"):
        hostile.answer = raw_answer(200, json.dumps(body).encode())

        with pytest.raises(BadAnswer) as caught:
            client.payload("c1")

        assert "CANARY" not in str(caught.value)


def test_a_gzip_bomb_is_refused_without_being_inflated(client: PromptHelm, hostile: HostileServer) -> None:
    """We ask for no compression, and stop at the limit where it comes all the same."""
    squeezed = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(squeezed.compress(b" " * MIB) for _ in range(200)) + squeezed.flush()
    hostile.answer = raw_answer(200, bomb, {"content-encoding": "gzip"})
    tracemalloc.start()
    try:
        with pytest.raises(BadAnswer, match="more than 33,554,432 bytes"):
            client.prompts()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(bomb) < MIB
    # The limit, and the same again while the last piece is cut to it.
    assert peak < 80 * MIB
    assert hostile.seen[0].headers["accept-encoding"] == "identity"


def test_gzip_within_the_limit_is_read(client: PromptHelm, hostile: HostileServer) -> None:
    """Some proxies compress whatever was asked for."""
    hostile.answer = raw_answer(200, gzip.compress(b'{"items": []}'), {"content-encoding": "gzip"})

    assert client.prompts() == ()


@pytest.mark.parametrize("drip", [drip_head, drip_body])
def test_a_drip_feed_ends_at_the_deadline(
    connect: Callable[..., PromptHelm], hostile: HostileServer, drip: Callable[[HostileServer], Answer]
) -> None:
    """Each byte comes well within a timeout that is counted anew for every read."""
    hostile.answer = drip(hostile)
    client = connect(timeout_s=0.4)
    started = time.monotonic()

    with pytest.raises(BadAnswer, match=r"no complete answer within 0\.4 s") as caught:
        client.prompts()

    assert time.monotonic() - started < 1.5
    assert (caught.value.retryable, len(hostile.seen)) == (True, 1)


def test_nobody_listening_is_not_sent(connect: Callable[..., PromptHelm]) -> None:
    """For a read and for a change alike."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = connect(url=f"http://127.0.0.1:{unused.getsockname()[1]}")

        with pytest.raises(NotSent) as read:
            client.prompts()
        with pytest.raises(NotSent) as change:
            promote(client)

    assert (read.value.retryable, change.value.retryable) == (True, True)
    assert "was not sent: no connection" in str(change.value)


def test_a_server_that_does_not_take_connections_is_not_sent(connect: Callable[..., PromptHelm]) -> None:
    """Its backlog is full, so the handshake never ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as waiting:
        for _ in range(4):
            queued = waiting.enter_context(socket.socket())
            queued.setblocking(False)
            queued.connect_ex(full.getsockname())

        with pytest.raises(NotSent, match="no connection within the time limit"):
            promote(connect(url=f"http://127.0.0.1:{full.getsockname()[1]}", timeout_s=0.3))


def test_a_name_that_does_not_exist_is_not_sent(connect: Callable[..., PromptHelm]) -> None:
    """`invalid` is reserved for names that never resolve; a label of 70 letters cannot even be asked for."""
    for host in ("nowhere.invalid", f"{'a' * 70}.invalid"):
        with pytest.raises(NotSent):
            connect(url=f"https://{host}", timeout_s=2.0).prompts()


def test_tls_against_a_server_without_it_is_not_sent(
    connect: Callable[..., PromptHelm], hostile: HostileServer
) -> None:
    """The handshake fails before the token is shown."""
    with pytest.raises(NotSent):
        promote(connect(url=hostile.url.replace("http:", "https:"), timeout_s=0.3))

    assert hostile.seen == []


def test_nothing_is_sent_to_a_forbidden_address(hostile: HostileServer) -> None:
    """It is looked at after connecting and before the first byte, whatever the name resolved to."""
    transport = DeadlineTransport(
        ssl_context=None, proxy=None, keep_alive=False, forbidden=lambda address: address == "127.0.0.1"
    )
    deadline = Deadline(StoppedClock(), 2.0)

    with (
        httpx.Client(transport=transport) as client,
        pytest.raises(httpx.ConnectError, match="which is never asked"),
    ):
        client.get(hostile.url, extensions={"deadline": deadline})

    assert [] == hostile.seen


def test_a_clock_that_runs_fast_leaves_the_server_its_seconds() -> None:
    """Deadlines are in seconds of the wall: the simulation hurries, the network does not."""
    slow, fast = Deadline(StoppedClock(), 2.0), Deadline(StoppedClock(speed=1000.0), 2.0)

    assert 1.9 < slow.left_s() <= 2.0
    assert 1.9 < fast.left_s() <= 2.0


def test_a_closed_client_sends_nothing(client: PromptHelm, hostile: HostileServer) -> None:
    """A thread that is still busy at shutdown gets a plain error."""
    client.close()

    with pytest.raises(NotSent, match="closed"):
        client.prompts()

    assert hostile.seen == []


@pytest.mark.parametrize(
    "answer",
    [
        hang_up,
        half_a_body,
        refusal(500, "INTERNAL", "x"),
        refusal(503, "DOWN", "x", {"retry-after": "0"}),
        raw_answer(504, b"<html>gateway timeout</html>"),
        raw_answer(200, b"<html>log in</html>"),
        raw_answer(303, b"", {"location": "/done"}),
        lambda _seen, connection: connection.sendall(b"certainly not HTTP\r\n\r\n"),
    ],
)
def test_a_promotion_without_a_whole_answer_has_an_unknown_outcome(
    client: PromptHelm, hostile: HostileServer, answer: Answer
) -> None:
    """And was sent exactly once."""
    hostile.answer = answer

    with pytest.raises(OutcomeUnknown, match="read back") as caught:
        promote(client)

    assert (caught.value.retryable, len(hostile.seen), hostile.connections) == (False, 1, 1)


@pytest.mark.parametrize("drip", [drip_head, drip_body])
def test_a_promotion_beyond_the_deadline_has_an_unknown_outcome(
    connect: Callable[..., PromptHelm], hostile: HostileServer, drip: Callable[[HostileServer], Answer]
) -> None:
    """It may have been applied while we waited."""
    hostile.answer = drip(hostile)

    with pytest.raises(OutcomeUnknown):
        promote(connect(timeout_s=0.3))

    assert len(hostile.seen) == 1


@pytest.mark.parametrize(
    ("status", "scope"), [(401, "prompts:write"), (403, "prompts:write"), (404, None), (409, None)]
)
def test_a_promotion_that_is_refused_is_not_repeated(
    client: PromptHelm, hostile: HostileServer, status: int, scope: str | None
) -> None:
    """Nothing was changed, and the platform says why."""
    hostile.answer = refusal(status, "NO", "no")

    with pytest.raises(Refused) as caught:
        promote(client)

    assert (status, scope, 1) == (caught.value.status, caught.value.scope, len(hostile.seen))


@pytest.mark.parametrize("answer", [json_answer({"id": "v1"}), raw_answer(204, b""), raw_answer(200, b"")])
def test_a_promotion_is_done_with_any_whole_answer(client: PromptHelm, hostile: HostileServer, answer: Answer) -> None:
    """What the answer holds is not published; the read-back decides."""
    hostile.answer = answer

    promote(client)

    sent = hostile.seen[0]
    assert (sent.method, sent.target) == ("POST", "/api/v1/prompts/p1/versions/v1/promote")
    assert sent.body.replace(b": ", b":").replace(b", ", b",") == b'{"reason":"watchdog:1","revertOf":"a1"}'


def test_a_rotated_token_is_read_again_after_a_401(connect: Callable[..., PromptHelm], hostile: HostileServer) -> None:
    """No restart is needed, and the caller of a read never notices."""
    tokens = ["phk_old", "phk_new\n"]
    client = connect(read_token=lambda: tokens[min(len(hostile.seen), 1)])
    hostile.answer = in_turn(refusal(401, "UNAUTHORIZED", "x"), json_answer(EMPTY))

    client.prompts()

    assert [seen.headers["authorization"] for seen in hostile.seen] == ["Bearer phk_old", "Bearer phk_new"]


def test_a_promotion_with_a_rotated_token_is_left_to_the_caller(
    connect: Callable[..., PromptHelm], hostile: HostileServer
) -> None:
    """One request, never repeated here; the next one carries the present token."""
    tokens = ["phk_old", "phk_new"]
    client = connect(read_token=lambda: tokens[min(len(hostile.seen), 1)])
    hostile.answer = in_turn(refusal(401, "UNAUTHORIZED", "x"), json_answer({}))

    with pytest.raises(Refused, match="rotated") as caught:
        promote(client)
    seen_after_the_first = len(hostile.seen)
    promote(client)

    assert (caught.value.retryable, seen_after_the_first) == (True, 1)
    assert hostile.seen[1].headers["authorization"] == "Bearer phk_new"


def test_a_token_that_another_thread_renewed_meanwhile_counts_as_renewed() -> None:
    """Both threads were refused with the first one; only one of them reads the file."""
    tokens = ["phk_old", "phk_new", "phk_newest"]
    bearer = Bearer(lambda: tokens.pop(0))
    bearer.load()
    refused = bearer.generation

    assert (True, True, ["phk_newest"]) == (bearer.renew(refused), bearer.renew(refused), tokens)


def test_a_token_file_that_is_missing_is_not_sent(
    connect: Callable[..., PromptHelm], hostile: HostileServer, tmp_path: Path
) -> None:
    """The message names the file."""
    client = connect(read_token=(tmp_path / "token").read_text)

    with pytest.raises(NotSent, match="token cannot be read"):
        promote(client)

    assert hostile.seen == []


def test_the_clock_skew_comes_from_the_last_answer(client: PromptHelm, hostile: HostileServer) -> None:
    """The header has whole seconds, so half a second is added."""
    hostile.answer = json_answer(EMPTY, headers={"date": format_datetime(NOW.replace(minute=1), usegmt=True)})

    before = client.clock_skew()
    client.prompts()
    skew = client.clock_skew()

    assert None is before
    assert skew is not None
    assert skew.total_seconds() == 60.5


@pytest.mark.parametrize("said", ["Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 1500 00:00:00 GMT"])
def test_a_date_at_the_end_of_the_calendar_is_no_clock(client: PromptHelm, hostile: HostileServer, said: str) -> None:
    """What is reckoned with it, such as how late a call may have started, would leave the calendar."""
    hostile.answer = json_answer(EMPTY, headers={"date": said})

    assert () == next(client.calls("p1", since=NOW - timedelta(hours=1), until=NOW)).calls
    assert client.clock_skew() is None


def test_reads_keep_their_connection_and_promotions_do_not(client: PromptHelm, hostile: HostileServer) -> None:
    """On a kept connection a drop before the answer would be ambiguous more often than needed."""
    body = b'{"items": []}'

    def keep(seen: Seen, connection: socket.socket) -> bool:
        connection.sendall(head(200, {"content-length": str(len(body))}) + body)
        return True

    hostile.answer = keep

    client.prompts()
    client.prompts()
    reads = hostile.connections
    promote(client)
    promote(client)

    assert (reads, hostile.connections) == (1, 3)


def test_a_kept_connection_that_died_is_no_error(client: PromptHelm, hostile: HostileServer) -> None:
    """The server closed it while it was idle, as servers do."""
    body = b'{"items": []}'
    hostile.answer = lambda _seen, connection: connection.sendall(head(200, {"content-length": str(len(body))}) + body)

    client.prompts()

    assert client.prompts() == ()


def test_cookies_are_not_kept(client: PromptHelm, hostile: HostileServer) -> None:
    """A session would be a state that nobody sees."""
    hostile.answer = json_answer(EMPTY, headers={"set-cookie": "session=1; Path=/"})

    client.prompts()
    client.prompts()

    assert ["cookie" in seen.headers for seen in hostile.seen] == [False, False]


def test_the_proxy_of_the_environment_is_used_only_when_asked_for(
    connect: Callable[..., PromptHelm], hostile: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An inherited HTTP_PROXY must not silently see the token."""
    monkeypatch.setenv("http_proxy", hostile.url)
    monkeypatch.setenv("no_proxy", "")
    target = "http://127.0.0.2:9"

    with pytest.raises(NotSent):
        connect(url=target).prompts()
    ignored = len(hostile.seen)
    connect(url=target, proxy_from_env=True).prompts()

    assert (ignored, hostile.seen[0].target) == (0, "http://127.0.0.2:9/api/v1/prompts?limit=500")
    assert f"Bearer {CANARY}" == hostile.seen[0].headers["authorization"]
