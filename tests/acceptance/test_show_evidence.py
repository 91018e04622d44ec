"""`promptwatch show` of an incident whose failing calls were looked at."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.acceptance.shell import TRACEBACK, promptwatch
from tests.builders import MINUTE
from tests.world import FAILED, World
from watchdog.core.terms import Evidence, Terms
from watchdog.core.windows import WINDOW

pytestmark = pytest.mark.acceptance
MAIL = "canary@example.com"


@pytest.fixture
def looked_at(tmp_path):
    """A world in which a version was reverted whose output was cut."""
    terms = Terms(baseline=timedelta(hours=3), evidence=Evidence(payloads=True, calls=6))
    with World(tmp_path, baseline_calls=660, baseline_failures=0, terms=terms) as world:
        world.tick()
        world.promote(world.v2)
        start = world.clock.now() + timedelta(seconds=1)
        world.platform.admin.import_executions(
            world.prompt_id,
            world.v2,
            [(start + i * WINDOW, FAILED) for i in range(12)],
            request={"stopSequences": ["}"]},
            response={"output": f'{{"to": "{MAIL}", "colour": "\x1b[31mred', "message": f"no JSON for {MAIL}"},
        )
        world.clock.move(3 * MINUTE)
        world.tick()
        world.look()
        yield world


def test_clusters_and_redacted_examples_are_shown(looked_at):
    """For people, on lines that steer no terminal."""
    ended = promptwatch(
        "show", looked_at.incident.id[:8], f"--store=sqlite:///{looked_at.folder / 'watch.db'}", folder=looked_at.folder
    )

    assert 0 == ended.status
    assert "Failing calls\n  JSON cut in half at a stop sequence, 6 of 6\n    exe_" in ended.out
    assert '{"to": "[mail]", "colour": "\ufffd[31mred [no JSON for [mail]]' in ended.out
    assert "stopSequences: added '}' (likeliest: 6 of 6 failures are JSON that is cut)" in ended.out
    assert MAIL not in ended.out
    assert "\x1b" not in ended.out
    assert TRACEBACK not in ended.err


def test_machines_get_the_same(looked_at):
    """As the database keeps it."""
    ended = promptwatch(
        "show",
        looked_at.incident.id,
        f"--store=sqlite:///{looked_at.folder / 'watch.db'}",
        "--json",
        folder=looked_at.folder,
    )

    found = json.loads(ended.out)["incident"]["failing_calls"]
    (cluster,) = found["clusters"]
    assert ("failing", 6, 0, "") == (found["choice"], found["looked_at"], found["unread"], found["failed"])
    assert ("cut_at_stop", "validation", 6, 6) == (cluster["shape"], cluster["kind"], cluster["count"], cluster["of"])
    assert MAIL not in ended.out
