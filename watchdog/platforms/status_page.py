"""
Status pages of providers, as far as they speak the common status-page JSON.

`/api/v2/status.json` holds `status {indicator, description}`, `/api/v2/incidents/unresolved.json` holds `incidents
[{name, status, impact, started_at, created_at}]`: the form of Atlassian's Statuspage, which other makers answer in too.

A page is a stranger: it may be dead, slow, huge, malformed or wrong, and all that comes of it is a line of text.
"""

from __future__ import annotations

import logging
from datetime import UTC
from typing import TYPE_CHECKING

from watchdog.core.upstream import OpenIncident, StatusReport
from watchdog.errors import ConfigError, ConfigIssue
from watchdog.platforms.addresses import url_problem
from watchdog.platforms.answers import readable
from watchdog.platforms.deadline import Deadline
from watchdog.platforms.fields import Unusable, as_row, instant, optional_text, text
from watchdog.platforms.health import what_came_back
from watchdog.platforms.http import JsonHttp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from watchdog.clock import Clock
    from watchdog.platforms.fields import Row

log = logging.getLogger(__name__)

STATUS_PATH = "/api/v2/status.json"
INCIDENTS_PATH = "/api/v2/incidents/unresolved.json"
# Of both questions to one page together, in seconds of the wall.
TIMEOUT_S = 3.0
MAX_BODY_BYTES = 2**20
MOST_INCIDENTS = 2

# Maintenance takes a part of the provider away as well.
_TROUBLE = {"none": False, "minor": True, "major": True, "critical": True, "maintenance": True}
_OVER = frozenset({"resolved", "postmortem", "completed"})
_LONGEST_SUMMARY = 80
_LONGEST_NAME = 120


class HttpStatusPages:
    """
    The pages of several providers; the methods are described in `protocol.StatusPages`.

    Args:
        pages: by provider: address of its page. No token is ever sent there, for none is handed over.
        timeout_s: > 0; for all that is asked of one page, in seconds of the wall.
    Raises: ConfigError: an address or an option that cannot be used.
    """

    def __init__(
        self,
        pages: Mapping[str, str],
        *,
        clock: Clock,
        proxy_from_env: bool = False,
        ca_file: Path | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._names = {provider.casefold(): provider for provider in pages}
        self._pages: dict[str, JsonHttp] = {}
        for provider, url in pages.items():
            self._pages[provider.casefold()] = self._open(provider, url, proxy_from_env, ca_file)

    @property
    def providers(self) -> tuple[str, ...]:
        return tuple(self._names.values())

    def look(self, provider: str) -> StatusReport | None:
        page = self._pages.get(provider.casefold())
        if page is None:
            return None
        name = self._names[provider.casefold()]
        deadline = Deadline(self._clock, self._timeout_s)
        trouble, says, problem = _status(page, deadline)
        incidents, blind = _incidents(page, deadline, self._clock.now())
        unread = [f"its status could not be read: {problem}"] if problem else []
        unread += [f"its incidents could not be read: {blind}"] if blind else []
        if problem and blind and not says and not incidents:
            # One reason is enough for a page that is not there at all.
            unread = [f"could not be read: {problem}"]
        serious = [incident for incident in incidents if not incident.harmless]
        return self._noted(
            StatusReport(
                provider=name,
                trouble=True if serious else trouble,
                says=says,
                incidents=tuple(incidents[:MOST_INCIDENTS]),
                more=len(incidents[MOST_INCIDENTS:]),
                problem="; ".join(unread),
            )
        )

    def close(self) -> None:
        for page in self._pages.values():
            page.close()

    def _open(self, provider: str, url: str, proxy_from_env: bool, ca_file: Path | None) -> JsonHttp:
        problem = url_problem(url)
        if problem is None:
            try:
                return JsonHttp(
                    base_url=url,
                    read_token=None,
                    clock=self._clock,
                    uniform=lambda: 0.0,  # nothing is repeated here
                    timeout_s=self._timeout_s,
                    proxy_from_env=proxy_from_env,
                    ca_file=ca_file,
                    max_body_bytes=MAX_BODY_BYTES,
                )
            except (OSError, ValueError) as exc:
                problem = f"cannot be asked: {exc}"
        self.close()
        issue = ConfigIssue(file="configuration", line=0, column=0, key=f"status.{provider}", message=problem)
        raise ConfigError((issue,))

    @staticmethod
    def _noted(report: StatusReport) -> StatusReport:
        if report.problem:
            log.info(
                "a status page was not read as a whole",
                extra={"action": "status_page_unread", "provider": report.provider, "why": report.problem},
            )
        return report


def _status(page: JsonHttp, deadline: Deadline) -> tuple[bool | None, str, str]:
    """Whether there is trouble, the page's summary, and what could not be read."""
    outcome = page.ask(STATUS_PATH, deadline)
    if outcome.fault is not None:
        return None, "", what_came_back(outcome, with_envelope=False)
    try:
        status = as_row(as_row(outcome.value, "the answer").get("status"), "status")
        indicator = text(status, "indicator")
        says = readable(optional_text(status, "description"), _LONGEST_SUMMARY)
    except Unusable as exc:
        return None, "", f"answered something else: {exc.reason}"
    if indicator not in _TROUBLE:
        return None, says, f'answered with the indicator "{readable(indicator, 40)}", which is not known here'
    return _TROUBLE[indicator], says, ""


def _incidents(page: JsonHttp, deadline: Deadline, now: datetime) -> tuple[list[OpenIncident], str]:
    """Those that are open, and what could not be read."""
    outcome = page.ask(INCIDENTS_PATH, deadline)
    if outcome.fault is not None:
        return [], what_came_back(outcome, with_envelope=False)
    try:
        listed = as_row(outcome.value, "the answer").get("incidents")
    except Unusable as exc:
        return [], f"answered something else: {exc.reason}"
    if not isinstance(listed, list):
        return [], "answered something else: incidents is not a list"
    found: list[OpenIncident] = []
    unusable = 0
    for item in listed:
        try:
            row = as_row(item, "incident")
            if optional_text(row, "status") not in _OVER:
                found.append(_incident(row, now))
        except Unusable:
            unusable += 1
    return found, f"{unusable:,} of {len(listed):,} are no incidents" if unusable else ""


def _incident(row: Row, now: datetime) -> OpenIncident:
    return OpenIncident(
        name=readable(text(row, "name"), _LONGEST_NAME) or "without a name",
        since=_began(row, now),
        harmless=row.get("impact") == "none",
    )


def _began(row: Row, now: datetime) -> datetime | None:
    """When the incident began; a time that cannot be read, or has not come yet, is none."""
    for key in ("started_at", "created_at"):
        try:
            at = instant(row, key)
        except Unusable:
            continue
        if at <= now:
            return at.astimezone(UTC)
    return None
