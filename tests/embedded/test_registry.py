"""Prompts, versions, branches, the promotion and its audit entry, over HTTP."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import pytest


def test_prompts_are_listed_in_pages_with_their_production_pointer(running):
    """
    A prompt that was never promoted shows null.
    """
    other = running.platform.admin.create_prompt("draft", "A draft")

    first = running.get("/api/v1/prompts", limit=1).json()
    second = running.get("/api/v1/prompts", limit=1, cursor=first["nextCursor"]).json()

    shown = {
        "id": running.prompt_id,
        "slug": "support",
        "name": "Support answers",
        "productionVersionId": running.first,
    }
    assert [shown] == first["items"]
    assert [{"id": other, "slug": "draft", "name": "A draft", "productionVersionId": None}] == second["items"]
    assert second["nextCursor"] is None


def test_one_prompt_shows_the_defaults_of_its_latest_version(running):
    """
    The documented fields of a prompt: model, temperature, content and so on.
    """
    prompt = running.get(f"/api/v1/prompts/{running.prompt_id}").json()

    assert running.first == prompt["productionVersionId"]
    assert running.second == prompt["latestVersionId"]
    assert 0.9 == prompt["temperature"]
    assert "Hi {{name}}" == prompt["content"]["user"]


def test_versions_are_listed_newest_first_with_everything_that_compare_needs(running):
    """
    The fields of the contract, with null for a parameter that is not set.
    """
    versions = running.get(f"/api/v1/prompts/{running.prompt_id}/versions").json()["items"]

    assert [running.second, running.first] == [version["id"] for version in versions]
    assert {
        "id": running.first,
        "promptId": running.prompt_id,
        "version": "1.0.0",
        "branch": "production",
        "createdAt": "2026-11-20T12:00:00.000Z",
        "lastPromotedAt": "2026-11-20T12:00:00.000Z",
        "isProduction": True,
        "model": "gpt-4",
        "temperature": 0.1,
        "maxTokens": None,
        "topP": None,
        "stopSequences": [],
        "content": {
            "system": "",
            "user": "Hello {{name}}",
            "variables": {"name": {"type": "string", "required": True}},
        },
    } == versions[1]
    assert ("development", None, False) == tuple(
        versions[0][key] for key in ("branch", "lastPromotedAt", "isProduction")
    )


def test_a_save_bumps_the_minor_version_and_a_breaking_one_the_major(running):
    """
    1.0.0, 1.1.0, then a break to 2.0.0, then 2.1.0.
    """
    running.platform.admin.save_version(running.prompt_id, major=True)
    running.platform.admin.save_version(running.prompt_id)

    versions = running.platform.admin.registry.versions(running.prompt_id)

    assert ["2.1.0", "2.0.0", "1.1.0", "1.0.0"] == [version["version"] for version in versions]


def test_a_promotion_moves_the_pointer_and_writes_one_audit_entry(running):
    """
    With the previous and the new value, the address and the user agent of whoever asked.
    """
    running.clock.move(seconds=1.5)

    answer = running.promote(running.second)

    assert 200 == answer.status_code
    assert running.second == running.get(f"/api/v1/prompts/{running.prompt_id}").json()["productionVersionId"]
    entry = running.get("/api/v1/audit-logs", action="prompt.promote", resourceId=running.prompt_id).json()["items"][-1]
    assert answer.json()["auditLogId"] == entry["id"]
    assert "api_token" == entry["actorType"]
    assert entry["actorId"].startswith("tok_")
    assert {"type": "prompt", "id": running.prompt_id} == entry["resource"]
    assert "2026-11-20T12:00:01.500Z" == entry["createdAt"]
    assert {
        "previousVersionId": running.first,
        "newVersionId": running.second,
        "revert": False,
        "reason": None,
        "revertOf": None,
        "ip": "127.0.0.1",
        "userAgent": f"python-httpx/{httpx.__version__}",
    } == entry["metadata"]


def test_promoting_an_earlier_version_is_tagged_as_a_revert_with_its_reason(running):
    """
    The optional body is kept in the audit entry.
    """
    bad = running.promote(running.second).json()["auditLogId"]

    answer = running.promote(running.first, reason="watchdog: p95 doubled", revertOf=bad)

    assert answer.json()["revert"]
    metadata = running.get("/api/v1/audit-logs", action="prompt.promote").json()["items"][-1]["metadata"]
    assert (True, "watchdog: p95 doubled", bad) == tuple(metadata[key] for key in ("revert", "reason", "revertOf"))


def test_promoting_what_is_on_production_is_recorded_but_is_no_revert(running):
    """
    Nothing goes back by it.
    """
    running.promote(running.first)

    entries = running.get("/api/v1/audit-logs", action="prompt.promote").json()["items"]
    assert [(None, False), (running.first, False)] == [
        (entry["metadata"]["previousVersionId"], entry["metadata"]["revert"]) for entry in entries
    ]


@pytest.mark.parametrize("body", [b"[1]", b'{"reason": 7}', b'{"revertOf": {}}', b'{"reason": "' + b"x" * 5000 + b'"}'])
def test_a_promotion_with_a_wrong_body_changes_nothing(running, body):
    """
    422, and the pointer stays.
    """
    path = f"/api/v1/prompts/{running.prompt_id}/versions/{running.second}/promote"

    assert 422 == running.client.post(path, content=body).status_code
    assert running.first == running.get(f"/api/v1/prompts/{running.prompt_id}").json()["productionVersionId"]


def test_a_version_of_another_prompt_cannot_be_promoted(running):
    """
    404, and neither prompt moves.
    """
    other = running.platform.admin.create_prompt("other")
    foreign = running.platform.admin.save_version(other)

    assert 404 == running.promote(foreign).status_code
    assert running.first == running.get(f"/api/v1/prompts/{running.prompt_id}").json()["productionVersionId"]


def test_concurrent_promotions_leave_an_unbroken_chain(running):
    """
    Each entry's previous version is the new one of the entry before it: no promotion ran between read and write.
    """
    targets = [running.first, running.second] * 20
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(running.promote, targets))

    assert [200] * 40 == [answer.status_code for answer in answers]
    entries = running.get("/api/v1/audit-logs", action="prompt.promote").json()["items"]
    moves = [(entry["metadata"]["previousVersionId"], entry["metadata"]["newVersionId"]) for entry in entries]
    assert 41 == len(moves)
    assert [after for _, after in moves[:-1]] == [before for before, _ in moves[1:]]
    assert moves[-1][1] == running.get(f"/api/v1/prompts/{running.prompt_id}").json()["productionVersionId"]


def test_audit_pages_hold_still_while_entries_arrive(running):
    """
    All in the same millisecond, with promotions between the pages: each comes exactly once.
    """
    for version in [running.second, running.first] * 3:
        running.promote(version)
    seen, cursor = [], ""
    while cursor is not None:
        page = running.get("/api/v1/audit-logs", action="prompt.promote", limit=2, cursor=cursor).json()
        seen += [entry["id"] for entry in page["items"]]
        cursor = page["nextCursor"]
        if len(seen) < 8:
            running.promote(running.second)

    every = running.get("/api/v1/audit-logs", action="prompt.promote", limit=1000).json()["items"]
    assert [entry["id"] for entry in every] == seen


def test_audit_since_is_inclusive(running):
    """
    The entry of that very millisecond is there, and not the one before it.
    """
    running.clock.move(milliseconds=1)
    running.promote(running.second)

    found = running.get("/api/v1/audit-logs", action="prompt.promote", since="2026-11-20T12:00:00.001Z").json()["items"]

    assert [running.second] == [entry["metadata"]["newVersionId"] for entry in found]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("DELETE FROM audit", "append-only"),
        ("UPDATE audit SET actor_id = 'nobody'", "append-only"),
        ("DELETE FROM versions", "no version is ever deleted"),
        ("UPDATE versions SET temperature = 2.0", "write-once"),
    ],
)
def test_the_database_itself_keeps_history(running, tmp_path, statement, reason):
    """
    Not even another program can rewrite a version or the audit log by accident.
    """
    with closing(sqlite3.connect(tmp_path / "embedded.db")) as connection:
        with pytest.raises(sqlite3.IntegrityError, match=reason):
            connection.execute(statement)
        assert (2,) == connection.execute("SELECT count(*) FROM versions").fetchone()


def test_a_slug_is_taken_once(running):
    """
    The second prompt of that name is refused with a sentence.
    """
    with pytest.raises(ValueError, match="there is a prompt support already"):
        running.platform.admin.create_prompt("support")
