"""The application: owns the store and the engine, lets the store's changes in by one door, changes language and theme.

Nothing here waits for the network. Other threads reach the screen one way only: the store's callback merges the Change
under a lock and posts one empty `Doorbell`, of which the queue never holds two.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import App
from textual.driver import Driver
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input

from crmmail import config, i18n
from crmmail.errors import CrmMailError, ProfileBusy
from crmmail.i18n import _
from crmmail.model import Change, Draft
from crmmail.tui import garbage, keymap, words
from crmmail.tui.in_order import InOrder
from crmmail.tui.ink import with_text_colors
from crmmail.tui.keeping import Engine, Keeping
from crmmail.tui.keyboard import Keyboard
from crmmail.tui.keymap import Keymap
from crmmail.tui.main import MainScreen
from crmmail.tui.rest import Rest

if TYPE_CHECKING:
    from crmmail.signing import Done
    from crmmail.store import Store

# Sync threads parse mail in pure Python; by default each key would wait 5 ms for the interpreter.
SWITCH_INTERVAL = 0.0005
ENDED = 128  # and the signal's number: what the shell says of a program that was ended
SESSIONS_EVERY = 60.0  # seconds; access is renewed about hourly


@dataclass(frozen=True, slots=True)
class Opening:
    """What the program is opened for: a message to write, what to say about it, files to attach."""

    draft: Draft
    notice: str = ""
    attach: tuple[Path, ...] = ()


class Doorbell(Message, bubble=False):
    """Something changed in the store: come and look. Carries nothing, so that one says as much as many."""


@dataclass
class Renewed(Message, bubble=False):
    """Mailbox → when its access was last renewed."""

    times: dict[str, float]


class CrmMail(Keeping, App[None]):
    """crmmail. The caller opens and closes the store; the engine is built after the first paint, in its own thread."""

    CSS_PATH = "crmmail.tcss"
    ENABLE_COMMAND_PALETTE = False
    TITLE = "crmmail"
    BINDINGS: ClassVar[list[Any]] = []
    PAUSE_GC_ON_SCROLL = True

    def __init__(
        self,
        store: Store,
        settings: config.Settings,
        *,
        engine: Callable[[], Engine] | None = None,
        place: config.Profile | None = None,
        clock: Callable[[], float] = time.time,
        readonly: bool = False,
        opening: Opening | None = None,
    ) -> None:
        super().__init__()
        self.opening = opening
        self.store = store
        self.settings = settings
        self.place = place
        self.clock = clock
        self.readonly = readonly
        self._build_engine = engine
        self.engine: Engine | None = None
        self._lock = threading.Lock()
        self._rung = Change()
        self._ringing = False  # a doorbell is on its way
        self._unsubscribe: Callable[[], None] = lambda: None
        self._rest = Rest(lambda: isinstance(self.screen, MainScreen) and self.screen.messages.prepare())
        self.keymap = Keymap.build(settings.key_preset, settings.keys)
        self.animation_level = "none"
        if settings.theme in self.available_themes:
            self.theme = settings.theme

    def get_css_variables(self) -> dict[str, str]:
        """The theme's, and ours."""
        return with_text_colors(super().get_css_variables())

    def get_driver_class(self) -> type[Driver]:
        """Ours where Textual would take its own for Unix."""
        chosen = super().get_driver_class()
        if chosen.__name__ != "LinuxDriver":
            return chosen
        from crmmail.tui.terminal import Terminal

        return Terminal

    def get_default_screen(self) -> Screen[Any]:
        """The main screen is the only one there always is."""
        return MainScreen(self.store, self.keymap, clock=self.clock)

    @property
    def main(self) -> MainScreen:
        """The main screen, below whatever covers it."""
        screen = self.screen_stack[0]
        assert isinstance(screen, MainScreen)
        return screen

    @property
    def online(self) -> bool:
        """Whether there is an engine to ask."""
        return self._build_engine is not None

    def on_mount(self) -> None:
        """Listen to the store; bring up the engine when the first screen stands."""
        self._unsubscribe = self.store.subscribe(self.ring)
        self.watch(self, "theme", self._theme_changed, init=False)
        self.app_resume_signal.subscribe(self, self._called_back)
        self.call_after_refresh(self._after_first_paint)
        self.set_interval(SESSIONS_EVERY, self._look_at_sessions)
        if not self.is_headless:
            self._mind_signals()

    def _mind_signals(self) -> None:
        """`kill` leaves as Ctrl+Q does: the terminal is given back as it was, not with its mouse still reporting."""
        with contextlib.suppress(NotImplementedError):  # Windows
            leave = functools.partial(self.exit, return_code=ENDED + signal.SIGTERM)
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leave)

    def _called_back(self, _app: App[object]) -> None:
        """In the foreground again, on an empty screen."""
        self.screen.refresh()

    def action_help_quit(self) -> None:
        """Ctrl+C where there is nothing to copy; Textual's own answer would be an English box over the list."""
        if isinstance(self.screen, Keyboard):
            self.screen.hint(_("{key} leaves crmmail at once.").format(key=self.keymap.first("leave")))

    def on_unmount(self) -> None:
        """Nothing may ring any more."""
        self._unsubscribe()
        self._rest.cancel()
        if self.engine is not None:
            self.engine.stop()

    def _after_first_paint(self) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL)
        garbage.resume()
        if self.readonly:
            self.main.say(_("Another crmmail is open on this profile: here you can only read."), words.WARN)
        trouble = keymap.problems(self.settings.key_preset, self.settings.keys)
        if self.settings.theme not in self.available_themes:
            trouble.append(_("There is no theme “{name}”.").format(name=self.settings.theme))
        if trouble:
            self.main.say(trouble[0], words.WARN, "help")
        if self.opening is not None:
            opening = self.opening
            self.main.write(opening.draft, notice=opening.notice, attach=opening.attach, keep=True)
        elif not self.settings.mailboxes and self.place is not None and not self.readonly:
            self.connect()
        if not self.is_headless:
            threading.Thread(target=self.start_engine, name="crmmail-start", daemon=True).start()

    def start_engine(self) -> None:
        """In a thread: importing httpx alone takes 200 ms, and Babel's dates, which the reader needs, 60."""
        i18n.date_time(datetime.fromtimestamp(self.clock(), UTC), "long")
        if self._build_engine is None:
            return
        engine = self._build_engine()
        engine.start()
        self.engine = engine
        self._read_sessions()
        gc.freeze()  # the libraries it brought in stay too

    def _look_at_sessions(self) -> None:
        if self.engine is not None:
            self.run_worker(self._read_sessions, thread=True, exit_on_error=False)

    def _signed_in(self, done: Done | None) -> None:
        super()._signed_in(done)
        self._look_at_sessions()

    def _read_sessions(self) -> None:
        """In a thread: when each mailbox's access was last renewed, to be shown beside its state."""
        if self.place is not None:
            from crmmail import mailboxes

            self.post_message(Renewed(mailboxes.renewed(self.place, self.settings)))

    def on_renewed(self, event: Renewed) -> None:
        """On the loop."""
        self.main.show_sessions(event.times)

    # --- the door

    def ring(self, change: Change) -> None:
        """The store's callback, in whatever thread wrote."""
        with self._lock:
            self._rung = self._rung | change
            ringing, self._ringing = self._ringing, True
        if not ringing:
            self.post_message(Doorbell())

    def on_doorbell(self) -> None:
        """On the loop: let in what has gathered."""
        with self._lock:
            self._ringing = False
        self.drain()

    @property
    def busy(self) -> bool:
        """Whether more keys wait: what they show is painted with the last of them."""
        return self.message_queue_size > self._ringing

    def drain(self) -> None:
        """Show what changed in the store, now. The user's own acts call this without waiting for the bell."""
        with self._lock:
            change, self._rung = self._rung, Change()
        if change and self.is_running:
            for screen in self.screen_stack:
                publish = getattr(screen, "publish", None)
                if publish is not None:
                    publish(change)

    def wake(self) -> None:
        """Something waits for the servers."""
        if self.engine is not None:
            self.engine.wake()

    @property
    def uploads(self) -> Mapping[int, tuple[int, int]]:
        """Of the messages being sent: outgoing id → (bytes uploaded, bytes in all)."""
        return self.engine.uploads() if self.engine is not None else {}

    def want(self, message: int) -> None:
        """This message's body first."""
        if self.engine is not None:
            self.engine.want(message)

    # --- keys

    async def on_event(self, event: events.Event) -> None:
        """Keys become commands here, in the application's own queue: their order is the order of the acts."""
        if isinstance(event, events.Key) and not event.is_forwarded and await self._press(event):
            return
        await super().on_event(event)

    async def _press(self, event: events.Key) -> bool:
        self._rest.put_off()
        screen = self.screen
        if isinstance(screen, InOrder):
            return await screen.press(event)
        if not isinstance(screen, Keyboard) or (isinstance(self.focused, Input) and not screen.takes_typing):
            return False
        meant = await screen.press(event)
        if self.screen is self.main and not self.busy:
            self.main.paint_now()
        return meant

    # --- settings that change while running

    def use_language(self, wish: str) -> None:
        """Switch the language of everything, now and from now on."""
        i18n.use(wish)
        self._remember(language=i18n.language())
        for screen in self.screen_stack:
            repaint = getattr(screen, "speak", None)
            if repaint is not None:
                repaint()

    def use_theme(self, name: str) -> None:
        """Another theme, now and from now on."""
        self.theme = name
        self._remember(theme=name)

    def use_keys(self, preset: str) -> None:
        """Another set of keys, now and from now on."""
        self.settings.key_preset = preset
        self.keymap = Keymap.build(preset, self.settings.keys)
        self.main.use_keymap(self.keymap)
        self._remember(key_preset=preset)

    def _theme_changed(self) -> None:
        self.main.dress()

    def _remember(self, **changed: Any) -> None:
        """Write settings in a thread: tomlkit takes its time, and a full disk must not stop the switch itself."""
        for name, value in changed.items():
            setattr(self.settings, name, value)
        if self.place is not None:
            self.run_worker(lambda: self._write_settings(changed), thread=True, exit_on_error=False)

    def _write_settings(self, changed: dict[str, Any]) -> None:
        assert self.place is not None
        try:
            with config.update(self.place) as settings:
                for name, value in changed.items():
                    setattr(settings, name, value)
        except CrmMailError as error:
            self.call_from_thread(self.main.fail, error)

    # --- the end

    def _fatal_error(self) -> None:
        """A defect: the traceback without local variables, which would hold mail and tokens."""
        from rich.segment import Segments
        from rich.traceback import Traceback

        traceback = Traceback(show_locals=False, width=None)
        self._exit_renderables.append(Segments(self.console.render(traceback, self.console.options)))
        self._close_messages_no_wait()


def start(
    place: config.Profile,
    settings: config.Settings,
    *,
    lang: str = "",
    draft: Draft | None = None,
    notice: str = "",
    attach: tuple[Path, ...] = (),
) -> int:
    """Open a profile in the interface and stay until the user leaves. Returns the exit code.

    `draft`: begin in the composer, saying `notice`, the files of `attach` taken in. Raises ProfileBusy then, for
    what is written must be kept.
    """
    from crmmail import mailboxes
    from crmmail.store import Store

    i18n.use(lang or settings.language)
    readonly = False
    try:
        store = Store.open(place.data_dir)
        mailboxes.register(store, settings)
    except ProfileBusy:
        if draft is not None:
            raise
        store, readonly = Store.open(place.data_dir, readonly=True), True
    opening = Opening(draft, notice, attach) if draft is not None else None
    with contextlib.closing(store):
        return run(store, settings, place=place, readonly=readonly, opening=opening)


def run(
    store: Store,
    settings: config.Settings,
    *,
    place: config.Profile | None = None,
    readonly: bool = False,
    opening: Opening | None = None,
) -> int:
    """Run the interface on an open store, with an engine of its own unless it is only for reading."""

    def engine() -> Engine:
        from crmmail import crms, mailboxes
        from crmmail.sync import Engine as SyncEngine

        assert place is not None
        link = crms.link(place, settings, store)
        return SyncEngine(store, mailboxes.connector(place, settings), terms=mailboxes.terms(settings), crm=link)

    builder = engine if place is not None and not readonly else None
    app = CrmMail(store, settings, engine=builder, place=place, readonly=readonly, opening=opening)
    app.run(mouse=settings.mouse)
    return app.return_code or 0
