"""The documents are true: generated parts are current, links lead somewhere, every setting and command is named."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from mltrack.cli.group import COMMANDS
from mltrack.config import KEYS
from mltrack.operations.init import TEMPLATE

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def load_tool(name: str) -> object:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_of_commands_is_current() -> None:
    written = (ROOT / "docs" / "reference" / "cli.md").read_text()
    assert written == load_tool("reference").reference(), "run `make docs`"  # type: ignore[attr-defined]


def test_every_command_has_help() -> None:
    reference = (ROOT / "docs" / "reference" / "cli.md").read_text()
    assert all(f"### mltrack {name}\n" in reference for name in COMMANDS)


def test_every_setting_is_in_the_template_of_init() -> None:
    for key in KEYS:
        assert key.split(".")[0] in TEMPLATE and key.split(".")[-1] in TEMPLATE, key


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_sends_people_to_the_unrelated_package(page: Path) -> None:
    assert not re.search(r"pip install (?:--\S+ )*[\"']?mltrack(?![-\w])", page.read_text())
