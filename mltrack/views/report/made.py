"""A report in the form that was asked for, and the sentence that says when it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrack.version import VERSION

if TYPE_CHECKING:
    from mltrack.operations.reporting.report import Material

FORMS = ("html", "md")


def written(material: Material, form: str, made_at: str, with_plots: bool) -> str:
    """The text of the file. `made_at`: a time as a person reads it."""
    made = f"Made by mltrack {VERSION} at {made_at}."
    if form == "md":
        from mltrack.views.report.short import markdown

        return markdown(material, made, with_plots)
    from mltrack.views.report.writer import html

    if len(material.runs) == 1:
        from mltrack.views.report.run import run_report as report
    elif len(material.runs) == 2:
        from mltrack.views.report.pair import pair_report as report
    else:
        from mltrack.views.report.many import many_report as report
    return html(report(material, made))
