"""Rows C01, C02, C04–C11 and M04: lists, cursors and ids that do not hold still, and other clients at work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crmmail.model import Phase, Query
from crmmail.ops import Verb
from crmmail.sandbox import Sandbox
from tests.faults.ordeal import busy, once, through
from tests.faults.world import PROVIDERS, World, letter

LISTS = r"/(messages\?|messages/delta|history)"


@pytest.fixture
def filled(world: World) -> World:
    world.furnish(45)
    world.settle()
    return world


def forgotten(world: World) -> None:
    """What the user did is not lost with the cursor: acts wait, journal and undo stay."""
    acts = len(world.store.acts(100))
    expected = busy(world)
    world.server.expire_cursors()
    assert len(world.store.acts(100)) > acts
    world.settle()
    assert world.there() == expected
    once(world)
    world.rest()
    assert world.store.undo() is not None
    world.settle()
    world.rest()


def test_c01_c02_an_expired_cursor_costs_a_resync_and_nothing_else(filled: World) -> None:
    forgotten(filled)


@pytest.mark.parametrize(
    ("provider", "row"),
    [("gmail", "C01"), ("outlook", "C02"), ("outlook", "C02-unknown"), ("outlook", "C02-resync")],
)
def test_c01_c02_each_way_of_saying_so_is_understood(make: Callable[..., World], provider: str, row: str) -> None:
    world = make(provider)
    world.furnish(45)
    world.settle()
    expected = busy(world)
    world.sandbox.faults.preset(row)
    world.settle()
    assert world.there() == expected
    world.rest()


def test_c01_c02_a_cursor_that_expires_during_the_resync(filled: World) -> None:
    filled.server.expire_cursors()
    filled.sandbox.faults.add("reset_before", path=r"/(gmail|batch|v1\.0)", nth=(4,))
    filled.step()
    filled.server.expire_cursors()
    expected = busy(filled)
    filled.settle()
    assert filled.there() == expected
    filled.rest()


def test_c01_changes_made_while_our_cursor_was_dead_are_all_found(filled: World) -> None:
    ids = filled.ids("inbox")
    for one in ids[:6]:
        filled.server.delete(filled.server.key_of(one))
    for one in ids[6:9]:
        filled.server.trash(filled.server.key_of(one))
    for one in ids[9:12]:
        filled.server.modify(filled.server.key_of(one), remove=["UNREAD"])
    filled.server.deliver(letter(2000))
    filled.server.expire_cursors()
    filled.settle()
    filled.rest()


@pytest.mark.parametrize("kind", ["page_repeat", "page_overlap", "page_shuffle", "page_empty"])
def test_c04_c05_pages_twice_overlapping_shuffled_or_empty(world: World, kind: str) -> None:
    small_pages(world)
    through(world, lambda: world.sandbox.faults.add(kind, path=LISTS, times=6))


def test_c05_a_page_token_that_leads_back_is_noticed(world: World) -> None:
    small_pages(world)
    world.furnish(45)
    world.sandbox.faults.add("page_loop", path=LISTS)
    outcome = world.step()
    for _ in range(5):
        world.clock.advance(max(outcome.wait, 0.01))
        outcome = world.step()
    assert len(world.sandbox.ledger.requests) < 500
    world.sandbox.faults.clear()
    world.settle()
    world.rest()


def small_pages(world: World) -> None:
    """Lists come in several pages even for a small mailbox."""
    import crmmail.remotes.gmail as gmail

    patch = pytest.MonkeyPatch()
    patch.setattr(gmail, "IDS_PER_LIST", 7)
    world.cleanup.append(patch.undo)


def test_c06_a_message_gone_between_list_and_get_is_skipped(world: World) -> None:
    world.furnish(30)
    doomed = world.server.order[10:13]
    world.sandbox.faults.add(
        "act",
        path=r"/batch|/\$value|/messages/[^/?]+\?",
        times=1,
        call=lambda: [world.server.delete(key) for key in doomed],
    )
    world.settle()
    assert len(world.here()) == 27
    world.rest()


def test_c06_a_get_that_says_404_of_a_message_still_there_loses_nothing(world: World) -> None:
    world.furnish(20)
    world.sandbox.faults.preset("C06")
    world.settle()
    world.rest()


def test_c07_a_message_changed_between_list_and_get_has_its_newest_state(world: World) -> None:
    world.furnish(30)
    ids = [world.server.key_of(one) for one in world.ids("inbox")[:4]]

    def change() -> None:
        for key in ids[:2]:
            world.server.modify(key, remove=["UNREAD"])
        for key in ids[2:]:
            world.server.trash(key)

    world.sandbox.faults.add("act", path=r"/batch|/\$value|/messages/[^/?]+\?|delta", nth=(2,), call=change)
    world.settle()
    world.rest()


def test_c08_removals_of_unknown_messages_and_returns_of_removed_ones(filled: World) -> None:
    server = filled.server
    fleeting = server.deliver(letter(3000))
    server.delete(fleeting)
    wanderer = server.key_of(filled.ids("inbox")[0])
    server.trash(wanderer)
    if server.gmail:
        server.untrash(wanderer)
        server.modify(wanderer, add=["INBOX"])
    else:
        server.move(wanderer, server.role_place("inbox"))
    filled.settle()
    filled.rest()


def test_c08_a_message_that_went_away_and_came_back_between_two_polls_is_not_lost(filled: World) -> None:
    """Graph tells A→B→A as removed only (providers.md §2.3)."""
    server = filled.server
    keys = [server.key_of(one) for one in filled.ids("inbox")[:3]]
    for key in keys:
        server.trash(key)
        if server.gmail:
            server.untrash(key)
            server.modify(key, add=["INBOX"])
        else:
            server.move(key, server.role_place("inbox"))
    filled.settle()
    filled.rest()


def test_c09_news_of_a_message_not_fetched_yet_is_not_dropped(world: World) -> None:
    world.furnish(40)
    world.sandbox.faults.add("reset_before", path=r"/(gmail|batch|v1\.0)", first=1000, nth=tuple(range(6, 400)))
    world.step()
    unseen = [one for one in world.ids("inbox") if one not in world.here()]
    for one in unseen[:5]:
        world.server.modify(world.server.key_of(one), remove=["UNREAD"])
    for one in unseen[5:8]:
        world.server.trash(world.server.key_of(one))
    world.sandbox.faults.clear()
    world.settle()
    world.rest()


@pytest.mark.parametrize("skew", [-86_400, 86_400])
def test_c10_a_server_whose_clock_is_a_day_off(world: World, skew: float) -> None:
    world.sandbox.clock.advance(skew)
    through(world, lambda: None)


def test_c10_lists_follow_the_servers_time_whatever_the_date_header_says(world: World) -> None:
    now = int(world.clock.now * 1000)
    for number, date in enumerate(("Mon, 01 Jan 1900 00:00:00 +0000", "Fri, 31 Dec 9999 23:59:59 +0000", "garbage")):
        raw = f"From: a@example.net\r\nSubject: dated {number}\r\nDate: {date}\r\n\r\nx".encode()
        world.server.add(raw, folder="inbox", received_ms=now - number * 60_000)
    world.settle()
    rows = world.store.window(Query(world.provider), 0, 10)
    assert [row.subject for row in rows] == ["dated 0", "dated 1", "dated 2"]
    world.rest()


def test_c10_a_local_clock_set_back_in_the_middle(filled: World) -> None:
    expected = busy(filled)
    filled.sandbox.faults.add("status", path=r"/(gmail|batch|v1\.0)", status=503, every=2, times=6)
    for jump in (-7200, 86_400, -90_000):
        filled.clock.now += jump
        filled.clock.advance(65)
        filled.step()
    started = filled.clock.ticks
    filled.settle()
    assert filled.clock.ticks - started < 600
    assert filled.there() == expected
    filled.rest()


def test_c11_the_same_id_in_two_mailboxes_is_kept_apart(make: Callable[..., World], sandbox: Sandbox) -> None:
    from crmmail.sandbox import User
    from crmmail.sync import RemoteSync
    from tests.faults import world as worlds

    one = make("gmail")
    sandbox.add_user(User("twin@example.com", "gmail"))
    twin = sandbox.users["twin@example.com"].mailbox
    key = one.server.add(letter(1), unread=True, received_ms=1_700_000_000_000, key=777)
    twin.add(letter(2), unread=True, received_ms=1_700_000_000_000, key=777)
    assert one.server.id_of(key) == twin.id_of(777)
    auth = worlds.Bearer(sandbox.grants.issue("twin@example.com", worlds.SCOPES["gmail"], lifetime=1e9))
    remote = worlds.connect("gmail", sandbox.http_url, auth)
    remote.mailbox = "twin"
    one.store.register(worlds.replace_id(worlds.mailbox("gmail", remote.capabilities), "twin"))
    other = RemoteSync(one.store, remote, one.clock, timer=one.clock.timer)
    one.settle()
    other.step()
    one.perform(Verb.TRASH, [one.server.id_of(key)])
    one.settle()
    other.step()
    assert "trash" in worlds.here(one.store, "gmail")[one.server.id_of(key)].folders
    assert "inbox" in worlds.here(one.store, "twin")[twin.id_of(777)].folders
    assert "INBOX" in twin.messages[777].labels
    subjects = {row.mailbox: row.subject for row in one.store.window(Query(""), 0, 10)}
    assert subjects == {"twin": "canary subject 2"}
    remote.close()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_m04_twenty_offline_acts_five_of_whose_targets_vanished(
    make: Callable[..., World], provider: str, sandbox: Sandbox
) -> None:
    world = make(provider)
    for number in range(30):
        world.server.add(letter(number), unread=True, received_ms=1_700_000_000_000 + number)
    world.settle()
    ids = world.ids("inbox")[:20]
    sandbox.pause()
    for one in ids[:10]:
        assert world.perform(Verb.TRASH, [one]) == 1
    for one in ids[10:]:
        assert world.perform(Verb.READ, [one]) == 1
    assert world.step().phase is Phase.OFFLINE
    vanished = [ids[number] for number in (1, 5, 9, 12, 17)]
    for one in vanished:
        world.server.delete(world.server.key_of(one))
    reports: list[Any] = []
    world.store.subscribe(lambda change: reports.extend(change.rejected))
    sandbox.resume()
    world.settle()
    assert world.pending() == []
    assert {one for one in vanished if one in world.here()} == set()
    assert all("trash" in world.there()[one].folders for one in ids[:10] if one not in vanished)
    assert all(not world.there()[one].unread for one in ids[10:] if one not in vanished)
    assert len(reports) == 5
    world.rest()


def test_nonsense_of_any_shape_is_survived_and_told(world: World) -> None:
    world.furnish(5)
    world.settle()
    for body in ("[]", "null", '"x"', "{", '{"error":1}', '{"value":3,"history":[[]],"messages":{}}'):
        for status in (200, 400, 404, 418, 500):
            world.sandbox.faults.add("status", path=r"/(gmail|batch|v1\.0)", status=status, body=body, times=2)
            outcome = world.step()
            if outcome.error:
                assert world.store.statuses()[world.provider].phase is not Phase.SYNCED
            world.sandbox.faults.clear()
            world.clock.advance(max(outcome.wait, 4000))
            assert world.settle().phase is Phase.SYNCED
    world.rest()


def test_a_removal_of_half_a_folder_asks_first_and_acts_go_on_meanwhile(world: World) -> None:
    for number in range(40):
        world.server.add(letter(number), unread=True, received_ms=1_700_000_000_000 + number)
    world.settle()
    ids = world.ids("inbox")
    for one in ids[:30]:
        world.server.delete(world.server.key_of(one))
    outcome = world.step()
    assert outcome.phase is Phase.PAUSED
    assert "30" in outcome.sentence
    assert len(world.here()) >= 20  # pages before the one that asks for too much may have been small enough
    world.perform(Verb.TRASH, ids[35:37])
    assert world.step().phase is Phase.PAUSED
    assert all("trash" in world.there()[one].folders for one in ids[35:37])
    world.store.allow_mass_removal(world.provider)
    world.sync.resume()
    world.settle()
    world.rest()


def test_deleting_for_good_waits_for_the_wider_permission_and_holds_up_nothing(
    make: Callable[..., World], sandbox: Sandbox
) -> None:
    from tests.faults.world import ADDRESSES, SCOPES, Bearer

    auth = Bearer(sandbox.grants.issue(ADDRESSES["gmail"], SCOPES["gmail"].split()[0], lifetime=1e9))
    world = make("gmail", auth=auth)
    world.furnish(45)
    world.settle()
    doomed, starred = world.ids("trash"), world.ids("inbox")[:3]
    assert doomed
    world.perform(Verb.DELETE, doomed)
    world.perform(Verb.TRASH, starred)
    outcome = world.step()
    assert outcome.phase is Phase.SIGN_IN
    assert world.sync.scope_wanted == "https://mail.google.com/"
    assert all("trash" in world.there()[one].folders for one in starred)
    assert set(doomed) <= set(world.there())
    assert len(world.pending()) == len(doomed)
    world.server.deliver(letter(800))
    world.clock.advance(30)
    world.step()
    assert len(world.ids("inbox")) == sum("inbox" in state.folders for state in world.here().values())
    auth.token = sandbox.grants.issue(ADDRESSES["gmail"], SCOPES["gmail"], lifetime=1e9)
    world.sync.resume()
    world.settle()
    assert not set(doomed) & set(world.there())
    world.rest()
