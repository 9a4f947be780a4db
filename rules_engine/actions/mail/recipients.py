"""Whom a mail goes to: what ``to`` may say, and the plain addresses it comes to for one event.

An item of ``to`` is an address, a template for one, an expression for one or for a list of them, or one of the words
``admins`` and ``managers``, which stand for the people in the settings of those names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.encoding import punycode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine import conf
from rules_engine.errors import PermanentError, Problem, Refused, did_you_mean
from rules_engine.rules import values
from rules_engine.rules.contract import Clause
from rules_engine.types import Path, RuleSpec

#: Words that stand for the people of a setting: the operator named them, so EMAIL_DOMAINS does not hold for them.
PEOPLE = {"admins": "ADMINS", "managers": "MANAGERS"}
WORDS = {"admins": _("the administrators"), "managers": _("the managers")}

#: RFC 5321 §4.5.3.1.3, without the brackets.
LONGEST_ADDRESS = 254


def problems(config: Mapping[str, Any], rule: RuleSpec) -> Iterator[Problem]:
    """Say what is wrong with ``to``."""
    if not any(_items(config)):
        yield Problem("/to", gettext("Name at least one recipient, such as {{ instance.email }}."))
    for pointer, item in _items(config).items():
        if not isinstance(item, str | Mapping):
            yield Problem(pointer, gettext("Expected text, and got %(value)s.") % {"value": repr(item)})
        elif isinstance(item, str) and is_constant(item) and item.strip() not in PEOPLE:
            yield from address_problems(item, pointer, others=tuple(PEOPLE))
        else:
            yield from values.problems(item, rule, pointer)


def said(item: Any) -> Any:
    """Return what a recipient is called in a rule's sentence."""
    return Clause(WORDS[str(item).strip()]) if _is_people(item) else item


def reads(config: Mapping[str, Any]) -> set[Path]:
    """Return the context paths that ``to`` reads."""
    return {path for item in _items(config).values() for path in values.reads(item)}


def find(config: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[list[str], list[PermanentError]]:
    """Find the addresses for this context, each once and none empty, and why others cannot be used.

    Raises ``TemplateError`` and ``ConditionError``.
    """
    addresses: dict[str, str] = {}
    unusable: list[PermanentError] = []
    for item in _items(config).values():
        for written in _written(item, data):
            try:
                address = plain(written) if _is_people(item) else permitted(written)
            except PermanentError as error:
                unusable.append(error)
            else:
                addresses.setdefault(address.lower(), address)
    return list(addresses.values()), unusable


def _items(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the items that say something, by their pointers; one outside of a list stands for a list of one."""
    to = config.get("to")
    items = {f"/to/{index}": item for index, item in enumerate(to)} if isinstance(to, list) else {"/to": to}
    return {pointer: item for pointer, item in items.items() if item not in (None, "")}


def _is_people(item: Any) -> bool:
    return isinstance(item, str) and item.strip() in PEOPLE


def _written(item: Any, data: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what one item comes to, without what is empty."""
    if _is_people(item):
        people = getattr(settings, PEOPLE[item.strip()], None) or ()
        # Before Django 6.0 each is a name and an address, since then one text.
        yield from (parseaddr(address)[1] if isinstance(address, str) else address[1] for address in people)
        return
    value = item if isinstance(item, str) and is_constant(item) else values.evaluate(item, data)
    for address in value if isinstance(value, list) else [value]:
        if address is not None and (not isinstance(address, str) or address.strip()):
            yield address


def is_constant(text: str) -> bool:
    """Say whether the text is the same for every event."""
    return not any(opening in text for opening in ("{{", "{%", "{#"))


def address_problems(text: str, pointer: str, others: tuple[str, ...] = ()) -> Iterator[Problem]:
    """Say why a constant text is no address, and what to write; ``others`` are words that may stand there, too."""
    try:
        plain(text)
    except PermanentError:
        yield Problem(pointer, _advice(text, others))


def _advice(text: str, others: tuple[str, ...]) -> str:
    if text.count("@") > 1 and ("," in text or ";" in text):
        return (
            gettext("These are several addresses in one text; write each as an item of its own.")
            if others
            else (gettext("These are several addresses, and only one fits here."))
        )
    name, address = parseaddr(text)
    if name and "@" in address:
        return gettext('Write the address alone, without a name and brackets: "%(address)s".') % {"address": address}
    words = "".join(gettext(', or "%(word)s"') % {"word": word} for word in others)
    hint = did_you_mean(text.strip(), others)
    return gettext(
        '"%(text)s" is no address.%(hint)s Write one such as ada@example.com, or {{ instance.email }}%(words)s.'
    ) % {"text": text[:80], "hint": hint, "words": words}


def plain(written: Any) -> str:
    """Take one address and nothing else, its domain as the net has it. Raises ``PermanentError``, without the
    value."""
    try:
        return _address(written)
    except (ValueError, ValidationError) as error:
        raise PermanentError(
            gettext("A recipient is not one plain address; look at the template or the expression that it came from.")
        ) from error


def _address(written: Any) -> str:
    if not isinstance(written, str):
        raise ValueError(f"An address should be a text, and is of the type {type(written).__name__}.")
    local, _, domain = written.strip().rpartition("@")
    # Encoded first: a full stop of another script would make another domain of it afterwards.
    address = f"{local}@{punycode(domain).lower()}"
    validate_email(address)
    if '"' in local or not address.isascii() or len(address) > LONGEST_ADDRESS:
        raise ValueError("An address should be in ASCII, without quotes, and no longer than the net allows.")
    return address


def permitted(written: Any) -> str:
    """Return the plain address, if rules may send mail there. Raises ``PermanentError``, ``Refused`` where they may
    not."""
    address = plain(written)
    allowed = conf.email_domains()
    if allowed is not None and address.rpartition("@")[2] not in map(_as_sent, allowed):
        raise Refused(gettext('A recipient\'s domain is not in RULES_ENGINE["EMAIL_DOMAINS"].'))
    return address


def _as_sent(domain: str) -> str:
    try:
        return punycode(domain).lower()
    except UnicodeError:
        return domain
