"""The sandbox's SharpSpring answers as the documents and the clients of the real one say, its traps included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from crmmail.sandbox import Sandbox, sharpspring
from crmmail.sandbox.sharpspring import Company
from crmmail.sandbox.sharpspring_tables import CUSTOM_FIELD, FIRST_USER

START = 1_790_000_000.0  # 2026-09-21 14:13:20 UTC
Call = Callable[..., dict[str, Any]]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(clock=lambda: START) as running:
        yield running


@pytest.fixture
def company(sandbox: Sandbox) -> Company:
    company = sharpspring.of(sandbox)
    company.per_second = 1000  # the clock stands still: the tests of the limits set their own
    return company


@pytest.fixture
def call(sandbox: Sandbox, company: Company) -> Iterator[Call]:
    """A call with good keys; its answer's JSON."""
    keys = {"X-Account-Id": company.account_id, "Authorization": f"Bearer {company.secret_key}"}
    with httpx.Client(base_url=sandbox.http_url, headers=keys) as client:

        def ask(method: str, version: str = "1.2", **params: Any) -> dict[str, Any]:
            body = {"method": method, "params": params, "id": "7"}
            answer = client.post(f"/pubapi/v{version}/", json=body)
            assert answer.status_code == 200
            told = answer.json()
            assert told["id"] == "7"
            return dict(told)

        yield ask


def account(call: Call, **fields: Any) -> int:
    made = call("createAccounts", objects=[{"accountName": "Acme", **fields}])
    return int(made["result"]["creates"][0]["id"])


def lead(call: Call, address: str = "ana@acme.example", **fields: Any) -> int:
    made = call("createLeads", objects=[{"emailAddress": address, **fields}])
    return int(made["result"]["creates"][0]["id"])


# Keys


def post(sandbox: Sandbox, body: Any, query: str = "", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"{sandbox.http_url}/pubapi/v1.2/{query}", json=body, headers=named)


ASK = {"method": "getAccounts", "params": {"where": {}}, "id": 1}


def test_wrong_keys_are_the_only_error_with_a_status_of_its_own(sandbox: Sandbox, company: Company) -> None:
    for key in ("none", "wrong"):
        refused = post(sandbox, ASK, X_Account_Id=company.account_id, Authorization=f"Bearer {key}")
        assert refused.status_code == 401
        assert "Unable to determine clusterID" in refused.text
    company.revoked = True
    revoked = post(sandbox, ASK, X_Account_Id=company.account_id, Authorization=f"Bearer {company.secret_key}")
    assert revoked.status_code == 401


def test_keys_may_stand_in_the_query_and_win_there(sandbox: Sandbox, company: Company) -> None:
    query = f"?accountID={company.account_id}&secretKey={company.secret_key}"
    assert post(sandbox, ASK, query).status_code == 200
    assert post(sandbox, ASK, query, X_Account_Id="other", Authorization="Bearer other").status_code == 200
    headers = {"X_Account_Id": company.account_id, "Authorization": f"Bearer {company.secret_key}"}
    assert post(sandbox, ASK, "?secretKey=wrong", **headers).status_code == 401


# Errors inside 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"method": "getAccounts", "params": {"where": {}}}, 102),
        ({"params": {}, "id": 1}, 201),
        ({"method": "getAccounts", "id": 1}, 202),
        ({"method": "getEverything", "params": {}, "id": 1}, 204),
        ({"method": "getAccounts", "params": {}, "id": 1}, 206),
        ({"method": "createAccounts", "params": {}, "id": 1}, 207),
        ({"method": "createAccounts", "params": {"objects": {"accountName": "x"}}, "id": 1}, 208),
        ({"method": "createAccounts", "params": {"objects": [{"accountName": "x"}] * 501}, "id": 1}, 209),
        ([1], 101),
    ],
)
def test_an_error_of_the_call_comes_with_status_200(sandbox: Sandbox, company: Company, body: Any, code: int) -> None:
    headers = {"X_Account_Id": company.account_id, "Authorization": f"Bearer {company.secret_key}"}
    answer = post(sandbox, body, **headers)
    assert answer.status_code == 200
    assert answer.json()["error"]["code"] == code
    assert answer.json()["result"] is None


def test_an_error_of_one_object_stands_beside_the_others_success_and_again_in_a_list(call: Call) -> None:
    lead(call)
    told = call("createLeads", objects=[{"emailAddress": "ana@acme.example"}, {"emailAddress": "bia@acme.example"}])
    first, second = told["result"]["creates"]
    assert (first["success"], first["error"]["code"]) == (False, 301)
    assert (second["success"], second["error"]) == (True, None)
    assert [error["code"] for error in told["error"]] == [301]


def test_where_takes_one_key_of_two(call: Call) -> None:
    identifier = account(call)
    assert call("getAccounts", where={"accountName": "Acme"})["error"]["code"] == 205
    assert call("getAccounts", where={"id": identifier, "ownerID": FIRST_USER})["error"]["code"] == 205
    assert len(call("getAccounts", where={"id": identifier})["result"]["account"]) == 1
    assert len(call("getAccounts", where={"id": [identifier, 5]})["result"]["account"]) == 1


# What is told, and how


def test_accounts_come_under_the_name_the_documents_do_not_say(call: Call, company: Company) -> None:
    company.fill(3)
    result = call("getAccounts", where={}, limit=2)["result"]
    assert list(result) == ["account"]
    assert len(result["account"]) == 2


def test_no_answer_holds_more_than_500_rows(call: Call, company: Company) -> None:
    company.fill(520, 10)
    assert len(call("getAccounts", where={}, limit=1000)["result"]["account"]) == 500
    assert len(call("getAccounts", where={}, limit=500, offset=500)["result"]["account"]) == 20


def test_standard_texts_are_escaped_once_and_own_fields_are_not(call: Call) -> None:
    identifier = account(call, **{"accountName": "Müller & Söhne <Ltda> &amp;", CUSTOM_FIELD: "Pequeno & ágil"})
    row = call("getAccount", id=identifier)["result"]["account"][0]
    assert row["accountName"] == "Müller &amp; Söhne &lt;Ltda&gt; &amp;amp;"
    assert row[CUSTOM_FIELD] == "Pequeno & ágil"
    assert row["id"] == str(identifier)


def test_own_fields_are_described(call: Call) -> None:
    described = {one["systemName"]: one["isCustom"] for one in call("getFields", where={})["result"]["field"]}
    assert described[CUSTOM_FIELD] == "1"
    assert described["accountName"] == "0"


def test_a_range_of_dates_tells_what_was_made_or_changed_in_it_to_the_second(call: Call, sandbox: Sandbox) -> None:
    old = account(call, accountName="Old")
    sandbox.clock.advance(100)
    new = account(call, accountName="New")
    asked = {"startDate": "2026-09-21 14:14:00", "endDate": "2026-09-21 14:15:00"}

    def found(stamp: str) -> list[str]:
        answer = call("getAccountsDateRange", **asked, timestamp=stamp)
        return [row["id"] for row in answer["result"]["account"]]

    assert found("create") == [str(new)]
    call("updateAccounts", objects=[{"id": old, "accountName": "Older"}])
    assert found("create") == [str(new)]
    assert found("update") == [str(old), str(new)]
    assert call("getAccountsDateRange", **asked)["error"]["code"] == 206


def test_version_1_tells_the_companys_own_time(call: Call) -> None:
    identifier = account(call)
    stamps = [
        call("getAccount", version, id=identifier)["result"]["account"][0]["createTimestamp"]
        for version in ("1.2", "1")
    ]
    assert stamps == ["2026-09-21 14:13:20", "2026-09-21 11:13:20"]


def test_leads_that_are_not_active_are_told_only_to_those_who_name_them(call: Call) -> None:
    gone = lead(call, active=0)
    assert call("getLeads", where={})["result"]["lead"] == []
    assert [row["id"] for row in call("getLeads", where={"id": gone})["result"]["lead"]] == [str(gone)]


# Changing


def test_a_change_that_changes_nothing_is_called_an_error(call: Call) -> None:
    identifier = account(call)
    told = call("updateAccounts", objects=[{"id": identifier, "accountName": "Acme"}])
    assert told["result"]["updates"][0]["error"]["code"] == 302


def test_the_older_update_of_leads_succeeds_without_doing_anything(call: Call) -> None:
    first, _second = lead(call), lead(call, "bia@acme.example")
    for change in ({"id": 5, "title": "x"}, {"id": first, "emailAddress": "bia@acme.example", "title": "x"}):
        assert call("updateLeads", objects=[change])["result"]["updates"][0]["success"] is True
        assert call("updateLeadsV2", objects=[change])["result"]["updates"][0]["success"] is False
    assert call("getLeads", where={"id": first})["result"]["lead"][0]["title"] is None


def test_a_lead_of_an_account_that_is_not_there_is_refused(call: Call) -> None:
    told = call("createLeads", objects=[{"emailAddress": "x@y.example", "accountID": 5}])
    assert told["error"][0]["code"] == 303


# Notes


def test_a_note_hangs_on_a_lead_and_an_account_and_is_found_on_both(call: Call, sandbox: Sandbox) -> None:
    company = account(call)
    contact = lead(call, accountID=company)
    author = call("getUserProfiles", where={"isActive": 1})["result"]["userProfile"][0]["id"]
    note = {"authorID": author, "note": "A > B\nMessage-ID: <1@x.example>", "title": "E-mail"}
    bound = {"whoID": contact, "whoType": "lead", "whatID": company, "whatType": "account"}
    made = call("createNotes", objects=[note | bound])["result"]["creates"][0]
    for method, identifier in (("getContactNotes", contact), ("getAccountNotes", company)):
        (told,) = call(method, id=identifier)["result"]
        assert told["id"] == str(made["id"])
        assert told["note"] == "A &gt; B\nMessage-ID: &lt;1@x.example&gt;"
    assert call("getContactNotes", id=contact + 1)["result"] == []
    assert [entry.effect for entry in sandbox.ledger.accepted("sharpspring")] == ["account", "lead", "note"]


@pytest.mark.parametrize(
    ("note", "code"),
    [
        ({"note": "x"}, 206),
        ({"authorID": FIRST_USER, "note": "x"}, 206),
        ({"authorID": 5, "note": "x", "whoID": 1, "whoType": "lead"}, 214),
        ({"authorID": FIRST_USER, "note": "x", "whoID": 1, "whoType": "lead"}, 220),
        ({"authorID": FIRST_USER, "note": "x", "whatID": 1, "whatType": "planet"}, 205),
    ],
)
def test_a_note_without_author_or_place_is_refused(call: Call, company: Company, note: Any, code: int) -> None:
    company.fill(1)
    assert call("createNotes", objects=[note])["result"]["creates"][0]["error"]["code"] == code


def test_what_the_products_own_mail_synchronisation_logged_is_in_no_answer(call: Call) -> None:
    assert call("getEvents", where={"leadID": lead(call)})["result"] == {"events": []}


# Limits


def test_the_eleventh_call_of_a_second_and_the_50001st_of_a_day_are_refused(
    call: Call, company: Company, sandbox: Sandbox
) -> None:
    company.per_second = 10
    codes = [(call("getUserProfiles")["error"] or {}).get("code") for _ in range(11)]
    assert codes == [None] * 10 + [107]
    sandbox.clock.advance(1.1)
    assert call("getUserProfiles")["error"] is None
    company.per_day = 12
    sandbox.clock.advance(1.1)
    assert call("getUserProfiles")["error"]["code"] == 106
    sandbox.clock.advance(86_400)
    assert call("getUserProfiles")["error"] is None


# The company that is made up


def test_it_is_filled_with_as_many_as_asked_for_and_the_same_for_a_seed(call: Call, company: Company) -> None:
    company.fill(400, 2000)
    assert (len(company.tables.accounts), len(company.tables.leads)) == (400, 2000)
    assert len({row["emailAddress"] for row in company.tables.leads.values()}) == 2000
    assert len({row["accountName"] for row in company.tables.accounts.values()}) == 400
    other = Company(company._sandbox)
    other.fill(400, 2000)
    assert [row["emailAddress"] for row in other.tables.leads.values()] == [
        row["emailAddress"] for row in company.tables.leads.values()
    ]


def test_a_fault_may_be_meant_for_one_method_alone(call: Call, sandbox: Sandbox) -> None:
    sandbox.faults.add("status", asks='"createNotes"', status=200, body={"result": None, "error": {"code": 999}})
    assert call("getUserProfiles")["error"] is None
    sandbox.faults.add("reset_after", asks='"createAccounts"', times=1)
    with pytest.raises(httpx.TransportError):
        account(call)
    assert account(call) and [entry.effect for entry in sandbox.ledger.accepted("sharpspring")] == ["account"] * 2
