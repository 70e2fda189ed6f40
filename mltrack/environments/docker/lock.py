"""The lock of a container: a JSON document that says what image a run had, and what that was built from.

    {"format": 1, "kind": "docker",
     "image": {"id", "digest", "digests": ["repository@sha256:..."], "reference", "architecture", "os", "created_at",
               "size_bytes", "labels", "layers": ["sha256:..."], "settings": "b3:..."},
     "build": {"dockerfile": its path in the context, "text", "context": "b3:...", "args", "target"} or null,
     "python": "3.11.2" or null, "packages": [{"name", "version", "source"}]}

`settings` is a digest of the image's configuration. No path of a machine is in it. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from mltrack.environments.docker.settings import ID, REFERENCE
from mltrack.errors import Damaged
from mltrack.nouns import noun
from mltrack.patterns import lazy

FORMAT = 1
DIGEST = lazy(r"[A-Za-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}")


@noun
class BuildFacts:
    """What an image was built from; the files are in the tree `context`."""

    dockerfile: str
    text: str
    context: str
    args: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None


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
    def digests(self) -> tuple[str, ...]:
        return tuple(self.image["digests"])

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.image["layers"])


def write_lock(lock: Lock) -> bytes:
    """The text of a lock; the same for the same image on any machine."""
    document = {
        "format": FORMAT,
        "kind": "docker",
        "image": dict(lock.image),
        "build": None
        if lock.build is None
        else {
            "dockerfile": lock.build.dockerfile,
            "text": lock.build.text,
            "context": lock.build.context,
            "args": dict(lock.build.args),
            "target": lock.build.target,
        },
        "python": lock.python,
        "packages": [dict(package) for package in lock.packages],
    }
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def read_lock(text: bytes | None) -> Lock:
    """The lock that `write_lock` wrote. Raises Damaged, naming what is strange, at anything else."""
    try:
        document = json.loads((text or b"").decode())
        if document["format"] != FORMAT or document["kind"] != "docker":
            raise Damaged(f"The lock of this container has format {document['format']!r}.", "Upgrade mltrack.")
        image, build = document["image"], document["build"]
        checked(image["id"], ID)
        for digest in image["digests"]:
            checked(digest, DIGEST)
        for layer in image["layers"]:
            checked(layer, ID)
        if image["reference"] is not None:
            checked(image["reference"], REFERENCE)
        facts = None if build is None else BuildFacts(**{key: build[key] for key in BUILD_KEYS})
        return Lock(image, facts, document["python"], tuple(document["packages"]))
    except (UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise Damaged(
            f"The lock of this container is not one that mltrack wrote: {error}.", "Run `mltrack verify`."
        ) from error


BUILD_KEYS = ("dockerfile", "text", "context", "args", "target")


def checked(value: Any, pattern: Any) -> None:
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise ValueError(f"strange text {str(value)[:120]!r}")
