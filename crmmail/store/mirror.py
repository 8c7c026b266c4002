"""The store's door for what a CRM tells. `Store` inherits it."""

from __future__ import annotations

from crmmail.crm.model import CrmPage
from crmmail.faultpoint import fault
from crmmail.model import Change
from crmmail.store import mirrored, records
from crmmail.store.belonging import Belonging


class Mirroring(Belonging):
    """Every method is safe from any thread; what writes is on the disk when it returns."""

    def crm_cursor(self, crm: str) -> str:
        """How far this CRM was heard, '' for never."""
        return self._read(lambda connection: mirrored.cursor(connection, crm))

    def mirrored(self, crm: str) -> tuple[frozenset[str], frozenset[str]]:
        """The remote ids of the accounts and of the contacts mirrored from this CRM."""
        return self._read(lambda connection: mirrored.ids(connection, crm))

    def mirror(self, crm: str, page: CrmPage) -> None:
        """Take over a page with its cursor, in one transaction; mail is bound anew where that changes whose it is."""
        with self._writing():
            changed = self._commit(lambda connection: mirrored.take(connection, crm, page))
            fault("store.mirrored")
            if changed:
                self._derive()

    def settle_crm(self, crm: str, place: str) -> None:
        """Say which company or database this CRM is, the one there is from now on.

        Another one than before: what was mirrored stays as our own, and nothing is chosen to be logged.
        """
        with self._writing():
            others = [name for name in self._read(lambda desk: records.keys(desk, records.CONNECTED)) if name != crm]
            if others:
                self._commit(lambda connection: mirrored.end_all(connection, others))
                self._gather(Change(crm=True))
            if self._commit(lambda connection: mirrored.settle(connection, crm, place)):
                self._derive()

    def forget_crm(self, crm: str) -> None:
        """Forget how far this CRM was heard. Its accounts, and every link to them, stay."""
        with self._writing():
            self._commit(lambda connection: mirrored.forget(connection, crm))
