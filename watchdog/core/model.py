"""The words of the domain as values: prompts, versions, promotions, calls, feedback."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class ErrorKind(Enum):
    """Why a call failed, in the field's coarse kinds. The platform's own code is kept beside it in evidence."""

    SERVER_ERROR = "server_error"  # the provider or gateway answered 5xx
    TIMEOUT = "timeout"  # no answer within the call's own limit
    RATE_LIMIT = "rate_limit"  # 429
    VALIDATION = "validation"  # the output was refused by the prompt's own checks
    TRUNCATED = "truncated"  # the output was cut by a stop sequence or a token limit
    UNPARSABLE = "unparsable"  # the output was to be JSON and is not
    CLIENT_ERROR = "client_error"  # any other 4xx
    OTHER = "other"  # a code that this program does not know


class ActorType(Enum):
    """Who acted, as the platform's audit log says it."""

    USER = "user"
    API_TOKEN = "api_token"  # noqa: S105 - the audit log's word
    SYSTEM = "system"
    UNKNOWN = "unknown"  # the pointer was seen to move; nobody recorded who moved it


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """
    Attributes:
        production_version_id: what live traffic hits; None when nothing was ever promoted.
    """

    id: str
    slug: str
    name: str
    production_version_id: str | None


@dataclass(frozen=True, kw_only=True)
class PromptVersion:
    """
    A write-once snapshot of a prompt.

    Attributes:
        label: semantic version, such as `1.4.0`.
        parameters: model, temperature, maxTokens, topP, stopSequences; a parameter that is not set is absent.
        content: `system`, `user` and `variables`; absent parts are absent.
    """

    id: str
    prompt_id: str
    label: str
    created_at: datetime | None = None
    last_promoted_at: datetime | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    content: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """
    The production pointer of one prompt moved.

    Attributes:
        id: the platform's audit entry id, or a deterministic id where the move was only seen.
        from_version_id: None for the first promotion ever.
        at: when it happened, aware UTC; with a watched pointer the end of the interval in which it must have happened.
        not_before: start of that interval (last time the earlier version was seen); equal to `at` when it is exact.
        actor_id: as the platform says; empty when unknown.
        revert: the platform tagged it as the promotion of an earlier version.
        note: free text that was handed over with it (ours start with `watchdog:`); empty when there was none.
    """

    id: str
    prompt_id: str
    from_version_id: str | None
    to_version_id: str
    at: datetime
    not_before: datetime
    actor_type: ActorType
    actor_id: str
    revert: bool
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Call:
    """
    One production call of a prompt. No text of a prompt or an answer is ever in here.

    Attributes:
        started_at: aware UTC; the call is counted in the window that holds this instant.
        recorded_at: aware UTC; when the platform wrote it down, which orders the platform's pages.
        latency_ms: > 0, server-observed; None when the platform does not know it.
        ok: whether it succeeded.
        error_kind, error_code: why not (None, "" when ok); the code is the platform's own.
        cost_usd: >= 0; None when unknown.
        segment: value of the label that the configuration's `segment_by` names (a task, a route, a tenant), at most 100
            characters; empty when the call carries none or none was asked for.
    """

    id: str
    prompt_id: str
    version_id: str | None
    environment: str
    started_at: datetime
    recorded_at: datetime
    latency_ms: float | None
    ok: bool
    error_kind: ErrorKind | None = None
    error_code: str = ""
    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    model: str = ""
    provider: str = ""
    segment: str = ""


class FeedbackKind(Enum):
    """What a user of the product said about an answer."""

    THUMBS_UP = "thumbs_up"
    THUMBS_DOWN = "thumbs_down"
    SUPPORT_TICKET = "support_ticket"


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """
    Attributes:
        version_id: the version that gave the answer; None when the platform cannot say.
    """

    id: str
    prompt_id: str
    version_id: str | None
    kind: FeedbackKind
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Payload:
    """
    What one call said, and how it was asked to say it. The text of the request is not in here: nothing needs it.

    Its text is somebody's data: it is left out of `repr`, and only what `core.redact` lets through is ever kept.

    Attributes:
        output: the answer's text as the platform says it; None where there was none, which is not the empty text.
        message: what the platform or the provider said about the failure.
        finish_reason: why the model stopped, in the provider's own word, lower case; empty when unknown.
        max_tokens, stop_sequences, timeout_ms: with which the call was made; None or empty when unknown.
        wants_json: the request speaks of JSON.
    """

    call_id: str
    output: str | None = field(default=None, repr=False)
    message: str = field(default="", repr=False)
    finish_reason: str = field(default="", repr=False)
    max_tokens: int | None = None
    stop_sequences: tuple[str, ...] = field(default=(), repr=False)
    timeout_ms: float | None = None
    wants_json: bool = False
