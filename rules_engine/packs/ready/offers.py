"""What a ready template's form offers to choose from, of the chosen model: states, addresses, fields, relations.

Nothing is offered that the rule could not read or write in the end: no secrets, no hidden values, and of other models
only those that the user may view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.db import models
from django.utils.text import capfirst
from django.utils.translation import gettext

from rules_engine.actions.rows.writing import writable_field, writable_model
from rules_engine.context.paths import ModelClass, Step, label_of, readable_fields, steps
from rules_engine.errors import Refused, UnknownPath
from rules_engine.hidden.fields import is_hidden
from rules_engine.rules import registry
from rules_engine.rules.permissions import may_view

Choice = tuple[str, str]
#: Choices under headings, as a select shows them.
Groups = list[tuple[str, list[Choice]]]
Test = Callable[[Any], bool]

#: Between a field and its value in a choice.
IS = "="
NUMBERS = (models.IntegerField, models.DecimalField, models.FloatField)
MOMENTS = (models.DateTimeField, models.DateField)
#: So many values of one field are no states.
MOST_STATES = 50


def title(field: Any) -> str:
    """Return what people call a field, or a relation from another model."""
    named = getattr(field, "verbose_name", None)
    return capfirst(str(named if named is not None else field.related_model._meta.verbose_name_plural))


def plain_fields(model: ModelClass, test: Test = lambda field: True) -> list[Any]:
    """Return the model's own fields whose values rules may name, and that pass the test; not its key."""
    return [field for field in readable_fields(model) if not is_hidden(field) and not field.primary_key and test(field)]


def fields(model: ModelClass, test: Test = lambda field: True) -> list[Choice]:
    """Return fields of the model to choose from, by their titles."""
    return [(field.name, title(field)) for field in plain_fields(model, test)]


def is_number(field: Any) -> bool:
    """Tell whether a field holds a quantity."""
    return isinstance(field, NUMBERS) and not field.is_relation and not field.choices


def is_moment(field: Any) -> bool:
    """Tell whether a field holds a date, with or without a time, that people or rules set."""
    return isinstance(field, MOMENTS) and not (field.auto_now or field.auto_now_add)


def is_file(field: Any) -> bool:
    """Tell whether a field holds a file."""
    return isinstance(field, models.FileField)


def is_address(field: Any) -> bool:
    """Tell whether a field holds an address for mail."""
    return isinstance(field, models.EmailField)


def has_states(field: Any) -> bool:
    """Tell whether a field has few values that are known beforehand."""
    return isinstance(field, models.BooleanField) or 0 < len(field.flatchoices or ()) <= MOST_STATES


def writable(model: ModelClass, test: Test = lambda field: True) -> list[Choice]:
    """Return fields to choose from that rules may write."""
    return fields(model, lambda field: test(field) and _may_be_written(model, field.name))


def _may_be_written(model: ModelClass, name: str) -> bool:
    try:
        writable_field(writable_model(label_of(model)), name, creating=False)
    except (UnknownPath, Refused):
        return False
    return True


def states(model: ModelClass, before: str = "") -> Groups:
    """Return the values that a status may have, under their fields: ``"status=paid"``."""
    groups = []
    for field in plain_fields(model, has_states):
        # Once it is chosen, a "yes" stands there alone.
        named = f"{title(field)}: " if isinstance(field, models.BooleanField) or before else ""
        values = [(f"{before}{field.name}{IS}{value}", f"{named}{label}") for value, label in _values(field)]
        groups.append((title(field), values))
    return groups


def _values(field: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(field, models.BooleanField) and not field.flatchoices:
        yield from (("true", gettext("yes")), ("false", gettext("no")))
    else:
        yield from ((value, label) for value, label in field.flatchoices if value not in (None, ""))


def state(model: ModelClass, chosen: str) -> tuple[str, Any]:
    """Return the field and the value of a choice of ``states``, the value as a rule compares it."""
    name, _is, written = chosen.partition(IS)
    step = steps(model).get(name)
    if step is not None and isinstance(step.field, models.BooleanField):
        return name, written == "true"
    known = getattr(step.field, "flatchoices", None) or () if step is not None else ()
    return name, next((value for value, _label in known if str(value) == written), written)


def related(model: ModelClass, user: Any, kind: str) -> list[Step]:
    """Return the relations of a kind (``to_one``, ``to_many``) that lead to models which the user may view."""
    sees = may_view(user)
    return [step for step in steps(model).values() if step.kind == kind and step.model is not None and sees(step.model)]


def addresses(model: ModelClass, user: Any) -> list[Choice]:
    """Return where the model, or one object that it belongs to, holds an address: ``"instance.customer.email"``."""
    own = [(f"instance.{name}", label) for name, label in fields(model, is_address)]
    for step in related(model, user, "to_one"):
        further = fields(step.model, is_address)  # type: ignore[arg-type]
        own += [(f"instance.{step.name}.{name}", f"{title(step.field)} › {label}") for name, label in further]
    return own


def values(model: ModelClass, user: Any) -> Groups:
    """Return the values that can be copied: of the object, and of each that it belongs to."""
    groups = [(gettext("The object itself"), [(f"instance.{name}", label) for name, label in fields(model)])]
    for step in related(model, user, "to_one"):
        further = fields(step.model)  # type: ignore[arg-type]
        heading = title(step.field)
        # Once one is chosen, its heading is not seen any more.
        listed = [(f"instance.{step.name}.{name}", f"{heading} › {label}") for name, label in further]
        groups.append((heading, listed))
    return groups


def parents(model: ModelClass, user: Any) -> Groups:
    """Return the numbers of objects that this one belongs to, and that know it: ``"order.total"``."""
    groups = []
    for step in related(model, user, "to_one"):
        if step.model is not None and counted_by(step):
            numbers = writable(step.model, is_number)
            heading = title(step.field)
            groups.append((heading, [(f"{step.name}.{name}", f"{heading} › {label}") for name, label in numbers]))
    return [(heading, listed) for heading, listed in groups if listed]


def counted_by(step: Step) -> str:
    """Return the name by which the other end of a relation to one knows this end, empty where it does not."""
    relation = getattr(step.field, "remote_field", None)
    name = relation.get_accessor_name() if relation is not None and getattr(step.field, "many_to_one", False) else ""
    back = steps(step.model).get(name) if name and step.model is not None else None
    return back.name if back is not None and back.kind == "to_many" else ""


def dependents(model: ModelClass, user: Any) -> Groups:
    """Return the states of what belongs to the object: ``"appointments.status=cancelled"``."""
    groups: Groups = []
    for step in related(model, user, "to_many"):
        if step.model is None or getattr(step.field, "many_to_many", False):
            continue
        for heading, listed in states(step.model, f"{step.name}."):
            sound = [choice for choice in listed if _may_be_written(step.model, _name(choice[0]))]
            groups += [(f"{title(step.field)} › {heading}", sound)] if sound else []
    return groups


def _name(choice: str) -> str:
    return choice.partition(".")[2].partition(IS)[0]


def endpoints(user: Any, *, chats: bool = False) -> list[Choice] | None:
    """Return the endpoints that a webhook may call, or those that are chats; None for who may not view them."""
    action = registry.find("webhook")
    keys = action.form_schema(user)["keys"] if action is not None else {}
    listed = keys.get("endpoint", {}).get("choices")
    if listed is None:
        return None
    known = keys.get("payload", {}).get("variant", {}).get("values", ())
    return [(one["value"], one["title"]) for one in listed if not chats or one["value"] in known]
