"""The body of a gateway call: read, checked field by field, and filled into a version's templates."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from watchdog.embedded.envelope import invalid
from watchdog.embedded.provider import Request
from watchdog.embedded.registry import DEVELOPMENT, PRODUCTION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Row

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_DEFAULT_MODEL = "gpt-4"
_MAX_LABELS = 16
_MAX_LABEL_LENGTH = 100


@dataclass(frozen=True, kw_only=True)
class GatewayRequest:
    """
    What the caller asked for; None means that the field was not given, and the version's own value holds.

    Attributes:
        environment: `production` or `development`; None is the latest version.
        metadata: what the caller says about the call, such as its task or tenant; it goes into the execution log and
            nowhere else. Assumed: PromptHelm's published client sends none.
    """

    prompt_slug: str | None
    prompt_id: str | None
    variables: Mapping[str, str]
    environment: str | None
    system: str | None
    user: str | None
    model: str | None
    temperature: float | None
    max_tokens: int | None
    top_p: float | None
    stop_sequences: tuple[str, ...] | None
    timeout_ms: int | None
    metadata: Mapping[str, str | int | float | bool]

    @property
    def ad_hoc(self) -> bool:
        return self.prompt_slug is None and self.prompt_id is None


def read_request(body: object) -> GatewayRequest:
    """
    Raises: Problem: 422 with one sentence for each field that is wrong.
    """
    if not isinstance(body, dict):
        raise invalid("the body must be a JSON object")
    fields = _Fields(body)
    request = GatewayRequest(
        prompt_slug=fields.text("promptSlug"),
        prompt_id=fields.text("promptId"),
        variables=fields.variables(),
        environment=fields.one_of("environment", (PRODUCTION, DEVELOPMENT)),
        system=fields.text("system"),
        user=fields.text("user"),
        model=fields.text("model"),
        temperature=fields.number("temperature", 0.0, 2.0),
        max_tokens=fields.whole("maxTokens"),
        top_p=fields.number("topP", 0.0, 1.0),
        stop_sequences=fields.texts("stopSequences"),
        timeout_ms=fields.whole("timeoutMs"),
        metadata=fields.labels("metadata"),
    )
    if request.ad_hoc and request.system is None and request.user is None:
        fields.wrong.append("give promptSlug or promptId, or an ad-hoc system or user")
    if fields.wrong:
        raise invalid(fields.wrong)
    return request


def missing_variables(asked: GatewayRequest, version: Row[Any]) -> list[str]:
    """Variables that the version requires and the caller did not give, in the order of the schema."""
    required = [name for name, schema in version.variables.items() if schema.get("required", False)]
    return [name for name in required if name not in asked.variables]


def fill(asked: GatewayRequest, version: Row[Any] | None) -> Request:
    """What goes to the provider: the version with the caller's overrides, its templates filled in."""

    def chosen(override: Any, column: str, default: Any) -> Any:
        return override if override is not None else default if version is None else getattr(version, column)

    return Request(
        prompt_id=None if version is None else version.prompt_id,
        version_id=None if version is None else version.id,
        model=chosen(asked.model, "model", _DEFAULT_MODEL),
        system=_rendered(chosen(asked.system, "system", ""), asked.variables),
        user=_rendered(chosen(asked.user, "user", ""), asked.variables),
        temperature=chosen(asked.temperature, "temperature", None),
        max_tokens=chosen(asked.max_tokens, "max_tokens", None),
        top_p=chosen(asked.top_p, "top_p", None),
        stop_sequences=tuple(chosen(asked.stop_sequences, "stop_sequences", ())),
        timeout_ms=asked.timeout_ms,
    )


def _rendered(template: str, variables: Mapping[str, str]) -> str:
    # One pass: a value that looks like a placeholder is a value.
    return _VARIABLE.sub(lambda found: variables.get(found[1], found[0]), template)


class _Fields:
    """Reads fields of a JSON object and collects what is wrong with them."""

    def __init__(self, body: Mapping[str, object]) -> None:
        self._body = body
        self.wrong: list[str] = []

    def text(self, name: str) -> str | None:
        value = self._body.get(name)
        if value is None or isinstance(value, str):
            return value
        self._refuse(name, "a string")
        return None

    def one_of(self, name: str, allowed: tuple[str, ...]) -> str | None:
        value = self._body.get(name)
        if value is None or (isinstance(value, str) and value in allowed):
            return value
        self._refuse(name, " or ".join(allowed))
        return None

    def number(self, name: str, low: float, high: float) -> float | None:
        value = self._body.get(name)
        if value is None:
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        self._refuse(name, f"a number from {low} to {high}")
        return None

    def whole(self, name: str) -> int | None:
        value = self._body.get(name)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31:
            return value
        self._refuse(name, "a whole number above 0")
        return None

    def texts(self, name: str) -> tuple[str, ...] | None:
        value = self._body.get(name)
        if value is None:
            return None
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        self._refuse(name, "a list of strings")
        return None

    def variables(self) -> dict[str, str]:
        value = self._body.get("variables")
        if value is None:
            return {}
        if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
            return dict(value)
        self._refuse("variables", "an object of strings")
        return {}

    def labels(self, name: str) -> dict[str, str | int | float | bool]:
        value = self._body.get(name)
        if value is None:
            return {}
        if (
            isinstance(value, dict)
            and len(value) <= _MAX_LABELS
            and all(_is_label(key) and _is_label(item) for key, item in value.items())
        ):
            return dict(value)
        what = f"an object of at most {_MAX_LABELS} strings, numbers and booleans"
        self._refuse(name, f"{what}, each and its key of at most {_MAX_LABEL_LENGTH} printable characters")
        return {}

    def _refuse(self, name: str, allowed: str) -> None:
        self.wrong.append(f"{name} must be {allowed}")


def _is_label(value: object) -> bool:
    match value:
        case str():
            # A lone surrogate is no UTF-8: one such row would spoil every page of the log that holds it.
            return len(value) <= _MAX_LABEL_LENGTH and value.isprintable()
        case int():
            return len(str(value)) <= _MAX_LABEL_LENGTH
        case float():
            # Python reads NaN and Infinity, and no JSON can be written with them.
            return math.isfinite(value)
        case _:
            return False
