"""Which prompts are guarded."""

from __future__ import annotations

import pytest

from watchdog.core.terms import Terms


@pytest.mark.parametrize(
    ("slug", "expected"),
    [("support-de", True), ("support-test", False), ("checkout", True), ("Checkout", False), ("other", False)],
)
def test_globs_decide_which_prompts_are_watched(slug: str, expected: bool) -> None:
    """A prompt is watched where a glob takes it in and none takes it out."""
    watch = Terms(prompts=("support-*", "checkout"), exclude=("*-test",))

    assert expected == watch.guards(slug)
