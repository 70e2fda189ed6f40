from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from mltrack.digest import canonical_json, digest_bytes, digest_json, from_raw, keyed_digest, plain, to_raw
from mltrack.noun_json import from_dict, to_dict
from mltrack.records import ID_ALPHABET, CodeState, Input, LeftOut, NestedCode, Run, new_id
from tests.compare.samples import sample_run

FIELDS = [
    "schema",
    "id",
    "name",
    "experiment",
    "status",
    "command",
    "cwd",
    "exit_code",
    "signal",
    "seed",
    "created_at",
    "started_at",
    "finished_at",
    "duration_s",
    "user",
    "host",
    "why",
    "tags",
    "notes",
    "fingerprint",
    "code",
    "environment",
    "hardware",
    "params",
    "param_sources",
    "inputs",
    "artifacts",
    "metrics",
    "recognised",
    "series",
    "log",
    "resources",
    "ranks",
    "observation",
    "preflight",
    "parent",
    "verdict",
    "calibrations",
    "environment_kept",
    "imported",
    "warnings",
    "declared",
    "origin",
    "record_digest",
]


def test_the_fields_of_a_run_are_those_of_the_machine_interface() -> None:
    assert [item.name for item in dataclasses.fields(Run)] == FIELDS


def test_a_run_comes_back_from_its_json() -> None:
    run = sample_run()
    assert from_dict(Run, to_dict(run)) == run


def test_a_nested_repository_comes_back_from_its_json() -> None:
    inner = CodeState(commit="b" * 40, left_out=(LeftOut("big", 1, "size"),))
    code = CodeState(commit="a" * 40, nested=(NestedCode("sub", inner),))
    assert from_dict(CodeState, to_dict(code)) == code


def test_a_path_that_is_not_utf8_keeps_its_bytes() -> None:
    item = Input("caf\udce9", "file", None)
    data = to_dict(item)
    assert plain(data)["path"] == "caf\ufffd"
    assert data["path_b64"] == "Y2Fm6Q=="
    assert from_dict(Input, plain(data)) == item


def test_a_field_from_a_newer_version_is_ignored() -> None:
    assert from_dict(LeftOut, {"path": "a", "size_bytes": 1, "reason": "r", "colour": "red"}) == LeftOut("a", 1, "r")


def test_ids_are_sixteen_characters_of_crockford() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(one) == 16 and set(one) <= set(ID_ALPHABET) for one in ids)


def test_digests_are_pinned() -> None:
    assert digest_bytes(b"abc") == "b3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
    assert digest_json({"b": [1, 2.5, None], "a": "ü"}) == digest_bytes('{"a":"ü","b":[1,2.5,null]}'.encode())


def test_canonical_json_names_what_json_cannot_say() -> None:
    assert canonical_json([float("nan"), float("inf"), float("-inf")]) == b'["NaN","Infinity","-Infinity"]'


def test_keyed_digests_tell_the_borders_of_their_parts() -> None:
    key = bytes(32)
    assert keyed_digest(key, [b"ab", b"c"]) != keyed_digest(key, [b"a", b"bc"])
    assert keyed_digest(key, [b"a"]) != keyed_digest(bytes([1] * 32), [b"a"])


@given(st.binary(min_size=32, max_size=32))
def test_a_raw_digest_comes_back(raw: bytes) -> None:
    assert to_raw(from_raw(raw)) == raw


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_canonical_json_does_not_depend_on_the_order_of_keys(value: object) -> None:
    def turned(item: object) -> object:
        if isinstance(item, dict):
            return {key: turned(item[key]) for key in reversed(list(item))}
        return [turned(one) for one in item] if isinstance(item, list) else item

    assert canonical_json(value) == canonical_json(turned(value))
