"""
The prompts of the sample organisation, as they were saved.

Versions 1.0.0 and 1.1.0 replay alternate calls of one and the same recording, so that promoting 1.1.0 truly changes
nothing. Version 1.2.0 replays the model version that followed, whose answers to the first two prompts are far worse.
The prompts that come last have one version, which nobody changes: they are what the others are judged beside. The texts
are ours; they show what an edit with that effect tends to look like.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class SampleVersion:
    """
    Attributes:
        variant: of the recording. share: which of its calls.
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
        versions: oldest first; the first is promoted.
        calls: variables that the product sends, one call after the other.
    """

    slug: str
    name: str
    stream: str
    variables: Mapping[str, Mapping[str, object]]
    versions: tuple[SampleVersion, ...]
    calls: tuple[Mapping[str, str], ...]


_EVEN, _ODD, _ALL = slice(0, None, 2), slice(1, None, 2), slice(None)
# The source asked all primes first, and GPT-4 of March 2023 nearly always knew them.
_PRIMES = slice(1, 500, 2)


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
    SamplePrompt(
        slug="prime-audit",
        name="Audit of a list of primes",
        stream="prime/gpt-4",
        variables={"number": _text("a whole number from the list")},
        versions=(
            SampleVersion(
                model="gpt-4-0314",
                system=(
                    "You audit a list of prime numbers.\n"
                    "Think step by step, and look for a divisor before you agree.\n"
                    "End your answer with [Yes] or [No]."
                ),
                user="The list says that {{number}} is a prime number. Is it? Answer [Yes] or [No] in the end.",
                temperature=0.1,
                max_tokens=1024,
                stop_sequences=(),
                variant="0314",
                share=_PRIMES,
                saved_before=timedelta(hours=26),
            ),
        ),
        calls=tuple({"number": str(number)} for number in (10009, 12553, 14087, 15667, 17389, 19219)),
    ),
    SamplePrompt(
        slug="reader-poll",
        name="Reader poll answers",
        stream="opinionqa/gpt-3.5-turbo",
        variables={"question": _text("the poll's question"), "options": _text("lettered options, one a line")},
        versions=(
            SampleVersion(
                model="gpt-3.5-turbo-0613",
                system="You answer a weekly poll as a subscriber of a local newspaper would.",
                user="This week we ask: {{question}}\n{{options}}\nOne letter, please.",
                temperature=0.1,
                max_tokens=64,
                stop_sequences=(),
                variant="0613",
                share=_EVEN,
                saved_before=timedelta(hours=26),
            ),
        ),
        calls=(
            {"question": "Should the market stay open on Sundays?", "options": "A. Yes\nB. No\nC. No opinion"},
            {"question": "Which page do you turn to first?", "options": "A. Politics\nB. Sports\nC. The puzzle"},
        ),
    ),
    SamplePrompt(
        slug="visitor-poll",
        name="Visitor poll answers",
        stream="opinionqa/gpt-3.5-turbo",
        variables={"question": _text("the poll's question"), "options": _text("lettered options, one a line")},
        versions=(
            SampleVersion(
                model="gpt-3.5-turbo-0613",
                system="You answer a museum's poll as one of its visitors would.",
                user="{{question}}\n{{options}}\nGive the letter of your answer.",
                temperature=0.1,
                max_tokens=64,
                stop_sequences=(),
                variant="0613",
                share=_ODD,
                saved_before=timedelta(hours=26),
            ),
        ),
        calls=(
            {"question": "How did you hear of us?", "options": "A. From friends\nB. In the news\nC. Passing by"},
            {"question": "Would you come again?", "options": "A. Yes\nB. Perhaps\nC. No"},
        ),
    ),
)
