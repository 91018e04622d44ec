"""
What the failing calls of a version look like: clusters by error and shape, with a few redacted examples.

Here the text of bodies ends: what comes out holds counts, shapes, names of shapes, and what `core.redact` lets through.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from statistics import median
from typing import TYPE_CHECKING, Any

from watchdog.core import words
from watchdog.core.redact import glimpse
from watchdog.core.shapes import CUTS, Json, Seen, Shape, json_in, shape_of

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping, Sequence

    from watchdog.core.model import Call, Payload

MOST_EXAMPLES = 2
MOST_CLUSTERS = 10
_TOLD = 5
_MOST_OF_A_CODE = 60
_MOST_OF_A_MESSAGE = 120
# Of slow and dear calls: so many times the usual tokens are worth naming.
_FAR_MORE = 1.5
_ALIKE = 0.02
# So many calls that end alike are no coincidence.
_TELLING = 3


class Choice(Enum):
    """Which calls were looked at."""

    FAILING = "failing"
    SLOWEST = "slowest"
    DEAREST = "dearest"


@dataclass(frozen=True, kw_only=True)
class Usual:
    """Mean tokens of a call of the good version; None when unknown."""

    output_tokens: float | None = None
    input_tokens: float | None = None


@dataclass(frozen=True, kw_only=True)
class Example:
    """
    Attributes:
        call_id: the platform's, so that somebody who may can look at the whole.
        output: redacted, its beginning and end; empty where there was none.
        message: what the platform said, redacted.
    """

    call_id: str
    output: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """
    Attributes:
        kind, code: of the error; the code is the platform's own. Empty for calls that did not fail.
        detail: what its calls have in common beside the shape, such as the token limit; empty for nothing.
        json: whether what was cut is JSON.
        count, of: how many of how many calls.
        sentence: with its arithmetic; holds no text of a body.
    """

    kind: str
    code: str
    shape: Shape
    detail: str
    json: bool
    count: int
    of: int
    sentence: str
    examples: tuple[Example, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """
    What was found out about the calls of one incident.

    Attributes:
        looked_at: how many calls; `unread` of them could not be read.
        failed: why nothing could be read; empty when it could.
    """

    choice: Choice
    looked_at: int = 0
    unread: int = 0
    clusters: tuple[Cluster, ...] = ()
    failed: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        clusters = [{**asdict(cluster), "shape": cluster.shape.value} for cluster in self.clusters]
        return {**asdict(self), "choice": self.choice.value, "clusters": clusters}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Report:
        """The inverse of `to_json`."""
        clusters = tuple(
            Cluster(**{**c, "shape": Shape(c["shape"]), "examples": tuple(Example(**e) for e in c["examples"])})
            for c in value["clusters"]
        )
        return cls(**{**value, "choice": Choice(value["choice"]), "clusters": clusters})


@dataclass(frozen=True, kw_only=True)
class Looked:
    """One call, and its bodies; None where they could not be read."""

    call: Call
    payload: Payload | None


def report(
    looked: Sequence[Looked], choice: Choice, *, usual: Usual | None = None, patterns: Sequence[re.Pattern[str]] = ()
) -> Report:
    """
    Cluster some calls of one version; the same calls in any order give the same report.

    Args:
        patterns: of the user's own, to be redacted as well.
    """
    newest_first = sorted(looked, key=lambda each: (each.call.started_at, each.call.id), reverse=True)
    wants_json = any(_speaks_json(each) for each in newest_first)
    groups: dict[tuple[str, str, Shape, str, bool], list[Looked]] = {}
    for each in newest_first:
        seen = _seen(each, choice, usual or Usual(), wants_json=wants_json)
        kind = each.call.error_kind.value if each.call.error_kind is not None else ""
        code = glimpse(each.call.error_code, patterns)[:_MOST_OF_A_CODE]
        key = (kind, code, seen.shape, glimpse(seen.detail, patterns), seen.json)
        groups.setdefault(key, []).append(each)
    of = len(newest_first)
    found = [_cluster(key, members, of, choice, usual or Usual(), patterns) for key, members in groups.items()]
    order = list(Shape)
    found.sort(key=lambda c: (-c.count, order.index(c.shape), c.kind, c.code, c.detail, c.sentence))
    return Report(
        choice=choice,
        looked_at=of,
        unread=sum(each.payload is None for each in newest_first),
        clusters=tuple(found[:MOST_CLUSTERS]),
    )


def told(found: Report, version: str, *, examples: bool) -> tuple[str, ...]:
    """
    The report as lines of a notice, a sentence first.

    Args:
        version: as people name it.
        examples: append up to two of them; without, no line holds any text of a body.
    """
    which = {
        Choice.FAILING: f"{words.count(found.looked_at, 'failing call')} of {version}",
        Choice.SLOWEST: f"The {found.looked_at:,} slowest calls of {version}",
        Choice.DEAREST: f"The {found.looked_at:,} dearest calls of {version}",
    }[found.choice]
    shown = [cluster.sentence for cluster in found.clusters[:_TOLD]]
    if more := len(found.clusters) - _TOLD:
        shown += [f"and {words.count(more, 'other shape')}"] * (more > 0)
    lines = [f"{which}: {'; '.join(shown)}."]
    if examples:
        picked = [e for cluster in found.clusters for e in cluster.examples[:1] if e.output or e.message]
        lines += [f"Example (redacted), call {e.call_id}: {e.output or e.message}" for e in picked[:MOST_EXAMPLES]]
    return tuple(lines)


def _speaks_json(each: Looked) -> bool:
    if each.payload is None:
        return False
    code = each.call.error_code.lower()
    if "json" in code or "pars" in code or each.payload.wants_json:
        return True
    return json_in(each.payload.output or "") in (Json.GOOD, Json.FENCED, Json.CUT, Json.AROUND)


def _seen(each: Looked, choice: Choice, usual: Usual, *, wants_json: bool) -> Seen:
    call = each.call
    if choice is Choice.FAILING or not call.ok:
        return shape_of(call, each.payload, wants_json=wants_json)
    if (times := _times(call.output_tokens, usual.output_tokens)) is not None and times >= _FAR_MORE:
        return Seen(shape=Shape.LONG_OUTPUT)
    if (times := _times(call.input_tokens, usual.input_tokens)) is not None and times >= _FAR_MORE:
        return Seen(shape=Shape.LONG_INPUT)
    return Seen(shape=Shape.USUAL_LENGTH)


def _times(tokens: int | None, usual: float | None) -> float | None:
    return tokens / usual if tokens is not None and usual else None


def _cluster(
    key: tuple[str, str, Shape, str, bool],
    members: Sequence[Looked],
    of: int,
    choice: Choice,
    usual: Usual,
    patterns: Sequence[re.Pattern[str]],
) -> Cluster:
    kind, code, shape, detail, json = key
    what = _what(shape, detail, members, usual, json=json)
    if shape not in CUTS and code and choice is Choice.FAILING:
        what = f"{what} ({code})"
    examples: dict[tuple[str, str], Example] = {}
    for each in members:
        example = _example(each, patterns)
        examples.setdefault((example.output, example.message), example)
        if len(examples) == MOST_EXAMPLES:
            break
    return Cluster(
        kind=kind,
        code=code,
        shape=shape,
        detail=detail,
        json=json,
        count=len(members),
        of=of,
        sentence=f"{what}, {len(members):,} of {of:,}",
        examples=tuple(examples.values()),
    )


def _example(each: Looked, patterns: Sequence[re.Pattern[str]]) -> Example:
    if each.payload is None:
        return Example(call_id=each.call.id, output="", message="")
    message = glimpse(each.payload.message, patterns, head=_MOST_OF_A_MESSAGE, tail=0)
    return Example(call_id=each.call.id, output=glimpse(each.payload.output or "", patterns), message=message)


def _what(shape: Shape, detail: str, members: Sequence[Looked], usual: Usual, *, json: bool) -> str:
    match shape:
        case Shape.CUT_AT_LIMIT:
            at = f"{int(detail):,} tokens" if detail.isdigit() else "the token limit"
            return f"broken JSON: cut at {at}" if json else f"text cut at {at}"
        case Shape.CUT_AT_STOP:
            return "JSON cut in half at a stop sequence" if json else "text cut at a stop sequence"
        case Shape.CUT:
            where = _where_cut(members)
            return f"{'broken JSON: ' if json else 'text '}{'all ' if where else ''}cut{where}"
        case Shape.KEY_MISSING:
            return f"valid JSON, key missing: {detail}"
        case Shape.TIMEOUT:
            return f"timeout{_when_timed_out(members)}"
        case Shape.LONG_OUTPUT:
            return _longer("output", [m.call.output_tokens for m in members], usual.output_tokens)
        case Shape.LONG_INPUT:
            return _longer("input", [m.call.input_tokens for m in members], usual.input_tokens)
        case _:
            return _PLAIN[shape]


_PLAIN = {
    Shape.FENCED_JSON: "JSON in a code fence",
    Shape.PROSE_AROUND_JSON: "prose around JSON",
    Shape.MALFORMED_JSON: "malformed JSON, not cut",
    Shape.NOT_JSON: "not JSON at all",
    Shape.REFUSED_JSON: "valid JSON that the checks refuse",
    Shape.REFUSED_TEXT: "text that the checks refuse",
    Shape.EMPTY: "empty output",
    Shape.REFUSAL: "the model refuses to answer",
    Shape.FILTERED: "stopped by the provider's filter",
    Shape.RATE_LIMIT: "rate limit, no output",
    Shape.PROVIDER: "5xx from the provider, no output",
    Shape.CLIENT: "request refused, no output",
    Shape.USUAL_LENGTH: "no more tokens than usual: what answers is slower or dearer itself",
    Shape.UNREAD: "body not shown by the platform",
}


def _where_cut(members: Sequence[Looked]) -> str:
    """Where all of them end alike, and are enough to say so."""
    if len(members) < _TELLING:
        return ""
    tokens = {m.call.output_tokens for m in members}
    if len(tokens) == 1 and (n := tokens.pop()):
        return f" at {n:,} tokens"
    lengths = {len(m.payload.output or "") for m in members if m.payload is not None}
    return f" after {lengths.pop():,} characters" if len(lengths) == 1 else ""


def _when_timed_out(members: Sequence[Looked]) -> str:
    limits = [m.payload.timeout_ms for m in members if m.payload is not None and m.payload.timeout_ms]
    waited = limits if len(limits) == len(members) else [m.call.latency_ms for m in members if m.call.latency_ms]
    if not waited:
        return ""
    low, high = min(waited), max(waited)
    if high - low <= _ALIKE * high:
        return f" at {words.milliseconds(median(waited))}"
    return f" after {words.milliseconds(low)} to {words.milliseconds(high)}"


def _longer(side: str, tokens: Sequence[int | None], usual: float | None) -> str:
    middle = median(n for n in tokens if n is not None)
    if not usual:
        return f"long {side}"
    return f"{side} tokens {middle / usual:.1f} times the usual ({middle:,.0f} against {usual:,.0f})"
