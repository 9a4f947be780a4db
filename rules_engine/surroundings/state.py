"""The surroundings of a change: told as a text that rows keep, and entered again by whoever acts later.

All of it does nothing where ``RULES_ENGINE["SURROUNDINGS"]`` is not set. The text is the JSON of what the site's own
function tells, empty for none.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.core.signals import setting_changed
from django.db import connections
from django.utils.module_loading import import_string

from rules_engine import conf
from rules_engine.errors import NotEntered, RulesEngineError, SettingsError
from rules_engine.setting_values import SETTING
from rules_engine.types import Unread, ask

logger = logging.getLogger("rules_engine")

#: Characters of the text, which is part of keys that are indexed.
LONGEST = 100
NAME = f'{SETTING}["SURROUNDINGS"]'


@dataclass(frozen=True, slots=True)
class Functions:
    """What the site says: what surrounds it now, how to enter that again, and what there is."""

    present: Callable[[], Any]
    enter: Callable[[Any], AbstractContextManager[Any]]
    #: The text of those in which the rules and their authors are; empty where that is said nowhere.
    home: str
    #: Whether others than these have rules of their own (``own_rules``).
    own_rules: bool = False
    #: Which there are of a model's objects, or of what is about no model (None); None where nothing tells it.
    every: Callable[[Any], Iterable[Any]] | None = None


@cache
def functions() -> Functions | None:
    """Return what the site says; None where it says nothing, which is asked at no cost. Raises ``SettingsError``."""
    configured = conf.surroundings()
    if configured is None:
        return None
    present, enter = _imported("present", configured.present), _imported("enter", configured.enter)
    every = _imported("every", configured.every) if configured.every else None
    return Functions(present, enter, text_of(configured.home), configured.own_rules, every)


def _imported(key: str, path: str) -> Any:
    found = ask(import_string, path)
    if isinstance(found, Unread):
        raise SettingsError(f'{NAME}["{key}"] names {path!r}, which cannot be imported: {found.error}')
    if not callable(found):
        raise SettingsError(f'{NAME}["{key}"] names {path!r}, which is no function.')
    return found


def _read_anew(*, setting: str, **_sent: Any) -> None:
    if setting == SETTING:
        functions.cache_clear()


setting_changed.connect(_read_anew, dispatch_uid="rules_engine.surroundings")


def problems() -> list[str]:
    """Return what is wrong with the setting's functions, as sentences; they are imported for it."""
    asked = ask(functions)
    return [str(asked.error)] if isinstance(asked, Unread) else []


def text_of(value: Any) -> str:
    """Return what the site tells as a text; empty for None. Raises ``SettingsError`` for what cannot be kept."""
    if value is None:
        return ""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{NAME}: expected a value for JSON, such as a text, and got {value!r}.") from error
    if len(text) > LONGEST:
        raise SettingsError(f"{NAME}: expected a value of at most {LONGEST} characters as JSON, and got {text[:200]}.")
    return text


def shown(text: str) -> str:
    """Return the surroundings of a row as people read them: a text without its quotes; empty for none."""
    value = json.loads(text) if text else ""
    return value if isinstance(value, str) else text


def here() -> str:
    """Return the present surroundings as a text; empty where there are none. Raises ``SettingsError``, and what the
    site's own function raises."""
    said = functions()
    return "" if said is None else text_of(said.present())


def at_home() -> AbstractContextManager[None]:
    """Enter the surroundings in which the rules and their authors are, where the site says which these are."""
    said = functions()
    return nullcontext() if said is None or not said.home else within(said.home)


def is_home() -> bool:
    """Say whether these are the surroundings of the rules: from here all rows are seen, from others those of these
    alone."""
    said = functions()
    return said is None or here() in ("", said.home)


def seen_from_here(column: str = "surroundings") -> dict[str, str]:
    """Return the filter of what is shown here, by the column that has a row's surroundings: at home, and where the site
    says none, all of it."""
    return {} if is_home() else {column: here()}


def within(text: str) -> AbstractContextManager[None]:
    """Be in the surroundings that a row keeps, and leave them at the end whatever happens.

    Nothing is done where they are the present ones, or none. Raises ``NotEntered``, before the block begins.
    """
    return _entered(text) if text else nullcontext()


@contextmanager
def _entered(text: str) -> Iterator[None]:
    said = functions()
    if said is None:
        raise NotEntered(_why(text, f"{NAME} is not set any more."))
    before = here()
    if before == text:
        yield
        return
    block = ask(_begin, said, text)
    if isinstance(block, Unread):
        _is_left_after(None, before)
        raise NotEntered(_why(text, _said(block.error))) from block.error
    present = ask(here)
    if present != text:
        _is_left_after(block, before)
        told = _said(present.error) if isinstance(present, Unread) else shown(present) or "none"
        raise NotEntered(_why(text, f"once entered, the present ones are told as {told}."))
    try:
        yield
    finally:
        _leave(block, before)


def _begin(said: Functions, text: str) -> AbstractContextManager[Any]:
    block = said.enter(json.loads(text))
    block.__enter__()
    return block


def _said(error: Exception) -> str:
    # The functions are the operator's own, and what they say is theirs to read.
    return f"{type(error).__name__}: {error}"


def _why(text: str, reason: str) -> str:
    return f'The surroundings "{shown(text)}" of the change could not be entered, so nothing was done: {reason}'


def _leave(block: AbstractContextManager[Any], before: str) -> None:
    if _is_left_after(block, before):
        return
    if any(connection.in_atomic_block for connection in connections.all(initialized_only=True)):
        raise RulesEngineError(f"The surroundings were not left: {NAME} should enter what it then leaves again.")


def _is_left_after(block: AbstractContextManager[Any] | None, before: str) -> bool:
    """Leave; where the surroundings are not what they were, close the connections that no transaction needs: whoever
    connects next begins outside."""
    # Without an error, whatever ended it: a generator that knows of no ``finally`` must clean up all the same.
    left = None if block is None else ask(block.__exit__, None, None, None)
    now = ask(here)
    if not isinstance(left, Unread) and now == before:
        return True
    error = left.error if isinstance(left, Unread) else now.error if isinstance(now, Unread) else None
    logger.error("The surroundings of %s were not left as they were; connections are closed.", before, exc_info=error)
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
    return False
