"""Queueing mail in a world, and judging by the sandbox's ledger what became of it."""

from __future__ import annotations

import base64
import random
from dataclasses import replace
from typing import Any

from crmmail.model import Address, Draft, Outgoing, SendState
from tests.faults.world import ADDRESSES, SECRET, World

WAITING = (SendState.HELD, SendState.QUEUED, SendState.SENDING)
OPEN = (*WAITING, SendState.UNKNOWN, SendState.ACCEPTED)


def raw(world: World, number: int, **options: Any) -> bytes:
    """The message `number` of a world's own address."""
    return letter(world.address, number, **options)


def letter(address: str, number: int, *, token: str = "", size: int = 0, to: str = "") -> bytes:
    """The message `number` as it is queued, with a file of `size` bytes when that is not 0."""
    head = (
        f"From: Me <{address}>\r\nTo: {to or f'friend{number}@example.net'}\r\n"
        f"Subject: {SECRET} outgoing {number}\r\nMessage-ID: <out{number}@example.com>\r\n"
        f"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nX-Crmmail-Id: {token or f'token-{number}'}\r\n"
        f"MIME-Version: 1.0\r\n"
    ).encode()
    kind = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
    text = kind + f"{SECRET} text of {number}.\r\n".encode()
    if not size:
        return head + text
    file = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
    file += b'Content-Disposition: attachment; filename="file.bin"\r\n\r\n' + base64.encodebytes(content(size)).replace(
        b"\n", b"\r\n"
    )
    head += b'Content-Type: multipart/mixed; boundary="edge"\r\n\r\n'
    return head + b"--edge\r\n" + text + b"\r\n--edge\r\n" + file + b"--edge--\r\n"


def content(size: int) -> bytes:
    """The bytes of an attached file."""
    return random.Random(size).randbytes(size)


def queue(world: World, number: int, *, delay: float = 0.0, **options: Any) -> Outgoing:
    """Write and queue the message `number`."""
    to = options.get("to") or f"friend{number}@example.net"
    draft = world.store.new_draft(
        Draft(
            0,
            world.provider,
            ADDRESSES.get(world.provider, ""),
            to=(Address("", to),),
            subject=f"{SECRET} outgoing {number}",
            text=f"{SECRET} text of {number}.",
        )
    )
    mime = raw(world, number, **options)
    not_before = world.clock.now + delay if delay else 0.0
    return world.store.queue(draft, mime, f"<out{number}@example.com>", f"token-{number}", not_before)


def state(world: World, outgoing: Outgoing) -> Outgoing:
    """How it stands now."""
    return next(one for one in world.store.outgoing() if one.id == outgoing.id)


def post(world: World, rounds: int = 60, *, until: tuple[SendState, ...] = OPEN) -> None:
    """Step, letting all waits pass, until no message is in one of the states `until`."""
    for _ in range(rounds):
        outcome = world.sync.step()
        if not world.store.outgoing(until):
            return
        world.clock.advance(max(outcome.wait, 0.01))
        world.sandbox.clock.offset = world.clock.now - world.started
    left = [replace(one, subject="", recipients=()) for one in world.store.outgoing(until)]
    raise AssertionError(f"not settled: {left}")


def deliveries(world: World) -> list[str]:
    """The recipients of everything the server has sent, in order."""
    return [to for entry in world.sandbox.ledger.sends(world.address) for to in entry.detail["recipients"]]


def once(world: World, *queued: Outgoing) -> None:
    """Each of `queued` went out exactly once, with its own content, and is seen in Sent with the server's id."""
    assert sorted(deliveries(world)) == sorted(to for one in queued for to in one.recipients)
    assert world.sandbox.ledger.duplicates() == []
    for one in queued:
        now = state(world, one)
        assert now.state is SendState.SEEN, now.state
        sent = world.server.get(world.server.key_of(now.remote_id))
        assert f"Message-ID: {now.sent_message_id}".encode() in sent.raw
        assert f"X-Crmmail-Id: {one.token}".encode() in sent.raw
    assert drafts(world) == []


def drafts(world: World) -> list[str]:
    """The ids in the server's Drafts folder."""
    return world.ids("drafts")
