"""Any mailbox by IMAP: the contract, on a Dovecot that can do everything, one like Gmail's, and one of long ago."""

from __future__ import annotations

import pytest

from crmmail.errors import Rejected
from crmmail.model import Delta
from tests.remotes.contract import RemoteContract
from tests.remotes.imap_world import Bare, ImapWorld, WithoutResync
from tests.remotes.mirror import Mirror
from tests.remotes.world import World


class ImapContract(RemoteContract):
    """What HTTP has and IMAP has not is left out, by name."""

    @pytest.mark.skip(reason="an IMAP server names no seconds to stay away for")
    def test_told_to_wait_says_how_long(self) -> None: ...

    @pytest.mark.skip(reason="IMAP lists are not paged")
    def test_odd_paging_gives_one_row_for_each_message(self) -> None: ...

    @pytest.mark.skip(reason="IMAP lists are not paged")
    def test_a_list_that_goes_in_circles_is_left_and_nothing_is_removed_for_it(self) -> None: ...

    @pytest.mark.skip(reason="IMAP does not redirect")
    def test_the_token_goes_to_no_other_host(self) -> None: ...

    @pytest.mark.skip(reason="there are no requests to compress; one connection is held by a test of its own")
    def test_every_request_asks_for_compression_and_connections_are_kept(self) -> None: ...

    @pytest.mark.skip(reason="a broken connection costs a login; what that comes to is held by a test of its own")
    def test_resets_every_few_calls_cost_few_calls_more(self) -> None: ...

    @pytest.mark.skip(reason="held by a test of its own, for a message that goes between its header and its body")
    def test_a_message_gone_between_list_and_get_is_left_out(self) -> None: ...


class TestImap(ImapContract):
    world_kind = ImapWorld


class Lesser(ImapContract):
    """What does not depend on what a server can do is held once."""

    @pytest.mark.skip(reason="the same on every server; held with all extensions")
    def test_a_broken_answer_drops_its_page_and_the_next_try_ends_right(self) -> None: ...

    @pytest.mark.skip(reason="the same on every server; held with all extensions")
    def test_an_answer_cut_at_any_byte_is_never_half_believed(self) -> None: ...

    @pytest.mark.skip(reason="the same on every server; held with all extensions")
    def test_a_damaged_cursor_counts_as_expired(self) -> None: ...

    @pytest.mark.skip(reason="the same on every server; held with all extensions")
    def test_a_server_in_trouble_is_transient(self) -> None: ...

    @pytest.mark.skip(reason="the same on every server; held with all extensions")
    def test_closing_from_another_thread_ends_a_waiting_call(self) -> None: ...


class TestImapWithoutResync(Lesser):
    world_kind = WithoutResync


class TestImapOfLongAgo(Lesser):
    world_kind = Bare

    @pytest.mark.parametrize("count", [1, 30])
    def test_deleting_for_good_removes_from_the_server(self, world: World, count: int) -> None:
        """Not here: only what everybody marked could be removed. It is refused, and nothing is removed."""
        world.add(count, folder="trash")
        mirror = Mirror().pull(world.connect())
        before = world.truth()
        acks = mirror.push(world.connect(), [world.wish(mirror, i, Delta(gone=True)) for i in mirror.newest()])
        assert all(isinstance(ack.error, Rejected) and not ack.error.gone for ack in acks.values())
        assert world.truth() == before


@pytest.fixture
def world(worlds) -> ImapWorld:  # type: ignore[no-untyped-def]
    return worlds(ImapWorld)
