"""The index of directories' members: it says what the manifests say, and is never in the way."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mltrack.digest import digest_bytes
from mltrack.store.manifest import ManifestEntry, encode_manifest
from mltrack.store.members import APPLICATION_ID, Lost, Member, Members
from mltrack.store.objects import Store
from tests.operations.content_made import manifest

ONE, TWO = b"content one", b"content two"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    with Store.open(tmp_path / "store") as opened:
        yield opened


def filled(path: Path, store: Store, *manifests: bytes) -> Members:
    digests = [store.put_bytes(data) for data in manifests]
    store.flush()
    members = Members.open(path / "members.db")
    members.note(digests, "here", "1")
    members.read(store)
    return members


def test_a_file_is_found_in_every_directory_that_holds_it(tmp_path: Path, store: Store) -> None:
    first, second = manifest({"a/x.bin": ONE, "b": TWO}), manifest({"y.bin": ONE})
    with filled(tmp_path, store, first, second) as members:
        found = members.holding([digest_bytes(ONE)])
        assert {(one.manifest, one.path) for one in found} == {
            (digest_bytes(first), b"a/x.bin"), (digest_bytes(second), b"y.bin"),
        }  # fmt: skip
        assert {one.path for one in members.inside([digest_bytes(first)])} == {b"a/x.bin", b"b"}
        assert members.inside([digest_bytes(second)]) == [Member(digest_bytes(second), digest_bytes(ONE), b"y.bin", 11)]
        assert members.count() == 3 and len(members.every()) == 3


def test_what_says_nothing_is_not_in_it(tmp_path: Path, store: Store) -> None:
    link = digest_bytes(b"content one's target")
    data = encode_manifest(
        [
            ManifestEntry(b"empty", "file", 0, digest_bytes(b"")),
            ManifestEntry(b"seven", "file", 7, digest_bytes(b"7 bytes")),
            ManifestEntry(b"link", "link", 20, link),
            ManifestEntry(b"nothing", "directory", 0, None),
            ManifestEntry(b"run", "executable", 8, digest_bytes(b"8 bytes!")),
        ]
    )
    with filled(tmp_path, store, data) as members:
        assert [one.path for one in members.every()] == [b"run"]
        assert members.holding([link, digest_bytes(b""), digest_bytes(b"7 bytes")]) == []


def test_a_list_that_is_not_here_is_told_and_read_when_it_has_come(tmp_path: Path, store: Store) -> None:
    data = manifest({"a": ONE})
    with Members.open(tmp_path / "members.db") as members:
        members.note([digest_bytes(data)], "here", "1")
        members.read(store)
        assert members.unread() == [digest_bytes(data)] and members.holding([digest_bytes(ONE)]) == []
    store.put_bytes(data)
    store.flush()
    with Members.open(tmp_path / "members.db") as members:
        members.read(store)
        assert members.unread() == [] and len(members.holding([digest_bytes(ONE)])) == 1


def test_what_is_no_manifest_stays_unread_and_stops_nothing(tmp_path: Path, store: Store) -> None:
    with filled(tmp_path, store, b"no manifest at all", manifest({"a": ONE})) as members:
        assert members.unread() == [digest_bytes(b"no manifest at all")]
        assert len(members.holding([digest_bytes(ONE)])) == 1


def test_an_empty_directory_is_read_once(tmp_path: Path, store: Store) -> None:
    data = manifest({})
    with filled(tmp_path, store, data, manifest({"a": ONE})) as members:
        assert members.unread() == [] and members.inside([digest_bytes(data)]) == []


def test_it_remembers_how_far_a_source_was_looked_through(tmp_path: Path) -> None:
    with Members.open(tmp_path / "members.db") as members:
        assert members.position("ledger") is None
        members.note([], "ledger", "17 b3:x")
    with Members.open(tmp_path / "members.db") as members:
        assert members.position("ledger") == "17 b3:x" and members.position("other") is None


@pytest.mark.parametrize("content", [b"no database " * 100, b"", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_none_of_ours_is_thrown_away(tmp_path: Path, store: Store, content: bytes) -> None:
    (tmp_path / "members.db").write_bytes(content)
    with filled(tmp_path, store, manifest({"a": ONE})) as members:
        assert len(members.holding([digest_bytes(ONE)])) == 1


def test_one_of_another_version_is_made_anew(tmp_path: Path, store: Store) -> None:
    database = sqlite3.connect(tmp_path / "members.db")
    database.execute("CREATE TABLE member (something)")
    database.execute("PRAGMA user_version = 99")
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.close()
    with filled(tmp_path, store, manifest({"a": ONE})) as members:
        assert members.position("here") == "1" and len(members.every()) == 1


def test_damage_that_shows_later_is_told_and_leaves_a_new_index(tmp_path: Path, store: Store) -> None:
    with filled(tmp_path, store, manifest({f"file{number}": b"%d content" % number for number in range(2000)})):
        pass
    place = tmp_path / "members.db"
    data = bytearray(place.read_bytes())
    data[8192:] = b"\xaa" * (len(data) - 8192)  # behind the header and the schema
    place.write_bytes(data)
    with Members.open(place) as members:
        with pytest.raises(Lost):
            members.every()
        assert members.every() == [] and members.position("here") is None


def test_where_nothing_can_be_written_it_is_made_in_memory(tmp_path: Path, store: Store) -> None:
    data = manifest({"a": ONE})
    store.put_bytes(data)
    with Members.open(tmp_path / "not" / "there" / "members.db") as members:
        members.note([digest_bytes(data)], "here", "1")
        members.read(store)
        assert len(members.holding([digest_bytes(ONE)])) == 1
    assert not (tmp_path / "not").exists()


def test_two_that_read_the_same_list_add_it_once(tmp_path: Path, store: Store) -> None:
    data = manifest({"a": ONE, "b": TWO})
    store.put_bytes(data)
    with Members.open(tmp_path / "members.db") as first, Members.open(tmp_path / "members.db") as second:
        first.note([digest_bytes(data)], "here", "1")
        second.note([digest_bytes(data)], "here", "1")
        waiting = second.unread()
        first.read(store)
        second.unread = lambda: waiting  # type: ignore[method-assign]  # it looked before the first had read
        second.read(store)
        assert len(second.every()) == 2


CONTENTS = st.sampled_from([b"%d" % number * size for number in range(4) for size in (1, 9)])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from("abcde"), CONTENTS, max_size=4), max_size=4))
def test_it_says_what_the_manifests_say(
    tmp_path_factory: pytest.TempPathFactory, trees: list[dict[str, bytes]]
) -> None:
    path = tmp_path_factory.mktemp("members")
    with Store.open(path / "store") as store, filled(path, store, *map(manifest, trees)) as members:
        distinct = {manifest(tree): tree for tree in trees}
        rows = {
            (digest_bytes(data), digest_bytes(content), name.encode(), len(content))
            for data, tree in distinct.items()
            for name, content in tree.items()
            if len(content) >= 8
        }
        assert sorted(members.every()) == sorted(rows)
        assert sorted(members.holding({row[1] for row in rows})) == sorted(rows)
        assert sorted(members.inside([digest_bytes(data) for data in distinct])) == sorted(rows)
        for row in rows:
            assert members.beginning(row[1][:13]) == {other[1] for other in rows if other[1][:13] == row[1][:13]}
