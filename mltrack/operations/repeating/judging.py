"""The verdict on two runs of a project: their contents are opened, and the pure `compare/verdict/judge.py` judges.

`reproduce`, `rerun`, `verdict` and `calibrate` all judge here, so that they cannot disagree.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.compare.comparators import Around, Finding
from mltrack.compare.verdict.conditions import in_order
from mltrack.compare.verdict.grades import DIFFERENT, IDENTICAL, NOTHING_TO_COMPARE
from mltrack.compare.verdict.judge import OUTCOME, calibration_for, judge
from mltrack.compare.verdict.outputs import sizes
from mltrack.compare.verdict.rules import Rules
from mltrack.errors import MltrackError
from mltrack.operations.repeating.evidence import Comparing, around_of, evidence_of
from mltrack.records import Artifact, Run
from mltrack.redact import Redactor
from mltrack.verdicts import Condition, Verdict

if TYPE_CHECKING:
    from mltrack.project import Project

REPEATS = ("reproduce", "calibrate")
"""Kinds of parents whose noise is the run's own: the same code, data and params."""

LARGEST_LOG = 32 << 20
"""Bytes of a run's output that are compared with another's."""


def judged_run(project: Project, then: Run, now: Run, conditions: Iterable[Condition] = ()) -> Verdict:
    """Is the result of `now` that of `then`, by today's rules and calibrations?

    `conditions`: what else is known to have been different. Nothing is kept.
    """
    rules = rules_for(project, then)
    comparing = Comparing(project, around_of(then, now), project.config.compare_limit)
    evidence = evidence_of(comparing, then, now, rules)
    verdict = judge(then, now, rules, evidence, calibration_for(then, now, repeated_by(project, then)))
    outcome = [item for item in verdict.conditions if item.what in OUTCOME]
    around = [item for item in verdict.conditions if item.what not in OUTCOME]
    given = list(conditions)
    verdict = replace(verdict, conditions=(*outcome, *in_order([*given, *from_network(then, now, given), *around])))
    if verdict.grade == NOTHING_TO_COMPARE:
        verdict = replace(verdict, remarks=(*verdict.remarks, *of_logs(comparing, then, now)))
    return redacted(verdict)


def from_network(then: Run, now: Run, given: Sequence[Condition]) -> list[Condition]:
    """What both runs read from the network, as far as it is not named already: nobody knows whether it was the same."""
    named = {item.then for item in given}
    both = {item.path for item in then.inputs if item.kind == "url"} & {
        item.path for item in now.inputs if item.kind == "url"
    }
    return [
        Condition("input", path, f"Both runs read {path} from the network, which is not kept.")
        for path in sorted(both - named)
    ]


def redacted(verdict: Verdict) -> Verdict:
    """Without secrets: reasons quote what stands in files, and a verdict goes into the ledger."""
    redactor = Redactor(os.environ)
    artifacts = tuple(
        item if item.reason is None else replace(item, reason=redactor.text(item.reason)) for item in verdict.artifacts
    )
    return replace(verdict, artifacts=artifacts, remarks=tuple(map(redactor.text, verdict.remarks)))


def compare_artifacts(project: Project, a: Artifact, b: Artifact, around: Around | None = None) -> Finding:
    """What the contents of two files come to, and by which measure; of directories that differ only that they do."""
    if a.digest == b.digest and a.kind == b.kind:
        return Finding(IDENTICAL, "the same bytes")
    if not a.kind == b.kind == "file":
        return Finding(DIFFERENT, sizes(a, b))
    comparing = Comparing(project, around or Around(), project.config.compare_limit)
    comparing.have([a, b])
    return comparing.compare(a, b)


def rules_for(project: Project, then: Run) -> Rules:
    """What the project's settings say of a verdict."""
    config = project.config
    return Rules(config.tolerance, config.ignore, tuple(then.declared.get("metrics", ())))


def repeated_by(project: Project, run: Run) -> Run | None:
    """The run that this one repeats, where that is here: its noise is this one's too."""
    if run.parent is None or run.parent.kind not in REPEATS:
        return None
    try:
        return project.ledger.get(run.parent.run)
    except MltrackError:
        return None


def keep_verdict(project: Project, now: Run, verdict: Verdict) -> Run:
    """The verdict as an event of the run that it is about; that run with it."""
    from mltrack.noun_json import to_dict

    project.ledger.add_event("verdict", now.id, to_dict(verdict))
    return replace(now, verdict=verdict)


def of_logs(comparing: Comparing, then: Run, now: Run) -> list[str]:
    """A remark on what both runs put out: is it the same text?"""
    from mltrack.compare.contents.contents import Held
    from mltrack.compare.contents.finding import compare_contents

    before, after = output_of(comparing.project, then), output_of(comparing.project, now)
    if before is None or after is None:
        return []
    if not before and not after:
        return ["Neither run put out anything."]
    found = compare_contents("output.txt", Held(before), Held(after), comparing.around)
    word = "the same" if found.grade == IDENTICAL else found.grade
    return [f"Their recorded output is {word}: {found.reason}."]


def output_of(project: Project, run: Run) -> bytes | None:
    """What a run put out, without the times of its log; None where that is not to be had, or too much."""
    from mltrack.operations.log import Part, read_output

    if run.log is None:
        return b""
    if run.log.truncated or run.log.size_bytes > LARGEST_LOG:
        return None
    try:
        return b"".join(record.data + b"\n" * record.ends for record in read_output(project, run.id, Part()))
    except (MltrackError, OSError):
        return None
