"""The panels that are not lines, as text of every width and as pictures, with whatever records may hold."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.plots import Axis, Confusion, Curve, Dot, Parallel, Plot, Rates, Scatter
from mltrack.views.plot import confusion, parallel, rates, scatter
from mltrack.views.plot.picture import picture
from mltrack.views.plot.places import places_of
from mltrack.views.text import cell_width
from tests.views.nasty import EVIL, LONG, RIGHT_TO_LEFT, WIDE

NAMES = ("a", LONG, WIDE, RIGHT_TO_LEFT, EVIL, "")
MODULES = {Scatter: scatter, Parallel: parallel, Confusion: confusion, Rates: rates}
CURVES = (
    Curve("one, AUC 0.5", [0.0, 0.5, 1.0], [0.0, 0.5, 1.0]),
    Curve(f"{EVIL}, AUC 0.75", [0.0, 0.0, 1.0], [0.0, 0.5, 1.0]),
)


def dots(*places, **more):
    return tuple(Dot(x, y, f"run {at}", **more) for at, (x, y) in enumerate(places))


PANELS = {
    "no dot": Scatter("", Axis("x"), Axis("y")),
    "a dot": Scatter("", Axis("x"), Axis("y"), dots((1.0, 2.0))),
    "names": Scatter(EVIL, Axis(LONG), Axis(WIDE), tuple(Dot(a, b, a, group=b) for a in NAMES for b in NAMES)),
    "extremes": Scatter("", Axis("x"), Axis("y"), dots((-1.7e308, 5e-324), (1.7e308, 1e300), (0.0, -1e-300))),
    "decades": Scatter("", Axis("x", True), Axis("y", True, "s"), dots((1e-300, 1e-9), (1e300, 1e9))),
    "shades": Scatter("", Axis("x"), Axis("y", unit="bytes"),
                      tuple(Dot(at, at * 1e9, "r", shade=at if at % 3 else None) for at in map(float, range(40))), Axis("loss")),
    "groups": Scatter("", Axis("x"), Axis("y"), tuple(Dot(at, at, "r", group=f"g{at % 30}") for at in map(float, range(60)))),
    "parallel": Parallel(EVIL, (Axis(LONG), Axis("n"), Axis(WIDE, True)), NAMES[:4],
                         (("x", 1.0, 1e-300), (EVIL, None, None), (None, 2.0, 1e300), (WIDE, 2.0, 1.0)), 2),
    "one run": Parallel("", (Axis("a"), Axis("b")), ("r",), ((None, 1.0),), 1),
    "many axes": Parallel("", tuple(Axis(f"param {at}") for at in range(40)), ("r", "s"), ((1.0,) * 40, (2.0,) * 40), 39),
    "confusion": Confusion(EVIL, NAMES, tuple(tuple(10**at for at in range(6)) for _ in NAMES)),
    "one class": Confusion("", ("a",), ((0,),)),
    "no mistake": Confusion("", tuple(map(str, range(60))), tuple(tuple(int(a == b) for a in range(60)) for b in range(60))),
    "by row": Confusion("", ("a", "b"), ((999, 1), (0, 0)), True),
    "roc": Rates("", "roc", CURVES, (0.5, 0.75)),
    "pr": Rates("", "pr", CURVES[:1], (0.5,)),
}  # fmt: skip


@pytest.mark.parametrize("width", [20, 60, 80, 200])
@pytest.mark.parametrize("name", PANELS)
def test_no_line_of_a_text_is_wider_than_there_is_room_and_none_has_a_control_character(name, width):
    panel = PANELS[name]
    module = MODULES[type(panel)]
    plain = module.draw_text(panel, width, 16, False)
    assert plain
    for line in plain:
        assert cell_width(line) <= width, line
        assert not re.search(r"[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]", line)
    painted = "\n".join(module.draw_text(panel, width, 16, True))
    bare = re.sub(r"\x1b\[[0-9;]*m", "", painted)
    assert [line.rstrip() for line in bare.split("\n")] == [line.rstrip() for line in plain]


def test_few_dots_have_letters_that_are_told_below():
    text = "\n".join(scatter.draw_text(PANELS["extremes"], 80, 16, False))
    assert re.search(r"^a +1e300 at 1.7e308 +run 1$", text, re.M)


def test_dots_of_other_groups_in_one_place_are_a_star():
    panel = Scatter("", Axis("x"), Axis("y"), tuple(Dot(1.0, 1.0, "r", group=str(at % 2)) for at in range(40)))
    text = "\n".join(scatter.draw_text(panel, 80, 16, False))
    assert "* several in one place" in text


def test_the_best_run_is_the_first_line_of_parallel_coordinates_and_those_without_a_value_the_last():
    panel = Parallel("", (Axis("lr"), Axis("acc")), ("none", "low", "high"), ((1.0, None), (1.0, 0.1), (2.0, 0.9)), 1)
    lines = parallel.draw_text(panel, 80, 16, False)
    assert [line.split()[0] for line in lines[1:]] == ["high", "low", "none"]
    assert lines[-1].endswith("missing")


def test_where_there_is_little_room_the_axes_that_say_most_stay_and_the_others_are_named():
    panel = Parallel(
        "", tuple(map(Axis, ("amp", "lr", "depth", "acc"))), ("r",), ((1.0,) * 4,), 3, (0.0, 0.98, 0.2, 1.0)
    )
    lines = parallel.draw_text(panel, 30, 16, False)
    assert lines[0].split() == ["lr", "acc"]
    assert lines[-1] == "no room for 2 axes: amp, depth"


def test_numbers_beside_a_track_are_rounded_and_never_cut():
    values = (0.96774, 1e-300, -1.2345e-300, 1234567.0, 0.1)
    panel = Parallel("", (Axis("a"), Axis("b")), ("r",) * 5, tuple((one, one) for one in values), 1)
    for width in (33, 34, 60, 120):
        lines = parallel.draw_text(panel, width, 16, False)[1:]
        shown = sorted(float(line.split()[-1]) for line in lines)
        assert shown == pytest.approx(sorted(values), rel=0.5)
        assert {line.count("●") for line in lines} == {2}
        assert len({line.index("●") - line.index("r") for line in lines}) > 1


def test_a_text_of_roc_has_dots_on_the_line_of_chance():
    above = Rates("", "roc", (Curve("c", [0.0, 0.0, 1.0], [0.0, 1.0, 1.0]),))
    lines = rates.draw_text(above, 60, 20, False)
    assert lines[-1] == "dotted: chance"
    diagonal = [line[30] for line in lines[8:14]]
    assert any(0x2800 < ord(sign) < 0x2900 for sign in diagonal)
    assert not any("chance" in line for line in rates.draw_text(PANELS["pr"], 60, 20, False))


def test_a_confusion_matrix_shows_counts_and_per_cent_and_of_many_classes_the_mistakes():
    panel = Confusion("", ("cat", "dog"), ((995, 5), (1, 9_999)))
    text = "\n".join(confusion.draw_text(panel, 80, 16, False))
    assert "995 >99 %" in text or "995 100 %" in text
    assert "<1 %" in text
    many = Confusion("", tuple(f"c{at}" for at in range(50)), tuple(tuple(7 if (a, b) == (3, 4) else a == b for b in range(50)) for a in range(50)))  # fmt: skip
    text = "\n".join(confusion.draw_text(many, 80, 16, False))
    assert re.search(r"7 +88 % +c3 +taken for c4", text)


def test_what_is_not_all_is_never_100_per_cent():
    assert [confusion.per_cent(share) for share in (0, 0.001, 0.5, 0.999, 1)] == [
        "0 %",
        "<1 %",
        "50 %",
        ">99 %",
        "100 %",
    ]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8), st.booleans())
@settings(max_examples=100, deadline=None)
def test_every_value_has_a_place_between_the_ends(values, is_log):
    values = [value for value in values if not is_log or value > 0] or [1.0]
    places = places_of(Axis("x", is_log), values, 5)
    shares = [places.share(value) for value in sorted(values)]
    assert all(0 <= share <= 1 for share in shares)
    assert shares == sorted(shares)
    assert places.ticks(5)


def test_every_panel_can_be_drawn():
    panels = [*PANELS.values()]
    for dark, first in ((False, 0), (True, 8)):
        data = picture(Plot("every", tuple(panels[first : first + 8]), (EVIL,)), "svg", dark=dark).decode()
        assert "\x1b" not in data
        assert "<script" not in data
