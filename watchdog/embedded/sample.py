"""
A sample organisation: three prompts, three versions each, and a day of past calls.

Versions 1.0.0 and 1.1.0 replay alternate calls of one and the same recording, so that promoting 1.1.0 truly changes
nothing. Version 1.2.0 replays the model version that followed, whose answers to the first two prompts are far worse.
The texts are ours; they show what an edit with that effect tends to look like.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from watchdog.embedded.recordings import load_recording

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from watchdog.clock import Clock
    from watchdog.embedded.admin import Admin
    from watchdog.embedded.recordings import RecordedCall

_PROMOTED_BEFORE = timedelta(hours=24)
_CALLS_BEFORE = timedelta(hours=23)
_LAST_CALL_BEFORE = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class SampleVersion:
    """
    Attributes:
        variant: of the recording. share: which of its calls, `all`, `even` or `odd` ones.
        saved_before: how long before the seeding it was saved.
    """

    model: str
    system: str
    user: str
    temperature: float
    max_tokens: int
    stop_sequences: tuple[str, ...]
    variant: str
    share: slice
    saved_before: timedelta


@dataclass(frozen=True, kw_only=True)
class SamplePrompt:
    """
    Attributes:
        stream: the recording that it replays.
        calls: variables that the product sends, one call after the other.
    """

    slug: str
    name: str
    stream: str
    variables: Mapping[str, Mapping[str, object]]
    versions: tuple[SampleVersion, SampleVersion, SampleVersion]
    calls: tuple[Mapping[str, str], ...]


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


_EVEN, _ODD, _ALL = slice(0, None, 2), slice(1, None, 2), slice(None)


def _text(description: str) -> dict[str, object]:
    return {"type": "string", "required": True, "description": description}


SAMPLE_PROMPTS = (
    SamplePrompt(
        slug="is-prime",
        name="Prime number check",
        stream="prime/gpt-4",
        variables={"number": _text("a whole number above 1")},
        versions=(
            SampleVersion(
                model="gpt-4-0314",
                system=(
                    "You are a careful mathematics tutor.\n"
                    "Think step by step: try the small primes up to the square root before you decide.\n"
                    "End your answer with [Yes] or [No]."
                ),
                user="Is {{number}} a prime number? Think step by step and then answer [Yes] or [No].",
                temperature=0.1,
                max_tokens=1024,
                stop_sequences=(),
                variant="0314",
                share=_EVEN,
                saved_before=timedelta(hours=26),
            ),
            SampleVersion(
                model="gpt-4-0314",
                system=(
                    "You are a careful mathematics tutor.\n"
                    "Think step by step: try the small primes up to the square root before you decide.\n"
                    "End your answer with [Yes] or [No] on a line of its own."
                ),
                user="Is {{number}} a prime number? Think step by step and then answer [Yes] or [No].",
                temperature=0.1,
                max_tokens=1024,
                stop_sequences=(),
                variant="0314",
                share=_ODD,
                saved_before=timedelta(hours=20),
            ),
            SampleVersion(
                model="gpt-4-0613",
                system=(
                    "You are a mathematics tutor.\n"
                    "Be brief: customers do not read long answers.\n"
                    "End your answer with [Yes] or [No] on a line of its own."
                ),
                user="Is {{number}} a prime number? Answer [Yes] or [No].",
                temperature=0.9,
                max_tokens=64,
                stop_sequences=("\n\n",),
                variant="0613",
                share=_ALL,
                saved_before=timedelta(hours=2),
            ),
        ),
        calls=tuple({"number": str(number)} for number in (17077, 19997, 10007, 16033, 12347, 18041, 13331, 15013)),
    ),
    SamplePrompt(
        slug="happy-numbers",
        name="Happy number counter",
        stream="happynumber/gpt-4",
        variables={"low": _text("start of the interval"), "high": _text("end of the interval, inclusive")},
        versions=(
            SampleVersion(
                model="gpt-4-0314",
                system=(
                    "You solve counting puzzles.\n"
                    "Think step by step and write down every number that you check.\n"
                    "Give the final count within \\boxed{}."
                ),
                user=(
                    "How many happy numbers are there in [{{low}}, {{high}}]? "
                    "Think step by step and then give the answer within \\boxed{}."
                ),
                temperature=0.1,
                max_tokens=2048,
                stop_sequences=(),
                variant="0314",
                share=_EVEN,
                saved_before=timedelta(hours=26),
            ),
            SampleVersion(
                model="gpt-4-0314",
                system=(
                    "You solve counting puzzles for a newspaper.\n"
                    "Think step by step and write down every number that you check.\n"
                    "Give the final count within \\boxed{}."
                ),
                user=(
                    "How many happy numbers are there in [{{low}}, {{high}}]? "
                    "Think step by step and then give the answer within \\boxed{}."
                ),
                temperature=0.1,
                max_tokens=2048,
                stop_sequences=(),
                variant="0314",
                share=_ODD,
                saved_before=timedelta(hours=20),
            ),
            SampleVersion(
                model="gpt-4-0613",
                system="You solve counting puzzles for a newspaper.\nGive only the final count within \\boxed{}.",
                user="How many happy numbers are there in [{{low}}, {{high}}]? Give the answer within \\boxed{}.",
                temperature=0.8,
                max_tokens=16,
                stop_sequences=("\n",),
                variant="0613",
                share=_ALL,
                saved_before=timedelta(hours=2),
            ),
        ),
        calls=tuple({"low": str(low), "high": str(low + 16)} for low in (7306, 6867, 8452, 9102, 5230, 7788)),
    ),
    SamplePrompt(
        slug="opinion-survey",
        name="Opinion survey answers",
        stream="opinionqa/gpt-3.5-turbo",
        variables={"question": _text("the survey's question"), "options": _text("lettered options, one a line")},
        versions=(
            SampleVersion(
                model="gpt-3.5-turbo-0301",
                system="You answer a survey in the place of its average reader.\nPick the best single option.",
                user="Question: {{question}}\n{{options}}\nAnswer with the letter of one option.",
                temperature=0.1,
                max_tokens=128,
                stop_sequences=(),
                variant="0301",
                share=_EVEN,
                saved_before=timedelta(hours=26),
            ),
            SampleVersion(
                model="gpt-3.5-turbo-0301",
                system="You answer a survey in the place of its average reader.\nAlways pick the best single option.",
                user="Question: {{question}}\n{{options}}\nAnswer with the letter of one option.",
                temperature=0.1,
                max_tokens=128,
                stop_sequences=(),
                variant="0301",
                share=_ODD,
                saved_before=timedelta(hours=20),
            ),
            SampleVersion(
                model="gpt-3.5-turbo-0613",
                system="You answer a survey in the place of its average reader.\nAlways pick the best single option.",
                user="Question: {{question}}\n{{options}}\nAnswer with the letter of one option, and nothing else.",
                temperature=0.1,
                max_tokens=32,
                stop_sequences=(),
                variant="0613",
                share=_ALL,
                saved_before=timedelta(hours=2),
            ),
        ),
        calls=(
            {"question": "How often do you read a printed newspaper?", "options": "A. Daily\nB. Weekly\nC. Rarely"},
            {"question": "How safe do you feel in your street at night?", "options": "A. Very\nB. Fairly\nC. Not"},
            {"question": "Do you expect next year to be better?", "options": "A. Better\nB. The same\nC. Worse"},
        ),
    ),
)
