"""A preflight told to a person: the grade, then each concern with what can be done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrack.compare.preflight.grade import BEST, is_worse
from mltrack.views.page import Item, Page
from mltrack.views.text import command_line, short_id

if TYPE_CHECKING:
    from mltrack.operations.preflight import Forecast
    from mltrack.records import Concern, Preflight, Run

STYLES = {"A": "green", "B": "green", "C": "yellow", "D": "red", "F": "red"}

MEANINGS = {
    "A": "nothing that is known is in the way of getting it again",
    "B": "it comes back; small differences are possible",
    "C": "it most likely comes back, with some effort",
    "D": "it needs something that may be gone one day",
    "F": "it could not be had again elsewhere",
}


def forecast_page(forecast: Forecast) -> Page:
    """The whole answer of `mltrack preflight`."""
    page = Page()
    found = forecast.preflight
    page.line((f"  {found.grade}  ", f"bold {style_of(found.grade)}"), (meaning(found), style_of(found.grade)))
    page.blank()
    page.line(("  $ ", "dim"), (command_line(forecast.command), "bold"))
    concerns = [one for one in found.concerns if is_worse(one.grade, BEST)]
    remarks = [one for one in found.concerns if not is_worse(one.grade, BEST)]
    for one in concerns:
        page.blank()
        told(page, one)
    if remarks:
        page.heading("Also", "lowers no grade")
        for one in remarks:
            page.add([Item("·", one.message), Item(("→", "cyan"), one.remedy, "dim")])
    page.blank()
    page.add([Item("", basis(forecast), "dim", indent=1)])
    return page


def told(page: Page, concern: Concern) -> None:
    """A concern and its remedy."""
    page.add([Item((f"{concern.grade} ", f"bold {style_of(concern.grade)}"), concern.message)])
    if concern.remedy:
        page.add([Item(("→", "cyan"), concern.remedy, indent=5)])


def basis(forecast: Forecast) -> str:
    """What it was judged by."""
    last = f"by the record of its last run, {short_id(forecast.past)}, too" if forecast.past else "it never ran here"
    asked = "; package indexes and registries were not asked" if forecast.is_offline else ""
    return f"Judged by what is here now; {last}{asked}."


def style_of(grade: str) -> str:
    return STYLES.get(grade, "red")


def meaning(preflight: Preflight) -> str:
    """The grade in words."""
    if any(one.kind == "would-not-start" for one in preflight.concerns):
        return "it would not even start"
    return MEANINGS.get(preflight.grade, "this grade is not known here")


def preflight_field(page: Page, run: Run) -> None:
    """A run's grade in a line, with what it rests on."""
    if run.preflight is not None:
        page.field("Preflight", preflight_line(run.preflight), style_of(run.preflight.grade), short_line(run.preflight))


def preflight_line(preflight: Preflight) -> str:
    """`B: No seed is set: train.py uses random numbers.`, every concern."""
    texts = [one.message for one in preflight.concerns if is_worse(one.grade, BEST)]
    return f"{preflight.grade}: {' '.join(texts)}" if texts else preflight.grade


def short_line(preflight: Preflight) -> str:
    """The worst of them, and how many more there are."""
    texts = [one.message for one in preflight.concerns if is_worse(one.grade, BEST)]
    more = f" (and {len(texts) - 1} more; --json has them all)" if len(texts) > 1 else ""
    return f"{preflight.grade}: {texts[0]}{more}" if texts else preflight.grade
