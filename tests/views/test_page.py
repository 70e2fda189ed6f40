from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrack.views.page import Grid, Page
from mltrack.views.text import cell_width
from tests.compare.strategies import quick

ANSI = re.compile(r"\x1b\[[0-9;]*m")
cells = st.one_of(st.text(max_size=30), st.tuples(st.text(max_size=30), st.sampled_from(["", "bold red", "dim"])))


def one_grid(rows: list[list[object]], **more: object) -> Page:
    page = Page()
    page.grid(Grid(rows, "<>", **more))  # type: ignore[arg-type]
    return page


@quick
@given(st.lists(st.lists(cells, min_size=2, max_size=2), min_size=1, max_size=4), st.integers(30, 60))
def test_a_grid_fits_its_terminal_and_colour_changes_no_character(rows: list[list[object]], width: int) -> None:
    page = one_grid(rows)
    plain = page.render(width, colour=False)
    coloured = page.render(width, colour=True)
    assert all(cell_width(line) <= width for line in plain.split("\n"))
    assert "\x1b" not in plain
    assert [line.rstrip(" ") for line in ANSI.sub("", coloured).split("\n")] == plain.split("\n") or not plain.strip()


@quick
@given(st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1), min_size=2, max_size=2))
def test_a_pipe_gets_every_cell_whole(row: list[str]) -> None:
    assert one_grid([row]).render(None, colour=False).split() == row


def test_columns_are_aligned_by_cells_not_by_characters() -> None:
    drawn = one_grid([["训练", "1"], ["abc", "22"]]).render(80, colour=False)
    assert drawn == "  训练   1\n  abc   22\n"


def test_a_terminal_shows_the_first_rows_and_says_how_many_more() -> None:
    page = one_grid([[str(place), ""] for place in range(1005)], limit=3)
    assert page.render(80, colour=False).split("\n")[-2] == "  ... and 1,002 more"
    assert len(page.render(None, colour=False).split("\n")) == 1006


def test_a_field_is_wrapped_beside_its_label_on_a_terminal_only() -> None:
    page = Page()
    page.field("Why", "one two three four five six seven eight nine ten")
    assert page.render(40, colour=False).split("\n")[:2] == [
        "Why          one two three four five six",
        "             seven eight nine ten",
    ]
    assert page.render(None, colour=False) == "Why          one two three four five six seven eight nine ten\n"


def test_a_word_longer_than_the_line_keeps_a_line_of_its_own() -> None:
    page = Page()
    page.field("Why", f"a {'x' * 99} b")
    assert [line.strip() for line in page.render(40, colour=False).split("\n")] == ["Why          a", "x" * 99, "b", ""]


def test_a_terminal_too_narrow_for_a_grid_still_gets_it() -> None:
    assert one_grid([["a" * 50, "b" * 50]]).render(10, colour=False).count("…") == 2


def test_hints_are_for_terminals() -> None:
    page = Page()
    page.line("data")
    page.hint("advice")
    assert page.render(None, colour=False) == "data\n"
    assert page.render(80, colour=False) == "data\nadvice\n"


def test_an_empty_page_is_no_text_and_blank_lines_do_not_pile_up() -> None:
    page = Page()
    assert page.render(80, colour=True) == ""
    page.blank()
    page.line("a")
    page.blank()
    page.heading("B", "aside")
    assert page.render(80, colour=False) == "a\n\nB  aside\n"


@pytest.mark.parametrize("recorded", ["\x1b[2J", "\x1b]52;c;aGk=\x07", "\x9b31m", "a\rb", "\u202e"])
def test_no_recorded_text_reaches_the_terminal_raw(recorded: str) -> None:
    page = Page()
    page.line(recorded, (recorded, "red"))
    page.field("Why", recorded)
    page.grid(Grid([[recorded]], "<", header=[recorded]))
    assert recorded not in ANSI.sub("", page.render(80, colour=True))
