from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mltrack.compare.differences import CodeChange, diff_runs
from mltrack.operations.reporting.report import Material, Story
from mltrack.records import MetricSummary
from mltrack.views.report.made import written
from mltrack.views.report.markdown import MARK, code
from mltrack.views.text import clean
from tests.compare.samples import sample_run
from tests.views.report.materials import of_many, of_one, of_two
from tests.views.report.test_html import HOSTILE

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
few = settings(max_examples=7 * SOAK, deadline=None)
signs = (
    "a|b",
    "`",
    "``x`",
    "\\|",
    "\\",
    "*b*",
    "[x](javascript:alert(1))",
    "@somebody",
    "#12",
    "https://a.example",
    "![x](y)",
    "a\n\n# b",
)
texts = st.one_of(
    st.sampled_from((*HOSTILE, *signs)),
    st.text(min_size=1, max_size=40),
    st.text(alphabet="|`\\<>*_[]()&#@ a\n", min_size=1),
)
HTML = re.compile(r"</?(?:details|summary|sub|code)>|<!-- mltrack report -->|</?summary>")


def tokens(text: str) -> list[Any]:
    """All tokens, those of inline content in their places."""
    found: list[Any] = []
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough").parse(text):
        found += [token, *(token.children or [])]
    return found


def report(material: Material) -> str:
    return written(material, "md", "2026-11-21 04:00:00 UTC", False)


@pytest.mark.parametrize("make", [of_one, of_two, of_many])
@few
@given(texts)
def test_a_text_in_every_field_is_never_markup(make: Callable[..., Material], text: str) -> None:
    found = tokens(report(make(text, text)))
    kinds = {token.type for token in found}
    assert not kinds & {"link_open", "image", "em_open", "s_open", "blockquote_open", "hr", "code_block"}
    for token in found:
        if token.type in ("html_block", "html_inline"):
            assert not re.sub(r"[^<>]+", "", HTML.sub("", token.content)), token.content
    assert sum(token.type == "heading_open" for token in found) == 1


@given(texts)
@example("\\|")
@settings(max_examples=40 * SOAK, deadline=None)
def test_a_code_span_says_the_text_also_in_a_table(text: str) -> None:
    from html.parser import HTMLParser

    shown = clean(text)
    said: list[str] = []
    parser = HTMLParser()
    parser.handle_data = said.append  # type: ignore[method-assign]
    parser.feed(
        MarkdownIt("commonmark", {"html": True}).enable("table").render(f"| h |\n| --- |\n| {code(text, 1000)} |\n")
    )
    parser.close()
    assert "".join("".join(said).split()) == "h" + "".join(shown.split())


def test_a_report_of_two_runs_fits_a_screen() -> None:
    a = sample_run()
    metrics = {"acc": MetricSummary(0.95, 0.1, 0.96, 9), "loss": MetricSummary(0.2, 0.2, 1.0, 9)}
    b = sample_run(id="9dm1c0vwm1n4p7rt", name="better", metrics=metrics, params={**a.params, "lr": 0.5})
    a = sample_run(metrics={"acc": MetricSummary(0.92, 0.1, 0.93, 9), "loss": MetricSummary(0.25, 0.2, 1.0, 9)})
    found = replace(diff_runs(a, b), goals={"acc": "max", "loss": "min"})
    text = report(Material(None, (Story(a), Story(b)), (a, b), found))
    assert text.startswith(f"{MARK}\n### `baseline` → `better`: `acc` 0.92 → 0.95 (▲ +3.3 %, better)\n")
    assert "| `loss` | 0.25 | 0.2 | ▼ -0.05 | -20 % | better |" in text
    assert "- **Data**: no input outside the code differs" in text
    assert len(re.sub(r"<details>.*?</details>", "", text, flags=re.S).splitlines()) < 30


def test_data_in_the_code_is_named_as_data_apart_from_what_is_not_committed() -> None:
    a = sample_run(code=replace(sample_run().code, tree="1" * 40, changed=()))
    b = replace(a, id="9dm1c0vwm1n4p7rt", code=replace(a.code, tree="2" * 40, changed=("params.yaml", "train.py")))
    files = tuple(CodeChange("M", path) for path in ("data/train.CSV", "params.yaml", "train.py"))
    found = replace(diff_runs(a, b), code_files=files)
    (line,) = (
        line
        for line in report(Material(None, (Story(a), Story(b)), (a, b), found)).splitlines()
        if line.startswith("- **Code**")
    )
    assert line.endswith(
        ", with 2 uncommitted files. 3 files of the code differ: data `data/train.CSV`; `params.yaml`, `train.py`"
    )


def test_hundreds_of_metrics_are_folded_and_the_rest_counted() -> None:
    run = sample_run(metrics={f"m{place}": MetricSummary(1.0, 1.0, 1.0, 1) for place in range(300)})
    text = report(Material(None, (Story(run),), (run,)))
    assert "288 more rows" in text and "... and 188 more." in text
    assert len(text) < 20_000


def test_a_report_has_room_in_a_comment_whatever_a_run_holds() -> None:
    run = sample_run(
        params={f"p{place}" * 20: "x" * 500 for place in range(500)},
        metrics={f"m{place}|" * 20: MetricSummary(1.0, 1.0, 1.0, 1) for place in range(500)},
    )
    text = report(Material(None, (Story(run, "\n".join("+" + "y" * 900 for _ in range(2000))),), (run,)))
    assert len(text) < 65_000
    assert "left out for want of room" in text and "Made by mltrack" in text
    assert text.count("<details>") == text.count("</details>")
