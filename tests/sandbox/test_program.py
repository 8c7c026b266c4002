"""`crmmail sandbox` as a program: it prints where everything is, the CRM's keys too, and they work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx

CRMMAIL = str(Path(sys.executable).with_name("crmmail"))


def test_it_prints_addresses_and_keys_that_work() -> None:
    command = [CRMMAIL, "sandbox", "--messages", "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as program:
        try:
            assert program.stdout is not None
            told = dict(program.stdout.readline().rstrip("\n").split("\t") for _line in range(17))
            keys = {
                "X-Account-Id": told["sharpspring.account"],
                "Authorization": f"Bearer {told['sharpspring.key']}",
            }
            url = told["sharpspring.url"].replace(told["https"], told["http"])
            body = {"method": "getAccounts", "params": {"where": {}}, "id": 1}
            answer = httpx.post(url, json=body, headers=keys, trust_env=False).json()
            assert len(answer["result"]["account"]) == 150
        finally:
            program.terminate()
            program.wait(10)
