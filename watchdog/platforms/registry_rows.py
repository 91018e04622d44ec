"""PromptHelm's prompts, versions, audit entries and feedback as the domain's values. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchdog.core.model import ActorType, Feedback, FeedbackKind, Promotion, Prompt, PromptVersion
from watchdog.platforms.answers import readable
from watchdog.platforms.fields import (
    Row,
    Unusable,
    as_row,
    flag,
    identifier,
    instant,
    optional_identifier,
    optional_instant,
    optional_text,
    shown,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

PROMOTE_ACTION = "prompt.promote"
PARAMETERS = ("model", "temperature", "maxTokens", "topP", "stopSequences")
CONTENT_PARTS = ("system", "user", "variables")

_ACTORS = {"user": ActorType.USER, "api_token": ActorType.API_TOKEN, "system": ActorType.SYSTEM}
_FEEDBACK = {kind.value: kind for kind in FeedbackKind}


def read_prompt(row: Row) -> Prompt:
    """Raises: Unusable; so do all functions here."""
    # Absent is not null: a platform that does not tell what is live must not pass for one where nothing is.
    if "productionVersionId" not in row:
        raise Unusable("missing productionVersionId (null would mean that nothing is live)")
    return Prompt(
        id=identifier(row, "id"),
        slug=shown(row, "slug") or identifier(row, "id"),
        name=readable(optional_text(row, "name")),
        production_version_id=optional_identifier(row, "productionVersionId"),
    )


def read_version(row: Row, prompt_id: str) -> PromptVersion:
    """
    Args:
        prompt_id: whose versions were asked for; a row that says otherwise is refused.
    """
    if optional_identifier(row, "promptId") not in (None, prompt_id):
        raise Unusable("of another prompt")
    content = {} if row.get("content") is None else as_row(row["content"], "content")
    return PromptVersion(
        id=identifier(row, "id"),
        prompt_id=prompt_id,
        label=shown(row, "version") or identifier(row, "id"),
        created_at=optional_instant(row, "createdAt"),
        last_promoted_at=optional_instant(row, "lastPromotedAt"),
        parameters=_present(row, PARAMETERS),
        content=_present(content, CONTENT_PARTS),
    )


def read_promotion(row: Row) -> tuple[Promotion, str] | None:
    """
    One audit entry.

    Returns: the promotion, and the type of its actor where that is not a known one (else the empty string); None for
        an entry of another action.
    """
    if text(row, "action") != PROMOTE_ACTION:
        return None
    resource = as_row(row.get("resource"), "resource")
    if optional_text(resource, "type").lower() not in ("", "prompt"):
        raise Unusable("resource is not a prompt")
    metadata = as_row(row.get("metadata"), "metadata")
    actor_word = optional_text(row, "actorType")
    at = instant(row, "createdAt")
    promotion = Promotion(
        id=identifier(row, "id"),
        prompt_id=identifier(resource, "id"),
        from_version_id=optional_identifier(metadata, "previousVersionId"),
        to_version_id=identifier(metadata, "newVersionId"),
        at=at,
        not_before=at,
        actor_type=_ACTORS.get(actor_word, ActorType.UNKNOWN),
        actor_id=shown(row, "actorId"),
        revert=flag(metadata, "revert"),
        note=_storable(optional_text(metadata, "reason")),
    )
    return promotion, "" if actor_word in _ACTORS else actor_word or "(none)"


def read_feedback(row: Row, prompt_id: str) -> Feedback:
    """Feedback on the prompt, or on one of its calls."""
    if optional_identifier(row, "promptId") not in (None, prompt_id):
        raise Unusable("of another prompt")
    kind = _FEEDBACK.get(text(row, "kind"))
    if kind is None:
        raise Unusable("unknown kind")
    return Feedback(
        id=identifier(row, "id"),
        prompt_id=prompt_id,
        version_id=optional_identifier(row, "versionId"),
        kind=kind,
        created_at=instant(row, "createdAt"),
    )


def _storable(note: str) -> str:
    """Otherwise as it came: our own notes are recognised by their very text. No database takes these two."""
    return note.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def _present(row: Row, keys: tuple[str, ...]) -> Mapping[str, object]:
    return {key: row[key] for key in keys if row.get(key) is not None}
