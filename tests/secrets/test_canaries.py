"""
Nothing that is secret comes out anywhere: a platform token, a Slack token, a password in an address, what a prompt says
and what a model answered go through every way to fail, and are looked for in logs at DEBUG, in the bytes of the
database, in Slack, in what the commands print, in packets and in files. And the search can find one.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import sqlite3
import traceback
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

import pytest
from sqlalchemy import text

from tests.acceptance.shell import promptwatch
from tests.builders import MINUTE
from tests.jobs.editing_proxy import EditingProxy
from tests.platforms.hostile_server import HostileServer, hang_up, head, raw_answer, refusal
from tests.secrets.canary import OUTPUT, PROMPT, REAL_SLACK_TOKEN, SLACK_TOKEN, URL_PASSWORD, files, forms, hits
from tests.server.conftest import WELL
from tests.world import FAILED, World
from watchdog.cli.logs import JsonLines, TextLines
from watchdog.core.rollback import SagaState
from watchdog.core.terms import Evidence, Terms
from watchdog.core.windows import WINDOW
from watchdog.embedded.slack_workspace import SlackWorkspace
from watchdog.errors import WatchdogError
from watchdog.jobs import detect, evaluate, freeze, ingest, tick
from watchdog.notify.slack import SlackNotifier
from watchdog.platforms.prompthelm import PromptHelm, PromptHelmOptions
from watchdog.server.health import Health
from watchdog.store.database import Store

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from tests.jobs.editing_proxy import Row
    from tests.platforms.hostile_server import Answer, Seen
from tests.secrets.canary import Hit

# The platform's and Slack's own databases hold what they are about.
_THEIRS = frozenset({"platform.db", "slack.db"})


class Journal:
    """Everything that is logged at DEBUG, as the daemon writes it: as text and as JSON, with tracebacks."""

    def __init__(self) -> None:
        self._streams = (io.StringIO(), io.StringIO())
        self._handlers = [logging.StreamHandler(stream) for stream in self._streams]
        for handler, lines in zip(self._handlers, (TextLines(), JsonLines()), strict=True):
            handler.setFormatter(lines)

    def __enter__(self) -> Self:
        root = logging.getLogger()
        root.setLevel(logging.DEBUG)
        for handler in self._handlers:
            root.addHandler(handler)
        # As `set_up_logging` has it: what prints whole requests is heard from WARNING on.
        for name in ("httpx", "httpcore", "slack_sdk", "sqlalchemy", "alembic", "uvicorn"):
            logging.getLogger(name).setLevel(logging.WARNING)
        return self

    def __exit__(self, *_: object) -> None:
        for handler in self._handlers:
            logging.getLogger().removeHandler(handler)

    def written(self) -> dict[str, bytes]:
        return {
            "log, text": self._streams[0].getvalue().encode(),
            "log, JSON": self._streams[1].getvalue().encode(),
        }


@pytest.fixture
def journal() -> Iterator[Journal]:
    with Journal() as made:
        yield made


def everything(world: World, journal: Journal) -> dict[str, bytes]:
    """All that the watchdog wrote, what Slack was told, and what whoever may look at the metrics sees."""
    said = "\n".join(f"{m.text}\n{json.dumps(m.payload)}" for m in world.slack.messages()) if world.slack else ""
    failing = world.pulse.failing
    vitals = replace(WELL, failing=tuple(sorted(failing)), blind_why=failing.get("detect", ""), sight_age_s=300.0)
    served = {path: page().body for path, page in Health(lambda: vitals, world.deps.store).pages().items()}
    assert b"promptwatch_incidents" in served["/metrics"]
    return {**files(world.folder, but=_THEIRS), **journal.written(), "Slack": said.encode(), **served}


def secrets_of(world: World) -> dict[str, str]:
    return {
        "platform token": world.token,
        "prompt": PROMPT,
        "output": OUTPUT,
        "Slack token": SLACK_TOKEN,
        "another": REAL_SLACK_TOKEN,
    }


def guarded(folder: Path, evidence: Evidence | None = None) -> World:
    """With a baseline that is no larger than it must be."""
    terms = Terms(baseline=timedelta(hours=3), evidence=evidence or Evidence())
    return World(folder, baseline_calls=660, baseline_failures=0, terms=terms)


def opened(world: World) -> None:
    """With a prompt, a Slack and a database that hold canaries."""
    admin = world.platform.admin
    world.v2 = admin.save_version(world.prompt_id, system=PROMPT, temperature=1.0, stop_sequences=("}",))
    world.slack.stop()
    world.slack = SlackWorkspace(world.folder / "slack-canary.db", token=SLACK_TOKEN, channel="C0DEMO0001")
    world.slack_url = world.slack.start()
    world.callback(world.slack.stop)
    world.deps = replace(world.deps, notifier=slack_at(world.slack_url))


def slack_at(address: str) -> SlackNotifier:
    return SlackNotifier(token=lambda: SLACK_TOKEN, channel="C0DEMO0001", base_url=address, timeout_s=2)


@pytest.fixture(params=[False, True], ids=["payloads off", "payloads on"])
def incident(tmp_path: Path, journal: Journal, request: pytest.FixtureRequest) -> Iterator[World]:
    """A version whose text and whose answers are canaries was reverted, and its failing calls were looked at."""
    evidence = Evidence(payloads=request.param, calls=6, slack=request.param)
    with World(
        tmp_path, baseline_calls=660, baseline_failures=0, terms=Terms(baseline=timedelta(hours=3), evidence=evidence)
    ) as world:
        opened(world)
        world.tick()
        world.promote(world.v2)
        start = world.clock.now() + timedelta(seconds=1)
        # With payload evidence on, what a model said is shown, redacted; a token in it is not.
        said = f"token {world.token} and {REAL_SLACK_TOKEN}" if request.param else OUTPUT
        world.platform.admin.import_executions(
            world.prompt_id,
            world.v2,
            [(start + i * WINDOW, FAILED) for i in range(12)],
            request={"messages": [{"role": "system", "content": PROMPT}], "stopSequences": ["}"]},
            response={"output": said, "message": said},
        )
        world.clock.move(3 * MINUTE)
        world.tick()
        world.look()
        assert SagaState.DONE is world.incident.state
        yield world


def test_an_incident_and_everything_that_is_printed_of_it_hold_no_secret(incident: World, journal: Journal) -> None:
    """The database byte by byte, Slack, the logs, and each command that reads; as text and as JSON."""
    printed = {}
    address = f"--store=sqlite:///{incident.folder / 'watch.db'}"
    one = incident.incident.id
    for command in (
        ("show", one),
        ("show", one, "--json"),
        ("show", one, "--packet"),
        ("explain", one),
        ("explain", one, "--json"),
        ("status", "--json"),
        ("incidents", "--json"),
        ("audit", "list", "--json"),
        ("audit", "verify"),
    ):
        ended = promptwatch(*command, address, folder=incident.folder)
        assert 0 == ended.status, ended.err
        printed[" ".join(command)] = (ended.out + ended.err).encode()

    assert len(incident.slack.messages()) >= 2
    assert [] == hits(secrets_of(incident), {**everything(incident, journal), **printed})


def mirror(status: int, before: bytes = b"", after: bytes = b"", **headers: str) -> Answer:
    """Says back the whole request, headers and all, and a canary prompt."""

    def answer(seen: Seen, connection: socket.socket) -> object:
        said = json.dumps({**seen.headers, "body": seen.body.decode("latin-1"), "prompt": PROMPT, "output": OUTPUT})
        return raw_answer(status, before + said.encode() + after, headers)(seen, connection)

    return answer


def envelope(status: int) -> Answer:
    """The platform's own form, with the request in each field."""

    def answer(seen: Seen, connection: socket.socket) -> object:
        said = f"bad {seen.headers.get('authorization', '')} in {PROMPT}"
        return refusal(status, said, [said, said])(seen, connection)

    return answer


def redirect(seen: Seen, connection: socket.socket) -> object:
    token = seen.headers.get("authorization", "").removeprefix("Bearer ")
    where = f"http://user:{URL_PASSWORD}@elsewhere.invalid/{token}?token={token}"
    return raw_answer(302, b"", {"location": where})(seen, connection)


def half(seen: Seen, connection: socket.socket) -> object:
    said = head(200, {"content-length": "5000"}) + json.dumps(dict(seen.headers)).encode() + PROMPT.encode()
    return connection.sendall(said)


def no_http(seen: Seen, connection: socket.socket) -> object:
    return connection.sendall(f"{seen.headers.get('authorization')} {PROMPT}\r\n\r\n".encode())


def odd_header(seen: Seen, connection: socket.socket) -> object:
    return raw_answer(200, b"{}", {"x-token": seen.headers.get("authorization", ""), "bad header": "x"})(
        seen, connection
    )


ANSWERS: dict[str, Answer] = {
    **{f"an envelope of {s}": envelope(s) for s in (400, 401, 403, 404, 409, 410, 422, 429, 500, 502, 503)},
    **{f"the request, with {s}": mirror(s) for s in (200, 201, 400, 401, 403, 404, 500)},
    "JSON that is cut": mirror(200, b'{"items": ['),
    "JSON with a tail": mirror(200, b"", b"}}"),
    "a list of the request": mirror(200, b'{"items": [', b"]}"),
    "a page of HTML": mirror(200, b"<html>", b"</html>"),
    "another content coding": mirror(200, **{"content-encoding": "br"}),
    "a broken gzip": mirror(200, **{"content-encoding": "gzip"}),
    "a redirect": redirect,
    "half a body": half,
    "no HTTP": no_http,
    "a bad header": odd_header,
    "nothing": hang_up,
}


def whole_error(error: BaseException) -> str:
    """What a log, a tracker of errors or a debugger would show."""
    seen: list[str] = []
    link: BaseException | None = error
    while link is not None:
        seen += [str(link), repr(link), "".join(traceback.TracebackException.from_exception(link).format())]
        link = link.__cause__ or link.__context__
    return "".join(seen)


@contextmanager
def hostile() -> Iterator[HostileServer]:
    server = HostileServer()
    yield server
    server.stop()


@pytest.mark.parametrize("answer", ANSWERS, ids=list(ANSWERS))
def test_a_platform_that_says_everything_back_is_not_repeated(tmp_path: Path, journal: Journal, answer: str) -> None:
    """
    From the middle of a rollback on, every request is answered so: reads, the promotion, bodies of failing calls. Every
    job runs, and people are told of the trouble.
    """
    evidence = Evidence(payloads=True, calls=6, slack=True)
    with (
        World(
            tmp_path,
            baseline_calls=660,
            baseline_failures=0,
            terms=Terms(baseline=timedelta(hours=3), evidence=evidence),
        ) as world,
        hostile() as server,
    ):
        opened(world)
        world.tick()
        world.promote(world.v2)
        world.calls(world.v2, 12, failures=12)
        world.clock.move(2 * MINUTE)
        for stage in (detect, freeze, ingest, evaluate):
            stage.run(world.deps, world.own_clock.now())
        assert SagaState.INTENT is world.incident.state
        server.answer = ANSWERS[answer]
        options = PromptHelmOptions(url=server.url, app_url=server.url, timeout_s=1.0)
        client = PromptHelm(options, read_token=lambda: world.token, clock=world.own_clock, uniform=lambda: 0.0)
        world.callback(client.close)
        world.deps = world.deps_with(client, slack_at(world.slack_url))
        errors = []
        for ask in (
            client.prompts,
            lambda: client.payload("exe_1"),
            lambda: client.promote(world.prompt_id, world.v1, note="watchdog:1", revert_of="a1"),
            lambda: client.versions(world.prompt_id),
        ):
            try:
                ask()
            except WatchdogError as exc:
                errors.append(whole_error(exc))
        for _ in range(4):
            world.clock.move(2 * MINUTE)
            tick.run(world.deps, world.pulse)
            world.act()

        assert server.seen
        wanted = {**secrets_of(world), "password": URL_PASSWORD}
        places = {**everything(world, journal), "errors": "\n".join(errors).encode()}
        assert [] == hits(wanted, places)


def test_rows_that_hold_more_than_they_should_leave_nothing_behind(tmp_path: Path, journal: Journal) -> None:
    """What a model said stands in fields where nobody expects it, of rows that are used and of rows that are not."""

    def spoiled(row: Row) -> object:
        said: dict[str, Any] = {"messages": PROMPT, "output": OUTPUT, "prompt": {"text": PROMPT}}
        number = int(str(row["id"]).removeprefix("exe_"))
        odd = {"latencyMs": PROMPT, "cost": OUTPUT, "startedAt": PROMPT} if number % 9 == 0 else {}
        return {**row, **said, **odd}

    with guarded(tmp_path) as world:
        proxy = EditingProxy(world.platform.base_url)
        world.between = proxy.start()
        world.callback(proxy.stop)
        world.restart()
        opened(world)
        proxy.edit("/execution-logs", spoiled)
        world.tick()
        world.promote(world.v2)
        world.traffic(world.v2, 24, failures=12)

        assert world.watch.candidate.calls
        assert [] == hits(secrets_of(world), everything(world, journal))


@pytest.mark.parametrize("answer", ANSWERS, ids=list(ANSWERS))
def test_a_slack_that_says_everything_back_is_not_repeated(tmp_path: Path, journal: Journal, answer: str) -> None:
    """The outbox keeps the error of each attempt."""
    with (
        World(tmp_path, baseline_calls=660, baseline_failures=0, terms=Terms(baseline=timedelta(hours=3))) as world,
        hostile() as server,
    ):
        opened(world)
        server.answer = ANSWERS[answer]
        world.deps = replace(world.deps, notifier=slack_at(f"{server.url}/api/"))
        world.tick()
        world.promote(world.v2)
        world.calls(world.v2, 12, failures=12)
        for _ in range(3):
            world.clock.move(2 * MINUTE)
            world.tick()

        assert server.seen
        assert [] == hits({**secrets_of(world), "password": URL_PASSWORD}, everything(world, journal))


CONFIG = """\
[platform]
url = "{url}"
token = "{token}"
timeout = "2s"

[slack]
token = "{slack}"
channel = "C0DEMO0001"

[store]
url = "{store}"
"""


WRONG = {
    "a literal token": {"token": SLACK_TOKEN},
    "a literal Slack token": {"slack": SLACK_TOKEN},
    "a password in the platform's address": {"url": f"https://user:{URL_PASSWORD}@api.example"},
    "a token in the platform's address": {"url": f"https://api.example/?token={SLACK_TOKEN}"},
    "a database that cannot be reached": {"store": f"postgresql://user:{URL_PASSWORD}@127.0.0.1:9/none"},
    "an address of a database that is none": {"store": f"postgres://user:{URL_PASSWORD}@[::1/none"},
    "a platform that nobody serves": {"url": "http://127.0.0.1:9"},
}
# All read the configuration alike; what they do then differs, and so does what they say when it fails. With a platform
# that nobody serves `run` waits for it, and would go on guarding.
TRIED = [
    *((what, "check") for what in WRONG),
    *(
        (what, command)
        for what in ("a literal token", "a database that cannot be reached")
        for command in ("status", "run")
    ),
    *((what, "run") for what in ("a password in the platform's address", "an address of a database that is none")),
    *((what, "doctor") for what in ("a database that cannot be reached", "a platform that nobody serves")),
]


@pytest.mark.parametrize(("what", "command"), TRIED)
def test_a_configuration_that_is_wrong_is_not_repeated(tmp_path: Path, what: str, command: str) -> None:
    """Whatever is wrong with it: neither in what is printed nor in a file, at DEBUG."""
    given = {
        "url": "http://127.0.0.1:9",
        "token": "env:PROMPTHELM_TOKEN",
        "slack": "env:SLACK_BOT_TOKEN",
        "store": "sqlite:///promptwatch.db",
    }
    (tmp_path / "config.toml").write_text(CONFIG.format(**{**given, **WRONG[what]}) + '\n[log]\nlevel = "debug"\n')

    ended = promptwatch(
        command, folder=tmp_path, env={"PROMPTHELM_TOKEN": f"ph-{SLACK_TOKEN}", "SLACK_BOT_TOKEN": SLACK_TOKEN}
    )

    printed = {"out": ended.out.encode(), "err": ended.err.encode()}
    wrote = files(tmp_path, but=frozenset({"config.toml"}))
    assert [] == hits({"token": SLACK_TOKEN, "password": URL_PASSWORD}, {**printed, **wrote})
    assert "Traceback" not in ended.err


def test_an_error_of_the_database_says_neither_its_values_nor_its_password(tmp_path: Path) -> None:
    """SQLAlchemy's own errors carry the statement with its parameters, unless it is told not to."""
    store = Store(f"sqlite:///{tmp_path / 'watch.db'}")
    store.migrate()
    errors = []
    for statement in ("INSERT INTO nowhere VALUES (:value)", "INSERT INTO cursors (name) VALUES (:value)"):
        try:
            _run(store, statement)
        except WatchdogError as exc:
            errors.append(whole_error(exc))
    store.close()

    assert 2 == len(errors)
    assert [] == hits({"prompt": PROMPT}, {"errors": "\n".join(errors).encode()})


def _run(store: Store, statement: str) -> None:
    with store.write() as connection:
        connection.execute(text(statement), {"value": PROMPT})


@pytest.mark.parametrize("form", list(forms("x" * 20)))
@pytest.mark.parametrize("secret", [SLACK_TOKEN, PROMPT, OUTPUT, URL_PASSWORD])
def test_the_search_finds_a_secret_that_is_planted(tmp_path: Path, secret: str, form: str) -> None:
    """In each form, in a file and in a row of a database, amid other things."""
    written = forms(secret)[form]
    assert len(written) >= 12
    (tmp_path / "some.log").write_bytes(b"before it" + written + b"after it")
    database = sqlite3.connect(tmp_path / "some.db")
    database.execute("CREATE TABLE t (x BLOB)")
    database.execute("INSERT INTO t VALUES (?)", [b"\1\2" + written])
    database.commit()
    database.close()

    found = hits({"planted": secret}, files(tmp_path, but=frozenset()))

    assert {"some.log", "some.db"} <= {hit.where for hit in found if hit.form == form}


@pytest.mark.parametrize("shift", range(6))
def test_the_search_finds_what_was_encoded_with_its_neighbours(shift: int) -> None:
    """As a header of basic authentication would be."""
    text = base64.b64encode(b"u" * shift + b":" + SLACK_TOKEN.encode() + b":more of it")

    assert hits({"planted": SLACK_TOKEN}, {"a header": text})


def test_the_search_finds_a_secret_that_is_logged_on_purpose(journal: Journal) -> None:
    """As a field, and in a traceback."""
    log = logging.getLogger("watchdog.planted")
    log.debug("a field", extra={"action": "planted", "value": PROMPT})
    try:
        int(SLACK_TOKEN)
    except ValueError:
        log.exception("a traceback")

    found: list[Hit] = hits({"prompt": PROMPT, "token": SLACK_TOKEN}, journal.written())

    assert {("prompt", "log, text"), ("prompt", "log, JSON"), ("token", "log, text"), ("token", "log, JSON")} <= {
        (hit.secret, hit.where) for hit in found
    }
