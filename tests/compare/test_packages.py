"""What became of packages between two environments: versions in order, builds, places; mirrored when swapped."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.compare.packages import direction, of_packages
from mltrack.environments import Package

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))

ORDERED = [
    "0.9", "1.0.dev1", "1.0a1", "1.0a2", "1.0b1", "1.0rc1", "1.0rc2", "1.0", "1.0.post0", "1.0.post1", "1.0.1", "1.2",
    "1.10", "2.0rc1", "2", "10.0", "1!0.1",
]  # fmt: skip


@pytest.mark.parametrize("place", range(len(ORDERED) - 1))
def test_versions_are_put_in_order(place: int) -> None:
    lower, higher = ORDERED[place], ORDERED[place + 1]
    assert direction(lower, higher) == "up" and direction(higher, lower) == "down"


@pytest.mark.parametrize(("a", "b"), [("1.0+cpu", "1.0+cu118"), ("unknown", "strange"), ("1.0", "1.0.0")])
def test_versions_without_an_order_have_changed(a: str, b: str) -> None:
    assert direction(a, b) == "changed" == direction(b, a)


def test_one_version_may_be_two_builds_or_from_two_places() -> None:
    one = Package("a", "1", "index", "https://one", identity="x")
    assert [change.kind for change in of_packages([one], [Package("a", "1", "index", identity="y")])] == ["build"]
    assert of_packages([one], [Package("a", "1", "url", "https://b/a.whl", identity="x")]) == []
    git = Package("a", "1", "vcs", "git+https://b@1")
    assert [change.kind for change in of_packages([one], [git])] == ["place"]
    assert of_packages([Package("a", "1", "index", "https://one")], [Package("a", "1", "index", "https://two")]) == []
    assert of_packages([Package("a", "1")], [git]) == []


PACKAGES = st.dictionaries(
    st.sampled_from("abcdefg"),
    st.tuples(
        st.sampled_from([*ORDERED, "x"]), st.sampled_from(["", "index", "vcs"]), st.sampled_from([None, "1", "2"])
    ),
).map(lambda found: [Package(name, version, source, identity=one) for name, (version, source, one) in found.items()])
MIRROR = {"added": "removed", "removed": "added", "up": "down", "down": "up"}


@settings(max_examples=150 * SOAK, deadline=None)
@given(PACKAGES, PACKAGES)
def test_swapping_mirrors_the_changes_and_none_is_missed(a: list[Package], b: list[Package]) -> None:
    there, back = of_packages(a, b), of_packages(b, a)
    assert [(one.name, MIRROR.get(one.kind, one.kind), one.b, one.a) for one in there] == [
        (one.name, one.kind, one.a, one.b) for one in back
    ]
    assert of_packages(a, a) == []
    before, after = ({one.name: one.version for one in side} for side in (a, b))
    moved = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert moved == {one.name for one in there if one.kind not in ("build", "place")}
