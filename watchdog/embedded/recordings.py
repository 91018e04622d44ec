"""
Recorded calls: what the simulated provider replays.

The shipped ones are real calls of July 2023, cut from LLMDrift (Apache-2.0; see recorded/README.md): the same questions
put to two versions of the same model, with a known effect on success, latency and cost.
"""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass
from functools import cache
from importlib import resources

STREAMS = ("prime/gpt-4", "happynumber/gpt-4", "opinionqa/gpt-3.5-turbo")
VARIANTS = {
    "prime/gpt-4": ("0314", "0613"),
    "happynumber/gpt-4": ("0314", "0613"),
    "opinionqa/gpt-3.5-turbo": ("0301", "0613"),
}


@dataclass(frozen=True, kw_only=True)
class RecordedCall:
    """
    One call as a provider once answered it. None stands for "not recorded".

    Attributes:
        latency_ms: > 0.
        error_code: empty when ok.
        cost_usd: >= 0.
        cached_tokens: those of the input that the provider had in its cache.
    """

    latency_ms: float | None
    ok: bool = True
    error_code: str = ""
    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    model: str = ""
    provider: str = "simulated"


def load_recording(stream: str, variant: str) -> tuple[RecordedCall, ...]:
    """
    The shipped calls of one stream and model version, in the order in which they were made.

    Args:
        stream: one of STREAMS.
        variant: one of VARIANTS[stream]; the first is the earlier model version.

    Returns: 500 to 1506 calls. An answer that was wrong in the source is a failed validation here; the source tells
        the output tokens but not the input tokens.
    Raises: ValueError: a stream or variant that is not shipped; says which are.
    """
    if variant not in VARIANTS.get(stream, ()):
        allowed = ", ".join(f"{name} {' or '.join(variants)}" for name, variants in VARIANTS.items())
        raise ValueError(f"no recording of {stream} {variant}; there are {allowed}")
    return _recordings()[stream, variant]


@cache
def _recordings() -> dict[tuple[str, str], tuple[RecordedCall, ...]]:
    packed = resources.files("watchdog.embedded").joinpath("recorded", "llmdrift_calls.csv.gz").read_bytes()
    calls: dict[tuple[str, str], list[tuple[int, RecordedCall]]] = {}
    for row in csv.DictReader(io.StringIO(gzip.decompress(packed).decode())):
        ok = row["ok"] == "1"
        call = RecordedCall(
            latency_ms=float(row["latency_s"]) * 1000.0,
            ok=ok,
            error_code="" if ok else "VALIDATION_FAILED",
            cost_usd=float(row["cost_usd"]),
            output_tokens=int(row["completion_tokens"]),
            model=f"{row['stream'].split('/')[1]}-{row['variant']}",
            provider="openai",
        )
        calls.setdefault((row["stream"], row["variant"]), []).append((int(row["seq"]), call))
    return {key: tuple(call for _, call in sorted(pairs, key=_seq)) for key, pairs in calls.items()}


def _seq(pair: tuple[int, RecordedCall]) -> int:
    return pair[0]
