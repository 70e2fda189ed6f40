"""The bar of lines is git's, and a coloured patch is the patch."""

from __future__ import annotations

import difflib

from hypothesis import given
from hypothesis import strategies as st

from mltrack.compare.differences import CodeChange
from mltrack.views.diff.code import Patch, Stat, total
from mltrack.views.text import cell_width, clean, without_colour
from tests.compare.strategies import quick

lines = st.lists(st.text("ab =(1\t\x1b日", max_size=12), max_size=8)


@quick
@given(lines, lines)
def test_a_coloured_patch_says_what_the_plain_one_does(old: list[str], new: list[str]) -> None:
    patch = Patch("\n".join(["diff --git a/x b/x", *difflib.unified_diff(old, new, "a/x", "b/x", lineterm="")]))
    assert [without_colour(line) for line in patch.draw(80, True)] == patch.draw(None, False)


def test_only_the_words_that_differ_are_reversed() -> None:
    patch = Patch("diff --git a/x b/x\n@@ -1 +1 @@\n-lr = 0.1\n+lr = 0.2\n-gone\n context")
    drawn = patch.draw(80, True)
    assert drawn[2] == "\x1b[31m-\x1b[0m\x1b[31mlr = 0.\x1b[0m\x1b[31;7m1\x1b[0m"
    assert drawn[4:] == ["\x1b[31m-gone\x1b[0m", " context"]


def test_a_line_that_was_taken_away_is_no_head_of_a_file() -> None:
    patch = Patch("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n--- a comment of SQL\n+++ and one more")
    drawn = patch.draw(80, True)
    assert drawn[1] == "\x1b[1m--- a/x\x1b[0m"
    assert drawn[4].startswith("\x1b[31m")


def test_a_bar_is_fitted_and_lines_that_are_there_are_never_none() -> None:
    files = [CodeChange("M", "a.py", 4000, 1), CodeChange("A", "x" * 90, 1, 0), CodeChange("R", "a -> b", 0, 0)]
    for width in (40, 80, 200):
        drawn = Stat(files).draw(width, False)
        assert all(cell_width(line) <= width for line in drawn[:-1])
        assert drawn[0].endswith("+-")
        assert drawn[1].endswith("1  +")
        assert drawn[2].endswith("0")
    assert "x" * 90 in Stat(files).draw(None, False)[1]


def test_the_sum_is_in_git_s_words() -> None:
    assert total([CodeChange("M", "a", 1, 0)]) == "1 file changed, 1 insertion(+)"
    assert (
        total([CodeChange("M", "a", 2, 1), CodeChange("M", "b")]) == "2 files changed, 2 insertions(+), 1 deletion(-)"
    )


@quick
@given(st.text(), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(20, 300))
def test_any_file_has_a_line_that_fits(path: str, added: int, removed: int, width: int) -> None:
    line = Stat([CodeChange("M", path, added, removed)]).draw(width, False)[0]
    assert cell_width(line) <= max(width, 40)
    assert clean(line) == line
