"""The sandbox as a program: `crmmail sandbox` for people, `python -m crmmail.sandbox.serve` for the demo.

The demo's sandbox is a process of its own, so that its work never takes time from the interface. It writes one line
of JSON when it is ready and lives as long as its standard input: when the demo ends, however it ends, so does this.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crmmail import i18n
from crmmail.errors import CrmMailError, SettingsError
from crmmail.i18n import _
from crmmail.sandbox import consent, sharpspring
from crmmail.sandbox.generate import OWNER, Person, arrivals, plan
from crmmail.sandbox.letter import Letter
from crmmail.sandbox.load import load
from crmmail.sandbox.people import ACCOUNT_COUNT
from crmmail.sandbox.server import Sandbox, User

if TYPE_CHECKING:
    from crmmail.sandbox.mailbox import Mailbox

GMAIL, OUTLOOK = OWNER, Person(OWNER.name, "ana@grupolumen.test", OWNER.title)
OUTLOOK_SHARE = 0.4
BESIDE_OWN_MAIL = 200  # generated messages in Outlook when the user brought mail for Gmail
HOLD = "This message is under a retention hold and cannot be changed."
FIRST_ARRIVAL = 9.0  # seconds: soon enough to be seen by somebody who only has a look
REFUSED_AMONG = 10  # one of this many newest messages is refused


def run(*, port: int = 0, messages: int = 2000, seed: int = 1, mail: Path | None = None) -> int:
    """`crmmail sandbox`: serve until Ctrl-C. The addresses go to stdout, words to stderr."""
    sandbox = _sandbox(port)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `kill` ends it as Ctrl-C does, leaving nothing behind
    sys.stderr.write(_("Filling the mailboxes…") + "\n")
    found = populate(sandbox, messages, seed, mail)
    try:
        with sandbox:
            sys.stdout.write("".join(f"{name}\t{value}\n" for name, value in _table(sandbox)))
            sys.stdout.flush()
            sys.stderr.write(f"{found}\n{_('Running; Ctrl-C ends it.')}\n")
            threading.Event().wait()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
    except OSError as error:
        sandbox.stop()
        raise SettingsError(
            _("Port {port} cannot be used: {reason}.").format(port=port, reason=error.strerror),
            next_step=_("Choose another one, or none for any free one."),
        ) from error
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The demo's sandbox. Ends when standard input does."""
    options = _parser().parse_args(arguments)
    i18n.use()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the interface's; it ends us by closing our input
    try:
        sandbox = _sandbox(0)
        found = populate(sandbox, options.messages, options.seed, options.mail)
    except CrmMailError as error:
        _say({"error": error.sentence, "next_step": error.next_step})
        return error.exit_code
    consent.of(sandbox).interval = 1.0  # nobody types the code here: asking every second is soon enough
    if options.latency:
        sandbox.faults.add("latency", path=r"^/(gmail|batch|upload|v1\.0)", seconds=options.latency)
    with sandbox:
        refused = refuse_one(sandbox) if options.refuse else ""
        _say({**ready(sandbox), "found": found, "refused": refused})
        ended = threading.Event()
        if options.arrivals:
            beat = (sandbox, options.seed, options.arrivals, ended)
            threading.Thread(target=_arrive, args=beat, name="arrivals", daemon=True).start()
        farewell = _wait_for_end()
        ended.set()
    if options.sweep and not farewell:
        shutil.rmtree(options.sweep, ignore_errors=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m crmmail.sandbox.serve", description=__doc__)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mail", type=Path)
    parser.add_argument("--arrivals", type=float, default=0.0, help="seconds between two new messages, about")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before every answer of the mail APIs")
    parser.add_argument("--refuse", action="store_true", help="refuse every change of one of the newest messages")
    parser.add_argument("--sweep", type=Path, help="a folder to remove when nobody is left to do it")
    return parser


def _sandbox(port: int) -> Sandbox:
    users = [User(GMAIL.email, "gmail", GMAIL.name), User(OUTLOOK.email, "outlook", OUTLOOK.name)]
    return Sandbox(users, port=port)


def populate(sandbox: Sandbox, messages: int = 2000, seed: int = 1, mail: Path | None = None) -> str:
    """Fill both mailboxes and the CRM; returns a sentence about what was found. Raises SettingsError."""
    sharpspring.of(sandbox).fill(ACCOUNT_COUNT, seed=seed)
    gmail, outlook = sandbox.mailbox(GMAIL.email), sandbox.mailbox(OUTLOOK.email)
    if mail is not None:
        loaded = load(mail)
        furnish(gmail, loaded.letters)
        furnish(outlook, plan(min(messages, BESIDE_OWN_MAIL), seed, OUTLOOK))
        return loaded.summary
    share = int(messages * OUTLOOK_SHARE)
    furnish(gmail, plan(messages - share, seed, GMAIL))
    furnish(outlook, plan(share, seed, OUTLOOK))
    return _("{count} messages made up").format(count=messages)


def furnish(mailbox: Mailbox, letters: Iterable[Letter]) -> None:
    """Put `letters` there as if they had always been; their bytes are made when somebody asks."""
    places: dict[str, str] = {}
    threads: dict[str, int] = {}
    root = "" if mailbox.gmail else mailbox.place("msgfolderroot").id
    for letter in sorted(letters, key=lambda each: each.received_ms):
        elsewhere = letter.place == "archive" and bool(letter.labels) and not mailbox.gmail
        labels = letter.labels if mailbox.gmail or elsewhere else ()
        for label in labels:
            if label not in places:
                places[label] = mailbox.new_place(label, parent=root).id
        key = mailbox.add(
            letter.raw,
            folder=places[labels[0]] if elsewhere else letter.place,
            unread=letter.unread,
            starred=letter.starred and mailbox.gmail,
            received_ms=letter.received_ms,
            labels=[places[label] for label in labels] if mailbox.gmail else [],
            thread=threads.get(letter.thread) if letter.thread else None,
        )
        threads.setdefault(letter.thread, key)


def refuse_one(sandbox: Sandbox) -> str:
    """Refuse every change of one message on the first screen; returns its subject ('' where there is none).

    It is a read one, made so where chance left none there: opening it must not already be refused.
    """
    mailbox = sandbox.mailbox(GMAIL.email)
    inbox = mailbox.role_place("inbox")
    newest = [message for message in mailbox.newest_first() if inbox in message.labels][1:REFUSED_AMONG]
    if not newest:
        return ""
    from crmmail.sandbox.mailbox import header

    chosen = next((message for message in newest if "UNREAD" not in message.labels), newest[-1])
    mailbox.modify(chosen.key, remove=["UNREAD"])
    sandbox.faults.refuse(GMAIL.email, mailbox.id_of(chosen.key), HOLD)
    return header(chosen.raw, b"Subject")


def _arrive(sandbox: Sandbox, seed: int, seconds: float, ended: threading.Event) -> None:
    """New mail, now here, now there, at uneven intervals of about `seconds`."""
    rng = random.Random(seed)
    coming = {owner.email: arrivals(seed, owner) for owner in (GMAIL, OUTLOOK)}
    wait = min(FIRST_ARRIVAL, seconds)
    while not ended.wait(wait):
        address = GMAIL.email if rng.random() < 0.6 else OUTLOOK.email
        letter = next(coming[address])
        sandbox.mailbox(address).deliver(letter.raw, received_ms=letter.received_ms)
        wait = seconds * rng.uniform(0.7, 1.35)


def ready(sandbox: Sandbox) -> dict[str, Any]:
    """What a client needs to know: addresses, the authority of the certificate, users, client ids, the CRM's keys."""
    crm = sharpspring.of(sandbox)
    return {
        "http": sandbox.http_url,
        "https": sandbox.https_url,
        "ca_file": str(sandbox.ca_file),
        "users": [{"address": user.address, "provider": user.provider} for user in sandbox.users.values()],
        "clients": {
            "gmail": {"id": consent.GOOGLE_CLIENT, "secret": consent.GOOGLE_SECRET},
            "outlook": {"id": consent.MICROSOFT_CLIENT},
        },
        "crm": {"url": f"{sandbox.https_url}{sharpspring.PATH}", "account": crm.account_id, "key": crm.secret_key},
        "pid": os.getpid(),
    }


def _table(sandbox: Sandbox) -> list[tuple[str, str]]:
    """The same for `crmmail sandbox`: a name and a value on each line."""
    base, crm = sandbox.https_url, sharpspring.of(sandbox)
    return [
        ("http", sandbox.http_url),
        ("https", base),
        ("certificate", str(sandbox.ca_file)),
        ("gmail.user", GMAIL.email),
        ("gmail.api_url", base),
        ("gmail.auth_url", f"{base}/o/oauth2/v2/auth"),
        ("gmail.token_url", f"{base}/token"),
        ("gmail.device_url", f"{base}/device/code"),
        ("gmail.client_id", consent.GOOGLE_CLIENT),
        ("gmail.client_secret", consent.GOOGLE_SECRET),
        ("outlook.user", OUTLOOK.email),
        ("outlook.api_url", f"{base}/v1.0"),
        ("outlook.authority_url", base),
        ("outlook.client_id", consent.MICROSOFT_CLIENT),
        ("sharpspring.url", f"{base}{sharpspring.PATH}"),
        ("sharpspring.account", crm.account_id),
        ("sharpspring.key", crm.secret_key),
    ]


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _wait_for_end() -> bytes:
    """Until whoever started us closes our input, or is gone; what they said, nothing when they were killed."""
    return sys.stdin.buffer.read()


if __name__ == "__main__":
    sys.exit(main())
