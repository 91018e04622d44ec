"""The service unit by systemd's own judgement, the container file and the alert rules by what they must hold."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.server.conftest import WELL
from watchdog.config.settings import ServerSettings
from watchdog.daemon import EXIT_DEAD
from watchdog.jobs.schedule import _SHORTEST_PATIENCE_S
from watchdog.server.metrics import exposition
from watchdog.store.database import Store
from watchdog.store.tallies import Ended, tally

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNIT = (DEPLOY / "promptwatch.service").read_text(encoding="utf-8")
CONTAINER = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
RULES = (DEPLOY / "promptwatch.rules.yml").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
# In tenths, as systemd counts them; a unit without any hardening has 96.
MOST_EXPOSED = 15

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


def analyze(arguments: Sequence[str], unit: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments, str(unit)], capture_output=True, text=True, timeout=60.0, check=False
    )


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is on every machine: verify looks whether it is there."""
    path = tmp_path / "promptwatch.service"
    assert "ExecStart=/opt/promptwatch/bin/promptwatch " in UNIT
    path.write_text(UNIT.replace("/opt/promptwatch/bin/promptwatch", "/bin/true"), encoding="utf-8")
    return path


def value(name: str) -> str:
    """Of a key that stands once in the unit."""
    (found,) = re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)
    return str(found)


@needs_systemd
def test_systemd_knows_every_key_of_the_unit(unit: Path) -> None:
    """Not one warning: a key that it does not know is a hardening that is not there."""
    done = analyze(["verify"], unit)

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    unit.write_text(unit.read_text() + "\n[Service]\nProtectEverything=yes\n")
    assert "ProtectEverything" in analyze(["verify"], unit).stderr


@needs_systemd
def test_the_unit_is_hardened(unit: Path) -> None:
    """By systemd's own score, offline; without the hardening it would be far over it."""
    arguments = ["security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}"]
    done = analyze(arguments, unit)

    assert 0 == done.returncode, done.stdout
    unit.write_text(
        re.sub(r"^(SystemCallFilter|CapabilityBoundingSet|PrivateUsers)=.*$", "", unit.read_text(), flags=re.MULTILINE)
    )
    assert 0 != analyze(arguments, unit).returncode


def test_the_unit_and_the_daemon_agree() -> None:
    """Our own patience ends first, an end by it is started anew, and wrong configurations are not tried for ever."""
    assert "notify" == value("Type")
    assert _SHORTEST_PATIENCE_S < int(value("WatchdogSec"))
    assert "on-failure" == value("Restart")
    assert str(EXIT_DEAD) not in value("RestartPreventExitStatus").split()
    assert ["1", "2"] == value("RestartPreventExitStatus").split()
    assert value("WorkingDirectory") == f"/var/lib/{value('StateDirectory')}"
    assert "/run/credentials/promptwatch.service/platform-token" in OPERATIONS


def test_the_container_runs_as_nobody_from_hashed_requirements() -> None:
    """It cannot be built here; what can be read is read."""
    steps = re.findall(r"^(FROM|RUN|USER|COPY|ENTRYPOINT|CMD|EXPOSE|HEALTHCHECK)\b", CONTAINER, re.MULTILINE)
    (user,) = re.findall(r"^USER (\d+):(\d+)$", CONTAINER, re.MULTILINE)

    assert "--require-hashes -r requirements.lock" in CONTAINER
    assert "--no-deps --no-build-isolation ." in CONTAINER
    assert 2 == steps.count("FROM")
    assert all(int(part) > 0 for part in user)
    assert steps.index("USER") < steps.index("ENTRYPOINT")
    # Nothing is made or copied once it is nobody.
    assert not {"RUN", "COPY"} & set(steps[steps.index("USER") :])
    port = ServerSettings.listen.rpartition(":")[2]
    assert f"EXPOSE {port}" in CONTAINER
    assert f"http://127.0.0.1:{port}/healthz" in CONTAINER
    assert not re.search(r"^(ADD|ENV .*TOKEN)|curl|apt-get", CONTAINER, re.MULTILINE)


def test_the_build_sees_what_it_copies_and_no_more() -> None:
    """What is ignored cannot leak into an image, such as a config.toml with its token beside it."""
    for name in (".dockerignore", ".containerignore"):
        lines = (ROOT / name).read_text(encoding="utf-8").split()
        copied = {
            word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", CONTAINER, re.MULTILINE) for word in line.split()
        }

        assert "*" == lines[0]
        assert copied == {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["readme"] in CONTAINER


def test_every_metric_of_the_alerts_and_the_documentation_exists(tmp_path: Path) -> None:
    """An alert on a metric that nobody exposes never fires."""
    store = Store(f"sqlite:///{tmp_path / 'watchdog.db'}")
    store.migrate()
    with store.read() as connection:
        found = tally(connection, Ended())
    store.close()
    # As one of several replicas shows it: the only daemon has no claims to count.
    shown = exposition(replace(WELL, claims=3), found, version="1", schema="1").decode()
    exposed = set(re.findall(r"^(promptwatch_\w+)", shown, re.MULTILINE)) | {"promptwatch_ingest_lag_seconds"}
    families = set(re.findall(r"^# TYPE (promptwatch_\w+)", shown, re.MULTILINE)) | {"promptwatch_ingest_lag_seconds"}

    assert set(re.findall(r"promptwatch_\w+", RULES)) <= exposed
    assert families == set(re.findall(r"^\| `(promptwatch_\w+)`", OPERATIONS, re.MULTILINE))
