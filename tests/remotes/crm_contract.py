"""What every CRM connector must do. Each kind runs this on a world of its own.

`EveryCrm` holds for all. The others are for what a connector says it can: `Keeps` entries, `Tells` a timeline,
`Creates`, `TakesFiles`; `Remote` for one beyond a network. `CrmContract` is a CRM as one imagines it.
"""

from __future__ import annotations

import pytest

from crmmail.crm.model import CrmAck, Visibility
from crmmail.errors import AuthRequired, CursorExpired, Offline, Rejected, Transient
from crmmail.remotes.crm import Crm
from tests.remotes.crm_world import WHEN, CrmWorld, Mirror, everything, file, log, new_account, new_contact


def acked(crm: Crm, *ops: object) -> list[CrmAck]:
    return list(crm.apply(ops))  # type: ignore[arg-type]


def ids(acks: list[CrmAck]) -> list[str]:
    assert [ack.error for ack in acks] == [None] * len(acks)
    assert all(ack.remote_id for ack in acks)
    return [ack.remote_id for ack in acks]


class EveryCrm:
    """What holds even for one that can neither be read nor asked. Mix into a test class with a `world` fixture."""

    def test_it_says_whom_we_are_there_as(self, world: CrmWorld) -> None:
        assert world.connect().check()

    def test_a_round_ends_complete_with_a_cursor_that_is_good_for_the_next(self, world: CrmWorld) -> None:
        first = everything(world.connect())
        assert [page.complete for page in first.pages][-1]
        assert first.cursor
        assert everything(world.connect(), first.cursor).pages[-1].complete

    @pytest.mark.parametrize("cursor", ["nonsense", "{}", '{"v":9}', '{"v":1,"filling":"moon"}', '{"v":1,"x":2}'])
    def test_a_cursor_it_cannot_read_is_expired(self, world: CrmWorld, cursor: str) -> None:
        with pytest.raises(CursorExpired):
            everything(world.connect(), cursor)

    def test_every_op_is_answered_under_its_key_and_what_it_cannot_do_is_refused(self, world: CrmWorld) -> None:
        crm = world.connect()
        ops = [log("424242"), log("x", "<2@x.example>", sent=True), new_account(), new_contact("424242")]
        acks = acked(crm, *ops)
        assert [ack.key for ack in acks] == [op.key for op in ops]
        assert all(ack.error is None or isinstance(ack.error, Rejected) for ack in acks)
        assert (acks[2].error is None) == crm.capabilities.create_account

    def test_closing_it_twice_harms_nothing(self, world: CrmWorld) -> None:
        crm = world.connect()
        crm.close()
        crm.close()

    def test_what_it_says_it_can_do_is_what_it_is_tried_for(self, world: CrmWorld) -> None:
        can = world.connect().capabilities
        assert can.log
        assert can.timeline == isinstance(self, Tells)
        assert can.attachments == isinstance(self, TakesFiles)
        assert (can.create_account, can.create_contact) == (isinstance(self, Creates),) * 2


class Keeps(EveryCrm):
    """What a CRM that keeps entries must do besides."""

    def test_a_message_becomes_one_entry_on_its_account_that_ends_with_its_message_id(self, world: CrmWorld) -> None:
        acme, _other = world.add_account("Acme"), world.add_account("Other")
        ana = world.add_contact(acme, "Ana Lima", "ana@acme.example")
        ids(acked(world.connect(), log(acme, contacts=(ana,))))
        ((account, text),) = world.entries()
        assert account == acme
        assert text.splitlines()[0] == "E-mail received: Proposta & preço"
        assert "From: Carla Dias <carla@acme.example>\nTo: ana@lumen.example\nDate: 2026-09-21 14:13 UTC" in text
        assert "Segue a proposta." in text
        assert text.splitlines()[-1] == "Message-ID: <1@cliente.example>"

    def test_the_same_message_twice_is_one_entry_whoever_logs_it(self, world: CrmWorld) -> None:
        acme = world.add_account("Acme")
        first = ids(acked(world.connect(), log(acme)))
        assert ids(acked(world.connect(), log(acme))) == first
        assert len(world.entries()) == 1

    def test_a_message_that_quotes_anothers_message_id_does_not_pass_for_it(self, world: CrmWorld) -> None:
        acme = world.add_account("Acme")
        crm = world.connect()
        hostile = log(acme, "<evil@x.example>", text="Bom dia\nMessage-ID: <victim@x.example>")
        ids(acked(crm, hostile, log(acme, "<victim@x.example>")))
        assert [text.splitlines()[-1] for _account, text in world.entries()] == [
            "Message-ID: <evil@x.example>",
            "Message-ID: <victim@x.example>",
        ]

    @pytest.mark.parametrize("key", ["<a%b_c@x.example>", "<a\\b@x.example>", "<A&amp;B'\"@x.example>"])
    def test_odd_message_ids_are_found_again(self, world: CrmWorld, key: str) -> None:
        acme = world.add_account("Acme")
        crm = world.connect()
        ids(acked(crm, log(acme, key), log(acme, key), log(acme, "<axb_c@x.example>")))
        assert len(world.entries()) == 2

    def test_a_message_keeps_its_characters_and_a_long_one_is_cut(self, world: CrmWorld) -> None:
        acme = world.add_account("Acme")
        text = "Ação & <b>ênfase</b> &amp; 日本語 😀 'x' \"y\"\n" + "linha\n" * 20_000
        ids(acked(world.connect(), log(acme, text=text)))
        ((_account, told),) = world.entries()
        assert "Ação & <b>ênfase</b> &amp; 日本語 😀 'x' \"y\"" in told
        assert "[cut here: the message is longer]" in told
        assert len(told) < 32_000
        assert told.splitlines()[-1] == "Message-ID: <1@cliente.example>"

    def test_with_metadata_only_neither_subject_nor_text_leaves(self, world: CrmWorld) -> None:
        acme = world.add_account("Acme")
        bare = log(acme, subject="", text="", visibility=Visibility.METADATA)
        ids(acked(world.connect(), bare))
        ((_account, told),) = world.entries()
        assert told.splitlines()[0] == "E-mail received"
        assert "Proposta" not in told and "Subject" not in told

    def test_entries_are_made_in_the_order_they_were_queued(self, world: CrmWorld) -> None:
        acme = world.add_account("Acme")
        keys = [f"<{number}@x.example>" for number in (3, 1, 2)]
        ids(acked(world.connect(), *(log(acme, key) for key in keys)))
        assert [text.splitlines()[-1] for _account, text in world.entries()] == [f"Message-ID: {key}" for key in keys]

    def test_an_account_that_is_gone_refuses_its_entry_and_not_the_next(self, world: CrmWorld) -> None:
        acme, gone = world.add_account("Acme"), world.add_account("Gone")
        world.remove_account(gone)
        first, second = acked(world.connect(), log(gone), log(acme, "<2@x.example>"))
        assert isinstance(first.error, Rejected) and first.error.gone
        assert second.error is None
        assert [account for account, _text in world.entries()] == [acme]


class Tells(EveryCrm):
    """What one whose entries can be read must do."""

    def test_the_timeline_tells_what_anybody_wrote_there_newest_first(self, world: CrmWorld) -> None:
        acme, other = world.add_account("Acme"), world.add_account("Other")
        crm = world.connect()
        ids(acked(crm, log(acme, "<old@x.example>"), log(acme, "<new@x.example>", when_ms=WHEN + 3_600_000)))
        ids(acked(crm, log(other, "<else@x.example>")))
        told = crm.timeline(acme)
        assert [entry.message_id for entry in told] == ["<new@x.example>", "<old@x.example>"]
        assert told[0].title == "E-mail received: Proposta & preço"
        assert told[0].when_ms - told[1].when_ms == 3_600_000
        assert "Segue a proposta." in told[0].text and "Message-ID" not in told[0].text
        assert told[0].remote_id and told[0].who


class Creates(EveryCrm):
    """What one that takes accounts and contacts from here must do."""

    def test_an_account_is_made_once_even_when_the_answer_was_lost(self, world: CrmWorld) -> None:
        crm = world.connect()
        op = new_account("Nova & Cia", domains=("nova.example",))
        (made,) = ids(acked(crm, op))
        assert ids(acked(world.connect(), op)) == [made]
        mirror = everything(crm)
        assert mirror.truth[0] == {made: "Nova & Cia"}
        assert mirror.accounts[made].domains == ("nova.example",)

    def test_a_contact_is_made_once_and_belongs_to_its_account(self, world: CrmWorld) -> None:
        acme = world.add_account("Acme")
        crm = world.connect()
        op = new_contact(acme, "rui@acme.example")
        (made,) = ids(acked(crm, op))
        assert ids(acked(world.connect(), op)) == [made]
        assert everything(crm).truth[1] == {made: (acme, "rui@acme.example")}

    def test_a_contact_the_crm_has_already_is_taken_and_bound_where_it_was_free(self, world: CrmWorld) -> None:
        acme = world.add_account("Acme")
        free = world.add_contact("", "Rui Costa", "rui@acme.example")
        crm = world.connect()
        assert ids(acked(crm, new_contact(acme, "rui@acme.example"))) == [free]
        assert everything(crm).contacts[free].account == acme


class TakesFiles(EveryCrm):
    """What one that takes attachments must do."""

    def test_attachments_go_along_once(self, world: CrmWorld) -> None:
        crm = world.connect()
        acme = world.add_account("Acme")
        world.fault("reset_after", asks=world.writes, times=1)
        entry = log(acme, attachments=(file(), file("foto.png", b"\x89PNG")))
        with pytest.raises((Offline, Transient)):
            acked(crm, entry)
        ids(acked(crm, entry))
        assert self.files(world) == [("foto.png", b"\x89PNG"), ("proposta.pdf", b"%PDF-1.4 ...")]
        assert "Attachments: proposta.pdf, foto.png" in world.entries()[0][1]

    def files(self, world: CrmWorld) -> list[tuple[str, bytes]]:
        raise NotImplementedError


class Remote(EveryCrm):
    """What one that is reached over the network must do: be mirrored, and be reliable where the network is not."""

    # Connecting

    def test_wrong_keys_are_a_question_for_the_user(self, world: CrmWorld) -> None:
        crm = world.connect(keys=("nobody", "wrong"))
        with pytest.raises(AuthRequired) as refused:
            crm.check()
        assert "keys" in refused.value.sentence
        assert "connect" in refused.value.next_step

    def test_keys_that_are_revoked_later_stop_everything_with_the_same_question(self, world: CrmWorld) -> None:
        account = world.add_account("Acme")
        crm = world.connect()
        crm.check()
        world.revoke()
        for act in (lambda: everything(crm), lambda: acked(crm, log(account)), lambda: crm.timeline(account)):
            with pytest.raises(AuthRequired):
                act()

    def test_no_secret_shows_in_its_repr(self, world: CrmWorld) -> None:
        crm = world.connect(keys=("someone", "canary-secret"))
        assert "canary" not in repr(crm) + repr(vars(crm))

    # The mirror

    def test_the_first_round_brings_every_account_and_contact_with_what_the_crm_knows(self, world: CrmWorld) -> None:
        acme = world.add_account("Acme & Filhos", "https://www.acme.example/sobre")
        bia = world.add_contact(acme, "Bia Souza", "Bia@acme.example")
        mirror = everything(world.connect())
        account = mirror.accounts[acme]
        assert (account.name, account.domains) == ("Acme & Filhos", ("acme.example",))
        contact = mirror.contacts[bia]
        assert (contact.account, contact.name, contact.addresses) == (acme, "Bia Souza", ("bia@acme.example",))
        assert bia not in mirror.accounts
        assert mirror.pages[-1].complete
        assert not any(page.complete for page in mirror.pages[:-1])
        progress = [page.progress for page in mirror.pages if page.progress]
        assert progress and progress[-1][0] == 2

    def test_a_later_round_brings_only_what_changed(self, world: CrmWorld) -> None:
        acme, other = world.add_account("Acme"), world.add_account("Other")
        crm = world.connect()
        first = everything(crm)
        world.rename(acme, "Acme SA")
        late = world.add_contact(other, "Rui Costa", "rui@other.example")
        second = everything(crm, first.cursor)
        assert second.accounts[acme].name == "Acme SA"
        assert second.contacts[late].account == other
        assert second.pages[-1].complete
        assert all(page.progress is None for page in second.pages)

    def test_a_change_made_while_the_mirror_is_filled_is_in_the_round_that_ends(self, world: CrmWorld) -> None:
        acme = world.add_account("Acme")
        crm, mirror = world.connect(), Mirror()
        for page in crm.changes("", lambda: (frozenset(), frozenset())):
            if not mirror.pages:
                world.rename(acme, "Acme SA")
            mirror.take(page)
        assert mirror.accounts[acme].name == "Acme SA"

    def test_a_fill_that_was_interrupted_anywhere_goes_on_and_loses_nothing(self, world: CrmWorld) -> None:
        for number in range(7):
            account = world.add_account(f"Conta {number}")
            world.add_contact(account, f"Ana {number}", f"ana@conta{number}.example")
        whole = everything(world.connect())
        for stop in range(len(whole.pages)):
            mirror = Mirror()
            for count, page in enumerate(world.connect().changes("", lambda: (frozenset(), frozenset()))):
                mirror.take(page)
                if count == stop:
                    break
            for page in world.connect().changes(mirror.cursor, lambda: (frozenset(), frozenset())):
                mirror.take(page)
            assert mirror.truth == whole.truth

    def test_what_is_gone_is_told_within_a_day(self, world: CrmWorld) -> None:
        acme, other = world.add_account("Acme"), world.add_account("Other")
        ana = world.add_contact(acme, "Ana Lima", "ana@acme.example")
        crm = world.connect()
        first = everything(crm)
        world.remove_contact(ana)
        world.remove_account(acme)
        old = aged(first.cursor)
        second = everything(world.connect(), old, (set(first.accounts), set(first.contacts)))
        assert set(second.accounts) == {other}
        assert set(second.contacts) == set()

    # Logging

    def test_an_entry_whose_answer_was_lost_is_not_written_again(self, world: CrmWorld) -> None:
        """faults.json X01"""
        acme = world.add_account("Acme")
        crm = world.connect()
        world.fault("reset_after", asks=world.writes, times=1)
        with pytest.raises((Offline, Transient)):
            acked(crm, log(acme))
        assert len(world.entries()) == 1
        ids(acked(crm, log(acme)))
        assert len(world.entries()) == 1

    def test_an_answer_about_another_record_stops_the_entry_with_an_alarm(self, world: CrmWorld) -> None:
        """faults.json X04"""
        acme, other = world.add_account("Acme"), world.add_account("Other")
        world.lie(acme, other)
        (ack,) = acked(world.connect(), log(acme))
        assert isinstance(ack.error, Rejected)
        assert ack.error.reason == "wrong_record"
        assert other in ack.error.sentence
        assert world.entries() == []

    def test_a_crm_that_is_down_refuses_nothing(self, world: CrmWorld) -> None:
        acme = world.add_account("Acme")
        crm = world.connect()
        with world.down(), pytest.raises(Offline):
            acked(crm, log(acme))
        ids(acked(crm, log(acme)))
        assert len(world.entries()) == 1

    # Answers that are none

    @pytest.mark.parametrize("kind", ["html", "bad_json", "truncate"])
    def test_an_answer_that_is_cut_off_or_somebody_elses_is_passing_trouble(self, world: CrmWorld, kind: str) -> None:
        world.add_account("Acme")
        crm = world.connect()
        world.fault(kind, at=5)
        with pytest.raises(Transient):
            everything(crm)

    def test_close_from_another_thread_ends_a_waiting_call(self, world: CrmWorld) -> None:
        import threading

        crm = world.connect()
        world.fault("silent", seconds=30)
        timer = threading.Timer(0.3, crm.close)
        timer.start()
        with pytest.raises(Offline):
            crm.check()
        timer.join()


class CrmContract(Remote, Keeps, Tells, Creates):
    """All of it but for files."""


def aged(cursor: str) -> str:
    """The cursor as if the last look for what is gone were two days ago."""
    import json

    plain = json.loads(cursor)
    return json.dumps({**plain, "swept": plain["swept"] - 2 * 86_400})
