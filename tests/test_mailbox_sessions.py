"""How the session of each mailbox in the settings stands."""

from __future__ import annotations

from crmmail import config, mailboxes
from crmmail.auth.secrets import Secret, Tokens


def test_the_age_of_an_access_is_known_where_there_is_one_that_is_renewed() -> None:
    place = config.profile().make()
    with config.update(place) as settings:
        settings.token_store = "file"
        for name, provider in (("work", "gmail"), ("corp", "outlook"), ("old", "imap")):
            host = f"mail.{name}.example" if provider == "imap" else ""
            settings.mailboxes[name] = config.MailboxSettings(
                provider=provider, address=f"me@{name}.example", imap_host=host, smtp_host=host
            )
    settings = config.load(place)
    for name in ("work", "old"):
        mailboxes.tokens(place, settings).put(name, Tokens("gmail", "id", Secret("token"), 0, 1_000.0, 2_000.0))
    assert mailboxes.renewed(place, settings) == {"work": 2_000.0}
