"""What a shell shows beside a word that it proposes: one line, clean, short."""

from __future__ import annotations

from collections.abc import Sequence

from mltrack.operations.completion.words import Proposal
from mltrack.views.text import ago, clean, command_line, number, shorten

LONGEST = 70
"""Cells of a story."""

GLYPHS = {"finished": "✓", "failed": "✗", "interrupted": "■", "running": "●"}
"""As in lists, whose module takes longer to import than all the rest."""


def story(proposal: Proposal, now: float) -> str:
    """`3 h ago · ✓ finished · baseline · acc 0.92` of a run; what is known of anything else. `now`: unix seconds."""
    run = proposal.run
    if run is None:
        return shorten(clean(proposal.story), LONGEST)
    glyph = GLYPHS.get(run.status, "?")
    who = run.name if run.name and run.name != proposal.value else run.why or (run.name and run.id)
    parts = [ago(run.created_at, now), f"{glyph} {run.status}", shorten(clean(who or command_line(run.command)), 32)]
    if proposal.metric is not None:
        name, value = proposal.metric
        parts.append(f"{shorten(clean(name), 16)} {number(value)}")
    return shorten(" · ".join(map(clean, filter(None, parts))), LONGEST)


def printable(found: Sequence[Proposal]) -> list[Proposal]:
    """Those that a shell can hand on as they are, each once: no control characters, and bytes that are text."""
    once = {one.value: one for one in reversed(found) if one.value.isprintable()}
    return [once[value] for value in dict.fromkeys(one.value for one in found) if value in once]
