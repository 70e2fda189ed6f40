"""The graph of runs, drawn: trees that fit, DOT and Mermaid that hold whatever was recorded."""

from __future__ import annotations

import json
import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.ledger.asking.content import Brief, Holding
from mltrack.operations.origin.lineage import UNMADE, Edge, Leaf, Lineage, Shared
from mltrack.operations.origin.origins import Place
from mltrack.operations.origin.subject import Subject
from mltrack.views.lineage import dot, lineage_text, mermaid
from mltrack.views.lineage_tree import DEEPEST, FAN, Tree
from mltrack.views.text import cell_width

DIGEST = "b3:" + "a" * 64
NOW = 1_800_000_000.0


def brief(number: int, name: str | None = None, **changes: object) -> Brief:
    made = Brief(
        f"{number:016}", name, "finished", ("python", "step.py"), f"2026-01-01T{number % 24:02}:00:00.0Z", "~", False
    )
    return made._replace(**changes)


def edge(maker: int, user: int, made_as: str = "model.pt", others: int = 0, used_as: str | None = None) -> Edge:
    return Edge(f"{maker:016}", f"{user:016}", (Shared(made_as, used_as or made_as, DIGEST, 2048, 1, others),))


def graph(edges: list[Edge], start: int = 0, leaves: tuple[Leaf, ...] = (), **changes: object) -> Lineage:
    names = dict.fromkeys([f"{start:016}", *(end for one in edges for end in (one.maker, one.user))])
    values = {"run": f"{start:016}", "subject": None, "runs": {name: brief(int(name)) for name in names}}
    return Lineage(**{**values, "edges": tuple(edges), "leaves": leaves, **changes})


def leaf(user: int, path: str = "raw.csv", digest: str | None = DIGEST) -> Leaf:
    return Leaf(f"{user:016}", path, "file", digest, 100, 1, UNMADE)


def drawn(found: Lineage, width: int | None = None) -> str:
    return Tree(found, NOW).render(width, False)


def test_a_tree_has_what_it_came_from_and_what_used_it() -> None:
    found = graph([edge(0, 1, "clean.csv"), edge(1, 2, others=9, used_as="base.pt")], 1, (leaf(0),))
    lines = drawn(found).splitlines()
    assert lines[2] == "came from" and lines[3].startswith("└─ ✓ 00000000 python step.py")
    assert lines[3].endswith("made clean.csv (2.0 KiB)") and lines[4] == "   └─ raw.csv  100 B, no run made it"
    assert lines[6] == "was used by"
    assert lines[7].endswith("used model.pt (2.0 KiB) as base.pt (9 more runs made it)")


def test_a_run_reached_by_two_ways_is_drawn_out_once() -> None:
    text = drawn(graph([edge(0, 1), edge(0, 2), edge(1, 3), edge(2, 3)], 3, (leaf(0),)))
    assert text.count("raw.csv") == 1 and text.count("(again)") == 1


def test_a_wide_fan_is_counted_on_a_terminal_and_whole_in_a_pipe() -> None:
    found = graph([edge(0, number) for number in range(1, 421)])
    assert drawn(found, 80).count("used model.pt") == FAN and "... and 400 more; --json has them all" in drawn(
        found, 80
    )
    assert drawn(found).count("used model.pt") == 420


@pytest.mark.parametrize("width", [40, 80, 200])
def test_lines_fit_the_terminal(width: int) -> None:
    runs = graph(
        [edge(n, n + 1, "a directory/with a long name/" + "x" * 90) for n in range(30)], 30, (leaf(0, "日本" * 60),)
    )
    longest = max(cell_width(line) for line in drawn(runs, width).splitlines())
    assert longest <= width or width == 40, "below some width a line wraps"


def test_a_chain_of_thousands_goes_on_at_the_left_margin() -> None:
    text = drawn(graph([edge(n, n + 1) for n in range(5000)], 5000))
    lines = text.splitlines()
    assert max(map(len, lines)) < 3 * DEEPEST + 120 and len(lines) < 5000 * 1.3
    assert all(f" {n:08}"[:9] in text for n in (0,)) and text.count("(below)") == text.count("(from above)")


def test_a_cycle_ends() -> None:
    assert "(again)" in drawn(graph([edge(0, 1), edge(1, 0)]))


def test_a_content_is_told_with_its_first_maker_and_every_user() -> None:
    holding = Holding("0" * 16, "out", "directory", DIGEST, 9, 1)
    made = tuple(Place(f"{number:016}", "out/m", DIGEST, 9, holding) for number in (0, 5))
    used = (Place(f"{1:016}", "in/m", DIGEST, 9, holding),)
    found = graph([edge(0, 1)], 0, run=None, subject=Subject("m.pt", "file", DIGEST, 9), made=made, used=used, unread=2)
    text = drawn(found)
    assert text.startswith("m.pt  9 B, b3:aaaaaaaaaa\n") and "made out/m (1 more run made it)" in text
    assert "used in/m" in text and "What lies in 2 directories of runs is not known here" in text


def test_a_run_without_any_edge_says_so() -> None:
    assert "No run that is known here" in drawn(graph([]))


ODD = os.fsdecode(b'a "quoted" \\N name\n<b>&lt; | ; -- \xff {} [x] `t` #1')


def parsed_dot(text: str) -> tuple[set[str], set[tuple[str, str]]]:
    """Nodes and edges of a DOT file, by a small parser: each line one statement, strings in quotes."""
    string = r'"((?:[^"\\\n]|\\.)*)"'
    nodes, edges = set(), set()
    lines = text.rstrip("\n").split("\n")
    assert lines[0] == "digraph lineage {" and lines[-1] == "}"
    for line in lines[3:-1]:
        as_edge = re.fullmatch(rf"  {string} -> {string} \[label={string}\];", line)
        as_node = re.fullmatch(rf"  {string} \[label={string}(, [a-z=, ]+)?\];", line)
        assert as_edge or as_node, line
        if as_edge:
            edges.add((as_edge[1], as_edge[2]))
        else:
            nodes.add(as_node[1])
    return nodes, edges


def test_dot_and_mermaid_hold_whatever_was_recorded() -> None:
    found = graph([edge(0, 1, ODD)], 1, (leaf(0, ODD), leaf(1, ODD, None)))
    found = Lineage(**{**found.__dict__, "runs": {key: one._replace(name=ODD) for key, one in found.runs.items()}})
    nodes, edges = parsed_dot(dot(found))
    assert len(nodes) == 4 and len(edges) == 3 and {end for one in edges for end in one} == nodes
    lines = mermaid(found).splitlines()
    assert lines[0] == "flowchart LR" and len(lines) == 1 + 4 + 3
    for line in lines[1:]:
        assert re.fullmatch(
            r'  n\d+(\[\(?"[^"<>`]*(<br>[^"<>`]*)*"\)?\]| -->\|"[^"<>`]*(<br>[^"<>`]*)*"\| n\d+)', line
        ), line


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30).filter(lambda text: "\0" not in text))
def test_no_name_breaks_a_format(name: str) -> None:
    found = graph([edge(0, 1, name or "x")], 1, (leaf(0, name or "x"),))
    nodes, edges = parsed_dot(dot(found))
    assert len(nodes) == 3 and len(edges) == 2
    assert len(mermaid(found).split("\n")) == 1 + 3 + 2
    assert json.loads(lineage_text(found))["edges"][0]["to"] == f"{1:016}"
    assert len(drawn(found).split("\n")) == 6


def test_json_has_paths_that_are_not_utf8() -> None:
    found = json.loads(lineage_text(graph([edge(0, 1, ODD)], 1, (leaf(0, ODD),))))
    (shared,) = found["edges"][0]["files"]
    assert shared["made_as_b64"] and found["data"][0]["path_b64"] and found["runs"][0]["ended_at"] is None
    assert set(found) == {
        "start",
        "made_by",
        "used_by",
        "in_parts",
        "runs",
        "edges",
        "data",
        "cut",
        "unread_directories",
    }
