"""What the owner of the machine may do without HTTP: make prompts and tokens, import past calls, cause trouble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from watchdog.embedded.audit import Actor
from watchdog.embedded.executions import Execution
from watchdog.embedded.registry import PRODUCTION, Draft
from watchdog.embedded.tokens import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from watchdog.clock import Clock
    from watchdog.embedded.executions import Executions
    from watchdog.embedded.faults import Fault, Faults
    from watchdog.embedded.feedback import FeedbackKind, FeedbackLog
    from watchdog.embedded.recordings import RecordedCall
    from watchdog.embedded.registry import Registry
    from watchdog.embedded.simulated import Disturbance, SimulatedProvider
    from watchdog.embedded.status_page import Indicator, StatusPage
    from watchdog.embedded.tokens import Tokens

_OWNER = "owner"


@dataclass(frozen=True, kw_only=True)
class Admin:
    """Every method that takes `at` stamps with that instant in place of now."""

    registry: Registry
    executions: Executions
    feedback_log: FeedbackLog
    tokens: Tokens
    simulated: SimulatedProvider
    faults: Faults
    status_page: StatusPage
    clock: Clock

    def create_token(self, scopes: Iterable[Scope | str] = tuple(Scope), *, name: str = "") -> str:
        """
        Returns: the token, for the only time; the file keeps an HMAC of it.
        Raises: ValueError: a scope that does not exist.
        """
        return self.tokens.create([Scope(scope) for scope in scopes], name=name, now=self.clock.now())

    def revoke_token(self, token: str) -> None:
        """The next request with it is refused."""
        self.tokens.revoke(token, now=self.clock.now())

    def create_prompt(self, slug: str, name: str = "", *, at: datetime | None = None) -> str:
        """
        Returns: the prompt's id.
        Raises: ValueError: the slug is taken.
        """
        if self.prompt_id(slug) is not None:
            raise ValueError(f"there is a prompt {slug} already")
        return self.registry.create_prompt(slug, name or slug, _user(_OWNER), at=at)

    def prompt_id(self, slug: str) -> str | None:
        """The prompt's id; None where there is no such slug."""
        return self.registry.prompt_id(slug)

    def save_version(
        self,
        prompt_id: str,
        *,
        model: str = "gpt-4",
        system: str = "",
        user: str = "",
        variables: Mapping[str, Mapping[str, object]] | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        top_p: float | None = None,
        stop_sequences: Sequence[str] = (),
        major: bool = False,
        recording: Sequence[RecordedCall] = (),
        actor_id: str = _OWNER,
        at: datetime | None = None,
    ) -> str:
        """
        Save a version on `development`; see Draft for the fields.

        Args:
            recording: what the simulated provider answers for it; nothing is a steady 400 ms success.

        Returns: the version's id.
        Raises: Problem: no such prompt.
        """
        draft = Draft(
            model=model,
            system=system,
            user=user,
            variables=variables or {},
            temperature=temperature,
            max_tokens=max_tokens,
            top_p=top_p,
            stop_sequences=tuple(stop_sequences),
        )
        version_id = self.registry.save_version(prompt_id, draft, _user(actor_id), major=major, at=at)
        if recording:
            self.simulated.record(version_id, recording)
        return version_id

    def promote(
        self,
        prompt_id: str,
        version_id: str,
        actor_type: str = "user",
        actor_id: str = _OWNER,
        *,
        reason: str | None = None,
        revert_of: str | None = None,
        at: datetime | None = None,
    ) -> dict[str, Any]:
        """
        Flip production, as the HTTP call does.

        Returns: what that call answers; `auditLogId` is the promotion's id.
        Raises: Problem: no such prompt or version.
        """
        actor = Actor(type=actor_type, id=actor_id)
        return self.registry.promote(prompt_id, version_id, actor, reason=reason, revert_of=revert_of, at=at)

    def import_executions(
        self,
        prompt_id: str,
        version_id: str | None,
        calls: Iterable[tuple[datetime, RecordedCall]],
        *,
        environment: str = PRODUCTION,
        metadata: Mapping[str, Any] | None = None,
        request: Mapping[str, Any] | None = None,
        response: Mapping[str, Any] | None = None,
    ) -> tuple[str, ...]:
        """
        Write past calls into the log.

        Args:
            calls: (when it started, the call); its record is stamped with the end.
            metadata: what the callers said about each of these calls, such as `{"task": "refund"}`.
            request, response: the bodies of each of these calls.

        Returns: the executions' ids, in the same order.
        """
        return self.executions.import_past(
            (
                start,
                Execution(
                    prompt_id=prompt_id,
                    version_id=version_id,
                    environment=environment,
                    call=call,
                    request=request,
                    response=response,
                    metadata=metadata or {},
                ),
            )
            for start, call in calls
        )

    def feedback(
        self,
        prompt_id: str,
        kind: FeedbackKind,
        *,
        version_id: str | None = None,
        execution_id: str | None = None,
        at: datetime | None = None,
    ) -> str:
        """
        Note what a user said.

        Args:
            execution_id: of the answer it is about; tells prompt and version.

        Returns: the feedback's id.
        """
        noted = self.feedback_log.write(kind, execution=execution_id, prompt_id=prompt_id, version_id=version_id, at=at)
        return str(noted["id"])

    def inject_fault(self, fault: Fault) -> None:
        """Trouble between caller and server; see faults.py."""
        self.faults.inject(fault)

    def disturb(self, disturbance: Disturbance) -> None:
        """Trouble of the simulated provider; see simulated.py."""
        self.simulated.disturb(disturbance)

    def say_status(self, indicator: Indicator, *, incident: str = "", since: datetime | None = None) -> None:
        """What the provider's status page, behind `/status`, says from now on; see status_page.py."""
        self.status_page.say(indicator, incident=incident, since=since)


def _user(actor_id: str) -> Actor:
    return Actor(type="user", id=actor_id)
