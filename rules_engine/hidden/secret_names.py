"""Which names are those of secrets: of fields, keys inside JSON, arguments of signals, settings.

A name is taken apart into its words first, so that ``secretary`` is none and ``clientSecret`` is one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from rules_engine import conf

#: A field whose name holds one of these is never in a context: who edits rules could mail it out.
SENSITIVE = (
    "password",
    "passwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "private_key",
    "access_key",
    "session_key",
    "session_data",
    "credential",
)
#: What may follow in the same word and leave it a secret: ``secretkey``, ``passwordhash``, ``tokens``.
_ENDS = "s|keys?|hash(?:es|ed)?|values?|digest|salt|codes?|text|data|string|strs?|ids?|files?|enc|encrypted|confirm"
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BETWEEN_WORDS = re.compile(r"[\W_]+")


@lru_cache(maxsize=4)
def _pattern(extra: tuple[str, ...]) -> re.Pattern[str]:
    """A word may have something before it (``authtoken``); a site's own parts count wherever they stand."""
    words = "|".join(re.escape(part).replace("_", "_?") for part in SENSITIVE)
    own = "".join(f"|{re.escape(part.lower())}" for part in extra)
    return re.compile(rf"(?:{words})(?:{_ENDS})?(?![^\W\d_]){own}")


def is_secret(name: str) -> bool:
    """Say whether what goes by that name is a secret, wherever it stands."""
    return _is_secret(name, conf.sensitive_fields(), conf.sensitive_exceptions())


@lru_cache(maxsize=4096)
def _is_secret(name: str, extra: tuple[str, ...], exceptions: tuple[str, ...]) -> bool:
    lower = name.lower()
    if any(lower == exception.lower() for exception in exceptions):
        return False
    in_words = (_BETWEEN_WORDS.sub("_", spelled) for spelled in (lower, _CAMEL.sub("_", name).lower()))
    pattern = _pattern(extra)
    return pattern.search(lower) is not None or any(pattern.search(spelled) is not None for spelled in in_words)


def without_secrets(value: Any) -> Any:
    """Return JSON data without what goes by the name of a secret, at any depth."""
    if isinstance(value, dict):
        return {key: without_secrets(item) for key, item in value.items() if not is_secret(key)}
    return [without_secrets(item) for item in value] if isinstance(value, list) else value
