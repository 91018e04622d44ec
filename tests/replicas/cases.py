"""What the replicas are given to do: promotions whose watches they judge, and rollbacks at their intent."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tests.builders import reading, watch
from tests.replicas.replica import RULES
from tests.world import FAILED, GOOD
from watchdog.core.commands import Command, CommandKind
from watchdog.core.model import ActorType, Promotion, Prompt
from watchdog.core.policy import Revert
from watchdog.core.promotion import Standing, deterministic_id, watch_id
from watchdog.core.rollback import SagaState
from watchdog.core.watch import Verdict
from watchdog.errors import StoreError
from watchdog.jobs import guarding, opening
from watchdog.store import commands, incidents, journal, watches

if TYPE_CHECKING:
    from watchdog.core.watch import Watch
    from watchdog.embedded.admin import Admin
    from watchdog.jobs.deps import Deps

# Incidents of one look would be one outage: these are as if they had been opened one after the other, long ago.
_APART = timedelta(minutes=11)
_BASELINE_CALLS = 120
_ATTEMPTS = 10


@dataclass
class Story:
    """
    A promotion that is watched from its beginning, over HTTP.

    Attributes:
        bad: whether its calls fail.
    """

    prompt_id: str
    good_version: str
    version: str
    provider: str
    bad: bool
    promoted: bool = False
    called_until: datetime | None = None


@dataclass
class Cases:
    """
    Attributes:
        bad: prompt id of each rollback that was inserted -> the version that has to be on production at the end.
        stories: those that are watched.
        unwritten: a rollback whose promotion was made, and whose intent could not be written yet.
    """

    admin: Admin
    deps: Deps
    bad: dict[str, str] = field(default_factory=dict)
    stories: list[Story] = field(default_factory=list)
    unwritten: Promotion | None = None

    def add_stories(self, n: int) -> None:
        """Prompts with a good version and its calls; one of four promotions to come is harmless."""
        now = self.deps.clock.now()
        for i in range(n):
            prompt = self.admin.create_prompt(f"story-{i}", at=now - timedelta(days=3))
            good, other = (self.admin.save_version(prompt, system=s, at=now - timedelta(days=3)) for s in ("a", "b"))
            self.admin.promote(prompt, good, actor_id="ana", at=now - timedelta(days=2))
            # Each on a provider of its own: many that fail on the same one would be its outage.
            call = replace(GOOD, provider=f"provider-{i}")
            times = [now - timedelta(minutes=110) + timedelta(seconds=50 * j) for j in range(_BASELINE_CALLS)]
            self.admin.import_executions(prompt, good, [(at, call) for at in times])
            self.stories.append(
                Story(prompt_id=prompt, good_version=good, version=other, provider=call.provider, bad=i % 4 != 3)
            )

    def promote_next(self) -> bool:
        """The next story begins; False when all have."""
        story = next((s for s in self.stories if not s.promoted), None)
        if story is None:
            return False
        self.admin.promote(story.prompt_id, story.version, actor_id="ben")
        story.promoted, story.called_until = True, self.deps.clock.now()
        return True

    def call(self) -> None:
        """The calls that were made since the last time: one in two seconds of the clock."""
        now = self.deps.clock.now()
        for story in self.stories:
            if story.called_until is None or now - story.called_until < timedelta(seconds=4):
                continue
            span = now - story.called_until
            n = max(1, int(span / timedelta(seconds=2)))
            call = replace(FAILED if story.bad else GOOD, provider=story.provider, latency_ms=100.0)
            times = [story.called_until + span * (j / (n + 1)) for j in range(n)]
            self.admin.import_executions(story.prompt_id, story.version, [(at, call) for at in times])
            story.called_until = now

    def add_rollbacks(self, n: int) -> None:
        """
        Prompts whose bad version is on production, with the verdict on it: written by the code that writes it, and
        without the look that leads to it.
        """
        now = self.deps.clock.now()
        for _ in range(n):
            i = len(self.bad)
            # Where it could not be written for long, it is there already.
            moved = self.unwritten = self.unwritten or self._promoted(i, now)
            self._trip(moved, f"case-{i}", now - timedelta(hours=4) - i * _APART)
            self.unwritten = None
            self.bad[moved.prompt_id] = moved.from_version_id or ""

    def _promoted(self, i: int, now: datetime) -> Promotion:
        long_ago = now - timedelta(hours=3) - i * timedelta(seconds=1)
        prompt = self.admin.create_prompt(f"case-{i}", at=now - timedelta(days=3))
        good, bad = (self.admin.save_version(prompt, system=s, at=now - timedelta(days=3)) for s in ("a", "b"))
        self.admin.promote(prompt, good, actor_id="ana", at=now - timedelta(days=2))
        answer = self.admin.promote(prompt, bad, actor_id="ben", at=long_ago)
        return Promotion(
            id=answer["auditLogId"],
            prompt_id=prompt,
            from_version_id=good,
            to_version_id=bad,
            at=long_ago,
            not_before=long_ago,
            actor_type=ActorType.USER,
            actor_id="ben",
            revert=False,
        )

    def _trip(self, moved: Promotion, slug: str, at: datetime) -> None:
        adopted = replace(
            moved, id=deterministic_id("adopted", moved.prompt_id), to_version_id=moved.from_version_id or ""
        )
        adopted = replace(adopted, from_version_id=None, at=moved.at - timedelta(days=1))
        opened = watch(
            id=watch_id(moved),
            promotion=moved,
            prompt_id=moved.prompt_id,
            prompt_slug=slug,
            control_version_id=moved.from_version_id,
            rules_digest=RULES.digest,
            verdict=Verdict.REGRESSED,
        )
        for _ in range(_ATTEMPTS):
            try:
                return self._write(moved, adopted, opened, slug, at)
            except StoreError:
                # Whoever is stopped within a count is waited for, until the database ends its session.
                continue
        raise StoreError(f"{slug} could not be written")

    def _write(self, moved: Promotion, adopted: Promotion, opened: Watch, slug: str, at: datetime) -> None:
        with self.deps.store.write(counting=True) as connection:
            seen = Prompt(id=moved.prompt_id, slug=slug, name=slug, production_version_id=moved.to_version_id)
            journal.see_pointer(connection, seen, self.deps.clock.now())
            journal.record_promotion(connection, adopted, Standing.ADOPTED)
            journal.record_promotion(connection, moved, Standing.ON_WATCH)
            watches.open_watch(connection, opened, RULES)
            decided = Revert(readings=(reading(),), target_version_id=moved.from_version_id or "")
            guards = guarding.counts(self.deps, connection, opened, decided.target_version_id, at)
            opening.begin(self.deps, connection, opened, decided, guards, ((), ""), at)

    def approve_held(self) -> int:
        """Stories that tripped at once were held for an outage; a person approves each."""
        with self.deps.store.read() as connection:
            held = incidents.in_state(connection, [SagaState.HELD])
            asked = {c.subject for i in held for c in commands.about(connection, i.id)}
        waiting = [i for i in held if i.id not in asked]
        if waiting:
            with self.deps.store.write() as connection:
                for incident in waiting:
                    commands.ask(
                        connection,
                        Command(
                            id=str(uuid.uuid4()),
                            kind=CommandKind.APPROVE,
                            subject=incident.id,
                            by="ana",
                            requested_at=self.deps.clock.now(),
                            arguments={},
                        ),
                    )
        return len(waiting)


def story_watch(found: tuple[Watch, ...], story: Story) -> Watch | None:
    """The watch of the promotion that the story is about."""
    return next((w for w in found if w.prompt_id == story.prompt_id and w.candidate_version_id == story.version), None)
