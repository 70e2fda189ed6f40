"""An environment, the differences of two, what a check found: as pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mltrack.records import Image
from mltrack.views.differences import plain_section
from mltrack.views.notices import warnings_page
from mltrack.views.page import Cell, Grid, Page
from mltrack.views.show import hardware_line
from mltrack.views.text import count, scalar, short_digest, short_id, size

if TYPE_CHECKING:
    from mltrack.compare.changes import Change
    from mltrack.compare.packages import PackageChange
    from mltrack.environments import Finding, Package
    from mltrack.operations.env.cache import CachedEnvironment, CacheReport
    from mltrack.operations.env.lock import Completed
    from mltrack.operations.env.look import CheckedEnvironment, EnvironmentDifferences, Locked, Shown

MOST = 40
"""A terminal shows at most this many rows of each part; a pipe and --json have them all."""
MORE = "... and {} more; a pipe and --json have them all"
NOW = "now"
IMPORTED = "●"
FEW = 5
"""So many names are told where a number would do."""

CHANGES = {
    "added": ("+", "green", ""),
    "removed": ("-", "red", ""),
    "up": ("▲", "green", ""),
    "down": ("▼", "red", ""),
    "changed": ("~", "yellow", ""),
    "build": ("~", "yellow", "another build: the same version, other files"),
    "place": ("~", "yellow", "from elsewhere"),
}
"""Kind of a package's change -> glyph, style, remark."""
ORDER = ("up", "down", "changed", "build", "place", "added", "removed")
"""What is in both first: it is what numbers move by."""


def environment_page(shown: Shown) -> Page:
    """Everything about one environment: what it is, how certain, its packages, what is around it, what is missing."""
    page = Page()
    environment = shown.environment
    headline(page, shown)
    page.blank()
    for label, text in facts_of(shown):
        if text:
            page.field(label, text)
    locked_field(page, shown.locked)
    for name, kept in sorted(shown.kept.items()):
        page.field(f"Kept {name}"[:12], kept_text(kept))
    if environment.image is not None:
        page.heading("Image")
        page.grid(Grid(image_rows(environment.image), "<<"))
    packages_section(page, shown.packages, environment.imported)
    mapping_section(page, "Libraries that move numbers", environment.libraries)
    mapping_section(page, "Variables", environment.variables)
    mapping_section(page, "Settings", environment.options)
    if shown.not_recorded:
        page.heading("Not recorded, or not certain to be had again")
        for sentence in shown.not_recorded:
            page.line(("  ! ", "yellow"), sentence)
    others = warnings_page([one for one in shown.warnings if one.kind in ("environment", "interpreter", "image")])
    if others.blocks:
        page.heading("Warnings")
        page.add(others.blocks)
    hints(page, shown)
    return page


def headline(page: Page, shown: Shown) -> None:
    environment = shown.environment
    what = f"Python {environment.python}" if environment.python else environment.kind
    many = f", {count(len(shown.packages), 'package')}" if shown.packages else ""
    whose: list[Cell] = [("  of ", "dim"), (short_id(shown.run or ""), "yellow")]
    if shown.run is None:
        whose = [("  here and now; nothing is kept of it", "dim")]
    elif shown.name:
        whose += [" ", (shown.name, "bold")]
    page.line((f"{what}{many}", "bold"), *whose)


def facts_of(shown: Shown) -> Iterable[tuple[str, str]]:
    environment = shown.environment
    yield "Kind", environment.kind
    base = [environment.interpreter or "", shown.implementation or "", shown.platform or ""]
    yield "Interpreter", ", ".join(part for part in base if part)
    yield "Digest", short_digest(environment.digest) if environment.digest else ""
    yield "Hardware", hardware_line(shown.hardware)


def locked_field(page: Page, locked: Locked) -> None:
    """`118 of 120 packages by hash, 2 by commit or kept code`; what is uncertain stands out."""
    if not locked.is_there:
        page.field("Lock", "none", "yellow")
        return
    if not locked.packages:
        page.field("Lock", "there")
        return
    parts = [] if locked.hashed or locked.certain or locked.uncertain else ["there, in a form of its own"]
    if locked.hashed:
        parts.append(f"{locked.hashed:,} by hash")
    if locked.certain:
        parts.append(f"{locked.certain:,} by commit or kept code")
    if locked.uncertain:
        parts.append(f"{locked.uncertain:,} uncertain")
    stored = f"; {locked.stored:,} kept whole" if locked.stored else ""
    page.field("Lock", f"{', '.join(parts)}{stored}", "yellow" if locked.uncertain else "green")


def kept_text(kept: Mapping[str, int | None]) -> str:
    files, size_bytes = kept["files"], kept["size_bytes"]
    return "on a remote" if files is None else f"{count(files, 'file')}, {size(size_bytes)}"


def image_rows(image: Image) -> list[tuple[Cell, ...]]:
    facts = {
        "reference": image.reference,
        "digest": image.digest or "none: no registry is known to have it",
        "id": image.id,
        "platform": "/".join(part for part in (image.os, image.architecture) if part),
        "created": image.created_at,
        "size": None if image.size_bytes is None else size(image.size_bytes),
        **{f"label {name}": text for name, text in sorted(image.labels.items())},
    }
    return [((name, "dim"), text) for name, text in facts.items() if text]


def packages_section(page: Page, packages: Sequence[Package], imported: Sequence[str] | None) -> None:
    if not packages:
        return
    used = set(imported or ()) & {one.name for one in packages}
    page.heading("Packages", "" if imported is None else f"{len(used):,} of them imported: {IMPORTED}")
    rows = [package_row(one, one.name in used) for one in packages]
    if not used:
        rows = [row[1:] for row in rows]
    page.grid(Grid(rows, "<" * len(rows[0]), limit=MOST, more=MORE))


def package_row(package: Package, is_imported: bool) -> tuple[Cell, ...]:
    """`● numpy  2.1.0  index.example.org  14 hashes`."""
    mark, name = (IMPORTED, (package.name, "bold")) if is_imported else ("", package.name)
    return mark, name, package.version, (where_from(package), "dim"), certainty(package)


def where_from(package: Package) -> str:
    """The host of an index, a repository at its commit, a directory, a file."""
    place = package.place
    if package.source == "index":
        return host_of(place) if place else "an index"
    if package.source == "project":
        below = "the project" if place in (None, ".") else f"the project's {place}"
        return f"{below}, editable" if package.is_editable else below
    if package.source == "file":
        return f"file {place}" if place else "a local file"
    words = {"outside": "a directory", "path": "PYTHONPATH", "system": "the system", "": ""}
    if package.source == "vcs" and place:
        address, _, commit = place.partition("#")[0].rpartition("@")
        return f"{address} at {commit[:10]}"
    if package.source == "url" and place:
        return f"{urlsplit(place).netloc}, {file_of(place)}"
    return place or words.get(package.source, package.source)


def file_of(url: str) -> str:
    """The name of the file at the end of a URL."""
    return urlsplit(url).path.rpartition("/")[2]


def host_of(url: str) -> str:
    """`https://index.example.org/simple` -> `index.example.org`; a local index by its path."""
    parts = urlsplit(url)
    special = parts.path.removesuffix("/").removesuffix("/simple") if parts.netloc else parts.path
    return f"{parts.netloc}{special}" or url


def certainty(package: Package) -> Cell:
    told = []
    if package.hashes:
        told.append(count(package.hashes, "hash", "hashes"))
    if package.is_stored:
        told.append("kept")
    if package.problem is not None:
        return (", ".join([*told, package.problem]), "yellow")
    if not told:
        told.append({"vcs": "by commit", "project": "with the code"}.get(package.source, ""))
    return (", ".join(told), "green" if told[0] else "")


def mapping_section(page: Page, title: str, values: Mapping[str, object]) -> None:
    if values:
        page.heading(title)
        rows = [(name, value if isinstance(value, str) else scalar(value)) for name, value in sorted(values.items())]
        page.grid(Grid(rows, "<<", limit=MOST, more=MORE))


def hints(page: Page, shown: Shown) -> None:
    """What to do next; only at a terminal."""
    which = "" if shown.run is None else f" {short_id(shown.run)}"
    steps = [("can it be built", f"mltrack env check{which}")]
    if shown.run is not None and any(one.problem == "no hash" for one in shown.packages):
        steps.append(("get the hashes", f"mltrack env lock{which}"))
    if shown.packages:
        steps.append(("as a file", f"mltrack env export{which}"))
    page.hint("")
    for what, command in steps:
        page.hint((f"{what:<17}", "dim"), (command, "cyan"))


def differences_page(found: EnvironmentDifferences) -> Page:
    """The two environments, a sentence that sums up, then every section that has something to say."""
    page = Page()
    a, b = named(found.a), named(found.b)
    page.line(("a ", "dim"), (a, "yellow"), ("   b ", "dim"), (b, "yellow"))
    page.blank()
    page.line((summary(found), "green" if found.is_empty else "bold"))
    if found.software:
        page.heading("Software")
        plain_section(page, found.software)
    if found.packages:
        page.heading("Packages", tally(found.packages))
        ordered = sorted(found.packages, key=lambda change: ORDER.index(change.kind))
        page.grid(Grid([change_row(change) for change in ordered], "<<<<<<", limit=MOST, more=MORE))
    sections: tuple[tuple[str, Sequence[Change]], ...] = (
        ("Libraries that move numbers", found.libraries),
        ("Hardware", found.hardware),
        ("Variables", found.variables),
    )
    for title, changes in sections:
        if changes:
            page.heading(title)
            plain_section(page, [replace(change, what=below(change.what)) for change in changes])
    if found.remarks:
        page.blank()
        for remark in found.remarks:
            page.line((f"! {remark}", "yellow"))
    return page


def below(what: str) -> str:
    """`libraries.blas.files` -> `blas.files`: the heading says the rest."""
    return what.removeprefix("libraries.").removeprefix("variables.")


def named(run: str | None) -> str:
    return NOW if run is None else short_id(run)


def summary(found: EnvironmentDifferences) -> str:
    """`They differ in software, 3 packages and hardware.`"""
    names = [
        "software" if found.software else "",
        count(len(found.packages), "package") if found.packages else "",
        "libraries" if found.libraries else "",
        "hardware" if found.hardware else "",
        "variables" if found.variables else "",
    ]
    told = [name for name in names if name]
    if not told:
        return "The environments are the same."
    return f"They differ in {', '.join(told[:-1]) + ' and ' if told[1:] else ''}{told[-1]}."


def tally(changes: Sequence[PackageChange]) -> str:
    """`2 up, 1 down, 1 added`."""
    words = {"build": "built otherwise", "place": "from elsewhere"}
    counted = Counter(change.kind for change in changes)
    return ", ".join(f"{counted[kind]:,} {words.get(kind, kind)}" for kind in ORDER if counted[kind])


def change_row(change: PackageChange) -> tuple[Cell, ...]:
    glyph, style, remark = CHANGES[change.kind]
    if change.kind == "build":
        return (glyph, style), change.name, change.a or "", "", "", (remark, style)
    arrow = "→" if change.a is not None and change.b is not None else ""
    return (glyph, style), change.name, change.a or "", (arrow, "dim"), change.b or "", (remark, style)


def check_page(found: CheckedEnvironment) -> Page:
    """Problems first, then what only the remote has, then one sentence on the rest."""
    page = Page()
    if not found.is_checked:
        page.line((f"An environment of the kind {found.kind} is what is on the machine: nothing to check.", "yellow"))
        return page
    problems = [finding for finding in found.findings if finding.problem]
    fine = [finding for finding in found.findings if not finding.problem]
    what = f"of {short_id(found.run)}" if found.run else "here"
    if problems:
        page.line(("✗ ", "red"), (f"The environment {what} could not be built on this machine, now", "bold red"), ":")
        page.grid(Grid([problem_row(one) for one in problems], "<<<", limit=MOST, more=MORE))
    else:
        page.line(("✓ ", "green"), (f"The environment {what} could be built on this machine, now", "bold green"), ".")
    if fine:
        page.heading("To be had", f"{len(fine):,} of {len(found.findings):,}")
        places = Counter(place_of(finding) for finding in fine)
        page.grid(Grid([(place, f"{many:,}", names_at(place, fine)) for place, many in places.most_common()], "<><"))
    if found.remedies:
        page.heading("What to do")
        for remedy in found.remedies:
            page.line("  ", remedy)
    return page


def problem_row(finding: Finding) -> tuple[Cell, ...]:
    return (finding.name, "bold"), (finding.problem or "", "red"), (finding.place or "", "dim")


def place_of(finding: Finding) -> str:
    place = finding.place
    if place is None:
        return "here"
    is_archive = "://" in place and file_of(place).endswith((".whl", ".gz", ".zip"))
    return urlsplit(place).netloc if is_archive else host_of(place) if "://" in place else place


def names_at(place: str, findings: Sequence[Finding]) -> Cell:
    """The names where there are few of them."""
    names = [finding.name for finding in findings if place_of(finding) == place]
    return (", ".join(names) if len(names) <= FEW else "", "dim")


def completed_page(found: Completed) -> Page:
    """How many hashes there were and are, and what still has none."""
    page = Page()
    gained = found.after.hashed - found.before.hashed
    total = found.after.packages
    page.line(
        (f"{found.after.hashed:,} of {total:,} packages have hashes", "green" if not found.missing else "yellow"),
        f", {found.before.hashed:,} had them before." if gained else ", as before.",
    )
    page.line((f"The lock of {short_id(found.run)} is {short_digest(found.lockfile)}.", "dim"))
    if found.missing:
        page.heading("Still uncertain")
        page.grid(Grid([(name,) for name in found.missing], "<", limit=MOST, more=MORE))
    if found.warnings:
        page.blank()
        page.add(warnings_page(found.warnings).blocks)
    return page


def cache_page(found: CacheReport, now: float) -> Page:
    """Each environment: for which lock, how large, when it was used last. `now`: seconds since 1970."""
    page = Page()
    if not found.environments:
        page.line(f"No environment is in {found.directory}.")
        return page
    rows = [cache_row(one, now) for one in reversed(found.environments)]
    header = [(name, "dim") for name in ("lock", "python", "packages", "size", "used", "")]
    page.grid(Grid(rows, "<<>>><", header, indent=0, limit=MOST, more=MORE))
    page.blank()
    gone = [one for one in found.environments if one.is_removed]
    left = [one for one in found.environments if not one.is_removed]
    if found.cleared:
        page.line((f"{size(total(gone))} freed: {count(len(gone), 'environment')} removed.", "bold"))
    if left:
        page.line(f"{size(total(left))} in {count(len(left), 'environment')}, in {found.directory}")
    if not found.cleared:
        page.hint(("remove what is not in use  ", "dim"), ("mltrack env cache --clear", "cyan"))
    return page


def total(environments: Iterable[CachedEnvironment]) -> int:
    return sum(one.size_bytes for one in environments)


def cache_row(one: CachedEnvironment, now: float) -> tuple[Cell, ...]:
    remarks = [
        "removed" if one.is_removed else "",
        "in use" if one.is_used else "",
        "" if one.is_complete else "half-built",
    ]
    used = age_of(now - one.used_at)
    told = (", ".join(remark for remark in remarks if remark), "red" if one.is_removed else "yellow")
    return (one.lock[:10], "yellow"), one.python or "", str(one.packages or ""), size(one.size_bytes), used, told


def age_of(seconds: float) -> str:
    """How long ago, as lists say it: `now`, `3 h`, `12 d`."""
    for least, unit, name in ((86400, 86400, "d"), (3600, 3600, "h"), (60, 60, "min")):
        if seconds >= least:
            return f"{int(seconds / unit)} {name}"
    return "now"
