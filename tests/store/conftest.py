from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrack.store.objects import Store


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the fixture `store` lies."""
    return tmp_path / "project" / "store"


@pytest.fixture
def store(place: Path) -> Iterator[Store]:
    opened = Store.open(place)
    yield opened
    opened.close()
