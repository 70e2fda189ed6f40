from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.compare.many import compare_runs
from mltrack.operations.reporting.report import Material, Story
from mltrack.plots import Axis, Curve, Lines, Plot
from mltrack.records import MetricSummary, Run
from mltrack.views.plot.picture import labels_of
from mltrack.views.report.blocks import Course
from mltrack.views.report.course import HIGH, WIDE, course_line
from mltrack.views.report.course import few as few_of
from mltrack.views.report.html import visible
from mltrack.views.report.html import written as written_elements
from mltrack.views.report.made import written
from mltrack.views.report.pictures import plot_figures
from mltrack.views.report.sheet import SHEET
from mltrack.views.sparkline import scale_of
from tests.compare.samples import sample_run
from tests.compare.strategies import runs
from tests.views.report.materials import of_many, of_one, of_two
from tests.views.report.parsed import Parsed
from tests.views.report.test_html import HOSTILE

MADE = "2026-11-21 04:00:00 UTC"
SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
few = settings(max_examples=7 * SOAK, deadline=None)
texts = st.one_of(st.sampled_from(HOSTILE), st.text(min_size=1, max_size=40))


def page(material: Material) -> str:
    return written(material, "html", MADE, False)


@pytest.mark.parametrize("make", [of_one, of_two, of_many])
@few
@given(texts)
def test_a_text_in_every_field_of_a_run_never_leaves_its_place(make: Callable[..., Material], text: str) -> None:
    parsed = Parsed(page(make(text, text)))
    parsed.check()
    assert parsed.styles == [SHEET]
    assert parsed.tags["h1"] == 1
    assert visible(text) in parsed.text


@few
@given(runs)
def test_every_run_has_a_page(run: Run) -> None:
    Parsed(page(Material(None, (Story(run),), (run,)))).check()


def test_a_page_asks_for_nothing_and_holds_no_script() -> None:
    text = page(of_two("x"))
    parsed = Parsed(text)
    assert ("meta", "http-equiv", "Content-Security-Policy") in parsed.attributes
    policy = next(value for tag, name, value in parsed.attributes if value.startswith("default-src"))
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert "url(" not in SHEET and "@import" not in SHEET
    addresses = [value for _, name, value in parsed.attributes if name in ("src", "srcset", "href")]
    assert addresses and all(value.startswith(("#", "data:image/")) for value in addresses)


@pytest.mark.parametrize("make", [of_one, of_two, of_many])
def test_a_page_can_be_read_without_seeing_it(make: Callable[[str], Material]) -> None:
    text = page(make("x"))
    parsed = Parsed(text)
    assert ("html", "lang", "en") in parsed.attributes
    levels = [int(level) for level in re.findall(r"<h(\d)", text)]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in pairwise(levels))
    images = parsed.tags["img"]
    assert sum(tag == "img" and name == "alt" and bool(value) for tag, name, value in parsed.attributes) == images
    heads = sum(tag == "th" for tag, name, _ in parsed.attributes if name == "scope")
    assert heads == parsed.tags["th"]
    assert parsed.tags["caption"] == parsed.tags["table"]
    ids = [value for _, name, value in parsed.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for _, name, value in parsed.attributes if name == "href"} <= set(ids)


@pytest.mark.parametrize("form", ["html", "md"])
def test_the_same_material_gives_the_same_file(form: str) -> None:
    made = [written(make("x"), form, MADE, False) for make in (of_one, of_two, of_many)]
    assert made == [written(make("x"), form, MADE, False) for make in (of_one, of_two, of_many)]
    other = written(of_one("x"), form, "later", False)
    assert other.replace("later", MADE) == made[0]


def test_thousands_of_params_and_metrics_are_folded_and_none_is_lost() -> None:
    run = sample_run(
        params={f"p{place}": place for place in range(300)},
        metrics={f"m{place}": MetricSummary(1.0, 1.0, 1.0, 1) for place in range(300)},
    )
    text = page(Material(None, (Story(run),), (run,)))
    parsed = Parsed(text)
    parsed.check()
    assert "240 more rows" in parsed.text
    assert all(f"{kind}{place}" in parsed.text for kind in "pm" for place in (0, 59, 60, 299))
    assert len(text) < 150_000


def test_the_story_of_a_run_has_its_parts_in_order() -> None:
    run = sample_run()
    parsed = Parsed(page(Material(None, (Story(run, "-a\n+b", ("epoch 1",)),), (run,))))
    text = parsed.text
    places = [
        text.index(part)
        for part in (
            "✓ Finished in 1 min 20 s", "$ python train.py --lr 0.1", "a first look at the digits", "left out of the snapshot",
            "Metrics and", "Params and where", "what the run wrote", "what the run read", "9f2a1c3d5e6f708192a3b4c5d6e7f8091a2b3c4d",
            "+b", "Python 3.11.7, 3 packages", "AMD EPYC 7763", "epoch 1", "mltrack reproduce 3kq8f2zx", "Made by mltrack",
        )
        if part != "Metrics and"
    ]  # fmt: skip
    assert places == sorted(places)


def test_of_two_runs_pictures_of_one_path_stand_side_by_side() -> None:
    parsed = Parsed(page(of_two("x")))
    assert parsed.tags["img"] == 2
    assert parsed.tags["input"] == parsed.tags["label"] == 1


def test_of_many_runs_the_best_and_the_worst_have_a_sign() -> None:
    runs = [
        sample_run(id=f"{n}kq8f2zxm1n4p7rt", name=None, metrics={"acc": MetricSummary(n, n, n, 1)}) for n in (1, 3, 2)
    ]
    parsed = Parsed(page(Material(None, (), tuple(runs), comparison=compare_runs(runs))))
    assert "Best acc: ★ 3 by 3kq8f2zx; worst 1." in parsed.text
    assert "★ 3 (+200 %)" in parsed.text and "▽ 1" in parsed.text and "⌂ 1kq8f2zx" in parsed.text
    assert "Better, but" not in parsed.text
    failed = replace(runs[1], status="failed")
    parsed = Parsed(page(Material(None, (), tuple(runs), comparison=compare_runs([runs[0], failed, runs[2]]))))
    assert "★ 2 by 2kq8f2zx; worst 1. Better, but did not finish: 3 by 3kq8f2zx." in parsed.text
    assert "mltrack reproduce 2kq8f2zx" in parsed.text


def test_long_names_and_values_are_shortened_with_the_whole_at_hand() -> None:
    name, value = "model.encoder." * 9 + "lr", "/data/" + "x" * 300
    runs = [sample_run(id=f"{n}kq8f2zxm1n4p7rt", params={name: f"{value}{n}"}) for n in range(3)]
    parsed = Parsed(page(Material(None, (), tuple(runs), comparison=compare_runs(runs))))
    titles = [(tag, value) for tag, attribute, value in parsed.attributes if attribute == "title"]
    assert ("th", name) in titles and ("td", f"{value}2") in titles
    assert name not in parsed.text and value not in parsed.text


def test_a_command_stands_as_a_shell_reads_it() -> None:
    runs = [
        sample_run(id=f"{n}kq8f2zxm1n4p7rt", command=("python", "ev.py", "--k", f"0.{n} a"), exit_code=n)
        for n in range(3)
    ]
    parsed = Parsed(page(Material(None, (), tuple(runs), comparison=compare_runs(runs))))
    assert "python ev.py --k '0.1 a'" in parsed.text and "[python" not in parsed.text


@few
@given(st.lists(st.floats(), max_size=500))
def test_the_course_of_any_metric_stays_in_its_field(values: list[float]) -> None:
    for scale in (None, scale_of(values), scale_of(values, [0.1, 0.2, 5.0])):
        parsed = Parsed(written_elements([course_line(Course(values, scale))]))
        parsed.check()
        texts = " ".join(value for _, name, value in parsed.attributes if name == "points").split()
        points = [tuple(map(float, text.split(","))) for text in texts]
        assert all(0 <= x <= WIDE and 0 <= y <= HIGH for x, y in points)
        assert bool(points) == any(map(math.isfinite, values))


def test_every_peak_of_a_long_course_is_drawn() -> None:
    values = [0.0] * 5000
    values[1234] = 1.0
    assert 1234 in few_of(values) and len(few_of(values)) < 3 * WIDE


def test_what_is_not_here_is_said() -> None:
    run = sample_run()
    parsed = Parsed(page(Material(None, (Story(run, missing=("The output is not shown.",)),), (replace(run),))))
    assert "The output is not shown." in parsed.text


def test_a_run_has_one_look_on_all_of_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Plot] = []

    def draw(plot: Plot, *_: object, **__: object) -> bytes:
        drawn.append(plot)
        return b""

    monkeypatch.setattr("mltrack.views.plot.picture.picture", draw)
    curves = {label: Curve(label, [0.0, 1.0], [0.0, 1.0]) for label in "abc"}
    panels = [Lines("", Axis(), Axis(), tuple(curves[label] for label in labels)) for labels in ("ac", "bc", "c")]
    plot_figures(Plot("", tuple(panels)))
    assert len(drawn) == 6
    looks = [labels_of(plot) for plot in drawn]
    assert all(look == {"a": 0, "c": 1, "b": 2} for look in looks)
