"""Log lines: a constant message and its fields, as text for people or JSON for machines."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from watchdog.config.settings import LogFormat

if TYPE_CHECKING:
    from watchdog.config.settings import LogSettings

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# These print whole URLs, message bodies or parameters at INFO or DEBUG.
_TALKATIVE = ("httpx", "httpcore", "slack_sdk", "sqlalchemy", "alembic", "uvicorn")
# It warns of every tick that waits for the one before, and the sentinel looks after those.
_COMPLAINING = ("apscheduler",)


def set_up_logging(settings: LogSettings) -> None:
    """To standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.format is LogFormat.JSON else TextLines())
    handler.addFilter(_is_news)
    logging.basicConfig(handlers=[handler], level=settings.level.value.upper(), force=True)
    for names, least in ((_TALKATIVE, logging.WARNING), (_COMPLAINING, logging.ERROR)):
        for name in names:
            logging.getLogger(name).setLevel(max(least, logging.getLogger().level))


def _is_news(record: logging.LogRecord) -> bool:
    """Sample traffic that is stopped leaves amid a request; the embedded platform logs that as a failure."""
    return record.exc_info is None or type(record.exc_info[1]).__name__ != "ClientDisconnect"


class TextLines(logging.Formatter):
    """`12:00:03 INFO watching action=started platform=...`; a line break in a value cannot forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        fields = " ".join(f"{name}={_inline(value)}" for name, value in _fields(record).items())
        line = f"{at:%Y-%m-%d %H:%M:%S} {record.levelname:<7} {_inline(record.getMessage())}"
        line = f"{line} {fields}" if fields else line
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        value: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "logger": record.name,
            **_fields(record),
        }
        if record.exc_info:
            value["traceback"] = self.formatException(record.exc_info)
        return json.dumps(value, default=str)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _inline(value: object) -> str:
    """One line, and nothing in it that could steer a terminal: the text may be a stranger's."""
    line = " ".join(str(value).split())
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line)
