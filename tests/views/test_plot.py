"""Plots as pictures and as text: what a reader sees, that the same plot is the same bytes, and where they go."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.errors import StorageError, UsageError
from mltrack.plots import Axis, Band, Curve, Lines, Plot
from mltrack.views.plot import terminal
from mltrack.views.plot.lines_text import SIGNS
from mltrack.views.plot.out import Wish, form_of, in_ascii, json_text, plot_json, rendered, written
from mltrack.views.plot.picture import Look, own_settings, picture
from mltrack.views.plot.style import GLYPHS, LEGENDS
from mltrack.views.plot.terminal import by_environment, in_iterm, in_kitty, in_sixel, shows_pictures
from mltrack.views.plot.text import text_plot
from mltrack.views.plot.ticks import log_ticks, nice_ticks, scale_of, tick_texts
from mltrack.views.text import cell_width

CURVES = tuple(Curve(f"run{number}", [0, 1, 2], [number, 1.5, 2.5 - number], None, f"r{number}") for number in range(3))
PLOT = Plot("title", (Lines("loss", Axis("step"), Axis(), CURVES),), ("a remark",))
ODD = [math.nan, math.inf, -math.inf, 1.7e308, -1.7e308, 0.0, -1.0, 1e-320]


def settings_now() -> dict[str, Any]:
    """As they are: to ask for the backend would choose one, by way of pyplot."""
    import matplotlib

    return {name: dict.__getitem__(matplotlib.rcParams, name) for name in dict.keys(matplotlib.rcParams)}


def test_the_same_plot_is_the_same_bytes_and_no_setting_of_matplotlib_stays_changed() -> None:
    before = settings_now()
    for form, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        first = picture(PLOT, form, width=3, height=2)
        assert first.startswith(start) and first == picture(PLOT, form, width=3, height=2), form
        assert not re.search(rb"20\d\d-\d\d-\d\dT|CreationDate", first)
    assert settings_now() == before


def test_a_users_settings_of_matplotlib_change_no_picture() -> None:
    import matplotlib

    wanted = picture(PLOT, "svg", width=3, height=2)
    with matplotlib.rc_context({"lines.linewidth": 20, "axes.facecolor": "red"}):
        assert picture(PLOT, "svg", width=3, height=2) == wanted


def test_recorded_text_is_never_mathematics_and_never_markup() -> None:
    label = "$\\frac{1}{2}$ <script>&</script> _x \x1b[31m\n学习 שלום"
    curves = (Curve(label, [0, 1], [0, 1]), Curve("$a", [0, 1], [1, 0]))
    plot = Plot(label, (Lines(label, Axis(label), Axis(label), curves),), (label,))
    made = picture(plot, "svg", width=4, height=3)
    assert b"<script" not in made and b"\x1b" not in made
    text = text_plot(plot).render(60, True)
    assert "\x1b[31m\\n" not in text and "\\x1b[31m" in text


def test_nothing_and_anything_can_be_drawn() -> None:
    bands = (Band("b", [1.0, 2.0], [1.0, 2.0], [-1.0, 1.0], [2.0, 3.0], 3),)
    panels = (
        Lines("none", Axis("step"), Axis()),
        Lines("odd", Axis("step", True), Axis("", True), (Curve("x", np.arange(8.0), np.array(ODD), np.array(ODD)),)),
        Lines("plain", Axis("step"), Axis(), (Curve("x", np.arange(8.0), np.array(ODD)),)),
        Lines("one", Axis("time", unit="s"), Axis("", unit="bytes"), (Curve("x", [90000.0], [3e9]),), bands),
        Lines(
            "many",
            Axis(),
            Axis(),
            tuple(Curve(f"c{at}", [0, 1], [at, at], shade=at) for at in range(30)),
            (),
            Axis("lr"),
        ),
    )
    assert picture(Plot("", panels), "png", width=6, height=5, dark=True).startswith(b"\x89PNG")
    text = text_plot(Plot("", panels)).render(100, False)
    assert "no point to draw" in text and "30 curves, lr from 0 to 29" in text and "b (n = 3)" in text


numbers = st.floats(allow_nan=True) | st.sampled_from(ODD)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(numbers, numbers), max_size=12), st.booleans(), st.booleans(), st.integers(20, 90))
def test_text_plots_keep_their_width(points: list[tuple[float, float]], x: bool, y: bool, width: int) -> None:
    curves = tuple(Curve(f"学{number} {'w' * 50}", *zip(*points)) for number in range(3)) if points else ()
    panel = Lines("t" * 99, Axis("step", x), Axis("", y), curves)
    plain = text_plot(Plot("t" * 99, (panel, panel))).render(width, False)
    assert all(cell_width(line) <= max(width, 20) for line in plain.split("\n")), plain
    coloured = text_plot(Plot("t" * 99, (panel, panel))).render(width, True)
    assert [line.rstrip() for line in re.sub("\x1b\\[[0-9;]*m", "", coloured).split("\n")] == plain.split("\n")


def test_curves_in_text_are_told_apart_without_colours() -> None:
    text = text_plot(PLOT).render(80, False)
    assert all(text.count(glyph) > 1 and f"{glyph} run{number}" in text for number, glyph in enumerate(GLYPHS[:3]))
    assert in_ascii(text).isascii() and "o run0" in in_ascii(text)


@settings(max_examples=60, deadline=None)
@given(st.floats(-1e12, 1e12), st.floats(1e-9, 1e12), st.integers(2, 12))
def test_ticks_lie_within_and_are_not_too_many(low: float, span: float, most: int) -> None:
    ticks = nice_ticks(low, low + span, most)
    assert 0 < len(ticks) <= max(most, 2) and ticks == sorted(ticks)
    texts = tick_texts(ticks)
    assert len(texts) == len(ticks)
    assert 0 < len(log_ticks(span, span * 1000, most)) <= max(most, 2)


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-6, 1e6), st.floats(1.3, 1e5), st.integers(2, 9), st.booleans())
def test_an_axis_has_two_ticks_at_least_that_span_much_of_it(low: float, factor: float, most: int, log: bool) -> None:
    scale = scale_of(Axis("", log), low, low * factor, most)
    shares = [scale.share(tick) for tick in scale.ticks]
    assert 2 <= len(shares) <= max(most, 2) and len(set(scale.texts)) == len(shares)
    assert shares == sorted(shares) and shares[-1] - shares[0] > 0.35


def test_a_loss_that_falls_below_a_tenth_has_ticks_at_both_ends() -> None:
    assert scale_of(Axis(), 0.099, 0.84, 3).texts == ("0.2", "0.8")
    assert scale_of(Axis("", True), 0.099, 0.84, 3).texts == ("0.1", "0.2", "0.5")
    assert scale_of(Axis("", True), 0.12, 7.0, 9).texts == ("0.2", "0.5", "1.0", "2.0", "5.0")
    ended = scale_of(Axis(), 0.1, 9.0, 5, ends=(0.0, 1.0))
    assert (ended.low, ended.high) == (0, 1)


@pytest.mark.parametrize("many", [12, 13])
def test_no_two_curves_in_text_have_one_sign(many: int) -> None:
    curves = tuple(Curve(f"r{at}", [0, 1], [at, at]) for at in range(many))
    text = text_plot(Plot("", (Lines("l", Axis("step"), Axis(), curves),))).render(80, False)
    found = [text.count(f"{sign} r") for sign in SIGNS]
    assert found == [1] * 12 if many == 12 else sum(map(text.count, SIGNS)) == 0 and "13 curves, too many" in text


def test_of_many_curves_the_shade_and_its_range_are_told() -> None:
    curves = tuple(Curve(f"r{at}", [0, 1], [at, at], shade=at / 10) for at in range(20))
    plot = Plot("", (Lines("l", Axis("step"), Axis(), curves, (), Axis("lr")),))
    assert "20 curves, lr from 0 (dark) to 1.9 (bright)" in text_plot(plot).render(80, True)


def test_beyond_the_ends_of_an_axis_nothing_is_drawn_in_text() -> None:
    curve = Curve("a", [0, 1, 2], [5.0, 0.5, 0.4])
    text = text_plot(Plot("", (Lines("l", Axis("step"), Axis(), (curve,), (), None, (0.0, 1.0)),))).render(60, False)
    assert "1.0 ┤\n" in text and not any(sign in line for line in text.split("\n")[1:8] for sign in "⠁⠉⠒⠤⢄")


def test_a_picture_for_a_paper_has_its_legend_and_pixels_where_they_are_wanted() -> None:
    from PIL import Image

    made = picture(PLOT, "png", width=3, height=2, look=Look(dpi=300, legend="below"))
    assert Image.open(io.BytesIO(made)).size == (900, 600)
    drawn = {at: picture(PLOT, "svg", width=3, height=2, look=Look(legend=at)) for at in LEGENDS}
    assert len(set(drawn.values())) == len(LEGENDS)
    assert b"legend" not in drawn["off"] and b"legend_1" in drawn["inside"]


def test_ticks_are_written_as_people_write_them() -> None:
    assert tick_texts([0.0, 0.5, 1.0]) == ["0.0", "0.5", "1.0"]
    assert tick_texts([0, 200_000, 400_000]) == ["0", "200,000", "400,000"]
    assert tick_texts([0.01, 1.0, 100.0]) == ["0.01", "1", "100"]
    assert tick_texts([1e-6, 1e-3]) == ["1e-6", "1e-3"]
    assert scale_of(Axis("time", unit="s"), 0, 7200, 5).label == "time (h)"
    assert scale_of(Axis("", unit="bytes"), 0, 2**31, 5).label == "GiB"


def test_the_numbers_are_json_and_say_what_is_no_number() -> None:
    plot = Plot(
        "t", (Lines("l", Axis("step"), Axis(), (Curve("c", np.array([0.0, 1.0]), np.array([math.nan, 2.0])),)),)
    )
    found = json.loads(json_text(plot))
    assert found == plot_json(plot)
    assert found["panels"][0]["kind"] == "lines" and found["panels"][0]["curves"][0]["ys"] == ["NaN", 2.0]


@pytest.mark.parametrize(
    ("wish", "word"),
    [
        (Wish(Path("a.gif")), "gif"),
        (Wish(Path("plot")), "no ending"),
        (Wish(Path("a.png"), as_json=True), "--json"),
        (Wish(Path("a.png"), size="10"), "--size"),
        (Wish(Path("a.png"), size="1e9x3"), "--size"),
        (Wish(size="nanx3"), "--size"),
        (Wish(Path("a.eps")), ".eps"),
        (Wish(Path("a.svg"), dpi=300), "--dpi"),
        (Wish(Path("a.png"), dpi=100_000), "--dpi"),
        (Wish(legend="left"), "--legend"),
    ],
)
def test_a_wish_that_cannot_be_is_told_at_once(wish: Wish, word: str) -> None:
    with pytest.raises(UsageError, match=re.escape(word)):
        form_of(wish)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "link.svg").symlink_to("real.svg")
    written(tmp_path / "link.svg", b"1")
    assert (tmp_path / "real.svg").read_bytes() == b"1" and (tmp_path / "link.svg").is_symlink()
    with pytest.raises(StorageError):
        written(tmp_path / "nowhere" / "a.svg", b"1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.svg", "real.svg"]


@pytest.mark.parametrize(
    ("variables", "way"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/x"}, "off"),
        ({"TERM": "dumb"}, "off"),
        ({"TERM": "xterm-256color"}, "off"),
        ({"TERM": "xterm-256color", "WT_SESSION": "1"}, None),
    ],
)
def test_the_environment_says_what_a_terminal_shows(variables: Mapping[str, str], way: str | None) -> None:
    assert by_environment(variables) == way


def test_a_variable_decides_how_pictures_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTRACK_PICTURES", "off")
    assert shows_pictures(io.StringIO()) is None
    monkeypatch.setenv("MLTRACK_PICTURES", "sixel")
    assert shows_pictures(io.StringIO()) == "sixel"
    monkeypatch.setenv("MLTRACK_PICTURES", "telex")
    with pytest.raises(UsageError):
        shows_pictures(io.StringIO())


def test_a_picture_passes_through_each_protocol() -> None:
    import base64

    from PIL import Image

    random = np.random.default_rng(0)
    pixels = np.repeat(np.repeat(random.integers(0, 2, (4, 5, 3), np.uint8) * 255, 5, axis=0), 3, axis=1)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    data = buffer.getvalue()
    chunks = re.findall(r"\x1b_G[^;]*m=([01]);([^\x1b]*)\x1b\\", in_kitty(data * 50))
    assert base64.b64decode("".join(text for _, text in chunks)) == data * 50
    assert [more for more, _ in chunks] == ["1"] * (len(chunks) - 1) + ["0"]
    assert base64.b64decode(in_iterm(data).partition(":")[2].rstrip("\x07\n")) == data
    assert (unsixeled(in_sixel(data), pixels.shape) == pixels).all()


def unsixeled(text: str, shape: tuple[int, ...]) -> Any:
    """What a terminal would draw."""
    found = np.zeros((shape[0] + 5, *shape[1:]), np.uint8)
    palette: dict[int, list[int]] = {}
    x = y = colour = 0
    body = text[text.index('"') : text.index("\x1b\\")]
    for match in re.finditer(r"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)([?-~])|([?-~])|(\$)|(-)", body):
        if match[1] and match[2]:
            palette[int(match[1])] = [round(int(part) * 2.55) for part in match.groups()[1:4]]
        elif match[1]:
            colour = int(match[1])
        elif match[8]:
            x = 0
        elif match[9]:
            x, y = 0, y + 6
        else:
            many, sign = int(match[5] or 1), match[6] or match[7]
            for bit in range(6):
                if (ord(sign) - 63) >> bit & 1:
                    found[y + bit, x : x + many] = palette[colour]
            x += many
    return found[: shape[0]]


def test_without_a_terminal_the_plot_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTRACK_PICTURES", "kitty")
    text = rendered(PLOT, Wish(), io.StringIO())
    assert "\x1b" not in text and "a remark" in text and "┤" in text
    assert terminal.PATIENCE_S <= 0.1


def test_own_settings_are_put_back_after_an_error() -> None:
    before = settings_now()
    with pytest.raises(ZeroDivisionError), own_settings():
        raise ZeroDivisionError
    assert settings_now() == before
