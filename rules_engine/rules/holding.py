"""How a rule holds back: by throttle, by waiting for more, once per object. What is wrong with it, and its keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from rules_engine import templating
from rules_engine.actions import values
from rules_engine.errors import Problem
from rules_engine.events.names import MODEL_SIGNALS
from rules_engine.events.snapshot import clean_text
from rules_engine.types import Event, Path, RuleSpec

LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Hold:
    """What a worker has to decide before a match of the rule acts. See ``RuleSpec`` for the words."""

    throttle: tuple[int, int] | None = None
    throttle_by: str = ""
    coalesce: int | None = None
    coalesce_by: str = ""
    debounce: bool = False
    once: bool = False

    def terms(self) -> dict[str, Any]:
        """As it is stored with a match, for whoever decides."""
        return {
            "throttle": list(self.throttle) if self.throttle else None,
            "coalesce": self.coalesce,
            "debounce": self.debounce,
            "once": self.once,
        }

    def keys(self, rule_model: str, event: Event, transaction_id: Callable[[], str]) -> dict[str, str]:
        """What the throttle counts separately, what is taken together, and what "once" is about. Raises
        ``TemplateError``."""
        keys = {"throttle_key": "", "coalesce_key": "", "once_key": ""}
        if self.throttle is not None and self.throttle_by:
            keys["throttle_key"] = _key(templating.render(self.throttle_by, event.context))
        if self.coalesce is not None:
            by = self.coalesce_by
            text = templating.render(by, event.context) if by else object_key(rule_model, event)
            keys["coalesce_key"] = _key(text, "" if self.coalesce else f"@{transaction_id()}")
        if self.once:
            keys["once_key"] = _key(object_key(rule_model, event))
        return keys


def object_key(rule_model: str, event: Event) -> str:
    """The object of an event as a key; for a signal without one all events are alike.

    By the rule's model: an object is the same one, whether it was saved as what it inherits from or as itself.
    """
    return f"{(rule_model or event.model).lower()}:{event.pk}" if event.model else ""


def _key(text: str, ending: str = "") -> str:
    """As an indexed column takes it; a longer one keeps its beginning, for people."""
    text, room = clean_text(text), LONGEST_KEY - len(ending)
    return (text if len(text) <= room else f"{text[: room - 65]}#{sha256(text.encode()).hexdigest()}") + ending


def hold_of(rule: RuleSpec) -> Hold | None:
    """How the rule holds back; None when it does not."""
    throttled = rule.throttle_count and rule.throttle_seconds
    if not throttled and rule.coalesce_seconds is None and not rule.once:
        return None
    return Hold(
        throttle=(int(rule.throttle_count or 0), int(rule.throttle_seconds or 0)) if throttled else None,
        throttle_by=rule.throttle_by,
        coalesce=rule.coalesce_seconds,
        coalesce_by=rule.coalesce_by,
        debounce=rule.debounce,
        once=rule.once,
    )


def key_reads(rule: RuleSpec) -> set[Path]:
    """What the keys read of the context."""
    return {path for text in (rule.throttle_by, rule.coalesce_by) for path in values.reads(text)}


def hold_problems(rule: RuleSpec) -> Iterator[Problem]:
    """What is wrong with how the rule holds back, and with when it is tried at all."""
    yield from _amount_problems(rule)
    for name in ("throttle_by", "coalesce_by"):
        yield from values.problems(getattr(rule, name), rule, f"/{name}")
    if rule.throttle_by and not rule.throttle_count:
        yield Problem("/throttle_by", "Say how many times in how many seconds, or leave this empty.")
    if rule.coalesce_by and rule.coalesce_seconds is None:
        yield Problem("/coalesce_by", "Say for how many seconds to wait, or leave this empty.")
    if rule.debounce and not rule.coalesce_seconds:
        yield Problem("/debounce", "Say for how many seconds it has to be quiet.")
    if rule.once and not rule.model:
        yield Problem("/once", "This rule watches no model, so there is no object to act on once.")
    if rule.raw and not set(rule.signals) & set(MODEL_SIGNALS):
        yield Problem("/raw", "Data is loaded into models; this rule listens to no signal of one.")
    if rule.active_from and rule.active_until and rule.active_from >= rule.active_until:
        yield Problem("/active_until", "This is not after the time from which the rule is active.")
    yield from _timing_problems(rule)


def _amount_problems(rule: RuleSpec) -> Iterator[Problem]:
    wanted: Mapping[str, int] = {"throttle_count": 1, "throttle_seconds": 1, "coalesce_seconds": 0, "sample_percent": 1}
    for name, least in wanted.items():
        value = getattr(rule, name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            yield Problem(f"/{name}", f"Expected a whole number of at least {least}, and got {value!r}.")
    if rule.sample_percent is None or (isinstance(rule.sample_percent, int) and rule.sample_percent > 100):
        yield Problem("/sample_percent", "Expected at most 100 percent.")
    if (rule.throttle_count is None) != (rule.throttle_seconds is None):
        missing = "throttle_seconds" if rule.throttle_seconds is None else "throttle_count"
        yield Problem(f"/{missing}", "A throttle takes both: how many times, and in how many seconds.")


def _timing_problems(rule: RuleSpec) -> Iterator[Problem]:
    if hold_of(rule) is None:
        return
    for index, action in enumerate(rule.actions):
        if action.timing != "after_commit":
            message = "A rule that waits, or is throttled, or acts once, acts after the commit alone."
            yield Problem(f"/actions/{index}/timing", message)
