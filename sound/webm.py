"""Opus as browsers record it, in WebM, to Opus as decoders take it, in Ogg.
No I/O, no clock; hostile until read.

Of WebM (RFC 9559, on EBML, RFC 8794) only what `MediaRecorder` writes is known: one track, a packet a block.
Elements that hold others are stepped into whatever their size says, since a recording that goes on does not
know it; all others are stepped over. What is cut off in the middle is read as far as it goes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

__all__ = ["ogg_of", "opus_packets", "packet_samples"]

_HOLDS_OTHERS = {0x18538067, 0x1F43B675, 0xA0}
"""Segment, Cluster, BlockGroup."""
_BLOCKS = {0xA1, 0xA3}
"""Block, SimpleBlock."""
_LACED = 0x06
_BLOCK_HEAD = 4

MOST_PACKETS = 8_000
"""20 s of the shortest."""
LARGEST_PACKET = 60_000
_RATE_HZ = 48_000
"""Opus counts in it, whatever was recorded."""
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def opus_packets(webm: bytes) -> Iterator[bytes]:
    """The packets, in order.

    Raises:
        ValueError: it is no WebM, or one that no browser writes.
    """
    place, count = 0, 0
    if not webm.startswith(b"\x1aE\xdf\xa3"):
        raise ValueError("not WebM")
    while place < len(webm):
        identity, place = _number(webm, place, marked=True)
        size, place = _number(webm, place, marked=False)
        if identity is None or size is None:
            return
        if identity in _HOLDS_OTHERS:
            continue
        if size > len(webm) - place:
            return
        if identity in _BLOCKS:
            block = webm[place : place + size]
            if len(block) <= _BLOCK_HEAD or block[3] & _LACED or not block[0] & 0x80:
                raise ValueError("blocks that no browser writes")
            count += 1
            if count > MOST_PACKETS or len(block) > LARGEST_PACKET:
                raise ValueError("too long for a recording")
            yield block[_BLOCK_HEAD:]
        place += size


def _number(webm: bytes, place: int, *, marked: bool) -> tuple[int | None, int]:
    """EBML's number at that place, with the mark of its length or without, and where it ends."""
    if place >= len(webm) or not webm[place]:
        return None, place
    length = 9 - webm[place].bit_length()
    if place + length > len(webm):
        return None, place
    value = int.from_bytes(webm[place : place + length], "big")
    return value if marked else value & ((1 << 7 * length) - 1), place + length


def packet_samples(packet: bytes) -> int:
    """How long a packet of Opus lasts, at 48,000 Hz (RFC 6716, 3.1).

    Raises:
        ValueError: it is none.
    """
    if not packet:
        raise ValueError("an empty packet")
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        samples = (480, 960, 1920, 2880)[config % 4]
    elif config < 16:
        samples = (480, 960)[config % 2]
    else:
        samples = (120, 240, 480, 960)[config % 4]
    if code == 3 and len(packet) < 2:
        raise ValueError("a broken packet")
    frames = (1, 2, 2, packet[1] & 63 if code == 3 else 0)[code]
    if not 0 < frames * samples <= 120 * _RATE_HZ // 1000:
        raise ValueError("a packet of an impossible length")
    return frames * samples


def ogg_of(packets: Iterable[bytes], channels: int) -> bytes:
    """The packets as an Ogg Opus file (RFC 7845), a page each.

    Raises:
        ValueError: as `packet_samples`.
    """
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, channels, 0, _RATE_HZ, 0, 0)
    tags = b"OpusTags" + struct.pack("<II", 0, 0)
    pages = [_page(head, 0, 0, first=True), _page(tags, 1, 0)]
    until = 0
    for number, packet in enumerate(packets, start=2):
        until += packet_samples(packet)
        pages.append(_page(packet, number, until))
    return b"".join(pages)


def _page(packet: bytes, number: int, until: int, *, first: bool = False) -> bytes:
    laces = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, 2 if first else 0, until, 1, number, 0, len(laces)) + laces
    page = head + packet
    return page[:22] + struct.pack("<I", _checksum(page)) + page[26:]


def _checksum(page: bytes) -> int:
    # Ogg's is the one of zlib read from the other end of each byte, without its inversions.
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
