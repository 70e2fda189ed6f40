"""Changing one value of a params file."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.digest import canonical_json
from mltrack.errors import UsageError
from mltrack.formats.documents import flatten, parse
from mltrack.formats.overrides import edit_file
from mltrack.formats.params import load_params
from mltrack.formats.scalars import parse_value
from tests.formats.soak import examples


@pytest.mark.parametrize(
    ("suffix", "data", "key", "text", "edited"),
    [
        (".yaml", "a: 1  # one\r\nb: 2\r\n", "a", "5", "a: 5  # one\r\nb: 2\r\n"),
        (".yaml", "m: {a: 1, b: [x, y]} # c\n", "m.b", "[1, 2]", "m: {a: 1, b: [1, 2]} # c\n"),
        (".yaml", "m: {a: 1, b: 2}\n", "m.b", "x, y", 'm: {a: 1, b: "x, y"}\n'),
        (".yaml", "a: 'x'\nb: \"y\"\n", "a", "it's", "a: 'it''s'\nb: \"y\"\n"),
        (".yaml", "a: 'x'\nb: \"y\"\n", "b", "z", "a: 'x'\nb: \"z\"\n"),
        (".yaml", "a: x\n", "a", '"0.1"', 'a: "0.1"\n'),
        (".yaml", "a: x\n", "a", "*x", 'a: "*x"\n'),
        (".yaml", "a: x\n", "a", "with # sign", 'a: "with # sign"\n'),
        (".yaml", "a:\nb: 1\n", "a", "3", "a: 3\nb: 1\n"),
        (".yaml", "a: 1\n", "a", "", "a: \n"),
        (".yaml", "a: 1", "a", "1e-3", "a: 1.0e-3"),
        (".yaml", "a: 1", "a", "2.5E3", "a: 2.5E+3"),
        (".yaml", "a: 1", "a", "0o17", "a: 15"),
        (".yaml", "a: 1", "a", "017", "a: 17"),
        (".yaml", "a: 1", "a", "[.inf, 1e-7, {b: null}]", 'a: [.inf, 1e-07, {"b": null}]'),
        (".yaml", "- é: 1\n", "x", "1", None),
        (".yml", "é: ü # ö\nz: 1\n", "z", "ñ", "é: ü # ö\nz: ñ\n"),
        (".yaml", "\ufeffa: 1\nb: 2\n", "b", "3", "\ufeffa: 1\nb: 3\n"),
        (".yaml", "a:\n  b:\n    c: 1\n  d: 2\n", "a.b.c", "true", "a:\n  b:\n    c: true\n  d: 2\n"),
        (".json", '{\n  "a": {"b": 1},\r\n\t"c": "x"}', "c", "0.5", '{\n  "a": {"b": 1},\r\n\t"c": 0.5}'),
        (".json", '{"a": {"b": [1, {"c": 2}]}}', "a.b", "x", '{"a": {"b": "x"}}'),
        (".json", '{"a": 1, "b": {"a": 2}}', "b.a", "[1, .5]", '{"a": 1, "b": {"a": [1, 0.5]}}'),
        (".json", '{"a\\n\\u00e9": 1}', "a\né", "2", '{"a\\n\\u00e9": 2}'),
        (".json", '{"a": 1}', "a", ".5", '{"a": 0.5}'),
        (".toml", "a = 1 # one\n[t]\na = 'x'\n", "t.a", "y", "a = 1 # one\n[t]\na = 'y'\n"),
        (".toml", 'a.b."c d" = """x""" # c\n', "a.b.c d", "1", 'a.b."c d" = 1 # c\n'),
        (".toml", "t = {a = 1, b = {c = [1, 2]}, d = 3}\n", "t.b.c", "[]", "t = {a = 1, b = {c = []}, d = 3}\n"),
        (".toml", "x = [\n  {a = 1}, # ]\n]\ny = 2\n", "y", "3", "x = [\n  {a = 1}, # ]\n]\ny = 3\n"),
        (".toml", "d = 2020-01-02\n", "d", "2021-03-04", "d = 2021-03-04\n"),
        (".toml", "d = 2020-01-02 03:04:05 # t\n", "d", "x y", 'd = "x y" # t\n'),
        (".toml", "f = 1.0\n", "f", ".5", "f = 0.5\n"),
        (".toml", "f = 1.0\n", "f", ".inf", "f = inf\n"),
        (".toml", "f = 1.0\n", "f", "007", "f = 7\n"),
        (".toml", "[[r]]\nx = 1\n[[r]]\nx = 2\n[t]\nx = 3\n", "t.x", "4", "[[r]]\nx = 1\n[[r]]\nx = 2\n[t]\nx = 4\n"),
        (".ini", "[a]\nx = 1\n[b]\nx: 2 \n", "b.x", "3", "[a]\nx = 1\n[b]\nx: 3 \n"),
        (".cfg", "[a]\r\nx = 1\r\ny =\r\n", "a.x", "some text", "[a]\r\nx = some text\r\ny =\r\n"),
        (".ini", "[a]\nx = 1\n", "a.x", "[1, 2]", "[a]\nx = [1, 2]\n"),
        (".py", "é = 'ü'; LR = 0.1  # rate\n", "LR", "1e-3", "é = 'ü'; LR = 1e-3  # rate\n"),
        (".py", 'D = {"a": {"b": -1}, "c": (2)}\n', "D.a.b", "5", 'D = {"a": {"b": 5}, "c": (2)}\n'),
        (".py", "class C:\n\tN: str = 'x'\n", "C.N", "it's", 'class C:\n\tN: str = "it\'s"\n'),
        (".py", 'N = "x"\n', "N", "y", 'N = "y"\n'),
        (".py", "T = (1, 2)\nU = 3\n", "T", "[4]", "T = (4,)\nU = 3\n"),
        (".py", "T = (1, 2)\nU = 3\n", "T", "[4, 5]", "T = (4, 5)\nU = 3\n"),
        (".py", "A = 1\nA = 2\n", "A", "null", "A = 1\nA = None\n"),
        (".py", "S = '''\nx\n'''\r\nA = 2\r\n", "A", "true", "S = '''\nx\n'''\r\nA = True\r\n"),
    ],
)
def test_only_the_values_span_changes(suffix: str, data: str, key: str, text: str, edited: str | None) -> None:
    if edited is None:
        with pytest.raises(UsageError):
            edit_file(data.encode(), suffix, key, text)
    else:
        assert edit_file(data.encode(), suffix, key, text) == edited.encode()


@pytest.mark.parametrize(
    ("suffix", "data", "key", "text"),
    [
        (".yaml", "a: &x 1\nb: *x\n", "a", "2"),
        (".yaml", "a: &x 1\nb: *x\n", "b", "2"),
        (".yaml", "base: &b {lr: 1}\nx:\n  <<: *b\n", "base.lr", "2"),
        (".yaml", "base: &b {lr: 1}\nx:\n  <<: *b\n", "x.lr", "2"),
        (".yaml", "a: !!str 1\n", "a", "2"),
        (".yaml", "a: |\n  text\n", "a", "2"),
        (".yaml", "a:\n  - 1\n  - 2\n", "a", "[3]"),
        (".yaml", "a: 1\na: 2\n", "a", "3"),
        (".yaml", "a: {b: 1}\na.b: 2\n", "a.b", "3"),
        (".json", '{"a": 1, "a": 2}', "a", "3"),
        (".json", '{"a": [1,\n2]}', "a", "3"),
        (".json", '{"a": {"b": 1}}', "a", "3"),
        (".json", "[1]", "0", "3"),
        (".toml", "a = 1\n", "a", "null"),
        (".toml", "a = [1,\n2]\n", "a", "3"),
        (".toml", "a = [{b = 1}]\n", "a.b", "3"),
        (".ini", "[a]\nx = 1\n  more\n", "a.x", "3"),
        (".ini", "[a]\nx = 1\nx = 2\n", "a.x", "3"),
        (".ini", "[a]\nx = 1\n", "a.x", "'0.1'"),
        (".ini", "[a]\nflag\n", "a.flag", "1"),
        (".py", "A = B = 1\n", "A", "2"),
        (".py", "A = compute()\n", "A", "2"),
        (".py", "A = [1,\n2]\n", "A", "2"),
        (".py", "A = 1\n", "A", ".inf"),
        (".yaml", "a: [1\n", "a", "2"),
        (".txt", "a: 1\n", "a", "2"),
    ],
)
def test_what_cannot_be_changed_alone_is_refused(suffix: str, data: str, key: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        edit_file(data.encode(), suffix, key, text)
    assert caught.value.hint


def test_an_unknown_key_lists_the_nearest_first() -> None:
    with pytest.raises(UsageError) as caught:
        edit_file(b"epochs: 1\nlearning_rate: 1\n", ".yaml", "learning_rat", "1")
    assert caught.value.hint == "Known keys: learning_rate, epochs."


NAMES = st.sampled_from(["a", "b", "lr", "x-y", "deep_er", "Ünï", "n1"])
TEXTS = st.one_of(
    st.sampled_from(
        ["1", "-2", "0.5", "1e-3", "2.5E+7", ".5", "5.", "007", "0o17", "0x1f", "true", "null", "~", "on", "no", ".inf",
         "-.inf", ".nan", "2020-01-02", "'quoted'", '"12"', "[1, [x, 2.5], null]", "{a: 1, b: {c: x}}", "[]", "{}", "",
         "a: b", "# c", "a # b", "- x", "it's", 'say "hi"', "back\\slash", "%", "@x", "`", "&a", "*a", "!t", "?",
         ":", "|"]
    ),
    st.floats().map(lambda value: {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(repr(value), repr(value))),
    st.integers(-(10**20), 10**20).map(str),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8).map(str.strip),
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(st.integers(-9, 9), st.sampled_from([0.5, True, "text", "é", "two words", "#", "it's"])),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


def quote(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, str, str, str, str]:
    """(suffix, text before a value, the value, text after it, its key) of a file of two levels."""
    suffix = draw(st.sampled_from([".yaml", ".json", ".toml", ".py", ".ini"]))
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    groups = draw(
        st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, min_size=1, max_size=3), min_size=1, max_size=3)
    )
    if suffix == ".py":
        groups = {group.replace("-", "_"): members for group, members in groups.items()}
    chosen = draw(st.sampled_from([(g, k) for g, members in groups.items() for k in members]))
    comment = "" if suffix in (".json", ".ini") else draw(st.sampled_from(["", " # what: it = is, \"é\" 'o'"]))
    flow = draw(st.booleans()) and suffix in (".yaml", ".toml")
    lines: list[str] = []
    for group, members in groups.items():
        lines.append(opening(suffix, group, flow))
        for key, value in members.items():
            mark = (
                "\0"
                if (group, key) == (chosen[0].replace("-", "_") if suffix == ".py" else chosen[0], chosen[1])
                else ""
            )
            lines.append(
                member(suffix, flow, quote(key), f"{mark}{written(suffix, value)}{mark}") + ("" if flow else comment)
            )
        if flow or suffix in (".json", ".py"):
            lines.append("}" + ("," if suffix == ".json" else ""))
    text = (newline if not flow else " ").join(lines) if suffix != ".json" else "{" + newline.join(lines) + "}"
    if flow:
        text = text.replace("} ", "}" + comment + newline).replace(", }", "}").replace("{ ", "{")
    if suffix == ".json":
        text = text.replace("," + newline + "}", newline + "}").replace(",}", "}")
    before, value, after = text.split("\0")
    return suffix, before, value, after + newline, f"{chosen[0]}.{chosen[1]}"


def opening(suffix: str, group: str, flow: bool) -> str:
    if flow:
        return f"{quote(group)}{': ' if suffix == '.yaml' else ' = '}{{"
    return {
        ".yaml": f"{quote(group)}:",
        ".json": f"{quote(group)}: {{",
        ".toml": f"[{quote(group)}]",
        ".py": f"{group} = {{",
    }.get(suffix, f"[{group}]")


def member(suffix: str, flow: bool, key: str, value: str) -> str:
    if suffix == ".ini":
        return f"{json.loads(key)} = {value}"
    if flow:
        return f"{key}{': ' if suffix == '.yaml' else ' = '}{value},"
    return {".yaml": f"  {key}: {value}", ".json": f"  {key}: {value},", ".toml": f"{key} = {value}"}.get(
        suffix, f"  {key}: {value},"
    )


def written(suffix: str, value: object) -> str:
    if suffix == ".py":
        return repr(value)
    return value if suffix == ".ini" and isinstance(value, str) else quote(value)


@settings(max_examples=examples(400))
@given(documents(), TEXTS)
def test_an_edit_changes_one_key_and_no_other_byte(document: tuple[str, str, str, str, str], text: str) -> None:
    suffix, before, value, after, key = document
    data = f"{before}{value}{after}".encode()
    old = flatten(parse(data, suffix))
    assert key in old
    try:
        edited = edit_file(data, suffix, key, text)
    except UsageError:
        assert cannot_say(suffix, parse_value(text), text)
        return
    assert edited.startswith(before.encode()) and edited.endswith(after.encode())
    wanted = {name: item for name, item in old.items() if name != key} | flatten({key: parse_value(text)})
    assert canonical_json(flatten(parse(edited, suffix))) == canonical_json(wanted)


def cannot_say(suffix: str, value: object, text: str) -> bool:
    """Values that a format lacks: null in TOML, infinities in Python, quoted or odd text in INI."""
    lists = "null" in text or "~" in text
    return {
        ".toml": value is None or (lists and isinstance(value, (list, dict))),
        ".py": isinstance(value, float) and repr(value).lstrip("-") in ("inf", "nan"),
        ".ini": text[:1] in ("'", '"') or (text[:1] == "{" and ":" not in text),
    }.get(suffix, False)


@settings(max_examples=examples(100))
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_written_to_yaml_is_a_number_for_pyyaml_too(value: float) -> None:
    edited = edit_file(b"a: 1\n", ".yaml", "a", repr(value))
    assert yaml.safe_load(edited) == {"a": value}


def test_an_edited_python_file_still_runs(tmp_path: Path) -> None:
    path = tmp_path / "c.py"
    path.write_bytes(edit_file(b"A = {'x': [1, 2]}\nB = A['x']\n", ".py", "A.x", "[3, a]"))
    assert load_params(path) == {"A.x": [3, "a"]}
    ast.parse(path.read_bytes())
