"""The receivers of docs/howto/receiving-webhooks.md, as they stand there, against what we send."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from webhooks.signing.signatures import generate_secret, sign

DOCS = Path(__file__).resolve().parents[3] / "docs" / "howto" / "receiving-webhooks.md"
SECRET = generate_secret()
BODY = '{"name":"Zoë"}\n'.encode()
ID = "01a1ff1c-ada0-7000-b682-820a98930f9b"


def example(heading: str) -> str:
    """The code under a heading of the document."""
    section = DOCS.read_text(encoding="utf-8").split(f"## {heading}\n", 1)[1]
    block = re.search(r"```\w+\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return block[1]


def in_python(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    names: dict[str, Any] = {}
    exec(example("Python, without us"), names)
    return bool(names["is_ours"](secret, headers, body))


def in_node(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    call = f"isOurs({json.dumps(secret)}, {json.dumps(dict(headers))}, require('fs').readFileSync(0))"
    done = subprocess.run(
        [program("node"), "-e", f"{example('Node')}\nconsole.log({call})"], input=body, capture_output=True, check=True
    )
    return done.stdout.decode().strip() == "true"


def in_shell(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    program("openssl")
    names = {"ID": "webhook-id", "TIMESTAMP": "webhook-timestamp", "SIGNATURE": "webhook-signature"}
    given = {**os.environ, "SECRET": secret, **{name: headers[header] for name, header in names.items()}}
    done = subprocess.run(["sh", "-c", example("Shell")], input=body, env=given, capture_output=True)
    assert done.stderr == b""
    return done.returncode == 0


def program(name: str) -> str:
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    return program


def headers(age: int = 0, *secrets: str) -> dict[str, str]:
    timestamp = int(time.time()) - age
    signature = sign(secrets or [SECRET], ID, timestamp, BODY)
    return {"webhook-id": ID, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


@pytest.mark.parametrize("is_ours", [in_python, in_node, in_shell])
def test_a_documented_receiver_takes_what_we_sign_and_nothing_else(
    is_ours: Callable[[str, Mapping[str, str], bytes], bool],
) -> None:
    assert is_ours(SECRET, headers(), BODY)
    assert is_ours(SECRET, headers(0, generate_secret(), SECRET), BODY), "during a rotation"
    assert not is_ours(generate_secret(), headers(), BODY)
    assert not is_ours(SECRET, headers(), BODY + b" ")
    assert not is_ours(SECRET, {**headers(), "webhook-id": "other"}, BODY)
    assert not is_ours(SECRET, headers(400), BODY)
    assert not is_ours(SECRET, headers(-400), BODY)
