"""
The one place that knows PromptHelm's calls.

Only the promotion is published with its path. Everything else is this program's own assumption about an API whose
reading half is announced but not published; each path can be set in the configuration when it turns out otherwise.
The scopes `prompts:write`, `analytics:read` and `audit:read` are announced. That reading the registry takes
`prompts:write` is assumed: no scope for reading it has been announced.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from watchdog.platforms.addresses import template_problem

if TYPE_CHECKING:
    from collections.abc import Mapping


class Grade(Enum):
    """How much is known of a call."""

    DOCUMENTED = "documented"  # in the platform's public documents or its official clients
    ASSUMED = "assumed"  # ours


@dataclass(frozen=True, kw_only=True)
class ApiCall:
    """
    Attributes:
        template: path with `{prompt_id}`, `{version_id}` or `{call_id}` where an id goes.
        need: what the watchdog wants it for, in words.
    """

    method: str
    template: str
    grade: Grade
    scope: str
    need: str
    placeholders: frozenset[str] = frozenset()


_PROMPT = frozenset({"prompt_id"})

CALLS: Mapping[str, ApiCall] = {
    "prompts": ApiCall(
        method="GET",
        template="/api/v1/prompts",
        grade=Grade.ASSUMED,
        scope="prompts:write",
        need="list the prompts",
    ),
    "prompt": ApiCall(
        method="GET",
        template="/api/v1/prompts/{prompt_id}",
        grade=Grade.ASSUMED,
        scope="prompts:write",
        need="see which version is on production, before and after a revert",
        placeholders=_PROMPT,
    ),
    "versions": ApiCall(
        method="GET",
        template="/api/v1/prompts/{prompt_id}/versions",
        grade=Grade.ASSUMED,
        scope="prompts:write",
        need="show what a version changed",
        placeholders=_PROMPT,
    ),
    "promote": ApiCall(
        method="POST",
        template="/api/v1/prompts/{prompt_id}/versions/{version_id}/promote",
        grade=Grade.DOCUMENTED,
        scope="prompts:write",
        need="put the last good version back",
        placeholders=frozenset({"prompt_id", "version_id"}),
    ),
    "audit_logs": ApiCall(
        method="GET",
        template="/api/v1/audit-logs",
        grade=Grade.ASSUMED,
        scope="audit:read",
        need="see promotions with their time and author",
    ),
    "execution_logs": ApiCall(
        method="GET",
        template="/api/v1/execution-logs",
        grade=Grade.ASSUMED,
        scope="analytics:read",
        need="measure latency, cost and success of every call",
    ),
    "execution_log": ApiCall(
        method="GET",
        template="/api/v1/execution-logs/{call_id}",
        grade=Grade.ASSUMED,
        scope="analytics:read",
        need="read one failing call's bodies as evidence, where that is switched on",
        placeholders=frozenset({"call_id"}),
    ),
    "analytics": ApiCall(
        method="GET",
        template="/api/v1/execution-logs/analytics",
        grade=Grade.ASSUMED,
        scope="analytics:read",
        need="compare our figures with the platform's own",
    ),
    "feedback": ApiCall(
        method="GET",
        template="/api/v1/feedback",
        grade=Grade.ASSUMED,
        scope="analytics:read",
        need="count thumbs down and support tickets",
    ),
    "health": ApiCall(
        method="GET",
        template="/api/v1/health",
        grade=Grade.ASSUMED,
        scope="none",
        need="tell a fault of the gateway from a fault of the prompt",
    ),
}

COMPARE_TEMPLATE = "/prompts/{prompt_id}/compare?from={bad}&to={good}"
COMPARE_PLACEHOLDERS = frozenset({"prompt_id", "bad", "good"})


def path_problems(paths: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What is wrong with paths that a configuration sets: (key, message) each; empty when nothing is."""
    problems = []
    for key, template in paths.items():
        if key not in CALLS:
            problems.append((key, f"is not a path of this platform; known are {', '.join(CALLS)}"))
        elif (problem := template_problem(template, CALLS[key].placeholders)) is not None:
            problems.append((key, f"{template!r}: {problem}"))
    return tuple(problems)
