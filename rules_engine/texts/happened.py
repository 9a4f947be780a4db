"""What texts may print of any event besides its context, made of that: what happened, in words, and the object's page.

``{{ what_happened }}`` is "Order 2: status Draft → Paid (by carmen)", for people who know neither columns nor codes. It
is made where a text is rendered and never stored, of what its rule may read: values of hidden fields are hidden in it,
and an object is called by a name or title of its own, else by its key, for other objects may have a part in
``__str__``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from django.contrib.admin.utils import quote
from django.db import models
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext

from rules_engine import conf
from rules_engine.context.paths import ModelClass, find_model, steps
from rules_engine.hidden.values import TEXT as HIDDEN
from rules_engine.texts.filters import date, time
from rules_engine.texts.limits import MARK
from rules_engine.texts.plain import plain, printed
from rules_engine.types import EVERY_FIELD, Path

WHAT_HAPPENED = "what_happened"
ADMIN_URL = "admin_url"
#: What each reads of the context.
READS: Mapping[str, frozenset[Path]] = {
    WHAT_HAPPENED: frozenset(
        {("event",), ("instance", EVERY_FIELD), ("changes", EVERY_FIELD), ("created",), ("actor",), ("m2m",)}
    ),
    ADMIN_URL: frozenset({("event",)}),
}
#: Fields by which people call an object, the first that it has.
NAMES = ("name", "title")
#: Of one value, in characters, and of one event, in fields: more is no line that anybody reads.
LONGEST_VALUE, MOST_FIELDS = 60, 8
NOTHING = "–"
#: What stands for a signal where a time has come (``rules.schedules.kinds``).
DUE = "due"


def with_derived(context: Mapping[str, Any], wanted: Collection[str]) -> Mapping[str, Any]:
    """Return the context with those of the derived values that are wanted."""
    made = {name: VALUES[name](context) for name in wanted if name not in context}
    return {**context, **made} if made else context


def what_happened(context: Mapping[str, Any]) -> str:
    """Say what happened in one line: the object, what changed from what to what, and who did it."""
    event = _mapping(context, "event")
    model = find_model(str(event.get("model") or ""))
    what = _of_object(context, model) if model is not None else _of_signal(event)
    who = _mapping(context, "actor").get("username")
    return gettext("%(what)s (by %(who)s)") % {"what": what, "who": _brief(who)} if who else what


def admin_url(context: Mapping[str, Any]) -> str:
    """Give the address of the object's page in the admin; empty without ``SITE_URL``, a page, or an object."""
    event = _mapping(context, "event")
    model, pk = find_model(str(event.get("model") or "")), event.get("pk")
    if not conf.site_url() or model is None or pk is None or event.get("operation") == "delete":
        return ""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
    try:
        return conf.site_url() + reverse(name, args=[quote(pk)])
    except NoReverseMatch:
        return ""


VALUES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {WHAT_HAPPENED: what_happened, ADMIN_URL: admin_url}


def _mapping(context: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = context.get(name)
    return value if isinstance(value, Mapping) else {}


def _of_signal(event: Mapping[str, Any]) -> str:
    if event.get("signal") == DUE:
        return gettext("Its time has come")
    return gettext("The signal “%(signal)s” was sent") % {"signal": event.get("signal", "")}


def _of_object(context: Mapping[str, Any], model: ModelClass) -> str:
    event = _mapping(context, "event")
    if event.get("signal") == DUE and event.get("pk") is None:
        return gettext("%(objects)s are due") % {"objects": capfirst(str(model._meta.verbose_name_plural))}
    called = _called(context, model)
    if event.get("signal") == DUE:
        return gettext("%(object)s is due") % {"object": called}
    if event.get("operation") == "create":
        return gettext("%(object)s was created") % {"object": called}
    if event.get("operation") == "delete":
        return gettext("%(object)s was deleted") % {"object": called}
    if context.get("m2m"):
        return _of_relation(_mapping(context, "m2m"), model, called)
    if changes := list(_changes(_mapping(context, "changes"), model)):
        return gettext("%(object)s: %(changes)s") % {"object": called, "changes": ", ".join(changes)}
    if event.get("operation") == "update":
        return gettext("%(object)s was saved") % {"object": called}
    return f"{called}: {_of_signal(event)}"


def _called(context: Mapping[str, Any], model: ModelClass) -> str:
    title = capfirst(str(model._meta.verbose_name))
    instance = _mapping(context, "instance")
    name = next((instance[name] for name in NAMES if isinstance(instance.get(name), str) and instance[name]), HIDDEN)
    shown = _mapping(context, "event").get("pk") if name == HIDDEN else name
    return title if shown is None else f"{title} {_brief(shown)}"


def _of_relation(m2m: Mapping[str, Any], model: ModelClass, called: str) -> str:
    values = {"object": called, "count": m2m.get("count"), "field": _title(model, str(m2m.get("field")))}
    match m2m.get("action"):
        case "add":
            return gettext("%(object)s: %(field)s, %(count)s added") % values
        case "remove":
            return gettext("%(object)s: %(field)s, %(count)s removed") % values
        case _:
            return gettext("%(object)s: %(field)s, all removed") % values


def _changes(changes: Mapping[str, Any], model: ModelClass) -> Iterator[str]:
    """Say each change from what to what. The time of the save, which changes with every one, is left out."""
    told = {name: change for name, change in changes.items() if isinstance(change, Mapping)}
    named = {name: change for name, change in told.items() if not _is_time_of_save(model, name)} or told
    for name, change in list(named.items())[:MOST_FIELDS]:
        old, new = _value(model, name, change.get("old")), _value(model, name, change.get("new"))
        title = _title(model, name)
        yield f"{title} {old}" if old == new == HIDDEN else f"{title} {old} → {new}"
    if len(named) > MOST_FIELDS:
        yield gettext("and %(count)s more") % {"count": len(named) - MOST_FIELDS}


def _field(model: ModelClass, name: str) -> Any:
    step = steps(model).get(name)
    return step.field if step is not None else None


def _is_time_of_save(model: ModelClass, name: str) -> bool:
    return bool(getattr(_field(model, name), "auto_now", False))


def _title(model: ModelClass, name: str) -> str:
    return str(getattr(_field(model, name), "verbose_name", "") or name)


def _value(model: ModelClass, name: str, value: Any) -> str:
    field = _field(model, name)
    if value is None or value == "":
        return NOTHING
    labels = {str(key): label for key, label in getattr(field, "flatchoices", None) or ()}
    if labels and not isinstance(value, bool) and str(value) in labels:
        return _brief(str(labels[str(value)]))
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, str) and isinstance(field, models.DateField | models.TimeField):
        return _moment(field, value)
    return _brief(value)


def _moment(field: Any, value: str) -> str:
    try:
        if isinstance(field, models.TimeField):
            return time(value)
        return date(value, "SHORT_DATETIME_FORMAT" if isinstance(field, models.DateTimeField) else "SHORT_DATE_FORMAT")
    except ValueError:
        return _brief(value)


def _brief(value: Any) -> str:
    """Return a value as one short line."""
    line = " ".join(printed(plain(value)).split())
    return line if len(line) <= LONGEST_VALUE else line[: LONGEST_VALUE - 1] + MARK
