"""The graph through runs that share content, for machines: JSON, DOT (Graphviz) and Mermaid.

The tree for people is in `lineage_tree.py`. Whatever was recorded is escaped: a path may hold quotes and newlines.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mltrack.noun_json import is_utf8, to_dict
from mltrack.views.json import dumps
from mltrack.views.text import clean, command_line, count, shorten, size

if TYPE_CHECKING:
    from mltrack.ledger.asking.content import Brief
    from mltrack.operations.origin.lineage import Edge, Leaf, Lineage, Shared
    from mltrack.operations.origin.origins import Place

FEW = 200
"""Edges and leaves up to which JSON is indented."""
LABEL = 48
"""Cells of one line of a label."""
MERMAID = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;", "&": "#amp;"}


def lineage_json(found: Lineage) -> dict[str, Any]:
    """The whole graph; see `docs/reference/machine-interface.md`."""
    start: dict[str, Any] = {"run": found.run}
    if found.subject is not None:
        start |= {"path": found.subject.path, "digest": found.subject.digest, "size_bytes": found.subject.size_bytes}
    return {
        "start": start,
        "made_by": [place_json(place) for place in found.made],
        "used_by": [place_json(place) for place in found.used],
        "in_parts": found.in_parts,
        "runs": [brief_json(one) for one in found.runs.values()],
        "edges": [edge_json(edge) for edge in found.edges],
        "data": [to_dict(leaf) for leaf in found.leaves],
        "cut": list(found.cut),
        "unread_directories": found.unread,
    }


def lineage_text(found: Lineage) -> str:
    """The same as text; of a large graph a list is one line, for indented it would take ten times as long."""
    document = lineage_json(found)
    if len(found.edges) + len(found.leaves) <= FEW:
        return dumps(document)
    try:
        lines = [f'  "{name}": {json.dumps(value, ensure_ascii=False)}' for name, value in document.items()]
        return "{\n" + ",\n".join(lines).encode().decode() + "\n}"
    except UnicodeEncodeError:  # a path that is not UTF-8
        return dumps(document)


def brief_json(one: Brief) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "status": one.status,
        "command": list(one.command),
        "began_at": one.began,
        "ended_at": None if one.ended == "~" else one.ended,
        "hidden": one.hidden,
    }


def edge_json(edge: Edge) -> dict[str, Any]:
    return {"from": edge.maker, "to": edge.user, "files": [shared_json(one) for one in edge.shared]}


def shared_json(one: Shared) -> dict[str, Any]:
    return {
        **path_json("made_as", one.made_as),
        **path_json("used_as", one.used_as),
        "digest": one.digest,
        "size_bytes": one.size_bytes,
        "files": one.files,
        "others": one.others,
        "copied": one.copied,
    }


def place_json(place: Place) -> dict[str, Any]:
    return {"run": place.run, **path_json("path", place.path)}


def path_json(name: str, path: str) -> dict[str, str]:
    if is_utf8(path):
        return {name: path}
    return {name: path, f"{name}_b64": base64.b64encode(os.fsencode(path)).decode()}


def dot(found: Lineage) -> str:
    """The graph for Graphviz: runs are boxes, data are notes, edges are labelled with what was shared."""
    lines = ["digraph lineage {", "  rankdir=LR;", '  node [fontname="sans-serif", shape=box];']
    for key, kind, label in nodes(found):
        style = "" if kind == "run" else ", shape=note" if kind == "data" else ", shape=note, style=bold"
        lines.append(f"  {dot_text([key])} [label={dot_text(label)}{style}];")
    lines += [f"  {dot_text([a])} -> {dot_text([b])} [label={dot_text(label)}];" for a, b, label in arrows(found)]
    return "\n".join([*lines, "}"])


def dot_text(lines: list[str]) -> str:
    """A quoted string of DOT. Backslashes and `&` would be read as escapes and entities."""
    escaped = (clean(line).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'


def mermaid(found: Lineage) -> str:
    """The graph for Mermaid, as Markdown pages show it."""
    numbers: dict[str, str] = {}
    lines = ["flowchart LR"]
    for key, kind, label in nodes(found):
        numbers[key] = f"n{len(numbers)}"
        left, right = ("[", "]") if kind == "run" else ("[(", ")]")
        lines.append(f"  {numbers[key]}{left}{mermaid_text(label)}{right}")
    lines += [f"  {numbers[a]} -->|{mermaid_text(label)}| {numbers[b]}" for a, b, label in arrows(found)]
    return "\n".join(lines)


def mermaid_text(lines: list[str]) -> str:
    escaped = ("".join(MERMAID.get(sign, sign) for sign in clean(line)) for line in lines)
    return '"' + "<br>".join(escaped) + '"'


def nodes(found: Lineage) -> Iterator[tuple[str, str, list[str]]]:
    """Key, kind (`run`, `data`, `start`) and the lines of the label of every node."""
    for one in found.runs.values():
        yield one.id, "run", run_label(one)
    if found.subject is not None:
        yield "start", "start", [shorten(clean(found.subject.path or found.subject.digest), LABEL)]
    for key, leaf in data_nodes(found).items():
        yield key, "data", [shorten(clean(leaf.path), LABEL), leaf_facts(leaf)]


def data_nodes(found: Lineage) -> dict[str, Leaf]:
    """Key -> a leaf: one for each content, or for each input whose content is not known."""
    return {key_of(leaf): leaf for leaf in reversed(found.leaves)}


def key_of(leaf: Leaf) -> str:
    return f"data {leaf.digest}" if leaf.digest else f"data {leaf.user} {leaf.path}"


def arrows(found: Lineage) -> Iterator[tuple[str, str, list[str]]]:
    """From, to and the lines of the label of every edge."""
    others = [] if found.in_parts else also(len(found.made) - 1)
    for place in found.made[: None if found.in_parts else 1]:
        yield place.run, "start", [shorten(clean(place.path), LABEL), *others]
    if found.subject is not None:
        for place in found.used:
            yield "start", place.run, [shorten(clean(place.path), LABEL)]
    for edge in found.edges:
        yield edge.maker, edge.user, edge_label(edge)
    for leaf in found.leaves:
        yield key_of(leaf), leaf.user, [shorten(clean(leaf.path), LABEL)]


def run_label(one: Brief) -> list[str]:
    title = f"{one.name} {one.id}" if one.name else one.id
    hidden = ", hidden" if one.hidden else ""
    return [title, shorten(command_line(one.command), LABEL), f"{one.status}{hidden}, {one.began[:19]}"]


def edge_label(edge: Edge) -> list[str]:
    first = edge.shared[0]
    lines = [f"{shorten(clean(first.made_as), LABEL)}, {extent(first)}"]
    if first.used_as != first.made_as:
        lines.append(f"used as {shorten(clean(first.used_as), LABEL)}")
    if len(edge.shared) > 1:
        lines.append(f"and {len(edge.shared) - 1:,} more")
    return [*lines, *also(max(one.others for one in edge.shared))]


def also(others: int) -> list[str]:
    return [f"{count(others, 'more run')} made it"] if others > 0 else []


def extent(one: Shared) -> str:
    text = size(one.size_bytes)
    return f"{count(one.files, 'file')}, {text}" if one.files > 1 or one.digest is None else text


def leaf_facts(leaf: Leaf) -> str:
    text = "" if leaf.size_bytes is None else f"{size(leaf.size_bytes)}, "
    files = f"{count(leaf.files, 'file')}, " if leaf.kind == "directory" and leaf.files else ""
    return f"{files}{text}{leaf.why}"
