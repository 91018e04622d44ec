"""The files of `promptwatch replay`: read, split and judged, or refused with a reason."""

from __future__ import annotations

import gzip
import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.fuzz.values import TEXTS, as_json, broken_bytes, mutated, odd
from watchdog.config.packs import load_rules
from watchdog.core.model import ErrorKind
from watchdog.replay.columns import Naming
from watchdog.replay.errors import ReplayError
from watchdog.replay.report import facts
from watchdog.replay.split import Question, cut_at
from watchdog.replay.watches import Request, replayed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

    from watchdog.core.rules import RuleSet

_COLUMNS = ("stream", "version", "time", "ok", "latency_s", "cost_usd", "error_code")


@dataclass
class CallFiles:
    folder: Path
    rules: RuleSet

    def one(self, luck: Random) -> tuple[str, list[str]]:
        file = self.folder / luck.choice(("calls.csv", "calls.jsonl", "calls.csv.gz", "calls.txt"))
        file.write_bytes(_body(file.name, luck))
        request = Request(
            paths=(file,),
            rules=self.rules,
            kind_of=lambda _: ErrorKind.OTHER,
            naming=Naming(),
            question=Question(from_version="v1", to_version="v2", cut=None)
            if luck.random() < 0.5
            else Question(from_version=None, to_version=None, cut=cut_at("50%")),
            streams="*",
            every=luck.choice((None, 1, 7)),
            tick=None,
            length=Request.length,
            profiles=luck.random() < 0.2,
        )
        try:
            with replayed(request) as (reading, watches):
                said = [json.dumps(facts(watch), allow_nan=False) for watch in watches]
        except ReplayError as exc:
            text = str(exc)
            good = text.isprintable() and len(text) < 3000
            return "refused", [] if good else [f"an error that cannot be read: {text[:400]!r}"]
        finally:
            file.unlink()
        return "judged" if said else "nothing", [] if reading.rows >= 0 else ["rows are missing"]


@contextmanager
def callfiles(folder: Path) -> Iterator[CallFiles]:
    yield CallFiles(folder=folder, rules=load_rules(("default",)))


def _row(i: int) -> dict[str, Any]:
    return {
        "stream": "support" if i % 3 else "sales",
        "version": "v1" if i < 20 else "v2",
        "time": f"2026-11-20T12:{i % 60:02}:00Z",
        "ok": i % 7 != 0,
        "latency_s": 0.8 + i / 100,
        "cost_usd": 0.01,
        "error_code": "" if i % 7 else "TIMEOUT",
    }


def _body(name: str, luck: Random) -> bytes:
    rows: Any = [_row(i) for i in range(40)]
    for _ in range(luck.choice((0, 1, 2, 4, 8))):
        rows = mutated(rows, luck)
        if not isinstance(rows, list):
            rows = [rows]
    text = _csv(rows, luck) if "csv" in name or luck.random() < 0.3 else "\n".join(as_json(row) for row in rows)
    body = text.encode("utf-8", "surrogatepass")
    for _ in range(luck.choice((0, 0, 1, 1, 3))):
        body = broken_bytes(body, luck)
    if name.endswith(".gz") and luck.random() < 0.95:
        body = gzip.compress(body, 1)
        if luck.random() < 0.2:
            body = broken_bytes(body, luck)
    return body


def _csv(rows: list[Any], luck: Random) -> str:
    header = [c for c in _COLUMNS if luck.random() < 0.98]
    if luck.random() < 0.05:
        header[luck.randrange(len(header))] = luck.choice(TEXTS)
    lines = [",".join(header)]
    for row in rows:
        cells = [row.get(c, "") if isinstance(row, dict) else odd(luck) for c in header]
        lines.append(",".join(_cell(cell) for cell in cells))
    return "\n".join(lines)


def _cell(value: object) -> str:
    text = value if isinstance(value, str) else as_json(value)
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n') else text
