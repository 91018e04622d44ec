"""Network trouble on demand: each kind, before and after the request is carried out."""

from __future__ import annotations

from threading import Thread

import httpx
import pytest

from watchdog.embedded.faults import Answering, Fault

PROMOTE = "*/promote"


def _production(running):
    return running.get(f"/api/v1/prompts/{running.prompt_id}").json()["productionVersionId"]


def test_a_status_is_answered_without_carrying_the_request_out(running):
    """
    The envelope with the status, once, with Retry-After where asked.
    """
    fault = Fault(answering=Answering.STATUS, path=PROMOTE, status=429, retry_after_s=7)
    running.platform.admin.inject_fault(fault)

    answer = running.promote(running.second)

    assert (429, "7", "RATE_LIMITED") == (
        answer.status_code,
        answer.headers["retry-after"],
        answer.json()["errorCode"],
    )
    assert running.first == _production(running)
    assert 200 == running.promote(running.second).status_code


def test_a_status_after_applying_hides_a_promotion_that_happened(running):
    """
    502 to the caller, and the pointer has moved.
    """
    running.platform.admin.inject_fault(Fault(answering=Answering.STATUS, path=PROMOTE, status=502, apply=True))

    assert 502 == running.promote(running.second).status_code
    assert running.second == _production(running)


@pytest.mark.parametrize("apply", [False, True])
def test_a_dropped_connection_gives_no_byte(running, apply, caplog):
    """
    Applied or not, the caller sees the same; the server does not complain.
    """
    running.platform.admin.inject_fault(Fault(answering=Answering.DROP, path=PROMOTE, apply=apply))

    with pytest.raises(httpx.RemoteProtocolError):
        running.promote(running.second)

    assert (running.second if apply else running.first) == _production(running)
    assert [] == [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_cut_answer_ends_in_the_middle(running):
    """
    The announced length is not reached.
    """
    running.platform.admin.inject_fault(Fault(answering=Answering.CUT, path="*/execution-logs"))

    with pytest.raises(httpx.RemoteProtocolError):
        running.logs()


@pytest.mark.parametrize("answering", [Answering.HALF, Answering.GARBAGE, Answering.HTML])
def test_an_answer_that_is_no_json_looks_like_a_success(running, answering):
    """
    200, and nothing that parses.
    """
    running.platform.admin.inject_fault(Fault(answering=answering, path="*/prompts", status=200))

    answer = running.get("/api/v1/prompts")

    assert 200 == answer.status_code
    with pytest.raises(ValueError, match=r"."):
        answer.json()


def test_a_huge_answer_has_the_size_asked_for(running):
    """
    To prove that a client bounds what it reads.
    """
    running.platform.admin.inject_fault(Fault(answering=Answering.HUGE, size_bytes=100_000))

    assert 100_000 < len(running.get("/api/v1/prompts").content)


def test_a_cursor_that_repeats_never_ends(running):
    """
    The client gets back the cursor that it sent.
    """
    for _ in range(3):
        running.execute(promptSlug="support", variables={"name": "Ada"})
    running.platform.admin.inject_fault(Fault(answering=Answering.SAME_CURSOR, path="*/execution-logs", next_n=None))

    first = running.logs(limit=1)
    second = running.logs(limit=1, cursor=first["nextCursor"])
    third = running.logs(limit=1, cursor=second["nextCursor"])

    assert first["nextCursor"] == second["nextCursor"] == third["nextCursor"]


def test_a_delay_is_waited_by_the_clock(running):
    """
    Before the request is looked at and before the answer leaves.
    """
    running.platform.admin.inject_fault(Fault(answering=Answering.TRUE, delay_s=3.0, delay_after_s=4.0))

    assert 200 == running.get("/api/v1/prompts").status_code
    assert [3.0, 4.0] == running.clock.waits


def test_a_request_is_applied_although_its_caller_has_gone(running, system_clock):
    """
    A promotion that was given up by its caller may still happen later.
    """
    running.clock.hold_s = 0.3
    running.platform.admin.inject_fault(Fault(answering=Answering.TRUE, path=PROMOTE, delay_s=1.0))
    path = f"/api/v1/prompts/{running.prompt_id}/versions/{running.second}/promote"
    with pytest.raises(httpx.ReadTimeout):
        running.client.post(path, timeout=0.05)
    assert running.first == _production(running)

    deadline_s = system_clock.monotonic() + 5
    while _production(running) != running.second:
        assert system_clock.monotonic() < deadline_s


def test_faults_are_taken_in_order_and_seen_requests_are_counted(running):
    """
    Also those that never reached the platform.
    """
    admin = running.platform.admin
    admin.inject_fault(Fault(answering=Answering.STATUS, path="*/prompts", status=500, next_n=2))
    admin.inject_fault(Fault(answering=Answering.STATUS, path="*", status=503))

    assert [500, 500, 503, 200] == [running.get("/api/v1/prompts").status_code for _ in range(4)]
    assert 4 == len(running.platform.faults.seen("/api/v1/prompts", "GET"))

    running.platform.faults.clear()
    assert () == running.platform.faults.seen()


def test_a_fault_of_one_method_leaves_the_others(running):
    """
    GET fails, POST works.
    """
    running.platform.admin.inject_fault(Fault(answering=Answering.STATUS, method="GET", next_n=None))

    assert 503 == running.get("/api/v1/feedback").status_code
    assert 200 == running.promote(running.second).status_code


def test_faults_hit_concurrent_requests_exactly_n_times(running):
    """
    Ten requests at once, three of them hit.
    """
    running.platform.admin.inject_fault(Fault(answering=Answering.STATUS, next_n=3))
    statuses = []
    threads = [Thread(target=lambda: statuses.append(running.get("/api/v1/prompts").status_code)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [200] * 7 + [503] * 3 == sorted(statuses)
