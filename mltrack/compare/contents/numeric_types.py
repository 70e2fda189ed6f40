"""Number types that NumPy has no name for, read by their bits: bfloat16 and the eight-bit floats.

The names are those of the safetensors format.
"""

from __future__ import annotations

from mltrack.compare.contents.cells import Array

BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "U16": 16,
    "I16": 16,
    "U32": 32,
    "I32": 32,
    "U64": 64,
    "I64": 64,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "F16": 16,
    "BF16": 16,
    "F32": 32,
    "F64": 64,
    "C64": 64,
}
"""Bits of one number, of each type."""

PLAIN = {
    "BOOL": "u1",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "C64": "<c8",
}
"""Types that NumPy knows, by its names."""


def decoded(data: bytes, kind: str) -> Array:
    """The numbers in some bytes, as an array of a type of the machine that holds each of them exactly."""
    import numpy as np

    if kind in PLAIN:
        plain = np.dtype(PLAIN[kind])
        return np.frombuffer(data, plain).astype(plain.newbyteorder("="), copy=False)
    if kind == "BF16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    if kind == "F8_E5M2":
        return (np.frombuffer(data, "u1").astype(np.uint16) << 8).view(np.float16)
    table = _e4m3() if kind == "F8_E4M3" else np.concatenate([np.ldexp(1.0, np.arange(-127, 128)), [np.nan]])
    return table[np.frombuffer(data, "u1")]


def _e4m3() -> Array:
    """The 256 values of the eight-bit float with four bits of exponent, no infinities, and one NaN of each sign."""
    import numpy as np

    bits = np.arange(256)
    exponent, fraction = (bits >> 3) & 15, (bits & 7) / 8
    size = np.where(exponent == 0, np.ldexp(fraction, -6), np.ldexp(1 + fraction, exponent - 7))
    size[(bits & 127) == 127] = np.nan
    return np.where(bits & 128, -size, size)
