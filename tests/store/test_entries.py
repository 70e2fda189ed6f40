from __future__ import annotations

import io
import struct
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mltrack.errors import Damaged, FormatTooNew
from mltrack.store import entries
from mltrack.store.entries import (
    CHUNK,
    HEADER,
    HEADER_SIZE,
    PACK_HEADER,
    RECIPE,
    decode,
    encode,
    encode_recipe,
    encode_table,
    parse_header,
    raw_digest,
    recipe_pieces,
    scan,
)
from tests.store.samples import noise


def chunk(raw: bytes) -> bytes:
    return encode(CHUNK, raw, raw_digest(raw))


def flips(data: bytes):
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=20).map(lambda some: some * 100)))
def test_decoding_gives_what_was_encoded(raw: bytes):
    entry = decode(chunk(raw))
    assert (entry.type, entry.raw, entry.raw_size, entry.digest) == (CHUNK, raw, len(raw), raw_digest(raw))


def test_the_bytes_of_an_entry_are_pinned():
    assert chunk(b"abc").hex() == (
        "936d6c74"
        "01"
        "01"
        "00"
        "00"
        "03000000"
        "03000000"
        "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
        "00000000"
        "CRC"
        "616263"
    ).replace("CRC", struct.pack("<I", zlib.crc32(chunk(b"abc")[:52])).hex())


def test_what_compresses_is_kept_compressed_and_noise_is_not():
    assert len(chunk(bytes(10_000))) < 200
    assert len(chunk(noise(10_000))) == 10_000 + HEADER_SIZE


@pytest.mark.parametrize("raw", [b"", b"some bytes", b"again and again " * 8])
def test_every_flipped_bit_of_an_entry_is_noticed(raw: bytes):
    for changed in flips(chunk(raw)):
        with pytest.raises((Damaged, FormatTooNew)):
            decode(changed)


def test_every_flipped_bit_of_a_recipe_is_noticed():
    for changed in flips(encode_recipe(raw_digest(b"whole"), [(raw_digest(b"a"), 1), (raw_digest(b"b"), 2)])):
        with pytest.raises((Damaged, FormatTooNew)):
            decode(changed)


@pytest.mark.parametrize("cut", range(0, HEADER_SIZE + 10, 7))
def test_a_cut_entry_is_damaged(cut: int):
    with pytest.raises(Damaged):
        decode(chunk(b"some bytes")[:cut])


def test_a_recipe_belongs_to_its_object():
    entry = encode_recipe(raw_digest(b"whole"), [(raw_digest(b"wh"), 2), (raw_digest(b"ole"), 3)])
    assert recipe_pieces(decode(entry).raw, raw_digest(b"whole")) == [(raw_digest(b"wh"), 2), (raw_digest(b"ole"), 3)]
    with pytest.raises(Damaged):
        recipe_pieces(decode(entry).raw, raw_digest(b"other"))
    with pytest.raises(Damaged):
        decode(encode(RECIPE, decode(entry).raw, raw_digest(b"other")))


def forged(payload: bytes, raw_size: int) -> bytes:
    head = HEADER.pack(entries.MAGIC, 1, CHUNK, 1, 0, raw_size, len(payload), bytes(32), zlib.crc32(payload))
    return head + struct.pack("<I", zlib.crc32(head)) + payload


def test_a_bomb_is_refused_before_it_is_unpacked():
    bomb = zstandard.ZstdCompressor().compress(bytes(64 << 20))
    with pytest.raises(Damaged, match="declare another size"):
        decode(forged(bomb, 1 << 20))
    with pytest.raises(Damaged, match="contradict"):
        decode(forged(bomb, 64 << 20))


def test_a_bomb_that_does_not_declare_its_size_is_refused():
    compressor = zstandard.ZstdCompressor(write_content_size=False)
    with pytest.raises(Damaged):
        decode(forged(compressor.compress(bytes(64 << 20)), 1 << 20))


def test_a_newer_entry_is_not_called_damaged():
    head = HEADER.pack(entries.MAGIC, 2, CHUNK, 0, 0, 0, 0, bytes(32), 0)
    with pytest.raises(FormatTooNew):
        parse_header(head + struct.pack("<I", zlib.crc32(head)))


def pack_of(*raws: bytes) -> bytes:
    return PACK_HEADER + b"".join(map(chunk, raws))


def test_scanning_walks_a_pack():
    data = pack_of(b"one", b"two" * 100, b"")
    walk = scan(io.BytesIO(data))
    assert [(key[1], raw_size) for key, _, _, raw_size in walk] == [
        (raw_digest(b"one"), 3),
        (raw_digest(b"two" * 100), 300),
        (raw_digest(b""), 0),
    ]
    assert (walk.end, walk.damage, walk.sealed) == (len(data), [], False)


def test_scanning_says_where_a_torn_pack_is_whole():
    whole = pack_of(b"one", b"two")
    for cut in range(1, len(chunk(b"three"))):
        walk = scan(io.BytesIO(whole + chunk(b"three")[:cut]), verify=True)
        assert len(list(walk)) == 2
        assert walk.end == len(whole) and [at for at, _ in walk.damage] == [len(whole)]


def test_scanning_goes_on_behind_damage_if_asked():
    data = bytearray(pack_of(b"one", b"two", b"three"))
    data[len(pack_of(b"one")) + 5] ^= 1
    assert len(list(scan(io.BytesIO(data)))) == 1
    walk = scan(io.BytesIO(data), resync=True)
    assert [size for _, _, _, size in walk] == [3, 5]
    assert [at for at, _ in walk.damage] == [len(pack_of(b"one"))]


def test_a_table_lists_what_the_scan_finds():
    data = pack_of(b"one", b"two" * 100)
    sealed = data + encode_table(scan(io.BytesIO(data)), len(data))
    walk = scan(io.BytesIO(sealed))
    assert list(walk) == entries.read_table(io.BytesIO(sealed), len(sealed)) and walk.sealed
    assert walk.end == len(data)
    assert entries.read_table(io.BytesIO(data), len(data)) is None
    assert entries.read_table(io.BytesIO(sealed[:-1]), len(sealed) - 1) is None
    assert list(scan(io.BytesIO(sealed + b"more"))) and entries.read_table(io.BytesIO(sealed + b"x"), 1) is None
