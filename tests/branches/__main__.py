"""
`python -m tests.branches`: which branches of the saga, the guards and the outbox their tests take; all, or it fails.

Each file of tests has a process of its own: a test that runs into Python's limit of recursion ends the tracing of all
that come after it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
MEASURED = (
    "core/rollback.py",
    "core/guards.py",
    "core/commands.py",
    "jobs/advance.py",
    "jobs/cancelling.py",
    "jobs/countdown.py",
    "jobs/guarding.py",
    "jobs/opening.py",
    "jobs/send.py",
    "jobs/undoing.py",
    "store/incidents.py",
    "store/outbox.py",
)
TESTS = (
    "tests/adversary/test_peers_as_controls.py",
    "tests/core/test_rollback.py",
    "tests/core/test_rollback_edges.py",
    "tests/core/test_guards.py",
    "tests/core/test_guards_edges.py",
    "tests/core/test_commands.py",
    "tests/store/test_rows.py",
    "tests/jobs/test_commands.py",
    "tests/jobs/test_countdown.py",
    "tests/jobs/test_endings.py",
    "tests/jobs/test_humans_first.py",
    "tests/jobs/test_outbox.py",
    "tests/jobs/test_overtaken.py",
    "tests/jobs/test_peers.py",
    "tests/jobs/test_replicas.py",
    "tests/jobs/test_replicas_sending.py",
    "tests/jobs/test_saga_under_faults.py",
    "tests/jobs/test_undo.py",
    "tests/jobs/test_whole_way.py",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.branches", description=__doc__)
    parser.add_argument("--under", type=float, default=100.0, help="less than this share of lines and branches fails")
    given = parser.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="branches-") as name:
        folder = Path(name)
        settings = folder / "coverage.ini"
        settings.write_text(
            f"[run]\nbranch = True\nsource = watchdog\ndata_file = {folder / 'data'}\n"
            "[report]\nexclude_also =\n    if TYPE_CHECKING:\n"
            # The type checker shows that there is no further step: what comes after this case is never reached.
            "partial_also =\n    case Send\\(\\):\n"
        )
        for test in TESTS:
            run = (
                "run",
                f"--rcfile={settings}",
                "--parallel-mode",
                "-m",
                "pytest",
                "-q",
                "-x",
                "-p",
                "no:cacheprovider",
            )
            if _coverage(*run, f"--basetemp={folder / 'tmp'}", test, quiet=True):
                print(f"{test} fails")
                return 1
        _coverage("combine", f"--rcfile={settings}", "-q")
        include = ",".join(f"watchdog/{file}" for file in MEASURED)
        failed = _coverage(
            "report", f"--rcfile={settings}", "-m", f"--include={include}", f"--fail-under={given.under:g}"
        )
    print(f"{len(MEASURED)} files by {len(TESTS)} files of tests, {time.monotonic() - began_s:.0f} s")
    return failed


def _coverage(*arguments: str, quiet: bool = False) -> int:
    nowhere = subprocess.DEVNULL if quiet else None
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = (sys.executable, "-m", "coverage", *arguments)
    return subprocess.run(command, cwd=ROOT, env=env, stdout=nowhere, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
