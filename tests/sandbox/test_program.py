"""`crmmail sandbox` as a program: it prints where everything is, the CRM's keys too, and they work."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import httpx

CRMMAIL = str(Path(sys.executable).with_name("crmmail"))


def test_a_port_in_use_is_bad_input() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        command = [CRMMAIL, "sandbox", "--messages", "5", "--port", str(other.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert command[-1] in done.stderr.splitlines()[-1]


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
