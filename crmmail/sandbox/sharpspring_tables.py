"""What a SharpSpring company holds: accounts, leads, notes, users; filled with any number of invented customers.

The first 150 accounts are those who write the generated mail (`people.accounts`), so that it finds its customers.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from crmmail.sandbox.people import OWNER, Person, accounts, ascii_slug, person

Row = dict[str, Any]

FIRST_USER = 313_001_001
FIRST_ACCOUNT, FIRST_LEAD, FIRST_NOTE = 71_000_001, 882_000_001, 9_400_001
CONTACTS_EACH = 4  # leads of an account beyond the 150, when nobody says how many there are
PAST_DAYS = 700  # how far back the oldest row was made
CUSTOM_FIELD = "porte_da_empresa_5f1c2a90b1e77"  # SharpSpring's system names end in a hash
SIZES = ("Pequeno & ágil", "Médio", "Grande")

ACCOUNT_FIELDS = (
    "id", "ownerID", "accountName", "industry", "phone", "annualRevenue", "numberOfEmployees", "website", "yearStarted",
    "billingStreetAddress", "billingCity", "billingState", "billingPostalCode", "billingCountry",
)  # fmt: skip
LEAD_FIELDS = (
    "id", "accountID", "ownerID", "campaignID", "leadStatus", "leadScore", "active", "firstName", "lastName",
    "emailAddress", "companyName", "title", "street", "city", "state", "zipcode", "country", "website", "phoneNumber",
    "officePhoneNumber", "mobilePhoneNumber", "industry", "description", "isUnsubscribed", "updateTimestamp",
)  # fmt: skip


@dataclass(slots=True)
class Tables:
    """The rows, as plain values: numbers as numbers, texts as they were typed. Each keeps when it was made and changed.

    Times are seconds since the epoch below `_created` and `_updated`. Whoever reads or changes rows holds `lock`.
    """

    clock: Callable[[], float]
    accounts: dict[int, Row] = field(default_factory=dict)
    leads: dict[int, Row] = field(default_factory=dict)
    notes: dict[int, Row] = field(default_factory=dict)
    users: dict[int, Row] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _next: dict[str, int] = field(default_factory=dict)

    def number(self, kind: str) -> int:
        """The next id of `accounts`, `leads` or `notes`."""
        first = {"accounts": FIRST_ACCOUNT, "leads": FIRST_LEAD, "notes": FIRST_NOTE}[kind]
        self._next[kind] = self._next.get(kind, first - 1) + 1
        return self._next[kind]

    def add(self, kind: str, row: Row, at: float | None = None) -> int:
        """Keep a new row; its id."""
        at = self.clock() if at is None else at
        identifier = self.number(kind)
        getattr(self, kind)[identifier] = {**row, "id": identifier, "_created": at, "_updated": at}
        return identifier

    def touch(self, kind: str, identifier: int, changes: Row) -> bool:
        """Change a row; False where nothing in it changes."""
        row = getattr(self, kind)[identifier]
        if all(row.get(name) == value for name, value in changes.items()):
            return False
        row.update(changes)
        row["_updated"] = self.clock()
        return True

    def lead_of(self, address: str) -> Row | None:
        """The lead with this e-mail address, which is a lead's natural key."""
        wanted = address.lower()
        return next((row for row in self.leads.values() if str(row["emailAddress"]).lower() == wanted), None)


def hire(tables: Tables, owner: Person = OWNER) -> None:
    """The user of the company who does everything."""
    first, _, last = owner.name.partition(" ")
    named = {"firstName": first, "lastName": last, "emailAddress": owner.email}
    tables.users[FIRST_USER] = {"id": FIRST_USER, **named, "isActive": 1}


def fill(tables: Tables, count: int, leads: int | None = None, seed: int = 1) -> None:
    """`count` accounts and `leads` people (as many as they happen to have when None), made over the last two years."""
    rng = random.Random(f"{seed}:sharpspring")
    start = datetime.fromtimestamp(tables.clock(), UTC) - timedelta(days=PAST_DAYS)
    customers = list(_customers(rng, count, leads, seed))
    pause = PAST_DAYS * 86_400 / max(1, sum(1 + len(staff) for _account, staff in customers))
    moment = start.timestamp()
    with tables.lock:
        for account, staff in customers:
            moment += pause
            identifier = tables.add("accounts", account, moment)
            for lead in staff:
                moment += pause
                tables.add("leads", {**lead, "accountID": identifier, "companyName": account["accountName"]}, moment)


def _customers(rng: random.Random, count: int, leads: int | None, seed: int) -> Iterator[tuple[Row, list[Row]]]:
    """Accounts with their people; the last ones share out what is left of `leads`."""
    left = leads
    known = accounts(seed)
    for number in range(count):
        if number < len(known):
            one = known[number]
            account, people = _account_row(rng, one.name, one.domain, one.city), list(one.contacts)
        else:
            base = known[number % len(known)]
            name = f"{base.name} {number // len(known) + 1}"
            domain = f"{ascii_slug(name)}.example"
            account = _account_row(rng, name, domain, base.city)
            share = CONTACTS_EACH if left is None else -(-left // (count - number))
            people = list(_staff(rng, base.language, domain, share))
        people = people if left is None else people[:left]
        left = None if left is None else left - len(people)
        yield account, [_lead_row(each) for each in people]


def _staff(rng: random.Random, language: str, domain: str, count: int) -> Iterator[Person]:
    seen: set[str] = set()
    while len(seen) < count:
        one = person(rng, language, domain)
        if one.email in seen:
            local, _, host = one.email.partition("@")
            one = Person(one.name, f"{local}{len(seen)}@{host}")
        if one.email not in seen:
            seen.add(one.email)
            yield one


def _account_row(rng: random.Random, name: str, domain: str, city: str) -> Row:
    name = f"{name} & Filhos" if rng.random() < 0.05 else name  # something for the escaping to bite on
    return {
        "ownerID": FIRST_USER,
        "accountName": name,
        "industry": "",
        "phone": f"+55 11 {rng.randint(2000, 5999)}-{rng.randint(0, 9999):04}",
        "annualRevenue": None,
        "numberOfEmployees": rng.randint(3, 900),
        "website": f"https://www.{domain}",
        "yearStarted": str(rng.randint(1950, 2020)),
        "billingCity": city,
        CUSTOM_FIELD: rng.choice(SIZES),
    }


def _lead_row(one: Person) -> Row:
    first, _, last = one.name.partition(" ")
    return {
        "ownerID": FIRST_USER,
        "firstName": first,
        "lastName": last,
        "emailAddress": one.email,
        "title": one.title,
        "leadStatus": "customer",
        "active": 1,
        "isUnsubscribed": 0,
    }


def since(rows: Iterable[Row], stamp: str, start: float, end: float) -> list[Row]:
    """The rows made or changed (`stamp`: create or update) between two moments, both included, the oldest first."""
    name = "_created" if stamp == "create" else "_updated"
    return sorted((row for row in rows if start <= row[name] <= end), key=lambda row: (row[name], row["id"]))
