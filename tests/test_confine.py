from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrack.confine import checked_parts, inside, link_stays_inside
from mltrack.errors import Damaged


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a//b", "", ".", "a/./b", "a\0b", "a/"])
def test_a_path_that_leaves_or_is_not_plain_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(Damaged):
        inside(tmp_path, path)


def test_a_parent_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/")
    with pytest.raises(Damaged, match="symbolic link"):
        inside(tmp_path, "link/etc")
    assert inside(tmp_path, "link") == tmp_path / "link"


@given(
    st.lists(
        st.binary(min_size=1, max_size=8).filter(lambda part: part not in (b".", b"..") and not set(part) & {0, 47}),
        min_size=1,
    )
)
def test_plain_parts_come_back(parts: list[bytes]) -> None:
    assert checked_parts(b"/".join(parts)) == parts


@pytest.mark.parametrize(
    ("path", "target", "stays"),
    [
        (b"a", b"b", True),
        (b"a", b"../b", False),
        (b"d/a", b"../b", True),
        (b"d/a", b"../../b", False),
        (b"a", b"/b", False),
        (b"d/a", b"x/../../../b", False),
    ],
)
def test_a_link_is_followed_on_paper(path: bytes, target: bytes, stays: bool) -> None:
    assert link_stays_inside(path, target) is stays
