"""A sample organisation: a few prompts (`sample_prompts`), their versions, and a day of past calls."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from watchdog.embedded.recordings import load_recording
from watchdog.embedded.sample_prompts import SAMPLE_PROMPTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from watchdog.clock import Clock
    from watchdog.embedded.admin import Admin
    from watchdog.embedded.recordings import RecordedCall
    from watchdog.embedded.sample_prompts import SamplePrompt, SampleVersion

_PROMOTED_BEFORE = timedelta(hours=24)
_CALLS_BEFORE = timedelta(hours=23)
_LAST_CALL_BEFORE = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class SeededPrompt:
    """
    Attributes:
        versions: version id by label; 1.0.0 is on production when the file is new.
    """

    slug: str
    prompt_id: str
    versions: Mapping[str, str]


def seed_sample(admin: Admin, clock: Clock) -> tuple[SeededPrompt, ...]:
    """
    Make the sample organisation, or what is missing of it; a file that has it is left as it is.

    Each step looks whether it was done, so that being killed in between does no harm.
    """
    now = clock.now()
    return tuple(_seed(admin, prompt, now) for prompt in SAMPLE_PROMPTS)


def sample_traffic() -> dict[str, tuple[Mapping[str, str], ...]]:
    """Variables by slug, as Traffic wants them."""
    return {prompt.slug: prompt.calls for prompt in SAMPLE_PROMPTS}


def _seed(admin: Admin, sample: SamplePrompt, now: datetime) -> SeededPrompt:
    first_saved = now - sample.versions[0].saved_before
    prompt_id = admin.prompt_id(sample.slug) or admin.create_prompt(sample.slug, sample.name, at=first_saved)
    held = len(admin.registry.versions(prompt_id))
    for version in sample.versions[held:]:
        admin.save_version(
            prompt_id,
            model=version.model,
            system=version.system,
            user=version.user,
            variables=sample.variables,
            temperature=version.temperature,
            max_tokens=version.max_tokens,
            top_p=1.0,
            stop_sequences=version.stop_sequences,
            actor_id="dana@example.com",
            at=now - version.saved_before,
        )
    # Oldest first; a user's own later versions follow ours.
    shown = admin.registry.versions(prompt_id)[::-1]
    for version, saved in zip(sample.versions, shown, strict=False):
        if not admin.simulated.recorded(saved["id"]):
            admin.simulated.record(saved["id"], _recording(sample, version))
    if admin.registry.prompt(prompt_id)["productionVersionId"] is None:
        first = shown[0]["id"]
        if admin.executions.count(prompt_id) == 0:
            admin.import_executions(prompt_id, first, _past_calls(_recording(sample, sample.versions[0]), now))
        admin.promote(prompt_id, first, actor_id="dana@example.com", at=now - _PROMOTED_BEFORE)
    return SeededPrompt(
        slug=sample.slug, prompt_id=prompt_id, versions={saved["version"]: saved["id"] for saved in shown}
    )


def _recording(sample: SamplePrompt, version: SampleVersion) -> tuple[RecordedCall, ...]:
    """
    The version's calls in the order in which they were made.

    The source asked `is-prime` all primes first and all other numbers after them. The earlier model gets 0.98 of the
    first half right and 0.70 of the second; the later one gets nearly every prime wrong.
    """
    return load_recording(sample.stream, version.variant)[version.share]


def _past_calls(calls: tuple[RecordedCall, ...], now: datetime) -> list[tuple[datetime, RecordedCall]]:
    """Evenly spread over 23 hours; the last ends half a minute before now."""
    apart = (_CALLS_BEFORE - _LAST_CALL_BEFORE) / (len(calls) - 1)
    past: list[tuple[datetime, RecordedCall]] = []
    for place, call in enumerate(reversed(calls)):
        ended = now - _LAST_CALL_BEFORE - apart * place
        past.append((ended - timedelta(milliseconds=call.latency_ms or 0.0), call))
    return past[::-1]
