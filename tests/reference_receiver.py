"""What the engine should record, worked out a second time: by plain Django receivers, with nothing of ours.

It is slow and simple on purpose. Old and new values are whole rows read from the database; what is told goes through
``transaction.on_commit``, so that Django itself forgets what was rolled back.
"""

from __future__ import annotations

import datetime
import decimal
import itertools
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, models, transaction
from django.db.models import signals
from hypothesis import assume

from project.shop.models import Order
from tests.zoo.models import Animal, Club, Dog, Keeper, Membership, Tag, Ticket

Values = dict[str, Any]
Model = type[models.Model]

_ANIMAL = ("id", "name", "weight", "legs", "born", "fed_at", "seen_at", "keeper", "notes", "data")
#: What a rule may read of each model: all but binary columns and those whose name holds a secret's.
FIELDS: Mapping[Model, tuple[str, ...]] = {
    Animal: _ANIMAL,
    Dog: (*_ANIMAL, "animal_ptr", "breed"),
    Keeper: ("id", "name"),
    Tag: ("id", "name"),
    Ticket: ("id", "animal", "price"),
    Club: ("id", "name"),
    Membership: ("id", "club", "animal", "role"),
    Order: (
        "id",
        "customer",
        "order_number",
        "status",
        "subtotal",
        "shipping_cost",
        "discount",
        "total",
        "status_changed_at",
    ),
}
#: Every relation: the model that has it, its name there, the model it leads to, and its name there.
RELATIONS: Sequence[tuple[Model, str, Model, str]] = (
    (Animal, "tags", Tag, "animals"),
    (Club, "members", Animal, "clubs"),
    (Club, "dogs", Dog, "dog_clubs"),
)
SAVES = ("pre_save", "post_save")


@dataclass(frozen=True)
class Condition:
    """The same question twice: for the engine, and in Python over ``(old, new, changed)``."""

    logic: Any
    holds: Callable[[Values | None, Values, set[str]], bool]
    #: The fields whose earlier value it asks for.
    asks: frozenset[str] = frozenset()
    #: Whether it asks which fields changed, and so for all of them.
    asks_all: bool = False

    def __repr__(self) -> str:
        return f"Condition({self.logic})"


@dataclass(frozen=True)
class Want:
    """A rule in plain words; ``changes`` are ``(field, {"from"?, "to"?})``."""

    model: Model
    signals: tuple[str, ...]
    operations: tuple[str, ...] = ()
    changes: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    condition: Condition | None = None
    stops: bool = False
    reads_all: bool = False

    def asks(self, sender: Model) -> frozenset[str]:
        """Fields of that model, its own or a descendant, whose earlier value it wants."""
        if self.reads_all or (self.condition and self.condition.asks_all):
            return frozenset(FIELDS[concrete(sender)])
        named = frozenset(name for name, _ in self.changes)
        return named | (self.condition.asks if self.condition else frozenset())

    def matches(self, told: Told, old: Values | None, new: Values) -> bool:
        """Whether what happened is what it wants; ``told.changes`` are the changes of all fields."""
        if self.operations and told.operation not in self.operations:
            return False
        for name, of in self.changes:
            if name not in told.changes:
                return False
            was, now = told.changes[name]
            if ("from" in of and of["from"] != was) or ("to" in of and of["to"] != now):
                return False
        return self.condition is None or self.condition.holds(old, new, set(told.changes))


@dataclass
class Told:
    """One thing that happened, and which of the rules, by their number, want it."""

    order: int
    signal: str
    operation: str
    model: str
    pk: Any
    created: bool | None = None
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    m2m: tuple[str, str, frozenset[Any]] | None = None
    wanted_by: tuple[int, ...] = ()
    #: The row right after the change, for ``post_save`` alone.
    stored: Values | None = None


def plain(value: Any) -> Any:
    """A value from the database as JSON has it."""
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).isoformat()
    if isinstance(value, datetime.date):
        return value.isoformat()
    return str(value) if isinstance(value, decimal.Decimal | uuid.UUID) else value


def concrete(model: Model) -> Model:
    """The model itself, for a proxy the one it stands for."""
    return model._meta.concrete_model or model


def row(model: Model, pk: Any) -> Values | None:
    """The stored row, None where there is none."""
    names = FIELDS[concrete(model)]
    found = model._base_manager.filter(pk=pk).values(*names).first() if pk is not None else None
    return None if found is None else {name: plain(value) for name, value in found.items()}


def held(instance: models.Model, stored: Values | None) -> Values:
    """The values an instance holds; where it holds none (deferred, an expression), those of the row."""
    found: Values = {}
    for name in FIELDS[concrete(type(instance))]:
        one: Any = instance._meta.get_field(name)
        value = instance.__dict__.get(one.attname, models.F("id"))
        if hasattr(value, "resolve_expression"):
            found[name] = (stored or {}).get(name)
        else:
            found[name] = plain(_typed(one, value))
    return found


def _typed(one: Any, value: Any) -> Any:
    while one.is_relation:
        one = one.target_field
    value = value if value is None or isinstance(one, models.JSONField) else one.to_python(value)
    if isinstance(one, models.DecimalField) and value is not None:
        # As the database rounds it.
        rounding = decimal.ROUND_HALF_UP if connection.vendor == "postgresql" else decimal.ROUND_HALF_EVEN
        value = value.quantize(decimal.Decimal(1).scaleb(-one.decimal_places), rounding=rounding)
    return value


def differences(old: Values | None, new: Values) -> dict[str, tuple[Any, Any]]:
    """What changed; of a new object, everything that is not empty, from null."""
    if old is None:
        return {name: (None, value) for name, value in new.items() if value not in (None, "")}
    return {name: (old[name], value) for name, value in new.items() if old[name] != value}


class Reference:
    """Plain receivers on everything. ``committed`` is what was told, without what was rolled back."""

    def __init__(self, wants: Sequence[Want]) -> None:
        self.wants = wants
        self.committed: list[Told] = []
        self.muted = False
        self._orders = itertools.count()
        self._forgotten: set[int] = set()
        #: By the instance's identity; with the instance itself, so that no other can get the same.
        self._before: dict[tuple[str, int], tuple[models.Model, Values | None, list[Told]]] = {}
        self._there: set[Any] = set()

    def connect(self) -> None:
        """Start to listen, to every sender."""
        for name, receiver in self._receivers():
            getattr(signals, name).connect(receiver, weak=False, dispatch_uid="reference")

    def disconnect(self) -> None:
        """Listen no more."""
        for name, _ in self._receivers():
            getattr(signals, name).disconnect(dispatch_uid="reference")

    def marked(self) -> Callable[[], None]:
        """Mark this moment; what it returns forgets all that was told since."""
        start = next(self._orders)
        return lambda: self._forgotten.update(range(start, next(self._orders)))

    def _receivers(self) -> Iterator[tuple[str, Callable[..., None]]]:
        yield "pre_save", self._before_save
        yield "post_save", self._after_save
        yield "pre_delete", self._before_delete
        yield "post_delete", self._after_delete
        yield "m2m_changed", self._related

    def _deaf(self, sender: Model, raw: bool = False) -> bool:
        # A transaction that is broken already takes no query, and whatever is told in it is rolled back.
        return raw or self.muted or concrete(sender) not in FIELDS or connection.needs_rollback

    def _before_save(self, sender: Model, instance: models.Model, raw: bool, **_: Any) -> None:
        if self._deaf(sender, raw):
            return
        old = row(sender, instance.pk)
        # Where no rule asks what was there, an object that came from the database is taken to be there still.
        is_there = old is not None if self.asked(sender) or instance._state.adding else instance.pk is not None
        told = self._told("pre_save", "update" if is_there else "create", instance, created=not is_there)
        new = held(instance, old)
        told.changes = differences(old, new)
        waiting = self._wanted(told, sender, old, new)
        self._before["save", id(instance)] = (instance, old, waiting)

    def _after_save(self, sender: Model, instance: models.Model, raw: bool, created: bool, **_: Any) -> None:
        if self._deaf(sender, raw):
            return
        _, old, waiting = self._before.pop(("save", id(instance)))
        old, new = None if created else old, row(sender, instance.pk)
        # SQLite gives a rolled-back key again: a stale child may then write to a parent that is no child of its kind.
        assume(new is not None)
        assert new is not None
        told = self._told("post_save", "create" if created else "update", instance, created=created)
        told.changes, told.stored = differences(old, new), new
        self._tell([*waiting, *self._wanted(told, sender, old, new)])

    def _before_delete(self, sender: Model, instance: models.Model, **_: Any) -> None:
        if self._deaf(sender):
            return
        values = held(instance, row(sender, instance.pk))
        told = self._told("pre_delete", "delete", instance)
        self._before["delete", id(instance)] = (instance, values, self._wanted(told, sender, values, values))

    def _after_delete(self, sender: Model, instance: models.Model, **_: Any) -> None:
        if self._deaf(sender):
            return
        _, values, waiting = self._before.pop(("delete", id(instance)))
        told = self._told("post_delete", "delete", instance)
        self._tell([*waiting, *self._wanted(told, sender, values, values or {})])

    def _related(self, sender: Model, action: str, instance: Any, model: Model, **sent: Any) -> None:
        if self._deaf(type(instance)):
            return
        relation = next(one for one in RELATIONS if getattr(one[0], one[1]).through is sender)
        here, there = (relation[3], relation[1]) if sent["reverse"] else (relation[1], relation[3])
        if action == "pre_clear":
            self._there = set(getattr(instance, here).values_list("pk", flat=True))
        phase, _, operation = action.partition("_")
        # Of ``remove`` Django tells all keys that were named, whether they were there or not.
        keys = self._there if operation == "clear" else sent["pk_set"]
        if phase == "pre" or not keys:
            return
        for watched in self._watched(relation):
            near = watched[0] is (relation[2] if sent["reverse"] else relation[0])
            self._tell_relation(watched, near, here if near else there, operation, instance, keys)

    def _watched(self, relation: tuple[Model, str, Model, str]) -> list[tuple[Model, Model]]:
        """The ends of the relation and the models of the rules at each, in the rules' order."""
        ends = (relation[0], relation[2])
        found = [
            (end, want.model)
            for want in self.wants
            if "m2m_changed" in want.signals
            for end in ends
            if issubclass(want.model, end)
        ]
        return list(dict.fromkeys(found))

    def _tell_relation(
        self, watched: tuple[Model, Model], near: bool, name: str, operation: str, instance: Any, keys: Iterable[Any]
    ) -> None:
        model = watched[1]
        if near:
            touched = [(instance, frozenset(keys))] if isinstance(instance, model) else []
        else:
            rows = model._base_manager.filter(pk__in=list(keys)).order_by("pk")
            touched = [(one, frozenset({instance.pk})) for one in rows]
        for one, others in touched:
            told = self._told("m2m_changed", operation, one)
            told.m2m = (name, operation, frozenset(plain(other) for other in others))
            told.changes = {name: (None, None)}
            stored = held(one, row(type(one), one.pk))
            self._tell(self._wanted(told, model, None, stored, exactly=True))

    def _told(self, signal: str, operation: str, instance: models.Model, created: bool | None = None) -> Told:
        label = concrete(type(instance))._meta.label_lower
        return Told(next(self._orders), signal, operation, label, plain(instance.pk), created)

    def _wanted(
        self, told: Told, sender: Model, old: Values | None, new: Values, *, exactly: bool = False
    ) -> list[Told]:
        wanted: list[int] = []
        for number, want in enumerate(self.wants):
            hears = want.model is sender if exactly else self._hears(want, told.signal, sender)
            if hears and told.signal in want.signals and want.matches(told, old, new):
                wanted.append(number)
                if want.stops:
                    break
        told.wanted_by = tuple(wanted)
        asked = self.asked(sender) if told.signal in SAVES else frozenset(told.changes)
        told.changes = {name: pair for name, pair in told.changes.items() if name in asked}
        return [told] if wanted else []

    @staticmethod
    def _hears(want: Want, signal: str, sender: Model) -> bool:
        # A deleted child is told of its parents too, by signals of their own.
        return issubclass(sender, want.model) and (signal in SAVES or concrete(sender) is concrete(want.model))

    def asked(self, sender: Model) -> frozenset[str]:
        """The fields that some rule on this model's saves asks about: those are recorded."""
        heard = [one for one in self.wants if set(SAVES) & set(one.signals) and issubclass(sender, one.model)]
        return frozenset().union(*(one.asks(sender) for one in heard))

    def _tell(self, told: list[Told]) -> None:
        for one in told:
            transaction.on_commit(lambda one=one: self._commit(one))  # type: ignore[misc]

    def _commit(self, one: Told) -> None:
        if one.order not in self._forgotten:
            self.committed.append(one)
