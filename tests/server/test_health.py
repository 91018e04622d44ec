"""What the three pages say, and that they say it whatever the store does."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.server.conftest import WELL, WORKER
from watchdog.core.vitals import status_line
from watchdog.errors import StoreError
from watchdog.server.look import Look

if TYPE_CHECKING:
    from tests.server.conftest import Asked
    from watchdog.core.vitals import Vitals


def samples(text: str) -> dict[tuple[str, ...], float]:
    """(name, label values) -> value."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("vitals", "alive", "ready"),
    [
        (WELL, "ok", "ok"),
        (
            replace(WELL, scheduler_alive=False),
            "the scheduler's thread has ended",
            "the scheduler's thread has ended",
        ),
        (
            replace(WELL, workers=(WORKER, replace(WORKER, name="sender", alive=False))),
            "the thread of the sender has ended",
            "the thread of the sender has ended",
        ),
        (
            replace(WELL, workers=(replace(WORKER, silent_s=601.0),)),
            "the actor has not come round for 600 s",
            "the actor has not come round for 600 s",
        ),
        (replace(WELL, workers=(replace(WORKER, name="diagnosis", silent_s=601.0, vital=False),)), "ok", "ok"),
        (
            replace(WELL, look_age_s=120.5),
            "no tick has completed for 120 s",
            "no tick has completed for 120 s",
        ),
        (replace(WELL, looks=0, look_age_s=None, up_s=3.0), "ok", "the first tick has not completed"),
        (
            replace(WELL, looks=0, look_age_s=None, up_s=121.0),
            "no tick has completed for 120 s",
            "no tick has completed for 120 s\nthe first tick has not completed",
        ),
        (
            replace(WELL, sight_age_s=None, blind_why="no answer within 10 s"),
            "ok",
            "promotions could not be looked for yet: no answer within 10 s",
        ),
        (
            replace(WELL, sight_age_s=300.0, blind_why="watch.db: the disk is full"),
            "ok",
            "promotions could not be looked for in the last 300 s: watch.db: the disk is full",
        ),
        (
            replace(WELL, sight_age_s=300.0),
            "ok",
            "promotions could not be looked for in the last 300 s: the look at the history takes too long",
        ),
    ],
)
def test_each_trouble_is_said(asked: Asked, vitals: Vitals, alive: str, ready: str) -> None:
    """To live is less than to guard."""
    asked.vitals = vitals
    health = asked.health()

    for page, said in ((health.healthz(), alive), (health.readyz(), ready)):
        assert (200 if said == "ok" else 503, f"{said}\n") == (page.status, page.body.decode())


def test_the_status_line_says_the_same_in_short() -> None:
    """And holds no number that changes with every tick."""
    assert "guarding PromptHelm" == status_line(WELL, "PromptHelm")
    assert "not guarding: the scheduler's thread has ended" == status_line(
        replace(WELL, scheduler_alive=False), "PromptHelm"
    )
    assert "not guarding: promotions could not be looked for" == status_line(
        replace(WELL, sight_age_s=300.0), "PromptHelm"
    )
    assert "guarding PromptHelm; 2 stages failing: evidence, hours" == status_line(
        replace(WELL, failing=("evidence", "hours")), "PromptHelm"
    )


def test_a_store_that_was_not_migrated_is_not_ready(asked: Asked) -> None:
    """Somebody put an older backup in its place."""
    with asked.store.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    page = asked.health().readyz()

    assert 503 == page.status
    assert page.body.decode().startswith("the database is at schema 0001; this program wants ")


def test_a_store_that_is_gone_is_said_and_metrics_are_there_all_the_same(asked: Asked) -> None:
    """What the process knows does not depend on it."""
    asked.store.close()
    path = asked.store.url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as damaged:
        damaged.execute("DROP TABLE incidents")
    damaged.close()
    health = asked.health()
    shown = samples(health.metrics().body.decode())

    assert 0.0 == shown["promptwatch_store_up",]
    assert 720.0 == shown["promptwatch_ticks_total",]
    assert not any(name[0].startswith("promptwatch_incidents") for name in shown)


def test_a_store_that_is_locked_holds_up_no_page(asked: Asked) -> None:
    """Whoever has it for itself is said to; the pages come within their patience."""
    held = sqlite3.connect(asked.store.url.removeprefix("sqlite:///"))
    try:
        held.execute("PRAGMA journal_mode=DELETE")
        held.execute("BEGIN EXCLUSIVE")
        health = asked.health()
        with ThreadPoolExecutor(4) as pool:
            pages = [pool.submit(page) for page in (health.healthz, health.readyz, health.readyz, health.metrics)]
            alive, ready, again, metrics = (page.result(8.0) for page in pages)
    finally:
        held.close()

    assert 200 == alive.status
    for page in (ready, again):
        assert (503, "the database cannot be used: the database has not answered within 2 s\n") == (
            page.status,
            page.body.decode(),
        )
    assert 0.0 == samples(metrics.body.decode())["promptwatch_store_up",]
    assert 200 == asked.health().readyz().status


def test_many_who_ask_at_once_ask_the_store_once() -> None:
    """A scrape costs what it costs, however many scrapers there are."""
    gate, asked = Event(), []

    def ask() -> int:
        asked.append(1)
        gate.wait(10.0)
        return len(asked)

    look = Look(ask, fresh_s=60.0, patience_s=10.0)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(look.get) for _ in range(8)]
        gate.set()

        assert [1] * 8 == [answer.result(10.0) for answer in answers]
    assert 1 == look.get()


def test_an_answer_that_is_old_is_asked_for_anew_and_so_is_a_failure() -> None:
    """Nothing is kept for longer than it is fresh, errors neither."""
    answers = iter([StoreError("locked"), 1, 2])

    def ask() -> int:
        answer = next(answers)
        if isinstance(answer, StoreError):
            raise answer
        return answer

    look = Look(ask, fresh_s=0.0, patience_s=10.0)
    with pytest.raises(StoreError, match="locked"):
        look.get()
    assert [1, 2] == [look.get(), look.get()]


def test_the_metrics_are_what_prometheus_reads(asked: Asked) -> None:
    """By its own parser; every family has a help text, every name our prefix or the process's."""
    page = asked.health().metrics()
    families = {family.name: family for family in text_string_to_metric_families(page.body.decode())}
    shown = samples(page.body.decode())

    assert page.content_type.startswith("text/plain; version=0.0.4")
    assert all(family.documentation for family in families.values())
    assert all(name.startswith(("promptwatch_", "process_")) for name in families)
    assert 1.0 == shown["promptwatch_alive",]
    assert 3.0 == shown["promptwatch_tick_duration_seconds_count",]
    assert 1.0 == shown["promptwatch_tick_duration_seconds_bucket", "0.025"]
    assert 2.0 == shown["promptwatch_tick_duration_seconds_bucket", "120"]
    assert 3.0 == shown["promptwatch_tick_duration_seconds_bucket", "+Inf"]
    assert 0.0 == shown["promptwatch_incidents", "done"]
    assert 0.0 == shown["promptwatch_guard_refusals_total", "fleet"]
    assert 0.0 == shown["promptwatch_failed_calls_prevented_total",]
    assert ("promptwatch_ingest_lag_seconds",) not in shown
    assert "process_resident_memory_bytes" in families


def test_a_port_that_is_taken_stops_nothing_and_is_had_later(asked: Asked, caplog: pytest.LogCaptureFixture) -> None:
    """The daemon that is being replaced may still have it."""
    url = f"http://127.0.0.1:{asked.port}/healthz"
    with asked.server(), asked.server(retry_s=0.05) as second:
        assert None is second.port
        assert 200 == httpx.get(url, trust_env=False).status_code
    assert ["listen_failed"] == [r.action for r in caplog.records if r.levelname == "WARNING"]  # type: ignore[attr-defined]
    with asked.server() as first:
        waiting = asked.server(retry_s=0.05).__enter__()
        try:
            first.__exit__()
            for _ in range(200):
                if waiting.port is not None:
                    break
                Event().wait(0.05)

            assert 200 == httpx.get(url, trust_env=False).status_code
        finally:
            waiting.__exit__()


def test_a_replica_says_how_much_it_has_a_claim_on(asked: Asked) -> None:
    """Absent where there is one daemon only, which has everything."""
    assert not any(name == "promptwatch_claims_held" for name, *_ in samples(asked.health().metrics().body.decode()))
    asked.vitals = replace(WELL, claims=12)

    assert 12.0 == samples(asked.health().metrics().body.decode())["promptwatch_claims_held",]
