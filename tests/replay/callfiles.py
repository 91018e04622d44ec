"""Files of calls as tests need them, and the request to replay them."""

from __future__ import annotations

import gzip
import random
from typing import TYPE_CHECKING

from watchdog.config.packs import load_rules
from watchdog.core.model import ErrorKind
from watchdog.replay.watches import FileWatch, Reading, Request, replayed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RULES = load_rules()


def write(path: Path, text: str) -> Path:
    """A file with these very characters; packed when its name says so."""
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def csv_of(header: str, rows: Iterable[str]) -> str:
    return "\n".join([header, *rows, ""])


def calls(n: int, *, version: str, failure_rate: float = 0.02, latency_s: float = 1.0, seed: int = 1) -> list[str]:
    """Rows `version,latency_s,ok`, seeded."""
    rng = random.Random(seed)  # noqa: S311 - a simulation
    return [
        f"{version},{latency_s * rng.lognormvariate(0.0, 0.4):.4f},{int(rng.random() >= failure_rate)}"
        for _ in range(n)
    ]


def promotion(path: Path, *, failure_rate: float = 0.5, n: int = 300) -> Path:
    """A file in which v2 fails far more often than v1."""
    rows = calls(n, version="v1", seed=1) + calls(n, version="v2", failure_rate=failure_rate, seed=2)
    return write(path, csv_of("version,latency_s,ok", rows))


def kind_of(code: str) -> ErrorKind:
    """As a test needs it: the kind's own word."""
    return ErrorKind(code)


def replay(*paths: Path, **given: object) -> tuple[Reading, list[FileWatch]]:
    """Everything that the files hold."""
    request = Request(**{"paths": paths, "rules": RULES, "kind_of": kind_of, **given})  # type: ignore[arg-type]
    with replayed(request) as (reading, watches):
        return reading, list(watches)
