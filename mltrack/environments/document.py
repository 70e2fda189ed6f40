"""Locks that are JSON: written in one form, and refused when they come back in another."""

from __future__ import annotations

import json
from typing import Any

from mltrack.errors import Damaged
from mltrack.patterns import lazy

PLAIN = lazy(r"[^\x00-\x1f\x7f]*")


def write_document(title: str, fields: dict[str, Any]) -> bytes:
    """The one text of these fields; `title` says whose lock it is, and its format."""
    return (json.dumps({"lock": title, **fields}, sort_keys=True, indent=1) + "\n").encode()


def read_document(data: bytes | None, title: str) -> dict[str, Any]:
    """The fields that `write_document` was given. Raises Damaged at anything else."""
    try:
        fields: dict[str, Any] = json.loads(data or b"")
        if fields.pop("lock") != title or write_document(title, fields) != data:
            raise ValueError("not in the form that mltrack gives it")
        return fields
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise strange(error) from error


def strange(error: Exception) -> Damaged:
    """The error for a lock whose content is not what it should be."""
    return Damaged(f"The lock of this environment is not one that mltrack wrote: {error}.", "Run `mltrack verify`.")


def text(value: Any, form: str | None = None) -> str:
    """The value, if it is a line of text, in a form if one is given. Raises ValueError."""
    import re

    if not isinstance(value, str) or not (re.fullmatch(form, value) if form else PLAIN.fullmatch(value)):
        raise ValueError(f"a strange text {str(value)[:80]!r}")
    return value
