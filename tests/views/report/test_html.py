from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.views.report.html import document, tag, visible, written
from mltrack.views.report.sheet import SHEET
from tests.views.report.parsed import Parsed

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>",
    "</pre></p><!--",
    "]]>",
    "&lt;b&gt; &amp &#60;",
    "\u202egnp.exe\u2066",
    "\x00\x1b[31m\x07",
    "\udc80\ud800",
    "javascript:alert(1)",
)
quick = settings(max_examples=25 * int(os.environ.get("MLTRACK_SOAK", "1")), deadline=None)
texts = st.one_of(st.sampled_from(HOSTILE), st.text(), st.text(alphabet="<>&\"'/=! -\n\t\x00abc"))


@quick
@given(texts, texts)
def test_any_text_stays_the_text_of_its_element_or_attribute(inner: str, alt: str) -> None:
    made = tag("p", None, "before", tag("code", {"class": alt}, inner), "after")
    parsed = Parsed(written([made]))
    parsed.check()
    assert parsed.tags == {"p": 1, "code": 1}
    assert parsed.text.removesuffix("\n") == f"before{visible(inner)}after"
    assert parsed.attributes == [("code", "class", visible(alt))]


@quick
@given(texts)
def test_a_listing_keeps_its_lines_and_nothing_else_that_is_invisible(text: str) -> None:
    parsed = Parsed(written([tag("pre", None, text)]))
    parsed.check()
    shown = parsed.text.removeprefix("\n").removesuffix("\n")
    assert shown == visible(text, True)
    assert all(char in "\n\t" or char.isprintable() or not ord(char) < 0x20 for char in shown)
    assert "\u202e" not in shown


@quick
@given(texts)
def test_a_title_cannot_leave_the_head(title: str) -> None:
    parsed = Parsed(document(title, SHEET, tag("p", None, title)))
    parsed.check()
    assert parsed.tags["title"] == parsed.tags["p"] == 1
    assert parsed.styles == [SHEET]


@pytest.mark.parametrize("name", ["script", "iframe", "object", "link", "base", "form", "style", "image", "template"])
def test_an_element_that_could_do_something_cannot_be_made(name: str) -> None:
    with pytest.raises(ValueError, match="no element"):
        tag(name)


@pytest.mark.parametrize("name", ["onclick", "style", "srcdoc", "action", "on load"])
def test_an_attribute_that_could_do_something_cannot_be_made(name: str) -> None:
    with pytest.raises(ValueError, match="no attribute"):
        tag("p", {name: "x"})


def test_a_line_holds_nothing_but_numbers() -> None:
    line = tag("polyline", {"points": "1.0,2 3,-4"})
    parsed = Parsed(written([tag("svg", {"viewbox": "0 0 96 20", "role": "img"}, line)]))
    parsed.check()
    for children in (("a text",), (tag("p"),), (tag("svg"),)):
        with pytest.raises(ValueError, match="lines and nothing else"):
            tag("svg", None, *children)
    with pytest.raises(ValueError, match="no children"):
        tag("polyline", None, line)
    with pytest.raises(ValueError, match="no numbers"):
        tag("polyline", {"points": "url(#a)"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("href", "javascript:alert(1)"),
        ("href", "https://example.org/"),
        ("href", "#a b"),
        ("href", "#a\n"),
        ("src", "https://example.org/a.png"),
        ("src", "data:text/html;base64,PGI+"),
        ("src", "data:image/png;base64,AAAA\n"),
        ("srcset", "data:image/png;base64,AAAA 2x, https://example.org/a.png"),
    ],
)
def test_an_address_is_data_or_a_place_on_the_page(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        tag("a", {name: value})


def test_a_style_sheet_with_an_element_in_it_is_refused() -> None:
    with pytest.raises(ValueError, match="style"):
        document("t", "p{}</style><script>")
