"""Pictures of a watch."""

from __future__ import annotations

import re
import sys
from xml.etree import ElementTree as ET

import pytest

from tests.replay.callfiles import promotion, replay, write
from watchdog.replay import picture
from watchdog.replay.charts import Axis
from watchdog.replay.errors import ReplayError
from watchdog.replay.page import page


@pytest.fixture
def watches(tmp_path):
    return replay(promotion(tmp_path / "support.csv"), profiles=True)[1]


def test_the_page_needs_nothing_beside_itself(watches):
    """No address, no script, no file."""
    html = page(watches)

    assert not re.search(r"https?:|src=|href=|<script|@import|url\(", html)
    assert "prefers-color-scheme: dark" in html


def test_every_chart_is_well_formed_and_says_what_it_shows(watches):
    """One for each rule that can judge, the latency, and the course of the successes."""
    html = page(watches)
    charts = [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]  # noqa: S314 - our own

    assert len(watches[0].outcome.paths) + 2 - len([p for p in watches[0].outcome.paths if not p.points[-1][0]]) == len(
        charts
    )
    assert all(chart.get("aria-label") for chart in charts)
    assert "tripped at call" in html
    assert re.search(r"<td>tripped @\d+</td>", html)


def test_a_chart_of_a_rule_that_tripped_says_what_was_needed(watches):
    """Without it the line has no number."""
    charts = re.findall(r"<svg.*?</svg>", page(watches), re.DOTALL)
    (tripped,) = [svg for svg in charts if "success: evidence" in svg]

    assert "trips at" in tripped
    assert "tripped at call" in tripped


def test_nothing_is_drawn_outside_of_its_chart(watches):
    """Whatever the numbers are."""
    for viewbox, points in re.findall(r'<svg viewBox="0 0 ([\d. ]+)".*?points="([^"]+)"', page(watches), re.DOTALL):
        width, height = map(float, viewbox.split())
        for point in points.split():
            x, y = map(float, point.split(","))
            assert 0.0 <= x <= width
            assert 0.0 <= y <= height


def test_names_from_a_file_cannot_be_markup(tmp_path):
    """A stream's name is somebody else's text."""
    bad = "<script>alert(1)</script>"
    rows = [f"{bad},{v},{i % 2},1" for v in ("a", "<b>") for i in range(60)]
    path = write(tmp_path / "x.csv", "\n".join(["stream,version,ok,latency_s", *rows]))

    html = page(replay(path, profiles=True)[1])

    assert "<script" not in html
    assert "<b>" not in html


def test_both_sides_are_shown_as_wholes(watches):
    """All calls of the file, also those after the verdict."""
    shape = picture.latency(watches[0])
    course = picture.success(watches[0])

    assert shape is not None
    assert pytest.approx(1.0) == sum(shape.before)
    assert pytest.approx(1.0) == sum(shape.after)
    assert len(shape.before) == len(shape.after) == len(shape.edges) - 1
    assert max(x for x, _ in course.before) < 0.0 < min(x for x, _ in course.after)
    assert 290.0 < course.after[-1][0] <= 300.0


def test_a_bar_stands_where_its_values_are(tmp_path):
    """To within the width of a bar, 20 %."""
    rows = [f"{v},{latency},1" for v, latency in (("a", 0.5), ("b", 4.0)) for _ in range(60)]
    path = write(tmp_path / "x.csv", "\n".join(["version,latency_s,ok", *rows]))

    shape = picture.latency(replay(path, profiles=True)[1][0])

    assert shape is not None
    assert shape.edges[0] <= 500.0 * 1.01
    assert 500.0 <= shape.edges[1] < 650.0
    assert shape.edges[-2] < 4000.0 * 1.01
    assert 4000.0 <= shape.edges[-1] < 5200.0
    assert (1.0, 1.0) == (shape.before[0], shape.after[-1])


def test_a_png_is_drawn(tmp_path, watches):
    """With the extra."""
    pytest.importorskip("matplotlib")

    picture.write(tmp_path / "out.png", watches)

    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    """Before anything is read."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(ReplayError, match=r"pip install 'prompt-watchdog\[plots\]'"):
        picture.require(tmp_path / "out.png")


@pytest.mark.parametrize(
    ("name", "says"), [("out.pdf", "must end in .html or .png"), ("no/out.html", "there is no folder")]
)
def test_a_picture_that_cannot_be_written_is_refused_at_once(tmp_path, name, says):
    """Not after a million rows."""
    with pytest.raises(ReplayError, match=says):
        picture.require(tmp_path / name)


@pytest.mark.parametrize(
    ("low", "high", "logarithmic", "ticks"),
    [
        (0.0, 10.0, False, [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]),
        (0.0, 1.0, False, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-500.0, 500.0, False, [-400.0, -200.0, 0.0, 200.0, 400.0]),
        (0.0, 7.0, False, [0.0, 2.0, 4.0, 6.0]),
        (80.0, 1500.0, True, [100.0, 200.0, 500.0, 1000.0]),
        (0.5, 200_000.0, True, [1.0, 100.0, 10_000.0]),
    ],
)
def test_ticks_are_round_numbers(low, high, logarithmic, ticks):
    """And few of them."""
    axis = Axis(low=low, high=high, text=str, logarithmic=logarithmic)

    assert pytest.approx(ticks) == axis.ticks(5)
