"""SharpSpring's Open API (`POST /pubapi/v1.2/`), as its documents and the clients that use it describe it.

    company = sharpspring.of(sandbox)
    company.fill(5000, 20_000)
    httpx.post(sandbox.http_url + "/pubapi/v1.2/", headers={"X-Account-Id": company.account_id, "Authorization":
        f"Bearer {company.secret_key}"}, json={"method": "getAccounts", "params": {"where": {}}, "id": "1"})

Kept on purpose, because a friendly fake hides them: HTTP is 200 even for errors, except for wrong keys; an error may be
of the call or of one object in it, and then it stands in the object's result and again in a list; standard fields come
back HTML-escaped, own ones do not; `where` takes one key; there are 10 calls a second and 50,000 a day, told only when
they are passed; what the mail synchronisation of the real product logs is in no answer.
Sources: Constant Contact knowledge base 50374, 50570, 50889, 50891, 54792; ajuda.sharpspring.com.br.
"""

from __future__ import annotations

import json
import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from crmmail.sandbox import sharpspring_methods as methods
from crmmail.sandbox.http import Request, Response
from crmmail.sandbox.sharpspring_methods import Refusal
from crmmail.sandbox.sharpspring_tables import Tables, fill, hire

if TYPE_CHECKING:
    from crmmail.sandbox.server import Route, Sandbox

LEDGER_USER = "sharpspring"
PATH = "/pubapi/v1.2/"


class Company:
    """One customer of SharpSpring: its rows, its keys, its limits."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.account_id = f"{secrets.randbelow(10**12):012d}_{secrets.token_hex(8).upper()}"
        self.secret_key = secrets.token_hex(16).upper()
        self.revoked = False
        self.per_second, self.per_day = 10, 50_000
        self.tables = Tables(sandbox.clock)
        hire(self.tables)
        self._sandbox = sandbox
        self._lately: deque[float] = deque()
        self._today = (0, 0)  # the day, and how many calls in it

    def fill(self, count: int, leads: int | None = None, seed: int = 1) -> None:
        """`count` invented accounts with `leads` people in all."""
        fill(self.tables, count, leads, seed)

    def admits(self, account_id: str, secret_key: str) -> bool:
        """Whether these are the company's keys."""
        return not self.revoked and (account_id, secret_key) == (self.account_id, self.secret_key)

    def charge(self) -> None:
        """Count a call. Raises Refusal when it is one too many."""
        with self.tables.lock:
            now = self._sandbox.clock()
            day, count = self._today
            self._today = (int(now // 86_400), count + 1 if day == int(now // 86_400) else 1)
            while self._lately and self._lately[0] <= now - 1:
                self._lately.popleft()
            self._lately.append(now)
            if self._today[1] > self.per_day:
                raise Refusal(106, "Exceeded daily method call limit.")
            if len(self._lately) > self.per_second:
                raise Refusal(107, "Exceeded per second method call limit.")

    @contextmanager
    def work(self) -> Iterator[methods.Work]:
        """What a method works on, for as long as it does."""
        with self.tables.lock:
            yield methods.Work(self.tables, self._note)

    def _note(self, effect: str, item: int, **detail: Any) -> None:
        self._sandbox.ledger.accept(LEDGER_USER, effect, str(item), **detail)


def of(sandbox: Sandbox) -> Company:
    """The company of this sandbox; made empty the first time."""
    company = sandbox.state.setdefault("sharpspring", None) or Company(sandbox)
    sandbox.state["sharpspring"] = company
    assert isinstance(company, Company)
    return company


def serve(sandbox: Sandbox, request: Request) -> Response:
    """One call, whatever its method."""
    company = of(sandbox)
    if not company.admits(*_keys(request)):
        return Response.of({"error": "Unable to determine clusterID from the given credentials."}, 401)
    identifier: Any = None
    try:
        asked = _asked(request)
        identifier = asked["id"]
        company.charge()
        with company.work() as work:
            work.offset_hours = 0 if request.match["version"] == "1.2" else methods.COMPANY_ZONE
            return _answer(identifier, *methods.perform(work, asked["method"], asked["params"]))
    except Refusal as refusal:
        return _answer(identifier, None, refusal.told())


def _keys(request: Request) -> tuple[str, str]:
    """The account id and the secret key a call carries; those in the query win over those in the headers."""
    scheme, _, bearer = request.header("Authorization").partition(" ")
    header = bearer.strip() if scheme.lower() == "bearer" else ""
    return (
        request.one("accountID") or request.header("X-Account-Id"),
        request.one("secretKey") or header,
    )


def _asked(request: Request) -> dict[str, Any]:
    try:
        asked = json.loads(request.body)
    except ValueError:
        raise Refusal(101, "Invalid request data format.") from None
    if not isinstance(asked, dict):
        raise Refusal(101, "Invalid request data format.")
    if asked.get("id") in (None, ""):
        raise Refusal(102, "Header missing request ID.")
    if not asked.get("method"):
        raise Refusal(201, "Missing method signature.")
    if "params" not in asked:
        raise Refusal(202, "Missing params array.")
    return asked


def _answer(identifier: Any, result: Any, error: Any) -> Response:
    return Response.of({"result": result, "error": error, "id": identifier})


ROUTES: list[Route] = [("POST", r"/pubapi/v(?P<version>1|1\.2)/?", serve)]
