"""
What the token may do, found out without changing anything.

Reads are simply tried. A promotion is tried on a prompt and a version that do not exist: a platform that checks the
scope first answers 403 without it and 404 with it, and there is nothing that it could put on production. A platform
that looks for the prompt first answers 404 in both cases, so this can miss a missing scope but never invent one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from watchdog.errors import BadAnswer, NotSent, PlatformError, Refused
from watchdog.platforms.paths import CALLS
from watchdog.platforms.protocol import Access, PromptPlatform

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

# Well-formed, so that the platform gets as far as looking for it, and easy to find in the platform's own log.
NOBODYS_ID = "00000000-0000-4000-8000-000000000000"
_LOOK_BACK = timedelta(hours=1)
# What a platform may answer about an id that it does not know, once the token has been let through.
_UNKNOWN_ID = frozenset({400, 404, 409, 410, 422})


_REQUIRED = frozenset({"prompts", "prompt", "versions", "promote", "execution_logs"})


class Checked(PromptPlatform, Protocol):
    """A platform with the calls of `paths.CALLS`."""

    def healthy(self) -> None:
        """Raises: PlatformError: the gateway is not well."""

    def path(self, key: str, **ids: str) -> str:
        """The path of one call."""


def check_access(platform: Checked, now: datetime) -> tuple[Access, ...]:
    """One entry for each operation, in the order in which they are needed."""
    prompt_id = NOBODYS_ID
    since = now - _LOOK_BACK
    problems: dict[str, str | None] = {"prompts": None}
    attempts: dict[str, Callable[[], object]] = {
        "prompt": lambda: platform.prompt(prompt_id),
        "versions": lambda: platform.versions(prompt_id),
        "promote": lambda: _promote_nothing(platform),
        "audit_logs": lambda: platform.promotions(since=since, prompt_id=prompt_id),
        "execution_logs": lambda: next(iter(platform.calls(prompt_id, since=since, until=now)), None),
        "feedback": lambda: platform.feedback(prompt_id, since=since),
        "health": platform.healthy,
    }
    try:
        if prompts := platform.prompts():
            prompt_id = prompts[0].id
    except NotSent as exc:
        # Nobody there: asking for the rest would only take the time of as many deadlines.
        return tuple(_entry(platform, key, str(exc)) for key in ("prompts", *attempts))
    except PlatformError as exc:
        problems["prompts"] = str(exc)
    for key, attempt in attempts.items():
        try:
            attempt()
            problems[key] = None
        except PlatformError as exc:
            nobodys = key in ("prompt", "versions") and prompt_id == NOBODYS_ID
            unknown = nobodys and isinstance(exc, Refused) and exc.status in _UNKNOWN_ID
            problems[key] = None if unknown else str(exc)
    return tuple(_entry(platform, key, problem) for key, problem in problems.items())


def _promote_nothing(platform: Checked) -> None:
    try:
        platform.promote(NOBODYS_ID, NOBODYS_ID, note="watchdog: access check, changes nothing", revert_of="")
    except Refused as exc:
        if exc.status not in _UNKNOWN_ID:
            raise
        return
    call = f"POST {platform.path('promote', prompt_id=NOBODYS_ID, version_id=NOBODYS_ID)}"
    message = (
        f"{call} was accepted, although no such prompt exists; a revert could not be told from nothing. Check the path."
    )
    raise BadAnswer(message, call=call, retryable=False)


def _entry(platform: Checked, key: str, problem: str | None) -> Access:
    api_call = CALLS[key]
    ids = {name: f":{name}" for name in api_call.placeholders}
    need = f"{api_call.need} (tried on a prompt that does not exist)" if key == "promote" else api_call.need
    return Access(
        need=need,
        call=f"{api_call.method} {unquote(platform.path(key, **ids))}",
        scope=api_call.scope,
        problem=problem,
        required=key in _REQUIRED,
    )
