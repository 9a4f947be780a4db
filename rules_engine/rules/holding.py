"""How a rule holds back: by throttle, by waiting for more, once per object. What is wrong with it, and its keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext

from rules_engine import texts
from rules_engine.context.paths import ModelClass, find_model, resolve, steps
from rules_engine.context.signals import MODEL_SIGNALS
from rules_engine.context.snapshot import clean_text
from rules_engine.context.visible import read_by
from rules_engine.errors import Problem, TemplateError, UnknownPath
from rules_engine.rules import values
from rules_engine.rules.schedules import kinds as schedules
from rules_engine.rules.schedules.happening import often_of
from rules_engine.types import Event, Path, RuleSpec

#: Characters of the columns for a key, which are indexed: what an index takes in every database.
LONGEST_HOLD_KEY = 255
#: What a column for a whole number takes in every database.
LARGEST_COLUMN_NUMBER = 2_147_483_647
#: Seconds that a match or an action may be put off: thirty days, after which events are forgotten.
LONGEST_DELAY = 30 * 24 * 3600
#: The fields whose texts say what is counted, or taken together, by itself.
KEYS = ("throttle_by", "coalesce_by")


@dataclass(frozen=True, slots=True)
class Hold:
    """What a worker has to decide before a match of the rule acts. See ``RuleSpec`` for the words."""

    throttle: tuple[int, int] | None = None
    throttle_by: str = ""
    coalesce: int | None = None
    coalesce_by: str = ""
    debounce: bool = False
    once: bool = False
    #: So many matches in so many seconds, for each text that this comes to: they act together.
    often: tuple[int, int] | None = None
    often_by: str = ""
    #: Whether an action wants the events of all matches that it acts for.
    lists: bool = False
    #: What the texts of the keys read.
    reads: frozenset[Path] = frozenset()

    def terms(self) -> dict[str, Any]:
        """Return it as it is stored with a match, for whoever decides."""
        terms: dict[str, Any] = {
            "throttle": list(self.throttle) if self.throttle else None,
            "coalesce": self.coalesce,
            "debounce": self.debounce,
            "once": self.once,
        }
        if self.often is not None:
            terms["often"] = list(self.often)
        if self.lists:
            terms["lists"] = True
        return terms

    def keys(self, rule_model: str, event: Event, transaction: str) -> dict[str, str]:
        """Return what the throttle counts separately, what is taken together, and what "once" is about. Raises
        ``TemplateError``."""
        keys = {"throttle_key": "", "coalesce_key": "", "once_key": ""}
        # What happens in two schemas is counted, and taken together, by itself: their objects are not the same ones.
        apart = f"{event.surroundings} " if event.surroundings else ""
        if self.throttle is not None and (self.throttle_by or apart):
            keys["throttle_key"] = key_of_text(
                apart + (self._rendered(self.throttle_by, event) if self.throttle_by else "")
            )
        if self.coalesce is not None:
            text = self._rendered(self.coalesce_by, event) if self.coalesce_by else object_key(rule_model, event)
            keys["coalesce_key"] = key_of_text(apart + text, "" if self.coalesce else f"@{transaction}")
        if self.often is not None and (self.often_by or apart):
            keys["coalesce_key"] = key_of_text(apart + (self._rendered(self.often_by, event) if self.often_by else ""))
        if self.once:
            keys["once_key"] = key_of_text(apart + object_key(rule_model, event))
        return keys

    def _rendered(self, text: str, event: Event) -> str:
        # Of what the event holds just what these texts read themselves, which the author was asked for: a key is not
        # to change with the other rules that there are, nor to tell what their authors may view.
        return texts.render(text, read_by(self.reads, event.context, event.model))


def object_key(rule_model: str, event: Event) -> str:
    """Return the object of an event as a key; for a signal without one all events are alike.

    By the rule's model: an object is the same one, whether it was saved as what it inherits from or as itself.
    """
    return f"{(rule_model or event.model).lower()}:{event.pk}" if event.model else ""


def key_of_text(text: str, ending: str = "") -> str:
    """Cut a text as an indexed column takes it; a longer one keeps its beginning, for people."""
    text, room = clean_text(text), LONGEST_HOLD_KEY - len(ending)
    return (text if len(text) <= room else f"{text[: room - 65]}#{sha256(text.encode()).hexdigest()}") + ending


def hold_of(rule: RuleSpec) -> Hold | None:
    """Say how the rule holds back; None when it does not."""
    throttled = rule.throttle_count and rule.throttle_seconds
    often = often_of(rule.schedule if isinstance(rule.schedule, dict) else None)
    if not throttled and rule.coalesce_seconds is None and not rule.once and often is None:
        return None
    return Hold(
        throttle=(int(rule.throttle_count or 0), int(rule.throttle_seconds or 0)) if throttled else None,
        throttle_by=rule.throttle_by,
        coalesce=rule.coalesce_seconds,
        coalesce_by=rule.coalesce_by,
        debounce=rule.debounce,
        once=rule.once,
        often=often,
        often_by=schedules.by_of(rule.schedule) if often else "",
        reads=frozenset(key_reads(rule)),
    )


def key_reads(rule: RuleSpec) -> set[Path]:
    """Return what the keys read of the context."""
    texts_of_keys = (rule.throttle_by, rule.coalesce_by, schedules.by_of(rule.schedule))
    return {path for text in texts_of_keys for path in values.reads(text)}


def hold_problems(rule: RuleSpec) -> Iterator[Problem]:
    """Yield what is wrong with how the rule holds back, and with when it is tried at all."""
    yield from _amount_problems(rule)
    yield from _key_problems(rule)
    if rule.debounce and not rule.coalesce_seconds:
        yield Problem("/debounce", gettext("Say for how many seconds it has to be quiet."))
    if rule.once and not rule.model:
        yield Problem("/once", gettext("This rule watches no model, so there is no object to act on once."))
    if rule.raw and not set(rule.signals) & set(MODEL_SIGNALS):
        yield Problem("/raw", gettext("Data is loaded into models; this rule listens to no signal of one."))
    yield from _date_problems(rule)
    yield from _timing_problems(rule)


def _key_problems(rule: RuleSpec) -> Iterator[Problem]:
    for name in KEYS:
        value = getattr(rule, name)
        if not isinstance(value, str):
            message = gettext("Expected a text such as {{ instance.pk }}, and got %(got)s.") % {"got": repr(value)}
            yield Problem(f"/{name}", message)
        else:
            # How many were held is known when the rule acts, and this is asked before.
            yield from values.problems(value, _before_holding(rule), f"/{name}")
    yield from _by_problems(rule)
    if rule.throttle_by and not rule.throttle_count:
        yield Problem("/throttle_by", gettext("Say how many times in how many seconds, or leave this empty."))
    if rule.coalesce_by and rule.coalesce_seconds is None:
        yield Problem("/coalesce_by", gettext("Say for how many seconds to wait, or leave this empty."))


def _before_holding(rule: RuleSpec) -> RuleSpec:
    """Return the rule as its keys see it."""
    return replace(rule, throttle_count=None, coalesce_seconds=None, schedule=None)


def _by_problems(rule: RuleSpec) -> Iterator[Problem]:
    """Yield what is wrong with the text by which a schedule counts matches, or waits for them."""
    schedule: Any = rule.schedule if isinstance(rule.schedule, dict) else {}
    text = schedule.get("by", "")
    if not isinstance(text, str):
        message = gettext("Expected a text such as {{ instance.pk }}, and got %(got)s.") % {"got": repr(text)}
        yield Problem("/schedule/by", message)
    elif schedules.name_of(schedule) in ("often", "silent"):
        yield from values.problems(text, _before_holding(rule), "/schedule/by")


def constant_keys(rule: RuleSpec) -> Iterator[Problem]:
    """Yield what is wrong with keys that hold no value, so that they are the same for every match.

    A throttle without a text counts all matches together already. All of them may be taken together by any word, so
    there it is a mistake alone where the word names a value. Rules that are stored so run as they always did.
    """
    for name in KEYS:
        text = getattr(rule, name)
        if not isinstance(text, str) or not text.strip() or not _is_constant(text):
            continue
        if meant := _meant(rule.model, text):
            message = gettext('"%(text)s" is the same for every match. Did you mean "%(meant)s"?')
            yield Problem(f"/{name}", message % {"text": text.strip(), "meant": meant})
        elif name == "throttle_by":
            message = gettext(
                '"%(text)s" is the same for every match, so all are counted together: leave it empty for that, or name '
                "a value, such as {{ instance.pk }}."
            )
            yield Problem(f"/{name}", message % {"text": text.strip()})


def _is_constant(text: str) -> bool:
    try:
        return not texts.compile_text(text).variables
    except TemplateError:
        return False  # said of the text by itself


def _meant(label: str, text: str) -> str:
    """Return the text with a value that somebody meant who wrote ``customer`` or ``instance.customer``; or nothing."""
    word = text.strip(" \t\r\n{}%")
    model = find_model(label) if label else None
    if model is None:
        root, dot, rest = word.partition(".")
        is_path = root in ("signal", "actor", "request") and bool(dot) and rest.replace(".", "").isidentifier()
        return f"{{{{ {word} }}}}" if is_path else ""
    path = _path_to(model, word)
    try:
        step = resolve(model, path)
    except UnknownPath:
        return ""
    if step.kind == "to_one":
        path = (*path[:-1], step.field.attname) if getattr(step.field, "attname", "") else (*path, "pk")
    return f"{{{{ instance.{'.'.join(path)} }}}}" if step.kind in ("value", "to_one") else ""


def _path_to(model: ModelClass, word: str) -> Path:
    """Return the path that a word stands for: a field's title, or names with dots, with or without ``instance``."""
    titles = {str(getattr(step.field, "verbose_name", "")).lower(): name for name, step in steps(model).items()}
    if word not in steps(model) and word.lower() in titles:
        return (titles[word.lower()],)
    first, *rest = word.split(".")
    return tuple(rest) if first == "instance" and rest else (first, *rest)


def _date_problems(rule: RuleSpec) -> Iterator[Problem]:
    dates = {name: getattr(rule, name) for name in ("active_from", "active_until")}
    for name, value in dates.items():
        if value is not None and not isinstance(value, datetime):
            yield Problem(f"/{name}", gettext("Expected a date and a time, and got %(got)s.") % {"got": repr(value)})
    since, until = dates.values()
    if not (isinstance(since, datetime) and isinstance(until, datetime)):
        return
    if (since.tzinfo is None) != (until.tzinfo is None):
        yield Problem("/active_until", gettext("Of the two times one has a time zone and the other has none."))
    elif since >= until:
        yield Problem("/active_until", gettext("This is not after the time from which the rule is active."))


def _amount_problems(rule: RuleSpec) -> Iterator[Problem]:
    bounds = {
        "throttle_count": (1, LARGEST_COLUMN_NUMBER),
        "throttle_seconds": (1, LARGEST_COLUMN_NUMBER),
        "coalesce_seconds": (0, LONGEST_DELAY),
        "sample_percent": (1, 100),
    }
    for name, (least, most) in bounds.items():
        value = getattr(rule, name)
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if not (is_number and least <= value <= most) and (value is not None or name == "sample_percent"):
            message = gettext("Expected a whole number from %(least)s to %(most)s, and got %(got)s.")
            highest = number_format(most, force_grouping=True)
            yield Problem(f"/{name}", message % {"least": least, "most": highest, "got": repr(value)})
    if (rule.throttle_count is None) != (rule.throttle_seconds is None):
        missing = "throttle_seconds" if rule.throttle_seconds is None else "throttle_count"
        yield Problem(f"/{missing}", gettext("A throttle takes both: how many times, and in how many seconds."))


def _timing_problems(rule: RuleSpec) -> Iterator[Problem]:
    if hold_of(rule) is None:
        return
    for index, action in enumerate(rule.actions):
        if action.timing != "after_commit":
            message = gettext("A rule that waits, or is throttled, or acts once, acts after the commit alone.")
            yield Problem(f"/actions/{index}/timing", message)
