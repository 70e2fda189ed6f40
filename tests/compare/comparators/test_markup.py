"""Markup and notebooks: what is random in them says nothing only where nothing but references depends on it."""

from __future__ import annotations

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, Around, Finding
from mltrack.compare.contents.contents import Held
from mltrack.compare.contents.finding import compare_contents


def compare(name: str, a: str, b: str) -> Finding:
    return compare_contents(name, Held(a.encode()), Held(b.encode()), Around())


def test_an_id_is_random_only_where_it_says_nothing() -> None:
    def of(kind: str, one: str, link: str = 'href="#%s"') -> str:
        return f'<{kind}><g id="{one}"/><use {link % one}/></{kind}>'

    first, second = "clip1a2b3c4d5e", "clip1a2b3c4d60"
    assert compare("a.svg", of("svg", first), of("svg", second)).grade == EQUIVALENT
    assert (
        compare("a.svg", of("svg", first, 'clip-path="url(#%s)"'), of("svg", second, 'clip-path="url(#%s)"')).grade
        == EQUIVALENT
    )
    assert compare("a.svg", of("svg", first, 'x="%s"'), of("svg", second, 'x="%s"')).grade == DIFFERENT
    assert compare("a.svg", of("svg", "clip12345678"), of("svg", "clip12345679")).grade == DIFFERENT
    assert compare("a.graphml", of("graphml", first), of("graphml", second)).grade == DIFFERENT
    assert compare("a.xml", '<r id="8f14e45f"/>', '<r id="8f14e45e"/>').grade == DIFFERENT
    for name in ("fill", "href", "stroke"):
        colours = [f'<svg><g {name}="#{colour}"/></svg>' for colour in ("ff0000ff", "00ff00f1")]
        assert compare("a.svg", *colours).grade == DIFFERENT


def test_hostile_ids_and_references_take_no_long_time() -> None:
    for text in ("a1" * 50_000, "url(#" * 50_000, "abcdef" * 20_000 + "!", "_" * 99_999):
        a, b = (f'<svg><g id="{text}{end}" style="{text}{end}" href="#{text}{end}"/></svg>' for end in "xy")
        assert compare("a.svg", a, b).grade == DIFFERENT


def test_another_document_type_is_a_difference() -> None:
    one, other = (f'<!DOCTYPE a SYSTEM "{name}.dtd"><a/>' for name in ("one", "two"))
    assert compare("a.xml", one, other).grade == DIFFERENT
    assert compare("a.xml", one, one + " ").grade == EQUIVALENT


def test_an_image_that_is_missing_is_a_difference() -> None:
    cell = '{"cells": [{"cell_type": "code", "outputs": [{"output_type": "display_data", "data": {"image/png": %s}}]}]}'
    assert compare("a.ipynb", cell % '"AAAA"', cell % "null").grade == DIFFERENT
    assert compare("a.ipynb", cell % '["AA", 1]', cell % '["AA", 2]').grade == DIFFERENT
