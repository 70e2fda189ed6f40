"""The lock of a container: a JSON document that says what image a run had, and what that was built from.

    {"lock": "mltrack docker lock 1",
     "image": {"id", "digest", "digests": ["repository@sha256:..."], "reference", "architecture", "os", "created_at",
               "size_bytes", "labels", "layers": ["sha256:..."], "settings": "b3:...",
               "counted": "config" or "manifest"},
     "build": {"dockerfile": its path in the context, "text", "context": "b3:...", "args", "target", "kept": "b3:..." or
               null, "left_out": how many files of the context are not in what is kept} or null,
     "python": "3.11.2" or null, "packages": [{"name", "version", "source"}]}

`settings` is a digest of the image's configuration, `counted` what its id was counted of. No path of a machine is in
it. A lock may come from a remote: every field is checked. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from mltrack.environments.docker.settings import ID, REFERENCE
from mltrack.environments.document import read_document, strange, text, write_document
from mltrack.nouns import noun
from mltrack.patterns import lazy

TITLE = "mltrack docker lock 1"
CONFIG, MANIFEST = "config", "manifest"
"""What an engine counts an image's id of: the bytes of its configuration, or those of its manifest."""

DIGEST = lazy(r"[A-Za-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}")
OURS = r"b3:[0-9a-f]{64}"
WORDS = ("architecture", "os", "created_at")
BUILD_KEYS = ("dockerfile", "text", "context", "args", "target", "kept", "left_out")


@noun
class BuildFacts:
    """What an image was built from; the files are in the tree `context`."""

    dockerfile: str
    text: str
    context: str
    args: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None
    kept: str | None = None
    """The digest of what is in the tree `context`; other than `context` where files were left out."""
    left_out: int = 0


@noun
class Lock:
    """What must be known to have the image again."""

    image: Mapping[str, Any]
    """As it stands in the document."""
    build: BuildFacts | None = None
    python: str | None = None
    packages: tuple[Mapping[str, str], ...] = ()

    @property
    def id(self) -> str:
        return str(self.image["id"])

    @property
    def is_counted_by_config(self) -> bool:
        return self.image.get("counted") == CONFIG

    @property
    def digests(self) -> tuple[str, ...]:
        return tuple(self.image["digests"])

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.image["layers"])


def write_lock(lock: Lock) -> bytes:
    """The text of a lock; the same for the same image on any machine."""
    build = lock.build
    fields = {
        "image": dict(lock.image),
        "build": None
        if build is None
        else {**{key: getattr(build, key) for key in BUILD_KEYS}, "args": dict(build.args)},
        "python": lock.python,
        "packages": [dict(package) for package in lock.packages],
    }
    return write_document(TITLE, fields)


def read_lock(data: bytes | None) -> Lock:
    """The lock that `write_lock` wrote. Raises Damaged, naming what is strange, at anything else."""
    fields = read_document(data, TITLE)
    try:
        build = fields["build"]
        return Lock(
            checked_image(fields["image"]),
            None if build is None else checked_build(build),
            None if fields["python"] is None else text(fields["python"]),
            tuple({key: text(package[key]) for key in ("name", "version", "source")} for package in fields["packages"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise strange(error) from error


def checked_image(image: Any) -> dict[str, Any]:
    """Raises ValueError, KeyError, TypeError at what no engine says."""
    matching(image["id"], ID)
    for digest in image["digests"]:
        matching(digest, DIGEST)
    for layer in image["layers"]:
        matching(layer, ID)
    if image["reference"] is not None:
        matching(image["reference"], REFERENCE)
    text(image["settings"], OURS)
    for name in WORDS:
        if image.get(name) is not None:
            text(image[name])
    return dict(image)


def checked_build(build: Any) -> BuildFacts:
    """Raises ValueError, KeyError, TypeError at what `write_lock` does not write."""
    facts = BuildFacts(**{key: build[key] for key in BUILD_KEYS})
    text(facts.dockerfile)
    text(facts.context, OURS)
    for word in (facts.target, facts.kept):
        if word is not None:
            text(word)
    given = {facts.text: "", **facts.args}
    if not all(isinstance(word, str) for pair in given.items() for word in pair) or type(facts.left_out) is not int:
        raise ValueError("a strange build")
    return facts


def matching(value: Any, pattern: Any) -> None:
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise ValueError(f"strange text {str(value)[:120]!r}")
