"""`promptwatch run` in an empty folder: a sample platform, to try it on."""

from __future__ import annotations

import re
import signal

import httpx
import pytest

from tests.acceptance.shell import Started, promptwatch

pytestmark = pytest.mark.acceptance


def test_a_harmful_version_promoted_as_the_banner_says_is_reverted(tmp_path):
    """What a newcomer does: start it, copy the command, and look at what happens."""
    with Started("run", folder=tmp_path, env={"TMPDIR": str(tmp_path)}) as sample:
        sample.says("guarding a SAMPLE platform")
        look = sample.says("promptwatch status --store").split("--store")[1].strip()
        token = re.search(r"Bearer (\S+)'", sample.says("curl -X POST"))
        address = sample.says("/promote").strip()
        assert token is not None
        sample.says("action=adopted")

        httpx.post(address, headers={"authorization": f"Bearer {token[1]}"}, trust_env=False).raise_for_status()
        sample.says("[ALARM] is-prime: v1.2.0 made production worse; reverting to v1.0.0", within_s=40.0)
        sample.says("[WAITING] is-prime: v1.2.0 reverted to v1.0.0", within_s=10.0)
        seen = promptwatch("status", "--store", look, folder=tmp_path)

        sample.signal(signal.SIGINT)
        ended = sample.ended(within_s=8.0)

    assert 0 == ended.status
    assert "regressed" in seen.out
    assert [] == list(tmp_path.iterdir())
