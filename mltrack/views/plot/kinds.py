"""Which module draws which kind of panel. Nothing is drawn here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from mltrack.plots import Panel
    from mltrack.views.plot.style import Style

MODULES = {
    "Lines": "lines",
    "Scatter": "scatter",
    "Parallel": "parallel",
    "Confusion": "confusion",
    "Rates": "rates",
}


class Kind(Protocol):
    """What a module of a kind of panel has; the package says what each does."""

    def draw(self, axes: Any, panel: Any, style: Style) -> None: ...

    def draw_text(self, panel: Any, width: int, height: int, colour: bool) -> list[str]: ...


def kind_of(panel: Panel) -> Kind:
    """The module that draws a panel."""
    return cast("Kind", import_module(f"mltrack.views.plot.{MODULES[type(panel).__name__]}"))
