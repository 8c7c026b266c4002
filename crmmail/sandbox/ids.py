"""Ids as the providers show them. A message's key is a number; what clients see never is."""

from __future__ import annotations

import base64
import hashlib
import re
import struct

IMMUTABLE = 0xFFFF  # in place of the number of moves
STABLE, CHANGING, FOLDER = "AAkALg", "AAMkAG", "AQMkAG"
TAIL = "AAA="


def _owner(address: str) -> bytes:
    """Eight bytes that tell one mailbox's ids from another's."""
    return hashlib.blake2b(address.lower().encode(), digest_size=8).digest()


def of_message(address: str, key: int, generation: int) -> str:
    """Graph's id of a message after `generation` moves, or the one that survives them (IMMUTABLE)."""
    packed = _owner(address) + struct.pack(">QH", key, generation)
    return (STABLE if generation == IMMUTABLE else CHANGING) + base64.urlsafe_b64encode(packed).decode() + TAIL


def of_folder(address: str, number: int) -> str:
    """Graph's id of a folder."""
    return (
        FOLDER + base64.urlsafe_b64encode(_owner(address) + struct.pack(">I", number)).decode().rstrip("=") + "A" + TAIL
    )


def read(address: str, item: str) -> tuple[int, int]:
    """(key, generation) of a Graph id. Raises ValueError."""
    packed = base64.urlsafe_b64decode(item[6:-4])
    if packed[:8] != _owner(address) or item[:6] not in (STABLE, CHANGING):
        raise ValueError(item)
    try:
        key, generation = struct.unpack(">QH", packed[8:])
    except struct.error:
        raise ValueError(item) from None
    return key, generation


def read_hex(item: str) -> int:
    """The key of a Gmail id: lower-case hex and nothing else. Raises ValueError."""
    if not re.fullmatch(r"[0-9a-f]{1,16}", item):
        raise ValueError(item)
    return int(item, 16)
