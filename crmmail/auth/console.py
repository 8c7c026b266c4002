"""The sign-in on the command line: says what to do, opens the browser, takes a pasted address.

Words go to stderr; the code and the addresses are set apart so that they can be read and copied.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from typing import TextIO

from crmmail import config
from crmmail.auth.connect import ProfileGuide
from crmmail.errors import CrmMailError, SignInError
from crmmail.i18n import _
from crmmail.signing import Done, Event, Failed, Flow, Notice, ShowCode, ShowUrl, Wish, Working, can_open_browser


def connect(place: config.Profile, settings: config.Settings, options: argparse.Namespace) -> str:
    """Connect a mailbox; returns its short name. Raises CrmMailError with what to do about it."""
    wish = Wish(
        options.provider,
        options.name,
        options.client_id,
        options.client_file,
        options.tenant,
        options.token_store,
        options.browser or options.paste,
    )
    guide = ProfileGuide(place, settings)
    opens = not options.paste and can_open_browser()
    try:
        return _run(guide.begin(wish), opens)
    except SignInError as error:
        if error.code != "no_keyring" or not agrees(error):
            raise
    import dataclasses

    return _run(guide.begin(dataclasses.replace(wish, token_store="file")), opens)


def agrees(error: CrmMailError) -> bool:
    """Ask whether a private file will do. Nobody there to ask: no."""
    if not sys.stdin.isatty():
        return False
    _say(error.sentence)
    _say(_("Keep the session in a private file instead, readable by you alone? Type yes:"))
    return sys.stdin.readline().strip().lower() in ("yes", "y", "sim", "s")


def _run(flow: Flow, opens: bool) -> str:
    listening = False
    try:
        for event in flow.events():
            if isinstance(event, Done):
                where = _("a private file") if event.place == "file" else event.place
                _say(
                    _("Signed in as {address}. The session is kept in: {where}.").format(
                        address=event.address, where=where
                    )
                )
                return event.name
            if isinstance(event, Failed):
                raise event.error
            _tell(event, opens)
            if isinstance(event, ShowCode | ShowUrl) and not listening:
                listening = True
                threading.Thread(target=_listen, args=(flow, sys.stdin), daemon=True).start()
    except KeyboardInterrupt:
        flow.cancel()
    from crmmail.auth import problems

    raise problems.common("cancelled")


def _tell(event: Event, opens: bool) -> None:
    """One event as words."""
    match event:
        case ShowCode(url, code, until):
            minutes = max(1, round((until - time.time()) / 60))
            _say(_("Open this address in any browser, on any device:"), f"\n    {url}\n")
            _say(_("and type this code there, within {count} minutes:").format(count=minutes), f"\n    {code}\n")
            _say(_("Does the page refuse? Type b and Enter to sign in by browser instead. Ctrl+C cancels."))
        case ShowUrl(url, why, _until):
            if why:
                _say(why)
            opened = opens and _open(url)
            _say(_("Your browser shows the sign-in. If not, open:") if opened else _("Open this address in a browser:"))
            _say(f"\n    {url}\n")
            _say(_("Is the browser on another machine? Paste the address it ends at here. Ctrl+C cancels."))
        case Notice(error):
            _say(str(error))
        case Working(sentence):
            _say(sentence)


def _open(url: str) -> bool:
    import webbrowser

    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False


def _listen(flow: Flow, lines: TextIO) -> None:
    """What the user types: b for the browser, else an address. Ends with the program."""
    for line in lines:
        typed = line.strip()
        if typed.lower() == "b":
            flow.use_browser()
        elif typed:
            flow.paste(typed)


def _say(*sentences: str) -> None:
    sys.stderr.write("\n".join(sentences) + "\n")
    sys.stderr.flush()
