"""The values that ``RULES_ENGINE`` in Django's settings may have: each is read with its kind, or refused as a sentence.

All raise ``SettingsError`` for a value that cannot be used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from django.conf import settings
from django.utils.functional import Promise

from rules_engine import retry
from rules_engine.errors import SettingsError, did_you_mean

SETTING = "RULES_ENGINE"
#: What the sentences that refuse these settings say was expected.
EXPECTED_SIGNALS = (
    'a dict of names and dotted paths such as {"shop.order_paid": "shop.signals.order_paid"}, '
    'or instead of a path {"signal": path, "label": text, "arguments": {name: text}, "instance": name}'
)
EXPECTED_SURROUNDINGS = (
    'None, or a dict of dotted paths such as {"present": "rules_engine.surroundings.tenants.present", "enter": '
    '"rules_engine.surroundings.tenants.enter"}, perhaps with "every" (such a path), "home" (a value) and "own_rules" '
    "(True or False)"
)
UP_TO_A_YEAR = "up to 31,622,400 (366 days)"
MOST_DAYS = 36_525
#: What every database counts to.
MOST_COUNT = 2**31 - 1
#: What a connection may differ in from the one that DATABASES describes.
CONNECTION_KEYS = ("HOST", "PORT", "NAME", "USER", "PASSWORD", "OPTIONS")
#: Names that are excepted of one model at a time.
NEVER_EXCEPTED = ("password", "passwd", "secret", "token", "api_key", "apikey", "private_key", "credentials")


def configured() -> Mapping[Any, Any]:
    """Give the whole setting. Raises ``SettingsError`` where it is no dict."""
    value = getattr(settings, SETTING, {})
    if not isinstance(value, Mapping):
        raise SettingsError(f"{SETTING} should be a dict, and is {value!r}.")
    return value


def usable(name: str, default: Any, accepts: Callable[[Any], bool], expected: str) -> Any:
    """Give a value of the setting that ``accepts`` says yes to; ``expected`` ends the sentence that refuses it."""
    value = configured().get(name, default)
    if not accepts(value):
        raise SettingsError(f"{SETTING}[{name!r}] should be {expected}, and is {value!r}.")
    return value


def usable_secret(name: str, default: Any, accepts: Callable[[Any], bool], expected: str) -> Any:
    """Give a value as ``usable`` does; the sentence that refuses it does not quote it."""
    value = configured().get(name, default)
    if not accepts(value):
        raise SettingsError(f"{SETTING}[{name!r}] should be {expected}, and is not (its value is not shown).")
    return value


def is_number(value: Any, *, above: float) -> bool:
    """Tell whether a value is a number above another; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > above


def is_seconds(value: Any) -> bool:
    """Tell whether a value is a number of seconds above 0 that can be waited for, and added to a time."""
    return is_number(value, above=0) and value <= retry.LONGEST_SCHEDULED_WAIT


def seconds(name: str, default: float) -> float:
    """Give a setting that is a number of seconds above 0."""
    return float(usable(name, default, is_seconds, f"a number of seconds above 0, {UP_TO_A_YEAR}"))


def is_count(value: Any, *, least: int = 1) -> bool:
    """Tell whether a value is a whole number of at least ``least`` that a database can count to."""
    return isinstance(value, int) and is_number(value, above=least - 1) and value <= MOST_COUNT


def count(name: str, default: int, *, least: int = 1) -> int:
    """Give a setting that is a whole number of at least ``least``."""
    expected = f"a whole number of at least {least}, up to {MOST_COUNT:,}"
    return int(usable(name, default, lambda v: is_count(v, least=least), expected))


def flag(name: str, default: bool) -> bool:
    """Give a setting that is True or False."""
    return bool(usable(name, default, lambda v: isinstance(v, bool), "True or False"))


def is_texts(value: Any) -> bool:
    """Tell whether a value is a list of strings."""
    return isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)


def is_address(value: str) -> bool:
    """Tell whether a text is the address of a site: a scheme and a host, perhaps with a port and a path."""
    return re.fullmatch(r"https?://[^\s/?#\"'<>]+(/[^\s?#\"'<>]*)?", value) is not None


def is_trace_url(value: Any) -> bool:
    """Tell whether a value is an address with ``{trace_id}`` in it, or an empty text."""
    return isinstance(value, str) and (
        value == "" or ("{trace_id}" in value and value.startswith(("https://", "http://")))
    )


def is_address_or_empty(value: Any) -> bool:
    """Tell whether a value is the address of a site, or the empty text."""
    return isinstance(value, str) and (value == "" or is_address(value))


def texts(name: str, default: Sequence[str]) -> tuple[str, ...]:
    """Give a setting that is a list of strings."""
    return tuple(usable(name, default, is_texts, "a list of strings"))


def retention(name: str, default: float | None) -> float | None:
    """Give a setting that is a number of days above 0, or None. Further back than a century, times end."""
    expected = f"a number of days above 0, up to {MOST_DAYS:,} (a century), or None"
    value = usable(name, default, lambda v: v is None or (is_number(v, above=0) and v <= MOST_DAYS), expected)
    return None if value is None else float(value)


def most(name: str, default: int | None) -> int | None:
    """Give a setting that is a whole number of at least 1, or None."""
    expected = f"a whole number of at least 1, up to {MOST_COUNT:,}, or None"
    value = usable(name, default, lambda v: v is None or is_count(v), expected)
    return None if value is None else int(value)


def is_texts_or_none(value: Any) -> bool:
    """Tell whether a value is a list of strings, or None."""
    return value is None or is_texts(value)


def is_schedule(value: Any) -> bool:
    """Tell whether a value is a list of seconds that may be waited."""
    return isinstance(value, list | tuple) and all(map(retry.is_wait, value))


def are_exceptions(value: Any) -> bool:
    """Tell whether a value is a list of names, none of them one that everybody calls a secret so.

    A bare "password" would lay open every model's.
    """
    return is_texts(value) and all(
        name.count(".") == 2 or (name and "." not in name and name.lower() not in NEVER_EXCEPTED) for name in value
    )


def is_tasks(value: Any) -> bool:
    """Tell whether a value is a list of names, or a dict of names and labels."""
    return is_texts([*value, *value.values()]) if isinstance(value, Mapping) else is_texts(value)


def is_connection(value: Any) -> bool:
    """Tell whether a value is a dict with some of ``CONNECTION_KEYS``: OPTIONS a dict, the others texts or a number."""
    if not isinstance(value, Mapping) or set(value) - set(CONNECTION_KEYS):
        return False
    return all(isinstance(part, Mapping if key == "OPTIONS" else str | int) for key, part in value.items())


@dataclass(frozen=True, slots=True)
class ConfiguredSignal:
    """A signal that the setting names: its dotted path, and what is said of it."""

    path: str
    label: str | Promise = ""
    arguments: Mapping[str, str | Promise] | None = None
    instance: str = ""


def configured_signal(value: Any) -> ConfiguredSignal:
    """Give what ``is_signals`` accepts for one signal, as a ``ConfiguredSignal``."""
    if isinstance(value, str):
        return ConfiguredSignal(value)
    return ConfiguredSignal(value["signal"], value.get("label", ""), value.get("arguments"), value.get("instance", ""))


def is_signals(value: Any) -> bool:
    """Tell whether a value is a dict of signals: names with dotted paths, or with what is said of each."""
    if not isinstance(value, Mapping) or not is_texts([*value]):
        return False
    return all(isinstance(signal, str) or _is_described_signal(signal) for signal in value.values())


def _is_described_signal(signal: Any) -> bool:
    if not isinstance(signal, Mapping) or set(signal) - {"signal", "label", "arguments", "instance"}:
        return False
    arguments = signal.get("arguments", {})
    return (
        isinstance(signal.get("signal"), str)
        and isinstance(signal.get("instance", ""), str)
        and isinstance(arguments, Mapping)
        and is_texts([*arguments])
        and all(isinstance(text, str | Promise) for text in (signal.get("label", ""), *arguments.values()))
    )


@dataclass(frozen=True, slots=True)
class ConfiguredSurroundings:
    """The functions that the setting names by their dotted paths, and the surroundings of the rules."""

    present: str
    enter: str
    #: The function that lists them; empty where nothing does.
    every: str = ""
    home: Any = None
    own_rules: bool = False


def is_surroundings(value: Any) -> bool:
    """Tell whether a value is None, or a dict of dotted paths with what is said in ``conf.surroundings``."""
    if value is None:
        return True
    known = {"present", "enter", "every", "home", "own_rules"}
    if not isinstance(value, Mapping) or not {"present", "enter"} <= set(value) <= known:
        return False
    paths = [value[key] for key in ("present", "enter", "every") if key in value]
    has_paths = all(isinstance(path, str) and "." in path for path in paths)
    return has_paths and isinstance(value.get("own_rules", False), bool)


@dataclass(frozen=True, slots=True)
class ConfiguredMetrics:
    """How metrics are counted, and who may read them."""

    #: What a scraper says after "Bearer"; empty where only staff may read them.
    token: str = ""
    #: The most rules, kinds of actions and endpoints that are told apart.
    labels: int = 200


def is_metrics(value: Any) -> bool:
    """Tell whether a value is None, or a dict with some of what ``ConfiguredMetrics`` has."""
    if value is None:
        return True
    if not isinstance(value, Mapping) or set(value) - {"token", "labels"}:
        return False
    token, labels = value.get("token", ""), value.get("labels", 1)
    return is_token(token) and is_count(labels)


@dataclass(frozen=True, slots=True)
class ConfiguredHealth:
    """From where on something is not well, and who may ask. Times are in seconds."""

    oldest_due: float = 300.0
    watcher: float = 30.0
    #: How long all checks together may take.
    seconds: float = 5.0
    #: Whether anybody may ask; else whoever has the token of METRICS, and staff.
    public: bool = True


def is_health(value: Any) -> bool:
    """Tell whether a value is None, or a dict with some of what ``ConfiguredHealth`` has."""
    if value is None:
        return True
    if not isinstance(value, Mapping) or set(value) - {"oldest_due", "watcher", "seconds", "public"}:
        return False
    times = [part for name, part in value.items() if name != "public"]
    return isinstance(value.get("public", True), bool) and all(map(is_seconds, times))


def is_token(value: Any) -> bool:
    """Tell whether a value is empty, or a text that can stand in a header and is long enough not to be guessed."""
    return isinstance(value, str) and (value == "" or (len(value) >= 16 and value.isascii() and value.isprintable()))


@dataclass(frozen=True, slots=True)
class ConfiguredBreaker:
    """When a rule is paused by itself: after ``in_a_row`` failures without a success between them, or where
    ``percent`` of at least ``least`` goes in ``seconds`` failed; 0 switches either off. ``mail`` says who is told:
    "author" (of the rule; the administrators of the site where it has none that can be mailed), "admins", "both" or
    "nobody"."""

    in_a_row: int = 50
    percent: float = 80
    least: int = 100
    seconds: float = 3600
    mail: str = "author"

    @property
    def is_on(self) -> bool:
        """Whether failures are counted at all."""
        return bool(self.in_a_row or self.percent)


_MAILED = ("author", "admins", "both", "nobody")
#: What each part of the breaker may be, and how that is said.
_OF_BREAKER: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "in_a_row": (lambda v: is_count(v, least=0), "a whole number of at least 0"),
    "percent": (lambda v: is_number(v, above=-1) and 0 <= v <= 100, "a number from 0 to 100"),
    "least": (is_count, "a whole number of at least 1"),
    "seconds": (is_seconds, f"a number of seconds above 0, {UP_TO_A_YEAR}"),
    "mail": (lambda v: v in _MAILED, '"author", "admins", "both" or "nobody"'),
}


def breaker_problem(written: Mapping[Any, Any]) -> str | None:
    """Say what is wrong with the parts of the breaker, to go on after its name; None where nothing is."""
    known = [part.name for part in fields(ConfiguredBreaker)]
    for key, value in written.items():
        if key not in known:
            return f" has no {key!r}.{did_you_mean(str(key), known)} There are: {', '.join(known)}."
        accepts, expected = _OF_BREAKER[key]
        if not accepts(value):
            return f"[{key!r}] should be {expected}, and is {value!r}."
    return None
