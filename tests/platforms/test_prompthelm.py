"""What the client makes of PromptHelm's answers, the unusual ones above all."""

from __future__ import annotations

import json
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from tests.platforms.constants import NOW
from tests.platforms.hostile_server import (
    Answer,
    HostileServer,
    Seen,
    by_path,
    head,
    in_turn,
    json_answer,
    raw_answer,
    refusal,
)
from watchdog.core.model import ActorType, FeedbackKind
from watchdog.errors import BadAnswer, ConfigError, NotSent, Refused
from watchdog.platforms.prompthelm import PromptHelm, PromptHelmOptions

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

HOUR = timedelta(hours=1)
PROMPT = {"id": "p1", "slug": "support", "name": "Support", "productionVersionId": "v1"}


def page(*items: object, cursor: str | None = None) -> Answer:
    return json_answer({"items": list(items), "nextCursor": cursor})


def call_row(call_id: str, **changes: Any) -> dict[str, object]:
    row = {
        "id": call_id,
        "promptId": "p1",
        "versionId": "v1",
        "environment": "production",
        "status": "success",
        "latencyMs": 100,
        "createdAt": "2026-11-20T11:30:00Z",
    }
    return row | changes


def entry(entry_id: str, at: str, **changes: Any) -> dict[str, object]:
    row = {
        "id": entry_id,
        "action": "prompt.promote",
        "actorId": "u1",
        "actorType": "user",
        "resource": {"type": "prompt", "id": "p1"},
        "metadata": {"previousVersionId": "v1", "newVersionId": "v2"},
        "createdAt": at,
    }
    return row | changes


def recent_calls(client: PromptHelm) -> list[str]:
    return [call.id for page in client.calls("p1", since=NOW - HOUR, until=NOW) for call in page.calls]


def test_all_pages_of_a_listing_are_read(client: PromptHelm, hostile: HostileServer) -> None:
    """The cursor goes back as it came, with the question unchanged."""
    hostile.answer = in_turn(page(PROMPT, cursor="a/b=&c"), page(PROMPT | {"id": "p2"}))

    prompts = client.prompts()

    assert ["p1", "p2"] == [prompt.id for prompt in prompts]
    assert [{"limit": "500"}, {"limit": "500", "cursor": "a/b=&c"}] == [seen.query for seen in hostile.seen]


def test_a_cursor_that_repeats_is_a_bad_answer(client: PromptHelm, hostile: HostileServer) -> None:
    """Also when others came in between: the listing would never end."""
    hostile.answer = in_turn(page(cursor="a"), page(cursor="b"), page(cursor="a"))

    with pytest.raises(BadAnswer, match="nextCursor repeats"):
        client.prompts()

    assert 3 == len(hostile.seen)


def test_a_listing_without_end_is_a_bad_answer(connect: Callable[..., PromptHelm], hostile: HostileServer) -> None:
    """A cursor that is new every time would otherwise keep us busy for ever."""

    def ever_new(seen: Seen, connection: socket.socket) -> None:
        page(cursor=f"c{len(hostile.seen)}")(seen, connection)

    hostile.answer = ever_new

    with pytest.raises(BadAnswer, match="more than 5 pages"):
        connect(max_pages=5).prompts()

    assert 5 == len(hostile.seen)


def test_pages_of_calls_are_fetched_when_they_are_asked_for(client: PromptHelm, hostile: HostileServer) -> None:
    """Whoever stops early costs the platform nothing more."""
    hostile.answer = in_turn(page(call_row("c1"), cursor="x"), page(call_row("c2")))

    pages = client.calls("p1", since=NOW - HOUR, until=NOW)
    before = len(hostile.seen)
    first = next(pages)

    assert (0, 1, ["c1"]) == (before, len(hostile.seen), [call.id for call in first.calls])


def test_calls_are_asked_for_by_record_time_in_utc(client: PromptHelm, hostile: HostileServer) -> None:
    """With microseconds, so that no rounding moves an edge of the range."""
    since = datetime(2026, 11, 20, 13, 0, 0, 1, tzinfo=timezone(HOUR * 2))

    list(client.calls("p 1", since=since, until=NOW))

    assert {
        "promptId": "p 1",
        "since": "2026-11-20T11:00:00.000001Z",
        "until": "2026-11-20T12:00:00.000000Z",
        "limit": "500",
    } == hostile.seen[0].query


def test_rows_that_cannot_be_used_are_counted_by_reason(client: PromptHelm, hostile: HostileServer) -> None:
    """The good ones beside them are used."""
    hostile.answer = page(
        call_row("c1"),
        call_row("c2", latencyMs=-5),
        call_row("c3", latencyMs=-7),
        call_row("c4", cost=float("nan")),
        call_row("c5", createdAt="2026-11-20T12:06:00Z"),
        "not even an object",
        call_row("c6", startedAt="2026-11-20T12:06:00Z"),
        call_row("c7", environment="development", latencyMs=-5),
    )

    read = next(client.calls("p1", since=NOW - HOUR, until=NOW))

    assert ["c1"] == [call.id for call in read.calls]
    assert {
        "negative latency": 2,
        "cost is not finite": 1,
        "row is not an object": 1,
        "started in the future": 1,
    } == Counter(row.reason for row in read.rejected)
    assert ["c2", "c3", "c4", "c6"] == [row.key for row in read.rejected if not row.key.startswith("sha256:")]
    assert read.rejected == next(client.calls("p1", since=NOW - HOUR, until=NOW)).rejected


def test_a_platform_whose_clock_is_ahead_is_believed_by_its_own_clock(
    client: PromptHelm, hostile: HostileServer
) -> None:
    """Its calls are ahead of ours by the same."""
    row = call_row("c1", startedAt="2026-11-20T12:29:00Z")
    dated = {"date": "Fri, 20 Nov 2026 12:30:00 GMT"}
    hostile.answer = json_answer({"items": [row], "nextCursor": None}, headers=dated)

    assert ["c1"] == recent_calls(client)


def test_only_the_configured_environment_is_returned(
    connect: Callable[..., PromptHelm], hostile: HostileServer
) -> None:
    """Calls of others are neither returned nor rejected."""
    hostile.answer = page(call_row("c1"), call_row("c2", environment="development"))

    assert ["c2"] == recent_calls(connect(environment="development"))


def test_calls_within_a_page_are_put_in_order(client: PromptHelm, hostile: HostileServer) -> None:
    """Oldest record first, and equal times as they came."""
    hostile.answer = page(
        call_row("c3", createdAt="2026-11-20T11:31:00Z"),
        call_row("c1"),
        call_row("c2", createdAt="2026-11-20T11:30:00Z"),
    )

    assert ["c1", "c2", "c3"] == recent_calls(client)


def test_pages_that_come_newest_first_are_a_bad_answer(client: PromptHelm, hostile: HostileServer) -> None:
    """Going on from the last record after an interruption would skip everything older."""
    hostile.answer = in_turn(
        page(call_row("c2", createdAt="2026-11-20T11:40:00Z"), cursor="x"),
        page(call_row("c1", createdAt="2026-11-20T11:20:00Z")),
    )

    with pytest.raises(BadAnswer, match="oldest first"):
        recent_calls(client)


def test_a_prompt_without_the_pointer_is_a_bad_answer(client: PromptHelm, hostile: HostileServer) -> None:
    """Absent is not null: it must not pass for a prompt where nothing is live."""
    hostile.answer = json_answer({"id": "p1", "slug": "s", "name": "n"})

    with pytest.raises(BadAnswer, match="missing productionVersionId"):
        client.prompt("p1")


def test_another_prompt_than_asked_for_is_a_bad_answer(client: PromptHelm, hostile: HostileServer) -> None:
    """A read-back must not look at the wrong pointer."""
    hostile.answer = json_answer(PROMPT | {"id": "p2"})

    with pytest.raises(BadAnswer, match="another prompt"):
        client.prompt("p1")


def test_versions_may_lack_the_live_one(client: PromptHelm, hostile: HostileServer) -> None:
    """They are returned as they are, newest first; absent parameters stay absent."""
    hostile.answer = page(
        {"id": "v1", "version": "1.0.0", "createdAt": "2026-11-01T00:00:00Z", "temperature": 0, "topP": None},
        {
            "id": "v2",
            "version": "1.1.0",
            "createdAt": "2026-11-02T00:00:00Z",
            "content": {"system": "Be kind.", "x": 1},
        },
    )

    newest, oldest = client.versions("p1")

    assert ("v2", "1.1.0", {}, {"system": "Be kind."}) == (
        newest.id,
        newest.label,
        newest.parameters,
        newest.content,
    )
    assert ("v1", {"temperature": 0}, None) == (oldest.id, oldest.parameters, oldest.last_promoted_at)


def test_promotions_carry_who_what_when_and_why(client: PromptHelm, hostile: HostileServer) -> None:
    """And entries of other actions are passed over."""
    why = {"previousVersionId": "v2", "newVersionId": "v1", "revert": True, "reason": "watchdog:7  p95"}
    hostile.answer = page(
        entry("a1", "2026-11-20T11:00:00Z", action="prompt.create", metadata={}),
        entry("a2", "2026-11-20T11:01:00.5Z", metadata=why, actorType="api_token", actorId="tok_1"),
    )

    (promotion,) = client.promotions(since=NOW - HOUR, prompt_id="p1")

    assert ("a2", "p1", "v2", "v1") == (
        promotion.id,
        promotion.prompt_id,
        promotion.from_version_id,
        promotion.to_version_id,
    )
    assert (ActorType.API_TOKEN, "tok_1", True, "watchdog:7  p95") == (
        promotion.actor_type,
        promotion.actor_id,
        promotion.revert,
        promotion.note,
    )
    assert datetime(2026, 11, 20, 11, 1, 0, 500_000, tzinfo=UTC) == promotion.at == promotion.not_before
    assert {"action": "prompt.promote", "since": "2026-11-20T11:00:00.000000Z", "resourceId": "p1"} == hostile.seen[
        0
    ].query


@pytest.mark.parametrize("newest_first", [False, True])
def test_promotions_come_oldest_first(client: PromptHelm, hostile: HostileServer, newest_first: bool) -> None:
    """Even two of the same millisecond, whichever way the platform lists; older ones than asked for are left out."""
    entries = [
        entry("a0", "2026-11-20T10:59:59Z"),
        entry("a1", "2026-11-20T11:00:00Z"),
        entry("a2", "2026-11-20T11:05:00Z"),
        entry("a3", "2026-11-20T11:05:00Z"),
        entry("a4", "2026-11-20T11:06:00Z"),
    ]
    hostile.answer = page(*(reversed(entries) if newest_first else entries))

    assert ["a1", "a2", "a3", "a4"] == [promotion.id for promotion in client.promotions(since=NOW - HOUR)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": None}, "missing id"),
        ({"action": None}, "missing action"),
        ({"resource": None}, "resource is not an object"),
        ({"resource": {"type": "team", "id": "t1"}}, "resource is not a prompt"),
        ({"metadata": {}}, "missing newVersionId"),
        ({"metadata": {"newVersionId": "v2", "revert": "yes"}}, "revert is not true or false"),
        ({"createdAt": "noon"}, "createdAt is not a time"),
    ],
)
def test_a_promotion_that_cannot_be_read_is_never_passed_over(
    client: PromptHelm, hostile: HostileServer, changes: dict[str, object], reason: str
) -> None:
    """A promotion that is lost is a promotion that nobody watches."""
    hostile.answer = page(entry("a1", "2026-11-20T11:00:00Z"), entry("a2", "2026-11-20T11:05:00Z", **changes))

    with pytest.raises(BadAnswer, match=reason):
        client.promotions(since=NOW - HOUR)


def test_an_unknown_kind_of_actor_is_said_aloud(
    client: PromptHelm, hostile: HostileServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The promotion counts; it is only not known who made it."""
    hostile.answer = page(entry("a1", "2026-11-20T11:00:00Z", actorType="scim"))

    with caplog.at_level(logging.WARNING):
        (promotion,) = client.promotions(since=NOW - HOUR)

    assert ActorType.UNKNOWN is promotion.actor_type
    assert ["audit entry with an unknown type of actor"] == [record.message for record in caplog.records]


def test_feedback_of_a_platform_without_any_is_empty(client: PromptHelm, hostile: HostileServer) -> None:
    """404 means that it has none."""
    hostile.answer = refusal(404, "ROUTE_NOT_FOUND", "no such path")

    assert () == client.feedback("p1", since=NOW - HOUR)


def test_feedback_that_may_not_be_read_is_refused(client: PromptHelm, hostile: HostileServer) -> None:
    """That is not the same as having none."""
    hostile.answer = refusal(403, "FORBIDDEN", "x")

    with pytest.raises(Refused, match="analytics:read"):
        client.feedback("p1", since=NOW - HOUR)


def test_feedback_of_an_unknown_kind_is_left_out_and_said_aloud(
    client: PromptHelm, hostile: HostileServer, caplog: pytest.LogCaptureFixture
) -> None:
    """It is taken for neither good nor bad."""
    good = {"id": "f1", "promptId": "p1", "versionId": "v1", "kind": "thumbs_up", "createdAt": "2026-11-20T11:30:00Z"}
    hostile.answer = page(good, good | {"id": "f2", "kind": "shrug"})

    with caplog.at_level(logging.WARNING):
        (feedback,) = client.feedback("p1", since=NOW - HOUR)

    assert (FeedbackKind.THUMBS_UP, "v1") == (feedback.kind, feedback.version_id)
    assert ["feedback that cannot be read"] == [record.message for record in caplog.records]


def test_ids_are_quoted_into_paths(client: PromptHelm, hostile: HostileServer) -> None:
    """No id reaches another call, whatever it holds."""
    hostile.answer = json_answer({})

    client.promote("a/../b?x#y", "v%2F1 é", note="watchdog:1", revert_of="")

    assert "/api/v1/prompts/a%2F..%2Fb%3Fx%23y/versions/v%252F1%20%C3%A9/promote" == hostile.seen[0].target


def test_an_id_of_dots_is_not_sent(client: PromptHelm, hostile: HostileServer) -> None:
    """It would be folded into another path on the way."""
    with pytest.raises(NotSent, match="cannot stand for") as caught:
        client.promote("p1", "..", note="watchdog:1", revert_of="")

    assert (False, []) == (caught.value.retryable, hostile.seen)


def test_a_path_of_the_configuration_replaces_the_assumed_one(
    connect: Callable[..., PromptHelm], hostile: HostileServer
) -> None:
    """With a query of its own, too."""
    hostile.answer = page()
    client = connect(paths={"execution_logs": "/v2/logs?org=7"})

    recent_calls(client)

    assert "/v2/logs" == hostile.seen[0].path
    assert ("7", "p1") == (hostile.seen[0].query["org"], hostile.seen[0].query["promptId"])


def test_the_compare_page_has_its_address(connect: Callable[..., PromptHelm]) -> None:
    """With quoted ids; none where there are no pages for people."""
    client = connect(app_url="https://app.prompthelm.app/")

    assert "https://app.prompthelm.app/prompts/p%2F1/compare?from=bad%261&to=good" == client.compare_url(
        "p/1", "bad&1", "good"
    )
    assert "" == connect(app_url="").compare_url("p1", "bad", "good")


def test_everything_wrong_with_the_options_is_said_at_once() -> None:
    """Before any request is sent."""
    options = PromptHelmOptions(
        url="http://api.prompthelm.app",
        app_url="app",
        compare_path="/compare",
        timeout_s=0.0,
        paths={"promote": "/promote", "promotes": "/x"},
    )

    with pytest.raises(ConfigError) as caught:
        PromptHelm(options, read_token=str, clock=None, uniform=float)  # type: ignore[arg-type]

    assert {
        "platform.url",
        "platform.app_url",
        "platform.compare_path",
        "platform.timeout",
        "platform.paths.promote",
        "platform.paths.promotes",
    } == {issue.key for issue in caught.value.issues}


def test_a_file_of_authorities_that_cannot_be_used_is_a_configuration_error(
    connect: Callable[..., PromptHelm], tmp_path: Any
) -> None:
    """Missing, or not PEM."""
    (tmp_path / "not.pem").write_text("not PEM")

    for name in ("missing.pem", "not.pem"):
        with pytest.raises(ConfigError, match=r"platform\.ca_file"):
            connect(url="https://h.invalid", ca_file=tmp_path / name)


@pytest.mark.parametrize(
    ("proxy", "message"), [("socks5://127.0.0.1:9", "only http and https"), ("http://user:canary@[::1", "is not a URL")]
)
def test_a_proxy_that_cannot_be_used_is_a_configuration_error(
    connect: Callable[..., PromptHelm], monkeypatch: pytest.MonkeyPatch, proxy: str, message: str
) -> None:
    """Said without the password that it may hold."""
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")

    with pytest.raises(ConfigError, match=message) as caught:
        connect(proxy_from_env=True)

    assert "canary" not in str(caught.value)


def test_many_threads_may_read_at_once(client: PromptHelm, hostile: HostileServer) -> None:
    """Each gets its own answer, over connections that they share."""

    def mirror(seen: Seen, connection: socket.socket) -> bool:
        body = json.dumps(PROMPT | {"id": seen.path.rpartition("/")[2]}).encode()
        connection.sendall(head(200, {"content-length": str(len(body))}) + body)
        return True

    hostile.answer = mirror
    ids = [f"p{i}" for i in range(100)]

    with ThreadPoolExecutor(8) as threads:
        found = [prompt.id for prompt in threads.map(client.prompt, ids)]

    assert ids == found
    assert hostile.connections <= 10


def access_answers(**changes: Answer) -> Answer:
    """A platform that allows everything, and knows nothing of the prompt that does not exist."""
    nobody = "00000000-0000-4000-8000-000000000000"
    answers = {
        "prompts": ("GET /api/v1/prompts", page(PROMPT)),
        "prompt": ("GET /api/v1/prompts/p1", json_answer(PROMPT)),
        "versions": ("GET /api/v1/prompts/p1/versions", page()),
        "promote": (f"POST /api/v1/prompts/{nobody}/versions/{nobody}/promote", refusal(404, "NOT_FOUND", "x")),
        "audit_logs": ("GET /api/v1/audit-logs", page()),
        "execution_logs": ("GET /api/v1/execution-logs", page()),
        "feedback": ("GET /api/v1/feedback", page()),
        "health": ("GET /api/v1/health", raw_answer(200, b'{"status": "ok"}')),
    }
    return by_path({where: changes.get(key, answer) for key, (where, answer) in answers.items()})


def test_access_with_every_scope_has_no_problem(client: PromptHelm, hostile: HostileServer) -> None:
    """Each operation is named with its call and its scope."""
    hostile.answer = access_answers()

    entries = client.access()

    assert [None] * 8 == [entry.problem for entry in entries]
    assert (
        "POST /api/v1/prompts/:prompt_id/versions/:version_id/promote",
        "prompts:write",
        "put the last good version back (tried on a prompt that does not exist)",
        True,
    ) == (entries[3].call, entries[3].scope, entries[3].need, entries[3].required)


def test_access_tries_a_promotion_that_cannot_change_anything(client: PromptHelm, hostile: HostileServer) -> None:
    """Neither the prompt nor the version exists, and it is the only request that is no GET."""
    hostile.answer = access_answers()

    client.access()

    posts = [seen for seen in hostile.seen if seen.method != "GET"]
    assert 1 == len(posts)
    assert 2 == posts[0].target.count("00000000-0000-4000-8000-000000000000")


def test_access_says_which_scope_is_missing(client: PromptHelm, hostile: HostileServer) -> None:
    """As with the tokens of today, which may only call the gateway."""
    no = refusal(403, "FORBIDDEN", "missing scope")
    keys = ("prompts", "promote", "audit_logs", "execution_logs", "feedback")
    hostile.answer = access_answers(**dict.fromkeys(keys, no))

    problems = {entry.call: entry for entry in client.access() if entry.problem}

    assert "POST /api/v1/prompts/:prompt_id/versions/:version_id/promote" in problems
    refused = [f"{entry.scope} required={entry.required}" for entry in problems.values()]
    assert "prompts:write required=True" in refused
    assert "audit:read required=False" in refused
    assert "analytics:read required=True" in refused
    assert all("lacks the scope" in (entry.problem or "") for entry in problems.values())


def test_access_reports_a_platform_that_promotes_anything(client: PromptHelm, hostile: HostileServer) -> None:
    """Its answer to a real revert would prove nothing."""
    hostile.answer = access_answers(promote=json_answer({}))

    (problem,) = [entry.problem for entry in client.access() if entry.problem]

    assert "although no such prompt exists" in problem


def test_access_works_where_there_are_no_prompts_yet(client: PromptHelm, hostile: HostileServer) -> None:
    """The prompt that does not exist is asked for; 404 says that asking is allowed."""
    hostile.answer = access_answers(prompts=page())

    assert [None] * 8 == [entry.problem for entry in client.access()]


def test_access_to_nobody_asks_once(connect: Callable[..., PromptHelm]) -> None:
    """Every operation has the same problem, and one deadline is enough to know it."""
    entries = connect(url="http://127.0.0.1:1").access()

    assert 1 == len({entry.problem for entry in entries})
    assert "was not sent" in (entries[0].problem or "")


def test_a_gateway_that_is_unwell_is_told(client: PromptHelm, hostile: HostileServer) -> None:
    """Then the fault is upstream of the prompt."""
    hostile.answer = refusal(503, "PROVIDER_UNAVAILABLE", "the provider fails")

    with pytest.raises(BadAnswer, match="PROVIDER_UNAVAILABLE"):
        client.healthy()
