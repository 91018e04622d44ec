"""What kind of guard it was that refused a revert, by the sentence that it left; for counting."""

from __future__ import annotations

import re

OTHER = "other"
_KINDS = (
    ("fleet", re.compile(r"\d+ of \d+ prompts tripped within")),
    ("per_prompt", re.compile(r"this prompt was reverted")),
    ("per_hour", re.compile(r"prompts were reverted in the last hour")),
    ("per_day", re.compile(r"prompts were reverted in the last 24 h")),
)
KINDS = (*(kind for kind, _ in _KINDS), OTHER)


def kind_of(why: str) -> str:
    """One of KINDS; OTHER for a sentence that is not known here."""
    return next((kind for kind, pattern in _KINDS if pattern.search(why)), OTHER)
