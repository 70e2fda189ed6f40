"""What was once learned of an image, kept in the user's cache under the image's id: an image never changes.

A cache that is damaged or cannot be written costs time, never an answer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mltrack.digest import digest_bytes, digest_json


def remembered(cache: Path, image: str, question: Any, learn: Callable[[], Any]) -> Any:
    """The answer (JSON) to a question about an image; `learn` finds it out the first time."""
    path = cache / "images" / f"{digest_json([image, question]).removeprefix('b3:')[:32]}.json"
    with suppress(OSError, ValueError):
        digest, _, body = path.read_bytes().partition(b"\n")
        if digest == digest_bytes(body).encode():
            return json.loads(body)
    answer = learn()
    body = json.dumps(answer).encode()
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(digest_bytes(body).encode() + b"\n" + body)
        aside.replace(path)
    return answer
