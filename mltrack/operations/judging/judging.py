"""The verdict on two runs of a project: their contents are opened, and the pure `compare/verdict/judge.py` judges.

`reproduce`, `rerun`, `verdict` and `calibrate` all judge here, so that they cannot disagree.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from mltrack.compare.comparators import Around, Finding, Unreadable
from mltrack.compare.contents.measuring import summary
from mltrack.compare.verdict.conditions import in_order
from mltrack.compare.verdict.grades import DIFFERENT, IDENTICAL, NOTHING_TO_COMPARE
from mltrack.compare.verdict.judge import OUTCOME, calibration_for, judge
from mltrack.compare.verdict.outputs import Evidence, sizes
from mltrack.compare.verdict.rules import Rules
from mltrack.config import PROJECT_FILE, Config, load_config
from mltrack.errors import MltrackError
from mltrack.operations.judging.evidence import Comparing, around_of, evidence_of
from mltrack.operations.judging.recorded_rules import recorded_rules
from mltrack.operations.repeating.particulars import curves_of, held_secret
from mltrack.records import Artifact, Run
from mltrack.redact import PLACEHOLDER, Redactor
from mltrack.verdicts import Calibration, Condition, Verdict

if TYPE_CHECKING:
    from mltrack.project import Project

REPEATS = ("reproduce", "calibrate")
"""Kinds of parents whose noise is the run's own: the same code, data and params."""

Told = TypeVar("Told", Verdict, Calibration)

LARGEST_LOG = 32 << 20
"""Bytes of a run's output that are compared with another's."""


def judged_run(project: Project, then: Run, now: Run, conditions: Iterable[Condition] = ()) -> Verdict:
    """Is the result of `now` that of `then`, by today's rules and calibrations?

    `conditions`: what else is known to have been different. Nothing is kept.
    """
    rules, whose = rules_and_source(project, then)
    comparing = Comparing(project, around_of(then, now), project.config.compare_limit, ignore=rules.ignore)
    evidence, unread = with_points(project, then, now, evidence_of(comparing, then, now, rules))
    quotes = any(found.grade == DIFFERENT for found in evidence.findings.values())
    if quotes and (knew_secret(project, then) or knew_secret(project, now)):
        evidence = unquoted(evidence)
    verdict = judge(then, now, rules, evidence, calibration_for(then, now, repeated_by(project, then)))
    verdict = replace(verdict, remarks=(*whose, *unread, *verdict.remarks))
    outcome = [item for item in verdict.conditions if item.what in OUTCOME]
    around = [item for item in verdict.conditions if item.what not in OUTCOME]
    given = list(conditions)
    verdict = replace(verdict, conditions=(*outcome, *in_order([*given, *from_network(then, now, given), *around])))
    verdict = replace(verdict, remarks=(*verdict.remarks, *of_ancestor(then)))
    if verdict.grade == NOTHING_TO_COMPARE:
        verdict = replace(verdict, remarks=(*verdict.remarks, *of_logs(comparing, then, now)))
    return redacted(verdict)


def with_points(project: Project, then: Run, now: Run, evidence: Evidence) -> tuple[Evidence, list[str]]:
    """The evidence with the points of metrics that differ, and a remark if they are not to be had."""
    try:
        return replace(evidence, curves=curves_of(project, then, now)), []
    except (MltrackError, OSError, ValueError) as error:
        return evidence, [f"Of the metrics only what their summaries say was compared: {error}"]


def knew_secret(project: Project, run: Run) -> bool:
    """Was a secret taken out of the record of a run, or out of its log?"""
    return held_secret(run) or PLACEHOLDER.encode() in (output_of(project, run) or b"")


def unquoted(evidence: Evidence) -> Evidence:
    """The findings without what they quote: one of the runs knew a secret, which may stand in its files too."""
    findings = {
        path: found if found.grade != DIFFERENT else counted(found) for path, found in evidence.findings.items()
    }
    return replace(evidence, findings=findings)


def counted(found: Finding) -> Finding:
    """How much differs, and not what."""
    measure = found.measure and replace(found.measure, where=None)
    much = "its content differs" if measure is None else summary(measure)
    return Finding(DIFFERENT, f"{much}; not quoted, because a secret was taken out of the run's record", measure)


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


def redacted(record: Told) -> Told:
    """A verdict or a calibration without secrets: it names what stands in files, and goes into the ledger."""
    from mltrack.noun_json import from_dict, to_dict

    return from_dict(type(record), without(to_dict(record), Redactor(os.environ)))


def without(value: Any, redactor: Redactor) -> Any:
    """Plain values without secrets, in keys as well."""
    if isinstance(value, str):
        return redactor.text(value)
    if isinstance(value, Mapping):
        return {redactor.text(key): without(item, redactor) for key, item in value.items()}
    return [without(item, redactor) for item in value] if isinstance(value, (list, tuple)) else value


def compare_artifacts(
    project: Project, a: Artifact, b: Artifact, around: Around | None = None, ignore: tuple[str, ...] = ()
) -> Finding:
    """What the contents of two files come to, and by which measure; of directories that differ only that they do."""
    if a.digest == b.digest and a.kind == b.kind:
        return Finding(IDENTICAL, "the same bytes")
    if not a.kind == b.kind == "file":
        return Finding(DIFFERENT, sizes(a, b))
    comparing = Comparing(project, around or Around(), project.config.compare_limit, ignore=ignore)
    comparing.have([a, b])
    return comparing.compare(a, b)


def rules_for(project: Project, then: Run) -> Rules:
    """What the project's settings say of a verdict."""
    return rules_and_source(project, then)[0]


def rules_and_source(project: Project, then: Run) -> tuple[Rules, list[str]]:
    """The same, and a remark where they are the recorded run's: this project has no settings of its own."""
    config, metrics = project.config, tuple(then.declared.get("metrics", ()))
    if config.tolerance or config.ignore:
        return Rules(config.tolerance, config.ignore, metrics), []
    try:
        if (project.root / PROJECT_FILE).exists():  # in a clone it was restored after the settings were read
            recorded: Config | None = load_config(project.root, os.environ)
        else:
            recorded = recorded_rules(project, then)
    except (MltrackError, OSError) as error:
        return Rules(metric_files=metrics), [f"The rules of the recorded run could not be read: {error}"]
    if recorded is None or not (recorded.tolerance or recorded.ignore):
        return Rules(metric_files=metrics), []
    told = f"Tolerances and what is left out are those of the recorded run's {PROJECT_FILE}."
    return Rules(recorded.tolerance, recorded.ignore, metrics), [told]


def repeated_by(project: Project, run: Run) -> Run | None:
    """The run that this one repeats, where that is here: its noise is this one's too."""
    if run.parent is None or run.parent.kind not in REPEATS:
        return None
    try:
        return project.ledger.get(run.parent.run)
    except MltrackError:
        return None


def keep_verdict(project: Project, now: Run, verdict: Verdict) -> Run:
    """The verdict, without secrets, as an event of the run that it is about; that run with it."""
    from mltrack.noun_json import to_dict

    verdict = redacted(verdict)
    project.ledger.add_event("verdict", now.id, to_dict(verdict))
    return replace(now, verdict=verdict)


def of_ancestor(then: Run) -> list[str]:
    """A remark on a reference that only repeats another run: to be the same as that says nothing of the other."""
    if then.parent is None or then.parent.kind not in REPEATS:
        return []
    grade = f" ({then.verdict.grade})" if then.verdict is not None else ""
    return [f"{then.id} is itself a reproduction of {then.parent.run}{grade}."]


def of_logs(comparing: Comparing, then: Run, now: Run) -> list[str]:
    """A remark on what both runs put out: is it the same text?"""
    from mltrack.compare.contents.contents import Held

    before, after = output_of(comparing.project, then), output_of(comparing.project, now)
    if before is None or after is None:
        return []
    if not before and not after:
        return ["Neither run printed anything."]
    try:
        found = comparing.compared("output.txt", Held(before), Held(after))
    except Unreadable as error:
        return [f"Their recorded output is not the same, and was not compared: {error}."]
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
