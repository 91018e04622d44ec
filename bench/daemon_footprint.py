"""
What the idle daemon costs: seconds from `promptwatch run` to the end of its first look, and its memory after that.

    python bench/daemon_footprint.py

A real daemon, as its own process, against the embedded platform with its sample prompts.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from watchdog.clock import SystemClock
from watchdog.embedded.sample import seed_sample
from watchdog.embedded.server import EmbeddedPlatform

RUNS = 5
LONGEST_S = 60.0
SETTLE_S = 5.0
CONFIG = '[platform]\nurl = "{url}"\ntoken = "env:BENCH_TOKEN"\n[store]\nurl = "sqlite:///watch.db"\n'


def looked(database: Path) -> bool:
    """Whether the first look has ended."""
    if not database.exists():
        return False
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            return connection.execute("SELECT count(*) FROM cursors").fetchone()[0] > 0
    except sqlite3.Error:
        return False


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def measure(url: str, token: str, folder: Path) -> tuple[float, float]:
    """Seconds to the first look, and MiB some seconds later."""
    (folder / "config.toml").write_text(CONFIG.format(url=url))
    began = time.monotonic()
    daemon = subprocess.Popen(
        [sys.executable, "-c", "from watchdog.cli import main; main()", "run", "--config", str(folder / "config.toml")],
        env={**os.environ, "BENCH_TOKEN": token},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not looked(folder / "watch.db"):
            if time.monotonic() - began > LONGEST_S or daemon.poll() is not None:
                raise SystemExit("the daemon did not get as far as its first look")
            time.sleep(0.01)
        first = time.monotonic() - began
        time.sleep(SETTLE_S)
        return first, resident_mib(daemon.pid)
    finally:
        daemon.terminate()
        daemon.wait(30)


def main() -> None:
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as root, EmbeddedPlatform(Path(root) / "platform.db", clock) as platform:
        seed_sample(platform.admin, clock)
        token = platform.admin.create_token()
        figures = []
        for i in range(RUNS):
            folder = Path(root) / str(i)
            folder.mkdir()
            figures.append(measure(platform.base_url, token, folder))
    print(figure("run to first look", "s", [first for first, _ in figures], 3.0))
    print(figure("idle daemon memory", "MiB", [size for _, size in figures], 150.0))


def figure(what: str, unit: str, values: list[float], target: float) -> str:
    values = sorted(values)
    median = values[len(values) // 2]
    return (
        f"{what:<20} median {median:.2f} {unit} (min {values[0]:.2f}, max {values[-1]:.2f}; target {target:g} {unit})"
    )


if __name__ == "__main__":
    main()
