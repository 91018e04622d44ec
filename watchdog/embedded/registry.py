"""Prompts, their write-once versions, the two branches, and the promotion that moves one of them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from watchdog.embedded import audit, tables
from watchdog.embedded.envelope import not_found
from watchdog.embedded.paging import Page, cut, write_cursor
from watchdog.embedded.timestamps import stamp_ms, wire

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from watchdog.clock import Clock
    from watchdog.embedded.audit import Actor
    from watchdog.embedded.database import Database

PRODUCTION = "production"
DEVELOPMENT = "development"


@dataclass(frozen=True, kw_only=True)
class Draft:
    """
    What a save writes down for ever.

    Attributes:
        system, user: templates; `{{name}}` stands for a variable.
        variables: JSON-schema fragments by name, such as `{"number": {"type": "string", "required": True}}`.
        temperature: 0.0 to 2.0; None leaves it to the provider, as for the parameters below.
        max_tokens: > 0. top_p: 0.0 to 1.0. stop_sequences: the answer ends before the first that appears.
    """

    model: str
    system: str = ""
    user: str = ""
    variables: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    stop_sequences: tuple[str, ...] = ()


class Registry:
    """
    The prompts of one file. Every method raises `Problem` 404 for an id that it does not hold.

    Without `at` an act is stamped inside its transaction, so that stamps rise in the order of the records.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create_prompt(self, slug: str, name: str, actor: Actor, *, at: datetime | None = None) -> str:
        """Returns: the prompt's id."""
        prompt_id = f"prm_{secrets.token_hex(8)}"
        with self._database.begin() as connection:
            at_ms = self._stamp(at)
            row = {"id": prompt_id, "slug": slug, "name": name, "created_ms": at_ms}
            connection.execute(insert(tables.prompts).values(row))
            resource = ("prompt", prompt_id)
            audit.append(connection, actor, "prompt.create", resource, metadata={"slug": slug}, at_ms=at_ms)
        return prompt_id

    def save_version(
        self, prompt_id: str, draft: Draft, actor: Actor, *, major: bool = False, at: datetime | None = None
    ) -> str:
        """
        Write a snapshot and point `development` at it.

        Args:
            major: the variable schema breaks its callers; any other save bumps the minor version.

        Returns: the version's id.
        """
        table = tables.versions
        version_id = f"ver_{secrets.token_hex(8)}"
        with self._database.begin() as connection:
            at_ms = self._stamp(at)
            _prompt(connection, prompt_id)
            newest = connection.execute(
                select(table.c.major, table.c.minor).where(table.c.prompt_id == prompt_id).order_by(table.c.seq.desc())
            ).first()
            number = (1, 0) if newest is None else (newest.major + 1, 0) if major else (newest.major, newest.minor + 1)
            row = {
                "id": version_id,
                "prompt_id": prompt_id,
                "major": number[0],
                "minor": number[1],
                "model": draft.model,
                "temperature": draft.temperature,
                "max_tokens": draft.max_tokens,
                "top_p": draft.top_p,
                "stop_sequences": list(draft.stop_sequences),
                "system": draft.system,
                "user": draft.user,
                "variables": {name: dict(schema) for name, schema in draft.variables.items()},
                "created_ms": at_ms,
            }
            connection.execute(insert(table).values(row))
            _point(connection, prompt_id, DEVELOPMENT, version_id)
            metadata = {"versionId": version_id, "version": _label(*number)}
            resource = ("prompt", prompt_id)
            audit.append(connection, actor, "prompt.version.create", resource, metadata=metadata, at_ms=at_ms)
        return version_id

    def promote(
        self,
        prompt_id: str,
        version_id: str,
        actor: Actor,
        *,
        reason: str | None = None,
        revert_of: str | None = None,
        at: datetime | None = None,
    ) -> dict[str, Any]:
        """
        Flip production and write the audit entry, both or neither.

        A version that was on production before, and is not now, makes the promotion a revert.
        """
        table = tables.versions
        with self._database.begin() as connection:
            at_ms = self._stamp(at)
            prompt = _prompt(connection, prompt_id)
            target = connection.execute(
                select(table).where(table.c.id == version_id, table.c.prompt_id == prompt_id)
            ).first()
            if target is None:
                raise not_found(f"prompt {prompt.slug} has no version {version_id}")
            previous = prompt.production_version_id
            revert = target.last_promoted_ms is not None and previous != version_id
            _point(connection, prompt_id, PRODUCTION, version_id)
            connection.execute(update(table).where(table.c.id == version_id).values(last_promoted_ms=at_ms))
            metadata = {
                "previousVersionId": previous,
                "newVersionId": version_id,
                "revert": revert,
                "reason": reason,
                "revertOf": revert_of,
            }
            resource = ("prompt", prompt_id)
            entry = audit.append(connection, actor, audit.PROMOTE, resource, metadata=metadata, at_ms=at_ms)
        return {
            "promptId": prompt_id,
            "versionId": version_id,
            "version": _label(target.major, target.minor),
            "branch": PRODUCTION,
            "previousVersionId": previous,
            "revert": revert,
            "promotedAt": wire(at_ms),
            "auditLogId": entry,
        }

    def prompts(self, page: Page) -> dict[str, Any]:
        """Prompts in the order of their creation, as the wire shows them."""
        table = tables.prompts
        query = _PROMPTS_WITH_POINTERS.order_by(table.c.created_ms, table.c.seq).limit(page.limit + 1)
        if (after := page.condition(table.c.created_ms, table.c.seq)) is not None:
            query = query.where(after)
        with self._database.begin() as connection:
            rows, last = cut(connection.execute(query).all(), page.limit)
        items = [_shown_prompt(row) for row in rows]
        return {"items": items, "nextCursor": None if last is None else write_cursor(last.created_ms, last.seq)}

    def prompt(self, prompt_id: str) -> dict[str, Any]:
        """One prompt with the defaults of its latest version."""
        with self._database.begin() as connection:
            prompt = _prompt(connection, prompt_id)
            table = tables.versions
            latest = connection.execute(select(table).where(table.c.id == prompt.development_version_id)).first()
        shown = {**_shown_prompt(prompt), "createdAt": wire(prompt.created_ms)}
        if latest is not None:
            shown |= {"latestVersionId": latest.id, **_shown_draft(latest)}
        return shown

    def prompt_id(self, slug: str) -> str | None:
        """None where there is no such prompt."""
        table = tables.prompts
        with self._database.begin() as connection:
            return connection.execute(select(table.c.id).where(table.c.slug == slug)).scalar()

    def versions(self, prompt_id: str) -> list[dict[str, Any]]:
        """All versions, newest first."""
        table = tables.versions
        with self._database.begin() as connection:
            prompt = _prompt(connection, prompt_id)
            query = select(table).where(table.c.prompt_id == prompt_id).order_by(table.c.seq.desc())
            rows = connection.execute(query).all()
        return [_shown_version(row, prompt.production_version_id) for row in rows]

    def version(self, prompt_id: str, version_id: str) -> dict[str, Any]:
        """One version."""
        for version in self.versions(prompt_id):
            if version["id"] == version_id:
                return version
        raise not_found(f"prompt {prompt_id} has no version {version_id}")

    def resolve(self, *, prompt_id: str | None, slug: str | None, environment: str | None) -> Row[Any]:
        """
        The version that a gateway call hits.

        Args:
            prompt_id, slug: one of the two; the id wins.
            environment: `production` or `development`; None is the latest version.

        Returns: the row of `tables.versions`.
        """
        query, name = (_BY_SLUG, slug) if prompt_id is None else (_BY_ID, prompt_id)
        with self._database.begin() as connection:
            prompt = connection.execute(query, {"of": name}).first()
            if prompt is None:
                raise not_found(f"no prompt {prompt_id if prompt_id is not None else slug}")
            production = environment == PRODUCTION
            pointer = prompt.production_version_id if production else prompt.development_version_id
            if pointer is None:
                what = "was ever promoted to production" if production else "was ever saved"
                raise not_found(f"prompt {prompt.slug}: no version {what}")
            return connection.execute(_VERSION, {"of": pointer}).one()

    def _stamp(self, at: datetime | None) -> int:
        return stamp_ms(self._clock.now() if at is None else at)


def _prompts_with_pointers() -> Any:
    table = tables.prompts
    production, development = tables.branches.alias("production"), tables.branches.alias("development")
    return select(
        table,
        production.c.version_id.label("production_version_id"),
        development.c.version_id.label("development_version_id"),
    ).select_from(
        table.outerjoin(
            production, and_(production.c.prompt_id == table.c.id, production.c.name == PRODUCTION)
        ).outerjoin(development, and_(development.c.prompt_id == table.c.id, development.c.name == DEVELOPMENT))
    )


# Every call of the gateway asks it: to put it together anew took longer than to answer it.
_PROMPTS_WITH_POINTERS = _prompts_with_pointers()
_BY_ID = _PROMPTS_WITH_POINTERS.where(tables.prompts.c.id == bindparam("of"))
_BY_SLUG = _PROMPTS_WITH_POINTERS.where(tables.prompts.c.slug == bindparam("of"))
_VERSION = select(tables.versions).where(tables.versions.c.id == bindparam("of"))


def _prompt(connection: Connection, prompt_id: str) -> Row[Any]:
    row: Row[Any] | None = connection.execute(_BY_ID, {"of": prompt_id}).first()
    if row is None:
        raise not_found(f"no prompt {prompt_id}")
    return row


def _point(connection: Connection, prompt_id: str, branch: str, version_id: str) -> None:
    statement = upsert(tables.branches).values(prompt_id=prompt_id, name=branch, version_id=version_id)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["prompt_id", "name"], set_={"version_id": version_id})
    )


def _label(major: int, minor: int) -> str:
    return f"{major}.{minor}.0"


def _shown_prompt(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "slug": row.slug,
        "name": row.name,
        "productionVersionId": row.production_version_id,
    }


def _shown_draft(row: Row[Any]) -> dict[str, Any]:
    return {
        "model": row.model,
        "temperature": row.temperature,
        "maxTokens": row.max_tokens,
        "topP": row.top_p,
        "stopSequences": row.stop_sequences,
        "content": {"system": row.system, "user": row.user, "variables": row.variables},
    }


def _shown_version(row: Row[Any], production_version_id: str | None) -> dict[str, Any]:
    live = row.id == production_version_id
    return {
        "id": row.id,
        "promptId": row.prompt_id,
        "version": _label(row.major, row.minor),
        "branch": PRODUCTION if live else DEVELOPMENT,
        "createdAt": wire(row.created_ms),
        "lastPromotedAt": None if row.last_promoted_ms is None else wire(row.last_promoted_ms),
        "isProduction": live,
        **_shown_draft(row),
    }
