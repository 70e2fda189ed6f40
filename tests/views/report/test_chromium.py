"""A real browser opens a report in which every recorded text tries to run something, or to load something."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from mltrack.operations.reporting.previews import Preview
from mltrack.operations.reporting.report import Material
from mltrack.views.report.html import CSP
from mltrack.views.report.made import written
from tests.views.report.materials import of_many, of_one, of_two
from tests.views.report.parsed import Parsed

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
RAN = "document.documentElement.setAttribute('data-ran','yes')"


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """The address of a server on this machine, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def opened(page: Path, home: Path) -> str:
    """The page as the browser has it after a second of its time."""
    words = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", f"--user-data-dir={home}", "--virtual-time-budget=1000",
        "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode(errors="replace")


def hostile(address: str) -> str:
    return (
        f'<script>{RAN}</script>"\'><img src=x onerror="{RAN}"><img src={address}/img></style></title></pre></textarea>'
        f"<link rel=stylesheet href={address}/css><a href='javascript:{RAN}'>x</a><svg onload={RAN}><iframe src={address}/frame>"
        f"<meta http-equiv=refresh content='0;url={address}/meta'>\u202e<style>@import '{address}/import';</style><!--"
    )


def with_svg(material: Material, address: str) -> Material:
    """With a picture that would run and load something if it were more than a picture."""
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" onload="{RAN}"><script>{RAN}</script><image href="{address}/svg"/></svg>'
    preview = Preview("a.svg", "picture", "d", len(svg), "svg+xml", svg.encode())
    return replace(
        material, stories=tuple(replace(story, previews=(*story.previews, preview)) for story in material.stories)
    )


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("make", [of_one, of_two, of_many] if SOAK > 1 else [of_one])
def test_a_browser_runs_nothing_and_asks_for_nothing(make: Callable[..., Material], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    with listening() as (address, asked):
        text = hostile(address)
        made = written(with_svg(make(text, text), address), "html", "now", False)
        # Without its policy: what is escaped must be harmless by itself.
        page.write_text(
            made.replace(CSP.replace("'", "&#x27;"), "img-src *"), encoding="utf-8", errors="surrogateescape"
        )
        assert CSP.replace("'", "&#x27;") in made
        seen = opened(page, tmp_path / "home")
    assert asked == []
    parsed = Parsed(seen)
    parsed.check()
    assert ("html", "data-ran", "yes") not in parsed.attributes
    assert parsed.tags["h1"] == 1 and "Get it again" in parsed.text


@pytest.mark.needs("chromium")
@pytest.mark.skipif(SOAK == 1, reason="proves that the test above can fail: a browser more")
def test_the_browser_would_have_run_and_asked(tmp_path: Path) -> None:
    page = tmp_path / "bare.html"
    with listening() as (address, asked):
        page.write_text(
            f"<!doctype html><title>x</title><script>{RAN}</script><img src={address}/img>", encoding="utf-8"
        )
        seen = opened(page, tmp_path / "home")
    assert "/img" in asked and ("html", "data-ran", "yes") in Parsed(seen).attributes
