"""Which column of whose export means what.

The names HubSpot, Salesforce, Odoo, EspoCRM, Pipedrive, SharpSpring, Senior, Google, Outlook and people use, in English
and Portuguese.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_NAMES = {
    "company": """company | company name | companyname | account | account name | accountname | organization |
        organization name | organisation | organizacao | organization - name | person - organization | org | empresa |
        nome da empresa | razao social | conta | nome da conta | cliente | associated company | company_name |
        parent_id | fantasyname | fantasy name | nome fantasia | organization 1 - name""",
    "name": "name | nome | nome completo | full name | fullname | display name | person - name | contact | contato | "
    "contact name | nome do contato | file as",
    "first": "first name | firstname | given name | primeiro nome | prenome | first",
    "last": "last name | lastname | family name | sobrenome | ultimo nome | surname | last",
    "email": """email | e-mail | email address | e-mail address | emailaddress | email_address | correio |
        correio eletronico | endereco de e-mail | endereco de email | person - email | person - email - work |
        person - email - home | person - email - other | e-mail 1 - value | e-mail 2 - value | e-mail 3 - value |
        e-mail 2 address | e-mail 3 address | additional emails | hs_additional_emails | primary email | work email |
        email - work | e-mail do contato""",
    "account_email": "generalemail | general email | financialemail | financial email | email geral | e-mail geral | "
    "email financeiro | e-mail financeiro | company email",
    "domain": "domain | domains | dominio | dominios | company domain name | company domain | email domain | "
    "website domain",
    "website": "website | website url | web site | site | url | pagina web | homepage | web page | "
    "organization - website",
    "tax_id": "cnpj | cpf | cnpj/cpf | cpf/cnpj | cpf cnpj | cnpj cpf | tax id | taxid | vat | vat number | "
    "tax number | documento",
    "phone": """phone | phone number | phonenumber | telefone | fone | tel | organization - phone | company phone |
        business phone | main phone | telefone comercial | office phone number""",
    "contact_phone": """mobile | mobile phone | mobile phone number | mobilephonenumber | celular | cell phone | cell |
        person - phone | person - phone - work | person - phone - mobile | phone 1 - value | phone 2 - value |
        contact phone | telefone do contato | home phone | whatsapp""",
    "role": "title | job title | jobtitle | role | position | cargo | funcao | organization 1 - title | person - title",
    "owner": "owner | contact owner | company owner | account owner | proprietario | responsavel | vendedor | seller | "
    "organization - owner | person - owner | ownerid",
    "notes": "notes | note | observacoes | observacao | obs | description | descricao | comments | comentarios",
    "is_company": "is_company | is a company | is company",
}
MEANINGS = {name.strip(): meaning for meaning, names in _NAMES.items() for name in names.split("|")}
_SPACES = re.compile(r"[\s_]+")


def folded(header: str) -> str:
    """A header without case, accents and double spaces."""
    plain = unicodedata.normalize("NFKD", header.strip().strip("*").casefold())
    return _SPACES.sub(" ", "".join(letter for letter in plain if not unicodedata.combining(letter))).strip()


_FOLDED = {folded(name): meaning for name, meaning in MEANINGS.items()}


def meanings(headers: Sequence[str]) -> dict[int, str]:
    """Column → what it means, for those that mean something. `name` and `phone` mean what the rest makes of them."""
    found = {place: _FOLDED[folded(header)] for place, header in enumerate(headers) if folded(header) in _FOLDED}
    kinds = set(found.values())
    of_people = "first" in kinds or "last" in kinds or "role" in kinds or "contact_phone" in kinds
    of_accounts = bool(kinds & {"domain", "website", "tax_id", "account_email"}) or any(
        folded(header) in _ONLY_ACCOUNTS for header in headers
    )
    if "name" in kinds and "company" not in kinds and "is_company" not in kinds and of_accounts and not of_people:
        found = {place: "company" if meaning == "name" else meaning for place, meaning in found.items()}
    elif "name" in kinds and _has_both_names(headers) and of_accounts and not of_people:  # Senior: name, fantasyName
        found = {
            place: {"name": "company", "company": "alias"}.get(meaning, meaning) for place, meaning in found.items()
        }
    people = of_people or "name" in set(found.values())
    if not people:
        found = {
            place: "account_email" if meaning == "email" and of_accounts else meaning
            for place, meaning in found.items()
        }
    elif "is_company" not in kinds:
        found = {place: "contact_phone" if meaning == "phone" else meaning for place, meaning in found.items()}
    return found


_ONLY_ACCOUNTS = frozenset({"industry", "type", "annual revenue", "billing city", "billing street",
                            "billingaddresscity",
                            "organization - address", "setor", "ramo"})  # fmt: skip


def _has_both_names(headers: Sequence[str]) -> bool:
    return any(folded(header) in ("fantasyname", "fantasy name", "nome fantasia") for header in headers)
