"""Content -> tagged digests, and canonical JSON.

The one place that knows the algorithm: BLAKE3-256 of the raw bytes, written `b3:<64 hex>`. Nothing is sampled, and no
path or time is part of a digest. See `docs/reference/format.md`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blake3 import blake3

PREFIX = "b3:"
SIZE = 32
"""Bytes of a raw digest."""


def hasher(data: bytes | memoryview = b"", all_cores: bool = False) -> blake3:
    """A BLAKE3 state with `update(bytes)` and `digest()`; `update` releases the GIL for large blocks.

    With `all_cores` a large update is shared out between the cores.
    """
    from blake3 import blake3

    return blake3(data, max_threads=blake3.AUTO if all_cores else 1)


def digest_bytes(data: bytes | memoryview) -> str:
    """The tagged digest of some bytes."""
    from blake3 import blake3

    return PREFIX + blake3(data).hexdigest()


def digest_json(value: Any) -> str:
    """The tagged digest of a value's canonical JSON."""
    return digest_bytes(canonical_json(value))


def keyed_digest(key: bytes, parts: Iterable[bytes]) -> str:
    """A digest that says only "equal" or "not equal" to those who do not hold the 32-byte key.

    Used where the pre-image may hold a secret: arguments and environment variables. Parts are length-prefixed, so
    that ["ab", "c"] and ["a", "bc"] differ.
    """
    from blake3 import blake3

    state = blake3(key=key)
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return PREFIX + state.hexdigest()


def is_digest(value: Any) -> bool:
    """Is this the text of a digest?"""
    return (
        isinstance(value, str)
        and value.startswith(PREFIX)
        and len(value) == len(PREFIX) + 2 * SIZE
        and not set(value[len(PREFIX) :]) - set("0123456789abcdef")
    )


def to_raw(digest: str) -> bytes:
    """`b3:<hex>` -> 32 bytes. Raises ValueError if it is not a digest of this algorithm."""
    if not digest.startswith(PREFIX) or len(digest) != len(PREFIX) + 2 * SIZE:
        raise ValueError(f"not a BLAKE3-256 digest: {digest!r}")
    return bytes.fromhex(digest[len(PREFIX) :])


def from_raw(raw: bytes) -> str:
    """32 bytes -> `b3:<hex>`."""
    return PREFIX + raw.hex()


def canonical_json(value: Any) -> bytes:
    """The one JSON text of a value: keys sorted, no blanks, UTF-8, shortest floats, NaN and infinities as strings."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def plain(value: Any) -> Any:
    """The same value with what JSON cannot say replaced: NaN and infinities by their names, tuples by lists,
    unpaired surrogates (bytes of a file name that is not UTF-8) by U+FFFD."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
