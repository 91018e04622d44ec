"""Looking upstream, over HTTP and SQLite: told once, after the rollback, and never in its way."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, SECOND
from tests.jobs.rollbacks import tripped
from tests.jobs.test_schedule import SOON_S, running
from tests.platforms.hostile_server import HostileServer, by_path, json_answer
from tests.world import FAILED
from watchdog.clock import SystemClock
from watchdog.core.incident import Recovery
from watchdog.core.notice import Notice, Tone
from watchdog.core.rollback import SagaState
from watchdog.core.upstream import StatusReport
from watchdog.embedded.faults import Answering, Fault
from watchdog.embedded.recordings import RecordedCall
from watchdog.embedded.status_page import Indicator
from watchdog.jobs import diagnose
from watchdog.platforms.status_page import HttpStatusPages
from watchdog.store import findings, outbox
from watchdog.store.tables import watches as watches_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.world import World
    from watchdog.core.upstream import Finding

UNAVAILABLE = RecordedCall(latency_ms=900.0, cost_usd=0.0, ok=False, error_code="PROVIDER_ERROR")


@dataclass
class Pages:
    """Status pages that do as told; see `protocol.StatusPages`."""

    look_at: Callable[[str], StatusReport | None]
    providers: tuple[str, ...] = ("simulated",)
    asked: list[str] = field(default_factory=list)

    def look(self, provider: str) -> StatusReport | None:
        self.asked.append(provider)
        return self.look_at(provider)

    def close(self) -> None:
        """Nothing is open."""


def well(provider: str) -> StatusReport:
    return StatusReport(provider=provider, trouble=False, says="Fine")


def ask(world: World, pages: Pages | HttpStatusPages | None) -> None:
    """From now on these pages are the ones that are configured."""
    world.deps = replace(world.deps, status_pages=pages)
    if pages is not None:
        world.callback(pages.close)


def ask_over_http(world: World, url: str = "", timeout_s: float = 3.0) -> None:
    url = url or f"{world.platform.base_url}/status"
    ask(world, HttpStatusPages({"Simulated": url}, clock=SystemClock(), timeout_s=timeout_s))


def look_upstream(world: World) -> int:
    told = diagnose.run(world.deps, world.own_clock.now())
    world.act()
    return told


def reverted(world: World, failed: RecordedCall = FAILED) -> None:
    """v2 failed, and v1 is back."""
    world.tick()
    world.promote(world.v2)
    world.calls(world.v2, 12, failures=12, since=world.clock.now() + SECOND, failed=failed)
    world.clock.move(3 * MINUTE)
    world.tick()
    assert (world.v1, SagaState.DONE) == (world.pointer(), world.incident.state)


def found(world: World, subject: str = "") -> dict[str, Finding]:
    with world.store.read() as connection:
        return {f.source: f for f in findings.findings_of(connection, subject or world.incident.id)}


def replies(world: World) -> list[str]:
    return [m.text for m in world.slack.replies(world.roots()[0].ts)]


def test_a_prompt_that_broke_its_output_is_told_from_a_provider_that_broke(world: World) -> None:
    """All is well outside, and the failures are of the prompt's kind: one reply, one line a finding."""
    ask_over_http(world)
    reverted(world)
    headline = world.roots()[0].text.splitlines()[0]

    assert 1 == look_upstream(world)

    assert ["status:Simulated", "gateway", "application"] == list(found(world))
    assert [False, False, False] == [f.trouble for f in found(world).values()]
    reply = replies(world)[-1]
    assert "Nothing was found upstream, and the failures point at the prompt." in reply
    for line in (
        'Simulated status page at 12:03:00 UTC: "All Systems Operational"; no open incident',
        "gateway at 12:03:00 UTC: answered that it is well",
        "application at 12:03:00 UTC, calls of v1.1.0: 12 of 12 failed (100.0 %, usually 0.0 %): 12 validation errors",
    ):
        assert line in reply
    assert headline == world.roots()[0].text.splitlines()[0]
    assert 1 == len(world.roots())


def test_a_provider_in_trouble_is_told_with_its_incident(world: World) -> None:
    """By its page, by the gateway, and by the failures themselves."""
    ask_over_http(world)
    world.platform.admin.say_status(Indicator.CRITICAL, incident="Elevated errors on API")
    world.platform.admin.inject_fault(Fault(answering=Answering.STATUS, path="*/health", status=503, next_n=None))
    reverted(world, UNAVAILABLE)

    look_upstream(world)

    assert [True, True, True] == [f.trouble for f in found(world).values()]
    reply = replies(world)[-1]
    assert "Points upstream of the prompt: Simulated status page, gateway, application." in reply
    assert '"Major System Outage"; open incident "Elevated errors on API" since 12:00 UTC' in reply
    assert "gateway at 12:03:00 UTC: answered 503" in reply
    assert "12 server errors; provider-side errors dominate, which points upstream of the prompt" in reply


def test_a_diagnosis_is_made_once(world: World) -> None:
    """However often it is looked, and by whichever process."""
    pages = Pages(well)
    ask(world, pages)
    reverted(world)

    assert 1 == look_upstream(world)
    before = (found(world), replies(world))
    assert 0 == look_upstream(world)
    world.restart()
    ask(world, pages)
    world.clock.move(MINUTE)
    assert 0 == look_upstream(world)

    assert before == (found(world), replies(world))
    assert ["simulated"] == pages.asked


def test_a_daemon_that_was_away_catches_up_with_what_is_fresh(world: World) -> None:
    """Within the hour; after that the provider's page says nothing about it any more."""
    ask(world, Pages(well))
    reverted(world)
    world.clock.move(diagnose.FRESH - MINUTE)
    world.restart()
    assert 1 == look_upstream(world)


def test_what_is_history_is_left_alone(world: World) -> None:
    """Nobody is asked."""
    pages = Pages(well)
    ask(world, pages)
    reverted(world)
    world.clock.move(diagnose.FRESH + MINUTE)

    assert 0 == look_upstream(world)
    assert [] == pages.asked


def test_the_rollback_goes_first(world: World) -> None:
    """Until it is sent and read back nobody is asked; one that is stuck is worth a look at the gateway."""
    pages = Pages(well)
    ask(world, pages)
    tripped(world)

    assert 0 == diagnose.run(world.deps, world.own_clock.now())
    assert [] == pages.asked

    world.clock.move(diagnose.SAGA_FIRST)
    assert 1 == diagnose.run(world.deps, world.own_clock.now())
    assert SagaState.INTENT is world.incident.state
    assert {"status:simulated", "gateway", "application"} == set(found(world))


def test_nobody_is_asked_where_no_page_is_configured(world: World) -> None:
    """The gateway and the calls are looked at all the same."""
    reverted(world)

    assert 1 == look_upstream(world)
    assert ["gateway", "application"] == list(found(world))


def test_a_platform_without_a_health_endpoint_has_no_line(world: World) -> None:
    """Its path is assumed."""
    reverted(world)
    world.platform.admin.inject_fault(Fault(answering=Answering.STATUS, path="*/health", status=404, next_n=None))

    assert 1 == look_upstream(world)
    assert ["application"] == list(found(world))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(answering=Answering.STATUS, status=503, path="/status/*", next_n=None), "answered 503"),
        (Fault(answering=Answering.HTML, status=200, path="/status/*", next_n=None), "but it was HTML"),
        (Fault(answering=Answering.GARBAGE, path="/status/*", next_n=None), "JSON expected"),
        (Fault(answering=Answering.HALF, path="/status/*", next_n=None), "JSON expected"),
        (Fault(answering=Answering.DROP, path="/status/*", next_n=None), "the connection was lost"),
        (Fault(answering=Answering.HUGE, size_bytes=10 * 2**20, path="/status/*", next_n=None), "which is not read"),
    ],
    ids=lambda value: value.answering.value if isinstance(value, Fault) else "",
)
def test_a_broken_page_changes_nothing_but_its_line(world: World, fault: Fault, said: str) -> None:
    """The revert is done, the other findings are there, and no verdict is another one."""
    ask_over_http(world)
    world.platform.admin.inject_fault(fault)
    reverted(world)
    before = (world.incident, world.watch)

    look_upstream(world)

    page = found(world)["status:Simulated"]
    assert None is page.trouble
    assert said in page.line
    assert [False, False] == [found(world)[source].trouble for source in ("gateway", "application")]
    assert before == (world.incident, world.watch)
    assert 1 == len(world.reverts())


def test_hostile_words_ring_nobody_and_steer_nothing(world: World) -> None:
    """They are shown for what they are."""
    server = HostileServer()
    world.callback(server.stop)
    name = "<!channel> @here <https://evil.example|click>\n\x1b[2J\u202eNOT reverted"
    server.answer = by_path(
        {
            "GET /api/v2/status.json": json_answer({"status": {"indicator": "major", "description": name}}),
            "GET /api/v2/incidents/unresolved.json": json_answer({"incidents": [{"name": name, "impact": "major"}]}),
        }
    )
    ask_over_http(world, server.url)
    reverted(world)

    look_upstream(world)

    (message,) = [m for m in world.slack.replies(world.roots()[0].ts) if "Simulated" in m.text]
    assert "<!channel>" not in message.text
    assert "&lt;" in message.text
    for text in (message.text, found(world)["status:Simulated"].line):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "mrkdwn" not in str(message.payload.get("blocks"))


def test_the_platforms_token_never_reaches_a_status_page(world: World) -> None:
    """Nor anything else that would tell who asks."""
    server = HostileServer()
    world.callback(server.stop)
    ask_over_http(world, server.url)
    reverted(world)

    look_upstream(world)

    assert 2 == len(server.seen)
    for seen in server.seen:
        assert world.token not in str(seen)
        assert {"accept", "accept-encoding", "connection", "host", "user-agent"} == set(seen.headers)


def test_a_page_that_hangs_costs_the_budget_and_no_more(world: World) -> None:
    """The others have answered meanwhile, and are told."""
    gate = threading.Event()
    world.callback(gate.set)
    ask(world, Pages(lambda _: gate.wait(SOON_S) and None, ("simulated",)))
    world.deps = replace(world.deps, look_budget_s=2.5)
    reverted(world)
    began = time.monotonic()

    assert 1 == look_upstream(world)

    # Not as long as the page would have taken, whatever else the machine has to do.
    assert 2.0 < time.monotonic() - began < SOON_S
    assert "simulated status page at 12:03:00 UTC: could not be read: no answer within 2.5 s" == (
        found(world)["status:simulated"].line
    )
    assert [False, False] == [found(world)[f].trouble for f in ("gateway", "application")]


def test_a_bug_in_one_look_costs_its_line_only(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its traceback."""

    def breaks(provider: str) -> StatusReport:
        raise KeyError(provider)

    ask(world, Pages(breaks))
    reverted(world)

    assert 1 == look_upstream(world)

    assert None is found(world)["status:simulated"].trouble
    assert "looking upstream failed unexpectedly" in caplog.text


def test_nobody_is_asked_inside_a_transaction(world: World) -> None:
    """A page that takes its time would hold the database meanwhile."""
    wrote: list[str] = []

    def writes(provider: str) -> StatusReport:
        with world.store.write() as connection:
            findings.add_findings(connection, "elsewhere", [])
            connection.execute(watches_table.update().values(provider=""))
            wrote.append(provider)
        return well(provider)

    ask(world, Pages(writes))
    reverted(world)

    assert 1 == look_upstream(world)
    assert ["simulated"] == wrote


def test_only_the_page_of_the_provider_is_asked_where_it_is_known(world: World) -> None:
    """In whichever case the calls and the configuration spell it."""
    pages = Pages(well, ("Simulated", "Other"))
    ask(world, pages)
    reverted(world)
    with world.store.write() as connection:
        connection.execute(watches_table.update().values(provider="SIMULATED"))

    look_upstream(world)

    assert ["Simulated"] == pages.asked
    assert "status:Other" not in found(world)


def test_a_recovery_that_failed_is_diagnosed_a_second_time(world: World) -> None:
    """By the calls of the version that was put back, and by what the provider says now."""
    ask_over_http(world)
    reverted(world)
    look_upstream(world)
    world.platform.admin.say_status(Indicator.MAJOR)
    world.calls(world.v1, 40, failures=40, since=world.clock.now() + SECOND, failed=UNAVAILABLE)
    for _ in range(20):
        world.clock.move(MINUTE / 2)
        world.tick()
    assert Recovery.UPSTREAM_SUSPECTED is world.incident.recovery

    assert 1 == look_upstream(world)
    assert 0 == look_upstream(world)

    with world.store.read() as connection:
        everything = findings.findings_of(connection, world.incident.id)
    assert [False, False, False, True, False, True] == [f.trouble for f in everything]
    assert "calls of v1.0.0: " in everything[-1].line
    assert "server errors; provider-side errors dominate" in everything[-1].line
    assert "Points upstream of the prompt: Simulated status page, application." in replies(world)[-1]
    assert "NOT recovered on v1.0.0" in world.roots()[0].text


def test_a_recovery_that_failed_while_the_daemon_was_away_has_one_diagnosis(world: World) -> None:
    """The first would come too late."""
    reverted(world)
    world.calls(world.v1, 40, failures=40, since=world.clock.now() + SECOND)
    for _ in range(20):
        world.clock.move(MINUTE / 2)
        world.tick()

    assert 1 == look_upstream(world)
    assert 0 == look_upstream(world)
    assert 2 == len(found(world))


def test_a_watch_whose_verdict_is_upstream_is_diagnosed(world: World) -> None:
    """In the thread that tells of it."""
    ask_over_http(world)
    watch_id = upstream(world)

    assert 1 == look_upstream(world)
    assert 0 == look_upstream(world)

    assert ["status:Simulated", "gateway", "application"] == list(found(world, watch_id))
    assert "calls of v1.1.0: 1 of 12 failed" in replies(world)[-1]


def test_several_watches_are_diagnosed_in_one_thread(world: World) -> None:
    """Such as one that holds all of them; each has its line, and is known to `show`."""
    pages = Pages(well)
    ask(world, pages)
    watch_id = upstream(world, thread="fleet:1")

    for _ in range(2):
        diagnose.of_watches(world.deps, "fleet:1", [watch_id, watch_id], world.own_clock.now())
    world.act()

    assert ["simulated"] == pages.asked
    assert 2 == replies(world)[-1].count("calls of support-reply v1.1.0: ")
    assert "application" in found(world, watch_id)
    assert 0 == diagnose.of_watches(world.deps, "fleet:1", [], world.own_clock.now())


def upstream(world: World, thread: str = "") -> str:
    """v2 got worse with all others, and people were told. Returns: the watch's id."""
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 12, failures=1)
    watch_id = world.watch.id
    told = Notice(
        key="told", thread=thread or watch_id, tone=Tone.ALARM, headline="upstream", step="s", at=world.clock.now()
    )
    with world.store.write() as connection:
        connection.execute(watches_table.update().values(verdict="upstream"))
        outbox.put(connection, told)
    world.act()
    return watch_id


@pytest.fixture
def stuck(world: World) -> Iterator[Pages]:
    """A page that answers when the test is over, and a budget that has no end."""
    gate = threading.Event()

    def hang(provider: str) -> StatusReport:
        gate.wait(60.0)
        return well(provider)

    pages = Pages(hang)
    ask(world, pages)
    world.deps = replace(world.deps, look_budget_s=60.0)
    yield pages
    gate.set()
    for thread in threading.enumerate():
        if thread.name == "diagnosis":
            thread.join(SOON_S)


def test_no_revert_and_no_message_waits_for_a_status_page(world: World, stuck: Pages) -> None:
    """With the daemon's own threads: while one diagnosis hangs, another prompt's revert is sent, read back and told."""
    reverted(world)
    with running(world) as daemon:
        wait_until(lambda: stuck.asked)
        world.promote(world.v3)
        world.calls(world.v3, 30, failures=30, since=world.clock.now() + SECOND, every=SECOND)
        # One revert in six hours a prompt: the first one must be history.
        world.clock.move(timedelta(hours=7))
        wait_until(lambda: len(world.reverts()) == 2)
        wait_until(lambda: any("v1.2.0 reverted to v1.0.0" in text for text in world.said()))

        assert world.v1 == world.pointer()
        assert {} == {**found(world, world.incidents()[0].id), **found(world, world.incidents()[1].id)}
        assert [] == daemon.dead


def wait_until(true: Callable[[], object]) -> None:
    end = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < end, "it did not come"
        threading.Event().wait(0.02)


def test_an_open_page_does_not_keep_the_daemon_from_ending(world: World, stuck: Pages) -> None:
    """What is not known by then, the next process asks."""
    reverted(world)
    with running(world):
        wait_until(lambda: stuck.asked)
        began = time.monotonic()

    assert time.monotonic() - began < 8.0
