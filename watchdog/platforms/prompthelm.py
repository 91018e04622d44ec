"""PromptHelm as a `PromptPlatform`."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import httpx

from watchdog.errors import BadAnswer, ConfigError, ConfigIssue, NotSent, Refused
from watchdog.platforms.access_checks import check_access
from watchdog.platforms.addresses import fill, template_problem, url_problem
from watchdog.platforms.call_rows import FUTURE_TOLERANCE, CallQuery, read_call
from watchdog.platforms.deadline import Deadline
from watchdog.platforms.fields import Row, Unusable, as_row, identifier, written
from watchdog.platforms.health import read_health
from watchdog.platforms.http import JsonHttp
from watchdog.platforms.paths import CALLS, COMPARE_PLACEHOLDERS, COMPARE_TEMPLATE, path_problems
from watchdog.platforms.payload_rows import read_payload
from watchdog.platforms.protocol import CallPage, RejectedRow
from watchdog.platforms.registry_rows import PROMOTE_ACTION, read_feedback, read_promotion, read_prompt, read_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from watchdog.clock import Clock
    from watchdog.core.model import Call, Feedback, Payload, Promotion, Prompt, PromptVersion
    from watchdog.core.upstream import Health
    from watchdog.platforms.protocol import Access

logger = logging.getLogger(__name__)

PAGE_LIMIT = 500
# Of the question how the gateway is: who asks has something to say, and does not wait for long.
HEALTH_TIMEOUT_S = 3.0
# Of one call's bodies; what is longer is not read.
MAX_PAYLOAD_BYTES = 2**20
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, kw_only=True)
class PromptHelmOptions:
    """
    Attributes:
        url: address of the API; https, or http on loopback.
        app_url: address of the pages for people; empty where there are none.
        compare_path: behind `app_url`, with `{prompt_id}`, `{bad}` and `{good}`.
        environment: only calls of this one are returned.
        segment_by: name of the label that becomes a call's segment; a dot reaches into nested objects, as in
            `customer.tier`. It is looked for in the row's `metadata`, then in `labels`, then among its own fields, such
            as `model`: which of them PromptHelm has is assumed, not published. Empty for none.
        timeout_s: > 0; deadline of one operation, in seconds of the wall.
        paths: by the keys of `paths.CALLS`; what is absent stays as it is there.
        proxy_from_env: obey HTTPS_PROXY and its like.
        ca_file: PEM file with authorities to trust beside the usual ones.
        max_pages: a listing that goes on after so many pages of 500 is not believed.
    """

    url: str = "https://api.prompthelm.app"
    app_url: str = "https://app.prompthelm.app"
    compare_path: str = COMPARE_TEMPLATE
    environment: str = "production"
    segment_by: str = ""
    timeout_s: float = 10.0
    paths: Mapping[str, str] = field(default_factory=dict)
    proxy_from_env: bool = False
    ca_file: Path | None = None
    max_pages: int = 10_000


class PromptHelm:
    """
    The client; its methods are described in `protocol.PromptPlatform`.

    Args:
        read_token: returns the token, again whenever it was refused: it may have been rotated.
        uniform: independent draws from [0, 1), to spread repeated reads.
    Raises: ConfigError: an option cannot be used.
    """

    def __init__(
        self,
        options: PromptHelmOptions,
        *,
        read_token: Callable[[], str],
        clock: Clock,
        uniform: Callable[[], float],
    ) -> None:
        if issues := _issues(options):
            raise ConfigError(issues)
        try:
            self._http = JsonHttp(
                base_url=options.url,
                read_token=read_token,
                clock=clock,
                uniform=uniform,
                timeout_s=options.timeout_s,
                proxy_from_env=options.proxy_from_env,
                ca_file=options.ca_file,
            )
        except OSError as exc:
            raise ConfigError((_issue("ca_file", f"{options.ca_file}: cannot be used: {exc}"),)) from exc
        except httpx.InvalidURL:
            # Its text may quote a password.
            raise ConfigError((_issue("proxy_from_env", "the environment's proxy is not a URL"),)) from None
        except ValueError as exc:
            raise ConfigError((_issue("proxy_from_env", str(exc)),)) from exc
        self._options = options
        self._clock = clock
        self._templates = {key: options.paths.get(key, api_call.template) for key, api_call in CALLS.items()}

    @property
    def name(self) -> str:
        return f"PromptHelm at {self._http.host}"

    def prompts(self) -> tuple[Prompt, ...]:
        path = self.path("prompts")
        return tuple(
            _read(read_prompt, item, path)
            for page in self._pages("prompts", path, {"limit": str(PAGE_LIMIT)})
            for item in page
        )

    def prompt(self, prompt_id: str) -> Prompt:
        path = self.path("prompt", prompt_id=prompt_id)
        prompt = _read(read_prompt, self._http.read(path, {}, scope=CALLS["prompt"].scope), path)
        if prompt.id != prompt_id:
            raise _bad(path, "it is another prompt than was asked for")
        return prompt

    def versions(self, prompt_id: str) -> tuple[PromptVersion, ...]:
        path = self.path("versions", prompt_id=prompt_id)
        versions = [
            _read(lambda row: read_version(row, prompt_id), item, path)
            for page in self._pages("versions", path, {})
            for item in page
        ]
        return tuple(sorted(versions, key=lambda version: version.created_at or _BEFORE_ALL, reverse=True))

    def promotions(self, *, since: datetime, prompt_id: str | None = None) -> tuple[Promotion, ...]:
        path = self.path("audit_logs")
        query = {"action": PROMOTE_ACTION, "since": written(since)}
        if prompt_id is not None:
            query["resourceId"] = prompt_id
        found: list[Promotion] = []
        for page in self._pages("audit_logs", path, query):
            for item in page:
                # Not skipped when it cannot be read: a promotion that is lost is a promotion that nobody watches.
                entry = _read(read_promotion, item, path)
                if entry is None:
                    continue
                promotion, strange_actor = entry
                if strange_actor:
                    logger.warning(
                        "audit entry with an unknown type of actor",
                        extra={"action": "actor_type_unknown", "entry_id": promotion.id, "actor_type": strange_actor},
                    )
                if promotion.at >= since and prompt_id in (None, promotion.prompt_id):
                    found.append(promotion)
        if found and found[0].at > found[-1].at:
            # Newest first: turned round before the sort, which keeps the order of equal times.
            found.reverse()
        return tuple(sorted(found, key=lambda promotion: promotion.at))

    def calls(self, prompt_id: str, *, since: datetime, until: datetime) -> Iterator[CallPage]:
        path = self.path("execution_logs")
        query = {"promptId": prompt_id, "since": written(since), "until": written(until), "limit": str(PAGE_LIMIT)}
        oldest_before = _BEFORE_ALL
        for page in self._pages("execution_logs", path, query):
            # The skew of the answer that brought these rows.
            ahead = max(timedelta(0), self._http.clock_skew() or timedelta(0))
            asked = CallQuery(
                prompt_id=prompt_id,
                environment=self._options.environment,
                since=since,
                until=until,
                latest_start=self._clock.now() + ahead + FUTURE_TOLERANCE,
                segment_by=self._options.segment_by,
            )
            read = _read_calls(page, asked)
            if read.calls:
                # A reader that stops between two pages goes on from the last record it has seen.
                if read.calls[-1].recorded_at < oldest_before:
                    raise _bad(path, "calls do not come oldest first")
                oldest_before = read.calls[0].recorded_at
            yield read

    def payload(self, call_id: str) -> Payload:
        path = self.path("execution_log", call_id=call_id)
        answer = self._http.read(path, {}, scope=CALLS["execution_log"].scope, max_body_bytes=MAX_PAYLOAD_BYTES)
        return _read(lambda row: read_payload(row, call_id), answer, path)

    def feedback(self, prompt_id: str, *, since: datetime) -> tuple[Feedback, ...]:
        path = self.path("feedback")
        query = {"promptId": prompt_id, "since": written(since), "limit": str(PAGE_LIMIT)}
        found: list[Feedback] = []
        rejected: Counter[str] = Counter()
        try:
            for page in self._pages("feedback", path, query):
                for item in page:
                    try:
                        found.append(read_feedback(as_row(item, "row"), prompt_id))
                    except Unusable as exc:
                        rejected[exc.reason] += 1
        except Refused as exc:
            if exc.status != 404:
                raise
        if rejected:
            logger.warning(
                "feedback that cannot be read",
                extra={"action": "feedback_rejected", "prompt_id": prompt_id, "rejected": dict(rejected)},
            )
        return tuple(sorted((f for f in found if f.created_at >= since), key=lambda f: f.created_at))

    def promote(self, prompt_id: str, version_id: str, *, note: str, revert_of: str) -> None:
        path = self.path("promote", prompt_id=prompt_id, version_id=version_id)
        self._http.change(path, {"reason": note, "revertOf": revert_of}, scope=CALLS["promote"].scope)

    def clock_skew(self) -> timedelta | None:
        return self._http.clock_skew()

    def access(self) -> tuple[Access, ...]:
        return check_access(self, self._clock.now())

    def compare_url(self, prompt_id: str, bad_version_id: str, good_version_id: str) -> str:
        if not self._options.app_url:
            return ""
        ids = {"prompt_id": prompt_id, "bad": bad_version_id, "good": good_version_id}
        try:
            return self._options.app_url.rstrip("/") + fill(self._options.compare_path, ids)
        except ValueError:
            return ""

    def healthy(self) -> None:
        """
        Ask the gateway how it is.

        Raises: PlatformError: it did not answer, or answered that it is not well.
        """
        self._http.read(self.path("health"), {}, scope=CALLS["health"].scope)

    def health(self) -> Health | None:
        outcome = self._http.ask(
            self.path("health"), Deadline(self._clock, min(HEALTH_TIMEOUT_S, self._options.timeout_s))
        )
        return read_health(outcome)

    def close(self) -> None:
        self._http.close()

    def path(self, key: str, **ids: str) -> str:
        """
        The path of one call, with ids in their places.

        Raises: NotSent: an id cannot stand in a path.
        """
        try:
            return fill(self._templates[key], ids)
        except ValueError as exc:
            call = f"{CALLS[key].method} {self._templates[key]}"
            raise NotSent(f"{call} was not sent: {exc}", call=call, retryable=False) from None

    def _pages(self, key: str, path: str, query: dict[str, str]) -> Iterator[list[object]]:
        """Pages of a listing `{items, nextCursor}`, each fetched when it is asked for."""
        scope = CALLS[key].scope
        cursors: set[str] = set()
        asked = query
        for _ in range(self._options.max_pages):
            answer = self._http.read(path, asked, scope=scope)
            items = answer.get("items") if isinstance(answer, dict) else None
            if not isinstance(answer, dict) or not isinstance(items, list):
                raise _bad(path, "it is not a listing with `items`")
            yield items
            cursor = answer.get("nextCursor")
            if cursor is None or cursor == "":
                return
            # Printable keeps out lone surrogates, which no query can carry.
            if not isinstance(cursor, str) or not cursor.isprintable():
                raise _bad(path, "nextCursor is not text")
            if cursor in cursors:
                raise _bad(path, "nextCursor repeats, so the listing would never end")
            cursors.add(cursor)
            asked = {**query, "cursor": cursor}
        raise _bad(path, f"the listing has more than {self._options.max_pages:,} pages")


def _read_calls(items: list[object], asked: CallQuery) -> CallPage:
    calls: list[Call] = []
    rejected: list[RejectedRow] = []
    for item in items:
        try:
            call = read_call(as_row(item, "row"), asked)
        except Unusable as exc:
            rejected.append(RejectedRow(key=_key_of(item), reason=exc.reason))
            continue
        if call is not None:
            calls.append(call)
    calls.sort(key=lambda call: call.recorded_at)
    return CallPage(calls=tuple(calls), rejected=tuple(rejected))


def _key_of(item: object) -> str:
    """What tells a row that cannot be used from others, whenever it is read."""
    try:
        return identifier(as_row(item, "row"), "id")
    except Unusable:
        return f"sha256:{hashlib.sha256(json.dumps(item, sort_keys=True).encode()).hexdigest()}"


def _read(read: Callable[[Row], ItemT], item: object, path: str) -> ItemT:
    try:
        return read(as_row(item, "answer"))
    except Unusable as exc:
        reason = exc.reason
    raise _bad(path, reason)


def _bad(path: str, reason: str) -> BadAnswer:
    call = f"GET {path}"
    message = f"{call} answered what its contract does not allow: {reason}. Check the platform's paths, or report it."
    return BadAnswer(message, call=call, retryable=False)


def _issues(options: PromptHelmOptions) -> tuple[ConfigIssue, ...]:
    issues = [_issue(f"paths.{key}", message) for key, message in path_problems(options.paths)]
    if (problem := url_problem(options.url)) is not None:
        issues.append(_issue("url", problem))
    if options.app_url and (problem := url_problem(options.app_url)) is not None:
        issues.append(_issue("app_url", problem))
    if (problem := template_problem(options.compare_path, COMPARE_PLACEHOLDERS)) is not None:
        issues.append(_issue("compare_path", problem))
    if not options.timeout_s > 0.0:
        issues.append(_issue("timeout", f"{options.timeout_s} s; must be > 0"))
    return tuple(issues)


def _issue(key: str, message: str) -> ConfigIssue:
    return ConfigIssue(file="configuration", line=0, column=0, key=f"platform.{key}", message=message)
