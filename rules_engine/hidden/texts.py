"""What errors say, without values that nobody is to read there: errors quote the rows and addresses they are about."""

from __future__ import annotations

import re
from functools import cache

from rules_engine import conf
from rules_engine.hidden.secret_names import SENSITIVE, is_secret

#: Characters of a text that are looked through; the rest is left out.
MOST_CHARACTERS = 10_000
HIDDEN = "[hidden]"

#: PostgreSQL's of a row that a constraint refuses, all columns of it; and of a key that is there twice, or nowhere.
_ROW = re.compile(r"(?i)(failing row contains )\(.*\)", re.DOTALL)
_KEY = re.compile(r"(Key \()([^()=]{1,500})(\)=\().*?(\) (?:already|is not present|is still|conflicts))")
#: MySQL's and MariaDB's of a key that is there twice; the name is the index's, with its table before it.
_ENTRY = re.compile(r"(Duplicate entry ')(.*?)(' for key '([^']{1,200})')")


def masked(text: str) -> str:
    """Return the text without the values of what is named like a secret (``password=…``, ``"api_key": "…"``), without
    credentials in addresses (``//user:…@``), without what follows ``Bearer`` or ``Basic``, and without the rows, and
    keys of secrets, that databases quote."""
    text = _without_rows(text[:MOST_CHARACTERS])
    text = _assigned(conf.sensitive_fields()).sub(rf"\1{HIDDEN}", text)
    text = re.sub(r"(//[^/\s:@]{0,200}:)[^/\s@]{1,200}@", rf"\1{HIDDEN}@", text)
    return re.sub(r"(?i)\b(bearer|basic)\s+[^\s\"',]{6,}", rf"\1 {HIDDEN}", text)


def _without_rows(text: str) -> str:
    text = _ROW.sub(rf"\1({HIDDEN})", text)
    text = _KEY.sub(lambda key: f"{key[1]}{key[2]}{key[3]}{HIDDEN}{key[4]}" if is_secret(key[2]) else key[0], text)
    return _ENTRY.sub(lambda entry: f"{entry[1]}{HIDDEN}{entry[3]}" if is_secret(entry[4]) else entry[0], text)


@cache
def _assigned(extra: tuple[str, ...]) -> re.Pattern[str]:
    names = "|".join(re.escape(part) for part in (*SENSITIVE, *extra))
    value = r"\"[^\"]*\"?|'[^']*'?|[^\s,;&)}\]]+"
    return re.compile(rf"((?:{names})\w{{0,50}}[\"']?\s{{0,5}}(?:=>|=|:)\s{{0,5}})(?:{value})", re.IGNORECASE)
