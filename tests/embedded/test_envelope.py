"""Every answer that is not 2xx carries the envelope, whatever went wrong."""

from __future__ import annotations

import pytest

from watchdog.embedded.server import EmbeddedPlatform

ENVELOPE = {"statusCode", "errorCode", "message", "timestamp", "requestId"}

REFUSED = [
    ("a route that does not exist", "GET", "/api/v2/prompts", None, 404, "ROUTE_NOT_FOUND"),
    ("a method that the path does not have", "DELETE", "/api/v1/prompts", None, 405, "METHOD_NOT_ALLOWED"),
    ("a prompt that does not exist", "GET", "/api/v1/prompts/prm_none", None, 404, "NOT_FOUND"),
    (
        "the versions of a prompt that does not exist",
        "GET",
        "/api/v1/prompts/prm_none/versions",
        None,
        404,
        "NOT_FOUND",
    ),
    ("an execution that does not exist", "GET", "/api/v1/execution-logs/exe_000000000099", None, 404, "NOT_FOUND"),
    ("an execution id that is none", "GET", "/api/v1/execution-logs/latest", None, 404, "NOT_FOUND"),
    ("a limit of zero", "GET", "/api/v1/execution-logs?limit=0", None, 422, "VALIDATION_FAILED"),
    ("a limit above the largest", "GET", "/api/v1/execution-logs?limit=1001", None, 422, "VALIDATION_FAILED"),
    ("a limit that is a word", "GET", "/api/v1/audit-logs?limit=all", None, 422, "VALIDATION_FAILED"),
    ("a cursor that is not ours", "GET", "/api/v1/execution-logs?cursor=%21%21", None, 422, "VALIDATION_FAILED"),
    ("a time without an offset", "GET", "/api/v1/audit-logs?since=2026-11-20T08:00:00", None, 422, "VALIDATION_FAILED"),
    (
        "an environment that does not exist",
        "GET",
        "/api/v1/execution-logs?environment=test",
        None,
        422,
        "VALIDATION_FAILED",
    ),
    ("a body that is not JSON", "POST", "/api/v1/gateway/execute", b"{", 400, "MALFORMED_JSON"),
    ("a body that is no object", "POST", "/api/v1/gateway/execute", b"[]", 422, "VALIDATION_FAILED"),
    ("an unknown slug", "POST", "/api/v1/gateway/execute", b'{"promptSlug": "none"}', 404, "NOT_FOUND"),
    ("an unknown slug, streamed", "POST", "/api/v1/gateway/stream", b'{"promptSlug": "none"}', 404, "NOT_FOUND"),
    ("no prompt at all", "POST", "/api/v1/gateway/execute", b"{}", 422, "VALIDATION_FAILED"),
    ("feedback of no kind", "POST", "/api/v1/feedback", b'{"promptId": "x", "kind": "meh"}', 422, "VALIDATION_FAILED"),
    ("feedback about nothing", "POST", "/api/v1/feedback", b'{"kind": "thumbs_up"}', 422, "VALIDATION_FAILED"),
    ("a compare page without versions", "GET", "/prompts/prm_none/compare", None, 422, "VALIDATION_FAILED"),
    ("a body of two megabytes", "POST", "/api/v1/gateway/execute", b" " * 2_000_000, 413, "BODY_TOO_LARGE"),
]


def test_every_refusal_is_an_envelope_with_its_own_code(running):
    """
    One row for each way in which a request can be wrong.
    """
    for sentence, method, path, body, status, code in REFUSED:
        answer = running.client.request(method, path, content=body)

        shown = answer.json()
        assert (status, code) == (answer.status_code, shown["errorCode"]), sentence
        assert set(shown) == ENVELOPE, sentence
        assert status == shown["statusCode"], sentence
        assert shown["timestamp"] == "2026-11-20T12:00:00.000Z", sentence


def test_several_wrong_fields_are_named_one_by_one(running):
    """
    `message` is a list when there is more than one thing to say.
    """
    answer = running.execute(promptSlug="support", temperature=3, topP="high", maxTokens=0, environment="staging")

    assert [
        "environment must be production or development",
        "temperature must be a number from 0.0 to 2.0",
        "maxTokens must be a whole number above 0",
        "topP must be a number from 0.0 to 1.0",
    ] == answer.json()["message"]


@pytest.mark.parametrize("header", [None, "Bearer phk_00000000000000000000000000000000", "Basic abc", "Bearer"])
def test_a_request_without_a_valid_token_is_answered_401(running, header):
    """
    No header, a token that was never issued, another scheme, and a bearer of nothing.
    """
    running.client.headers.pop("authorization")
    headers = {} if header is None else {"authorization": header}

    answer = running.client.get("/api/v1/prompts", headers=headers)

    assert 401 == answer.status_code
    assert "UNAUTHORIZED" == answer.json()["errorCode"]


SCOPES = [
    ("GET", "/api/v1/prompts", "prompts:write"),
    ("GET", "/api/v1/prompts/p", "prompts:write"),
    ("GET", "/api/v1/prompts/p/versions", "prompts:write"),
    ("POST", "/api/v1/prompts/p/versions/v/promote", "prompts:write"),
    ("GET", "/api/v1/audit-logs", "audit:read"),
    ("GET", "/api/v1/execution-logs", "analytics:read"),
    ("GET", "/api/v1/execution-logs/analytics", "analytics:read"),
    ("GET", "/api/v1/execution-logs/exe_000000000001", "analytics:read"),
    ("GET", "/api/v1/feedback", "analytics:read"),
    ("POST", "/api/v1/feedback", "gateway:execute"),
    ("POST", "/api/v1/gateway/execute", "gateway:execute"),
    ("POST", "/api/v1/gateway/stream", "gateway:execute"),
]


def test_a_missing_scope_is_answered_403_and_named(running):
    """
    A token that has every scope but the one that is needed is told which.
    """
    every = {"gateway:execute", "prompts:write", "analytics:read", "audit:read"}
    without = {scope: running.platform.admin.create_token(every - {scope}) for scope in every}
    for method, path, scope in SCOPES:
        answer = running.client.request(method, path, headers={"authorization": f"Bearer {without[scope]}"})

        assert 403 == answer.status_code, (method, path)
        assert f"{method} {path} needs a token with the scope {scope}" == answer.json()["message"]


def test_a_revoked_token_is_refused_at_once(running):
    """
    The very next request is answered 401.
    """
    assert 200 == running.get("/api/v1/prompts").status_code

    running.platform.admin.revoke_token(running.token)

    assert 401 == running.get("/api/v1/prompts").status_code


def test_the_file_holds_no_token(running, tmp_path):
    """
    Only an HMAC is stored: neither the token nor its hexadecimal part is anywhere in the database.
    """
    assert 36 == len(running.token)
    running.get("/api/v1/prompts")

    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())

    assert running.token.removeprefix("phk_").encode() not in stored
    assert b"tok_" in stored


def test_health_needs_no_token(running):
    """
    Whoever asks is told that the gateway is well, and which provider it uses.
    """
    running.client.headers.pop("authorization")

    answer = running.get("/api/v1/health")

    assert {"status": "ok", "provider": "simulated", "timestamp": "2026-11-20T12:00:00.000Z"} == answer.json()


def test_health_says_503_while_the_provider_fails_every_call(running):
    """
    The watchdog must be able to tell an upstream outage from a bad prompt.
    """
    running.platform.simulated.fail(status=503)
    assert 503 == running.get("/api/v1/health").status_code

    running.platform.simulated.mend()
    assert 200 == running.get("/api/v1/health").status_code


def test_the_date_header_is_the_platforms_own_clock(running):
    """
    Clients measure the skew of the two clocks by it.
    """
    assert "Fri, 20 Nov 2026 12:00:00 GMT" == running.get("/api/v1/health").headers["date"]


class _BrokenProvider:
    """Has a bug."""

    name = "broken"

    def healthy(self) -> bool:
        return True

    def complete(self, *_asked: object) -> object:
        raise ZeroDivisionError("secret of the implementation")

    def close(self) -> None:
        pass


def test_a_bug_of_the_server_is_answered_500_without_its_text(running, tmp_path, clock):
    """
    The reason is in the log under the request id; the caller gets the envelope.
    """
    with EmbeddedPlatform(tmp_path / "other.db", clock, provider=_BrokenProvider()) as platform:
        running.client.headers["authorization"] = f"Bearer {platform.admin.create_token()}"

        answer = running.client.post(f"{platform.base_url}/api/v1/gateway/execute", json={"user": "hello"})

    assert 500 == answer.status_code
    assert "INTERNAL_ERROR" == answer.json()["errorCode"]
    assert "secret of the implementation" not in answer.text
