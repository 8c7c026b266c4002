"""Brazilian tax ids: CNPJ of companies and CPF of persons, checked and formatted.

A CNPJ has twelve characters and two check digits. Since July 2026 new ones may hold letters among the twelve (Receita
Federal, Instrução Normativa 2.229/2024); a character then counts as its ASCII code less 48, so digits count as before.
"""

from __future__ import annotations

import re

_LOOSE = re.compile(r"[\s./-]+")
_CNPJ = re.compile(r"[0-9A-Z]{12}[0-9]{2}\Z")
_CPF = re.compile(r"[0-9]{11}\Z")


def compact(text: str) -> str:
    """A tax id without what it is written with: digits and capitals."""
    return _LOOSE.sub("", text).upper()


def normal(text: str) -> str:
    """The compact form of a valid CNPJ or CPF; '' for anything else.

    Spreadsheets drop leading zeros: a number of one or two digits too few is tried with them.
    """
    plain = compact(text)
    for length in (11, 14):
        if plain.isdigit() and length - 2 <= len(plain) < length and valid(plain.zfill(length)):
            return plain.zfill(length)
    return plain if valid(plain) else ""


def valid(plain: str) -> bool:
    """Whether a compact tax id is a CNPJ or a CPF with the right check digits."""
    if len(set(plain)) < 2:
        return False
    if _CNPJ.match(plain):
        return plain[12:] == _cnpj_digits(plain[:12])
    return bool(_CPF.match(plain)) and plain[9:] == _cpf_digits(plain[:9])


def _cnpj_digits(base: str) -> str:
    first = _digit(base, [5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])
    return first + _digit(base + first, [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])


def _cpf_digits(base: str) -> str:
    first = _digit(base, list(range(10, 1, -1)))
    return first + _digit(base + first, list(range(11, 1, -1)))


def _digit(text: str, weights: list[int]) -> str:
    rest = sum((ord(letter) - 48) * weight for letter, weight in zip(text, weights, strict=True)) % 11
    return "0" if rest < 2 else str(11 - rest)


def shown(plain: str) -> str:
    """A compact tax id as people write it: 12.345.678/0001-95 or 123.456.789-09; others as they are."""
    if _CNPJ.match(plain):
        return f"{plain[:2]}.{plain[2:5]}.{plain[5:8]}/{plain[8:12]}-{plain[12:]}"
    if _CPF.match(plain):
        return f"{plain[:3]}.{plain[3:6]}.{plain[6:9]}-{plain[9:]}"
    return plain
