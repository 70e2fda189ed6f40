from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mltrack.compare.members import Entry, FileChange, members_json, of_members
from tests.compare.strategies import quick

A, B, C = (Entry(path, f"b3:{path}", 3) for path in "abc")


def test_files_are_added_removed_changed_and_renamed() -> None:
    grown = Entry("b", "b3:grown", 9)
    moved = Entry("deep/c", "b3:c", 3)
    found = of_members([A, B, C], [grown, moved, Entry("new", None, 0, "directory")])
    assert [(one.path, one.kind) for one in found.files] == [
        ("a", "removed"), ("b", "changed"), ("c", "renamed"), ("new", "added"),
    ]  # fmt: skip
    assert members_json(found)["files"][2] == {
        "path": "c", "kind": "renamed", "a_bytes": 3, "b_bytes": 3, "b_path": "deep/c",
    }  # fmt: skip


def test_a_file_that_moved_keeps_its_name_where_several_have_its_bytes() -> None:
    found = of_members([Entry("x/a", "d", 1), Entry("x/b", "d", 1)], [Entry("y/b", "d", 1), Entry("y/a", "d", 1)])
    assert [(one.path, one.b.path) for one in found.files if one.b] == [("x/a", "y/a"), ("x/b", "y/b")]


def test_empty_files_are_not_taken_for_one_another() -> None:
    found = of_members([Entry("a", "e", 0)], [Entry("b", "e", 0)])
    assert [one.kind for one in found.files] == ["removed", "added"]


def test_a_mode_that_changed_is_a_change() -> None:
    assert of_members([A], [Entry("a", "b3:a", 3, "executable")]).files[0].kind == "changed"


MIRRORED = {"added": "removed", "removed": "added"}
SIZES = {"x": 0, "y": 1, "z": 2}
named = st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz")).map(lambda one: Entry(*one, SIZES[one[1]]))
entries = st.lists(named, unique_by=lambda one: one.path)


@quick
@given(entries, entries)
def test_swapping_mirrors_and_every_file_is_accounted_for(a: list[Entry], b: list[Entry]) -> None:
    forth, back = of_members(a, b), of_members(b, a)
    assert forth.unchanged == back.unchanged
    for kind in ("added", "removed", "changed", "renamed"):
        assert forth.count(kind) == back.count(MIRRORED.get(kind, kind))
    assert len(a) == forth.unchanged + sum(one.a is not None for one in forth.files)
    assert len(b) == forth.unchanged + sum(one.b is not None for one in forth.files)
    assert not of_members(a, a).files


def test_thousands_of_equal_files_that_moved_are_paired_in_order() -> None:
    many = 20_000
    old, new = ([Entry(f"{top}/{sign}{n:05}", "d", 1) for n in range(many)] for top, sign in (("x", "a"), ("y", "b")))
    found = of_members(old, new)
    assert found.count("renamed") == many
    assert found.files[7] == FileChange("x/a00007", "renamed", old[7], new[7])
