"""What every remote does, whatever its server: the tests of issue 1 rows C and R, and of each verb there and back.

A subclass names its world; `tests/remotes/test_gmail.py` and `test_graph.py` run it.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crmmail import ops
from crmmail.errors import AuthRequired, CursorExpired, Offline, Rejected, Transient
from crmmail.model import Delta, Role, State
from crmmail.ops import Verb
from tests.remotes.mirror import Mirror
from tests.remotes.world import World


class RemoteContract:
    """Give `world_kind`."""

    world_kind: type[World]

    @pytest.fixture
    def world(self, worlds: Callable[[type[World]], World]) -> World:
        return worlds(self.world_kind)

    # First fill

    def test_a_first_fill_brings_every_message_with_its_state_and_its_bytes(self, world: World) -> None:
        world.add(70, unread=True)
        world.add(5, folder="trash")
        world.add(5, folder="sent")
        mirror = Mirror().fill(world.connect())
        assert mirror.states() == world.truth()
        for remote_id, message in mirror.messages.items():
            assert message.raw == world.mailbox.messages[world.key(remote_id)].raw

    def test_the_first_page_of_mail_is_small_and_the_newest(self, world: World) -> None:
        ids = world.add(200)
        pages = world.connect().changes("", Mirror().known)
        first = next(page for page in pages if page.upserts)
        assert 15 <= len(first.upserts) <= 50
        newest = list(reversed(ids))[: len(first.upserts)]
        assert [incoming.remote_id for incoming in first.upserts] == newest

    def test_a_first_fill_tells_how_far_it_is(self, world: World) -> None:
        world.add(120)
        mirror = Mirror().pull(world.connect())
        told = [page.progress for page in mirror.pages if page.progress]
        assert [done for done, _total in told] == sorted(done for done, _total in told)
        assert told[-1][0] == told[-1][1] == 120
        assert mirror.pages[-1].complete

    def test_folders_come_with_roles_and_the_counts_of_the_server(self, world: World) -> None:
        world.add(3, unread=True)
        world.add(2)
        world.add(1, folder="spam")
        mirror = Mirror().pull(world.connect())
        folders = {folder.key: folder for folder in mirror.folders}
        assert [folder.role for folder in mirror.folders][:5] == [
            Role.INBOX,
            Role.DRAFTS,
            Role.SENT,
            Role.TRASH,
            Role.SPAM,
        ]
        assert (folders["inbox"].server_total, folders["inbox"].server_unread) == (5, 3)
        assert folders["spam"].server_total == 1

    def test_a_fill_killed_after_any_page_goes_on_without_holes_and_without_fetching_twice(self, world: World) -> None:
        world.add(230)
        mirror = Mirror()
        for _attempt in range(50):
            mirror.pull(world.connect(), pages=2)
            if mirror.pages[-1].complete:
                break
        mirror.fill(world.connect())
        assert mirror.states() == world.truth()
        assert len(mirror.fetched) == len(set(mirror.fetched))

    def test_mail_that_arrives_and_leaves_during_the_fill_ends_right(self, world: World) -> None:
        ids = world.add(150)
        mirror = Mirror()
        for number, page in enumerate(world.connect().changes("", mirror.known)):
            mirror.take(page)
            if number == 2:
                world.deliver()
                world.mailbox.delete(world.key(ids[0]))
                world.mailbox.delete(world.key(ids[-1]))
                world.read(ids[-2], unread=True)
        mirror.fill(world.connect())
        assert mirror.states() == world.truth()

    def test_an_empty_mailbox_is_complete_at_once(self, world: World) -> None:
        mirror = Mirror().pull(world.connect())
        assert not mirror.messages
        assert mirror.pages[-1].complete
        assert mirror.cursor

    # Changes

    @pytest.fixture
    def filled(self, world: World) -> Mirror:
        world.add(30)
        world.add(3, unread=True)
        return Mirror().fill(world.connect())

    def test_nothing_new_is_said_in_one_page_without_content(self, world: World, filled: Mirror) -> None:
        filled.pages.clear()
        filled.pull(world.connect())
        (page,) = filled.pages
        assert page.complete
        assert not (page.upserts or page.patches or page.removals)
        assert page.keep is None

    def test_new_changed_moved_and_deleted_mail_is_told(self, world: World, filled: Mirror) -> None:
        first, second, third, fourth = filled.newest()[:4]
        world.deliver()
        world.read(first)
        world.read(second, unread=True)
        world.move(third, "trash")
        world.mailbox.delete(world.key(fourth))
        filled.fill(world.connect())
        assert filled.states() == world.truth()

    def test_what_was_told_before_is_not_fetched_again(self, world: World, filled: Mirror) -> None:
        remote = world.connect()
        filled.fetched.clear()
        world.read(filled.one(), unread=False)
        new = world.deliver()
        filled.fill(remote)
        assert filled.fetched == [new]

    def test_mail_that_came_and_went_between_two_looks_leaves_nothing(self, world: World, filled: Mirror) -> None:
        world.mailbox.delete(world.key(world.deliver()))
        filled.fill(world.connect())
        assert filled.states() == world.truth()

    def test_a_message_that_goes_and_comes_back_between_two_looks_stays(self, world: World, filled: Mirror) -> None:
        remote_id = filled.one()
        world.move(remote_id, "trash")
        world.move(remote_id, "inbox")
        filled.fill(world.connect())
        assert filled.states() == world.truth()
        assert remote_id in filled.messages

    def test_a_change_of_a_message_not_fetched_yet_brings_the_message(self, world: World, filled: Mirror) -> None:
        remote_id = filled.one()
        del filled.messages[remote_id]
        world.read(remote_id, unread=True)
        world.read(remote_id)
        filled.fill(world.connect())
        assert filled.states() == world.truth()

    def test_the_removal_of_a_message_never_seen_does_no_harm(self, world: World, filled: Mirror) -> None:
        remote_id = filled.one()
        del filled.messages[remote_id]
        world.mailbox.delete(world.key(remote_id))
        filled.fill(world.connect())
        assert filled.states() == world.truth()

    def test_a_crash_before_the_last_page_of_changes_repeats_and_loses_nothing(
        self, world: World, filled: Mirror
    ) -> None:
        for remote_id in filled.newest()[:20]:
            world.move(remote_id, "trash")
        for _number in range(70):
            world.deliver()
        for pages in (1, 2, 1):
            filled.pull(world.connect(), pages=pages)
        filled.fill(world.connect())
        assert filled.states() == world.truth()

    def test_a_folder_of_ones_own_is_told_and_holds_its_mail(self, world: World, filled: Mirror) -> None:
        place = world.new_folder("Clientes")
        world.move(filled.one(), place)
        filled.fill(world.connect())
        key = world.folder_key(place)
        assert [folder.name for folder in filled.folders if folder.key == key] == ["Clientes"]
        assert filled.states() == world.truth()

    # Expired cursors

    def test_an_expired_cursor_ends_in_a_full_reading_without_duplicates(self, world: World, filled: Mirror) -> None:
        first, second, third = filled.newest()[:3]
        world.deliver()
        world.mailbox.delete(world.key(first))
        world.move(second, "trash")
        world.read(third, unread=True)
        world.mailbox.expire_cursors()
        filled.fetched.clear()
        try:
            filled.pull(world.connect())
        except CursorExpired:
            filled.cursor = ""
        filled.fill(world.connect())
        assert filled.states() == world.truth()
        assert len(filled.fetched) <= 1

    @pytest.mark.parametrize("cursor", ["nonsense", "{}", "[]", '{"history": null}', '{"links": 3}', "null"])
    def test_a_damaged_cursor_counts_as_expired(self, world: World, cursor: str) -> None:
        with pytest.raises(CursorExpired):
            list(world.connect().changes(cursor, Mirror().known))

    # Wishes

    def _check_verb(self, world: World, mirror: Mirror, verb: Verb, ids: list[str]) -> None:
        """The verb, then what undoes it: after each the local copy, the server and the wish agree."""
        remote = world.connect()
        before = {remote_id: mirror.messages[remote_id].state or State() for remote_id in ids}
        deltas = {i: ops.delta_for(verb, state, world.can) for i, state in before.items()}
        wanted = {i: ops.apply(before[i], deltas[i]) for i in ids}
        acks = mirror.push(remote, [world.wish(mirror, i, deltas[i]) for i in ids])
        assert acks.keys() == set(ids)
        assert {i: world.state(world.key(i)) for i in ids} == wanted
        assert {i: ack.state for i, ack in acks.items()} == wanted
        back = [world.wish(mirror, i, ops.delta_for(Verb.RESTORE, wanted[i], world.can, before[i])) for i in ids]
        acks = mirror.push(remote, back)
        assert {i: world.state(world.key(i)) for i in ids} == before
        assert {i: ack.state for i, ack in acks.items()} == before

    @pytest.mark.parametrize("count", [1, 2, 30])
    @pytest.mark.parametrize("verb", [Verb.READ, Verb.UNREAD, Verb.FAVORITE, Verb.TRASH, Verb.ARCHIVE])
    def test_each_verb_and_its_undo_reach_the_server(self, world: World, verb: Verb, count: int) -> None:
        world.add(count, unread=verb is Verb.READ)
        mirror = Mirror().pull(world.connect())
        ids = mirror.newest()
        if not ops.allowed(verb, mirror.messages[ids[0]].state or State(), world.can):
            pytest.skip(f"{world.provider} has no {verb}")
        self._check_verb(world, mirror, verb, ids)

    @pytest.mark.parametrize("count", [1, 30])
    def test_recovering_brings_messages_back_to_the_inbox(self, world: World, count: int) -> None:
        world.add(count, folder="trash", unread=True)
        mirror = Mirror().pull(world.connect())
        self._check_verb(world, mirror, Verb.RECOVER, mirror.newest())

    def test_one_wish_for_several_things_is_made_true_whole(self, world: World) -> None:
        world.add(3)
        mirror = Mirror().pull(world.connect())
        ids = mirror.newest()
        trash = ops.delta_for(Verb.TRASH, State(frozenset({"inbox"})), world.can)
        both = Delta(trash.move, trash.add, trash.remove, unread=True)
        mirror.push(world.connect(), [world.wish(mirror, i, both) for i in ids])
        assert all(world.state(world.key(i)) == State(frozenset({"trash"}), unread=True) for i in ids)
        assert mirror.states() == world.truth()

    @pytest.mark.parametrize("count", [1, 30])
    def test_deleting_for_good_removes_from_the_server(self, world: World, count: int) -> None:
        world.add(count, folder="trash")
        kept = world.add(2)
        mirror = Mirror().pull(world.connect())
        doomed = [i for i in mirror.newest() if i not in kept]
        acks = mirror.push(world.connect(), [world.wish(mirror, i, Delta(gone=True)) for i in doomed])
        assert {ack.state for ack in acks.values()} == {State(gone=True)}
        assert set(world.truth()) == set(kept)

    def test_a_wish_made_twice_is_made_once(self, world: World) -> None:
        world.add(3)
        mirror = Mirror().pull(world.connect())
        remote = world.connect()
        deltas = [ops.delta_for(Verb.TRASH, State(frozenset({"inbox"})), world.can)] * 3
        wishes = [world.wish(mirror, i, delta) for i, delta in zip(mirror.newest(), deltas, strict=True)]
        list(remote.apply(wishes))
        after = world.truth()
        again = {ack.remote_id: ack for ack in remote.apply(wishes)}
        assert world.truth() == after
        assert all(ack.error is None and ack.state == after[i] for i, ack in again.items())

    def test_the_echo_of_a_wish_changes_nothing(self, world: World) -> None:
        world.add(5)
        remote = world.connect()
        mirror = Mirror().fill(remote)
        trash = ops.delta_for(Verb.TRASH, State(frozenset({"inbox"})), world.can)
        mirror.push(remote, [world.wish(mirror, i, trash) for i in mirror.newest()[:3]])
        before = mirror.states()
        mirror.fetched.clear()
        mirror.fill(remote)
        assert mirror.states() == before == world.truth()
        assert not mirror.fetched

    @pytest.mark.parametrize("count", [1, 4])
    def test_a_vanished_target_is_answered_as_gone(self, world: World, count: int) -> None:
        ids = world.add(count + 2)
        mirror = Mirror().fill(world.connect())
        for remote_id in ids[:count]:
            world.mailbox.delete(world.key(remote_id))
        trash = ops.delta_for(Verb.TRASH, State(frozenset({"inbox"})), world.can)
        acks = mirror.push(world.connect(), [world.wish(mirror, i, trash) for i in ids])
        assert all(ack.error is None for ack in acks.values())
        mirror.fill(world.connect())
        assert mirror.states() == world.truth()

    @pytest.mark.parametrize("refused", [0, 7, 24])
    def test_one_refused_of_many_comes_back_with_its_sentence_and_the_others_are_done(
        self, world: World, refused: int
    ) -> None:
        ids = world.add(25)
        mirror = Mirror().pull(world.connect())
        world.box.faults.refuse(world.user.address, ids[refused], "This message is under legal hold.")
        trash = ops.delta_for(Verb.TRASH, State(frozenset({"inbox"})), world.can)
        acks = mirror.push(world.connect(), [world.wish(mirror, i, trash) for i in ids])
        error = acks[ids[refused]].error
        assert isinstance(error, Rejected)
        assert "legal hold" in error.sentence
        assert world.state(world.key(ids[refused])).folders == {"inbox"}
        others = [i for i in ids if i != ids[refused]]
        assert all(acks[i].error is None for i in others)
        assert all(world.state(world.key(i)).folders == {"trash"} for i in others)

    # What goes wrong

    @pytest.mark.parametrize("row", ["N01", "N02", "N03", "N04", "N04-length", "N04-html"])
    def test_a_broken_answer_drops_its_page_and_the_next_try_ends_right(self, world: World, row: str) -> None:
        world.add(60)
        mirror = Mirror()
        world.box.faults.preset(row)
        for _attempt in range(3):
            try:
                mirror.fill(world.connect())
                break
            except Transient:
                continue
        assert mirror.states() == world.truth()
        assert len(mirror.fetched) == len(set(mirror.fetched))

    @pytest.mark.parametrize("cut", [0, 1, 17, 200, 900, 4000])
    def test_an_answer_cut_at_any_byte_is_never_half_believed(self, world: World, cut: int) -> None:
        world.add(40)
        world.box.faults.add("truncate", at=cut, nth=range(3, 40, 3))
        mirror = Mirror()
        for _attempt in range(40):
            try:
                mirror.fill(world.connect())
                break
            except Transient:
                continue
        assert mirror.states() == world.truth()
        assert all(message.raw for message in mirror.messages.values())

    @pytest.mark.parametrize(
        ("row", "wait"),
        [("R01", 3.0), ("R02", 1.0), ("R02-negative", 1.0), ("R02-huge", 3600.0), ("R02-absent", None)],
    )
    def test_told_to_wait_says_how_long(self, world: World, row: str, wait: float | None) -> None:
        world.box.faults.preset(row)
        with pytest.raises(Transient) as caught:
            Mirror().pull(world.connect())
        assert caught.value.retry_after == wait

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_a_server_in_trouble_is_transient(self, world: World, status: int) -> None:
        world.box.faults.add("status", status=status)
        with pytest.raises(Transient):
            Mirror().pull(world.connect())

    def test_a_session_that_ended_asks_for_a_new_one(self, world: World) -> None:
        world.add(3)
        remote = world.connect()
        mirror = Mirror().fill(remote)
        world.box.grants.revoke_all(world.user.address)
        with pytest.raises(AuthRequired):
            mirror.pull(remote)
        with pytest.raises(AuthRequired):
            list(remote.apply([world.wish(mirror, i, Delta(unread=True)) for i in mirror.newest()]))

    def test_a_server_that_is_away_is_offline_and_comes_back_by_itself(self, world: World) -> None:
        world.add(3)
        remote = world.connect()
        mirror = Mirror().fill(remote)
        world.box.pause()
        with pytest.raises(Offline):
            mirror.pull(remote)
        world.box.resume()
        world.deliver()
        mirror.fill(remote)
        assert mirror.states() == world.truth()

    @pytest.mark.parametrize("row", ["C04", "C04-overlap", "C04-order", "C05-empty"])
    def test_odd_paging_gives_one_row_for_each_message(self, world: World, row: str) -> None:
        world.add(620)
        world.box.faults.preset(row)
        mirror = Mirror().pull(world.connect())
        for _number in range(60):
            world.deliver()
        world.box.faults.clear()
        world.box.faults.preset(row)
        mirror.pull(world.connect())
        assert mirror.states() == world.truth()

    def test_a_list_that_goes_in_circles_is_left_and_nothing_is_removed_for_it(self, world: World) -> None:
        world.add(620)
        mirror = Mirror().pull(world.connect())
        cursor = mirror.cursor
        world.mailbox.expire_cursors()
        world.box.faults.add("page_loop")
        with pytest.raises((Transient, CursorExpired)):
            mirror.pull(world.connect())
        mirror.cursor = ""
        with pytest.raises(Transient):
            mirror.pull(world.connect())
        assert mirror.cursor != cursor
        assert mirror.states() == world.truth()

    def test_a_message_gone_between_list_and_get_is_left_out(self, world: World) -> None:
        ids = world.add(20)
        world.box.faults.preset("C06")
        mirror = Mirror().fill(world.connect())
        missing = set(ids) - {i for i, message in mirror.messages.items() if message.raw is not None}
        assert len(missing) == 1

    def test_the_token_goes_to_no_other_host(self, world: World) -> None:
        world.add(3)
        for location in ("http://127.0.0.2:1/elsewhere", "https://evil.example/"):
            world.box.faults.add("redirect", location=location, times=1)
            with pytest.raises(Transient):
                Mirror().pull(world.connect())

    def test_every_request_asks_for_compression_and_connections_are_kept(self, world: World) -> None:
        world.add(100)
        Mirror().pull(world.connect())
        asked = [one for one in world.box.ledger.requests if not one.inner]
        assert all("gzip" in one.agent for one in asked)
        assert len({one.connection for one in asked}) == 1

    def test_resets_every_few_calls_cost_few_calls_more(self, world: World) -> None:
        world.add(400)
        Mirror().fill(world.connect())
        undisturbed = len(world.box.ledger.requests)
        world.box.ledger.clear()
        world.box.faults.add("reset_before", every=10)
        mirror = Mirror()
        for _attempt in range(60):
            try:
                mirror.fill(world.connect())
                break
            except Transient:
                continue
        assert mirror.states() == world.truth()
        assert len(world.box.ledger.requests) <= 1.3 * undisturbed

    def test_closing_from_another_thread_ends_a_waiting_call(self, world: World) -> None:
        import threading

        world.box.faults.add("silent")
        remote = world.connect()
        caught: list[BaseException] = []

        def ask() -> None:
            try:
                Mirror().pull(remote)
            except Offline as error:
                caught.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        while not world.box.faults.active[0].fired:
            thread.join(0.01)
        remote.close()
        thread.join(5)
        assert not thread.is_alive()
        assert len(caught) == 1
