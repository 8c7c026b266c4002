"""What the application does with its mailboxes: connect, sign in again, change, order, pause, test, remove.

Settings change in memory at once, so that the screen shows them; the file is written in a thread, and a disk that
refuses is said. The network's side is only imported in threads: its libraries take up to 0.3 s.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from crmmail import config
from crmmail.crm.connection import LOCAL
from crmmail.errors import CrmMailError
from crmmail.i18n import _
from crmmail.model import Mailbox, Role
from crmmail.tui import words

if TYPE_CHECKING:
    from textual.app import App

    from crmmail.connecting import Checked
    from crmmail.crm.connection import CrmConnected
    from crmmail.signing import Done
    from crmmail.store import Store
    from crmmail.sync.crm_thread import CrmLink
    from crmmail.tui.main import MainScreen

    Base = App[None]
else:
    Base = object


class Engine(Protocol):
    """What the interface asks of the sync engine (crmmail.sync.Engine)."""

    def start(self) -> None: ...
    def wake(self, mailbox_id: str | None = None) -> None: ...
    def want(self, message_id: int) -> None: ...
    def add(self, mailbox: Mailbox) -> None: ...
    def remove(self, mailbox_id: str) -> None: ...
    def pause(self, mailbox_id: str | None = None) -> None: ...
    def resume(self, mailbox_id: str | None = None) -> None: ...
    def scope_wanted(self, mailbox_id: str) -> str: ...
    def uploads(self) -> Mapping[int, tuple[int, int]]: ...
    def use_crm(self, link: CrmLink | None) -> None: ...
    def want_timeline(self, account: str) -> None: ...
    def stop(self) -> None: ...


class Keeping(Base):
    """The application as far as it keeps mailboxes."""

    store: Store
    settings: config.Settings
    place: config.Profile | None
    clock: Callable[[], float]
    engine: Engine | None

    @property
    def main(self) -> MainScreen:
        """The main screen."""
        raise NotImplementedError

    def drain(self) -> None:
        """Show what changed in the store, now."""
        raise NotImplementedError

    def start_engine(self) -> None:
        """Bring the engine up, in a thread of its own."""
        raise NotImplementedError

    # connecting

    def connect(self, mailbox: str = "") -> None:
        """The guide: a new mailbox, or with its name the settings and password of an IMAP mailbox there is."""
        place = self.place
        if place is None:
            self.main.hint(_("In the shell: crmmail connect gmail · crmmail connect outlook · crmmail connect imap"))
            return

        def prepare() -> None:
            from crmmail.auth.connect import ProfileGuide
            from crmmail.setup import ProfileSetup
            from crmmail.tui.guide import GuideScreen

            setup = ProfileSetup(place, self.settings)
            form = setup.form_of(mailbox) if mailbox else None
            screen = GuideScreen(setup, ProfileGuide(place, self.settings), form=form, clock=self.clock)
            self.call_from_thread(self.push_screen, screen, self._signed_in)

        self.run_worker(prepare, thread=True)

    def sign_in(self, mailbox: str) -> None:
        """Sign in to a mailbox again; one with a password opens in the guide."""
        place = self.place
        box = self.settings.mailboxes.get(mailbox)
        if place is None or box is None or box.provider == "imap":
            self.connect(mailbox if box is not None else "")
            return

        def prepare() -> None:
            from crmmail.auth.connect import ProfileGuide
            from crmmail.tui import sign_in

            guide = ProfileGuide(place, self.settings)
            wish = replace(guide.wish_for(mailbox), widen=self._wants_more(mailbox))
            screen = sign_in.SignInScreen(guide, mailbox, wish=wish, clock=self.clock)
            self.call_from_thread(self.push_screen, screen, self._signed_in)

        self.run_worker(prepare, thread=True)

    def _wants_more(self, mailbox: str) -> bool:
        """Whether an act waits for a wider permission than was given."""
        return bool(self.engine and self.engine.scope_wanted(mailbox))

    def _signed_in(self, done: Done | None) -> None:
        """A session stands: the mailbox joins, or goes on where it stopped."""
        if done is None:
            return
        from crmmail import mailboxes

        known = any(box.id == done.name for box in self.store.mailboxes())
        mailboxes.register(self.store, self.settings)
        if self.engine is None:
            threading.Thread(target=self.start_engine, name="crmmail-start", daemon=True).start()
        else:
            for box in self.store.mailboxes():
                self.engine.add(box)
            self.engine.resume(done.name)
        self.drain()
        if known:  # the user stays with what the session was needed for
            self.main.say(_("Signed in to {address} again").format(address=done.address))
        else:
            self.main.show_folder(done.name, Role.INBOX.value)
            self.main.say(_("{address} is connected").format(address=done.address))

    def connect_crm(self) -> None:
        """The guide to a CRM: a new one, or the keys of the one there is."""
        place = self.place
        if place is None:
            self.main.hint(_("In the shell: crmmail crm connect"))
            return
        from crmmail.crms import ProfileCrmGuide
        from crmmail.tui.connect_crm import ConnectCrmScreen

        there = self.settings.crm.kind
        screen = ConnectCrmScreen(ProfileCrmGuide(place, self.settings), "" if there == LOCAL else there)
        self.push_screen(screen, self._crm_connected)

    def want_timeline(self, account: str) -> None:
        """Somebody looks at an account's timeline: have the CRM asked what it knows."""
        if self.engine is not None:
            self.engine.want_timeline(account)

    def _crm_connected(self, done: CrmConnected | None) -> None:
        """Its keys stand: the engine works with it from now on."""
        if done is None or self.place is None:
            return
        from crmmail import crms

        if self.engine is not None:
            self.engine.use_crm(crms.link(self.place, self.settings, self.store))
        told = _("{name} is connected as {who}").format(name=done.name, who=done.who)
        if done.name == LOCAL:
            told = _("What you choose to log is kept on this computer")
        self.main.say(told, words.BUSY)  # which how far the copy is may follow

    # changing

    def change_mailbox(self, name: str, changed: Mapping[str, Any]) -> None:
        """Change settings of a mailbox, now and from now on. Raises SettingsError for what cannot be."""
        box = replace(self.settings.mailboxes[name], **changed)
        config.check_mailbox(name, box)
        self._change(lambda settings: settings.mailboxes.update({name: box}))
        if self.engine is not None and {"poll_seconds", "download"} & changed.keys() and not box.paused:
            self.engine.resume(name)

    def order_mailboxes(self, names: Sequence[str]) -> None:
        """Another order, in the folders and everywhere."""

        def change(settings: config.Settings) -> None:
            boxes = settings.mailboxes
            settings.mailboxes = {name: boxes[name] for name in (*names, *boxes) if name in boxes}

        self._change(change)

    def pause_mailbox(self, name: str, *, paused: bool) -> None:
        """Stop synchronising it, or go on."""
        self.change_mailbox(name, {"paused": paused})
        if self.engine is not None:
            (self.engine.pause if paused else self.engine.resume)(name)

    def _change(self, change: Callable[[config.Settings], object]) -> None:
        from crmmail import mailboxes

        change(self.settings)
        mailboxes.register(self.store, self.settings)
        self.drain()
        if self.place is not None:
            self.run_worker(lambda: self._keep(change), thread=True, exit_on_error=False)

    def _keep(self, change: Callable[[config.Settings], object]) -> None:
        """In a thread: the file."""
        assert self.place is not None
        try:
            with config.update(self.place) as settings:
                change(settings)
        except CrmMailError as error:
            self.call_from_thread(self.main.fail, error)

    # testing and removing

    def test_mailbox(self, name: str, tell: Callable[[Sequence[Checked]], None]) -> None:
        """Try a mailbox as `crmmail doctor` does; `tell` is called on the loop with what was found."""
        place = self.place
        if place is None:
            return

        def examine() -> None:
            from crmmail import doctor

            for report in doctor.examine(place, self.settings, [name], self.clock):
                self.call_from_thread(tell, report.checks)

        self.run_worker(examine, thread=True, exit_on_error=False)

    def remove_mailbox(self, name: str, *, drafts: bool) -> None:
        """Forget a mailbox here: its copy and its session; its drafts too, if told. Links and what waits stay."""
        box = self.settings.mailboxes[name]
        if drafts:
            for draft in self.store.drafts(name):
                self.store.discard_draft(draft.id)
        engine, place = self.engine, self.place

        def forget() -> None:
            from crmmail import mailboxes

            if engine is not None:
                engine.remove(name)
            if place is not None:
                mailboxes.forget(place, self.settings, name)
            self.call_from_thread(self._forget, name, box.address)

        self.run_worker(forget, thread=True, exit_on_error=False)

    def _forget(self, name: str, address: str) -> None:
        self._change(lambda settings: settings.mailboxes.pop(name, None))
        first = next(iter(self.settings.mailboxes), "")
        if self.main.messages.query_shown.mailbox == name:
            self.main.show_folder("" if len(self.settings.mailboxes) > 1 else first, Role.INBOX.value)
        self.main.say(_("{address} is forgotten here; nothing was changed on its server.").format(address=address))
