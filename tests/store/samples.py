"""Bytes for the store's tests: the same on every machine."""

from __future__ import annotations

from functools import lru_cache

from blake3 import blake3


@lru_cache(maxsize=16)
def noise(size: int, seed: bytes = b"mltrack") -> bytes:
    """Incompressible bytes: the extendable output of BLAKE3 over the seed."""
    return blake3(seed).digest(length=size)
