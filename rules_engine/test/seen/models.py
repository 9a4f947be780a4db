"""What the rules on a model see, as the site is set up now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections, models
from django.utils.text import get_text_list
from django.utils.translation import gettext

from rules_engine.capture.bulk.querysets import watched
from rules_engine.context.paths import ModelClass, find_model, label_of
from rules_engine.context.signals import MODEL_SIGNALS
from rules_engine.live import cache
from rules_engine.live.triggers.needs import served
from rules_engine.live.triggers.states import TriggerState, needs_of, state_of
from rules_engine.models import InstalledTrigger
from rules_engine.rules.matching import CompiledRule
from rules_engine.surroundings.state import functions
from rules_engine.test.seen.writes import WRITES, Kind, Means, Write, is_seen
from rules_engine.test.unsent import left_to_database

#: What the signals of a save tell of.
SAVED: tuple[Kind, ...] = ("create", "update")
#: How rules are told, from what sees least.
_ORDER: Sequence[Means] = ("signals", "bulk", "triggers")


@dataclass(frozen=True, slots=True)
class Seen:
    """What rules on a model see: by which means, which writes, and what would mend the rest."""

    label: str
    means: Means
    writes: tuple[Write, ...]
    vendor: str
    #: Why triggers cannot tell some of the rules, as sentences.
    reasons: tuple[str, ...] = ()
    #: The command that mends it, and the code; empty where nothing does, or nothing is to be mended.
    command: str = ""
    code: str = ""
    #: What is wrong with triggers that were installed, as a sentence.
    trouble: str = ""
    #: Triggers that should tell them are gone, so that nothing does.
    is_deaf: bool = False

    def sees(self, write: Write) -> bool:
        """Say whether they see such a write."""
        return not self.is_deaf and is_seen(write, self.means, self.vendor)

    @property
    def table(self) -> list[dict[str, object]]:
        """Each way of writing that concerns them, and whether it is seen."""
        return [{"title": write.title, "is_seen": self.sees(write)} for write in self.writes]

    @property
    def unseen(self) -> tuple[Write, ...]:
        """The writes that they do not see."""
        return tuple(write for write in self.writes if not self.sees(write))

    @property
    def missed(self) -> str:
        """What they do not see, in words: bulk operations in one."""
        titles = [gettext("bulk operations") if write.is_bulk else str(write.title) for write in self.unseen]
        return get_text_list(list(dict.fromkeys(titles)), gettext("and"))

    @property
    def told_by(self) -> str:
        """Who tells them, in words."""
        return {
            "signals": gettext("Django's signals"),
            "bulk": gettext("Django's signals, and the manager of the model in bulk"),
            "triggers": gettext("database triggers"),
        }[self.means]

    @property
    def sentence(self) -> str:
        """What they see and what they do not, in words."""
        if self.is_deaf:
            return gettext("Nothing is seen.")
        if not self.unseen:
            return gettext("Every write is seen, whoever makes it: %s tell of it.") % self.told_by
        text = gettext("What Django saves and deletes is seen, told by %(means)s. Unseen: %(missed)s.")
        return text % {"means": self.told_by, "missed": self.missed}


def seen_by(rule: CompiledRule) -> Seen | None:
    """Return what a rule sees of its model, as it is stored, whether it is on or not; None for one that listens to no
    signal of a model. Some queries."""
    model = find_model(rule.model) if rule.model else None
    if model is None or not rule.signals & MODEL_SIGNALS.keys():
        return None
    return _seen(model, [rule], state_of(model, [rule]))


def seen_of_models(rules: Iterable[CompiledRule]) -> list[Seen]:
    """Return what the rules on each model see, by label; where they differ, what all of them see. A query, and some for
    each model that has triggers."""
    of_models: dict[ModelClass, list[CompiledRule]] = {}
    for rule in rules:
        model = find_model(rule.model) if rule.model and rule.slug else None
        if model is not None and rule.signals & MODEL_SIGNALS.keys():
            of_models.setdefault(model, []).append(rule)
    installed = set(InstalledTrigger.objects.using(cache.alias()).values_list("model", flat=True))
    return [
        _seen(model, of_model, state_of(model, of_model) if installed & _tables(model) else None)
        for model, of_model in sorted(of_models.items(), key=lambda pair: label_of(pair[0]))
    ]


def _tables(model: ModelClass) -> set[str]:
    throughs = [field.remote_field.through for field in model._meta.many_to_many]
    return {label_of(model), *(label_of(through) for through in throughs if through is not None)}


def _seen(model: ModelClass, rules: Sequence[CompiledRule], state: TriggerState | None) -> Seen:
    label, vendor = label_of(model), connections[cache.alias()].vendor
    excluded = [reasons for reasons in needs_of(rules)[1].values() if reasons]
    never = {slug for reasons in excluded for slug in reasons}
    kinds = {kind for rule in rules for kind in _kinds(rule)}
    means = min((_means(model, rule, state) for rule in rules), key=_ORDER.index)
    tables = () if state is None else state.tables
    # Triggers do not know the surroundings of whoever writes.
    may_never = functions() is not None or all(rule.slug in never for rule in rules)
    is_deaf = means == "triggers" and any(table.state == "missing" for table in tables)
    return Seen(
        label=label,
        means=means,
        writes=tuple(write for write in WRITES if write.kinds & kinds and _can_be(write, model, vendor)),
        vendor=vendor,
        reasons=tuple(sorted({reason for reasons in excluded for reason in reasons.values()})),
        command=_command(label) if (means != "triggers" or is_deaf) and not may_never else "",
        code="objects = RulesManager()" if means == "signals" and kinds & {"create", "update"} else "",
        trouble=_trouble(state),
        is_deaf=is_deaf,
    )


def _kinds(rule: CompiledRule) -> Iterator[Kind]:
    """Yield what a rule hears writes as."""
    if rule.signals & {"pre_save", "post_save"}:
        yield from (kind for kind in SAVED if not rule.operations or kind in rule.operations)
    if rule.signals & {"pre_delete", "post_delete"}:
        yield "delete"
    if "m2m_changed" in rule.signals:
        yield "relation"


def _can_be(write: Write, model: ModelClass, vendor: str) -> bool:
    """Say whether such a write is there, on this database and of this model."""
    if write.name == "set_null":
        return any(_is_emptied(field) for field in model._meta.concrete_fields)
    if write.name == "cascade":
        return any(left_to_database(field) == "DB_CASCADE" for field in model._meta.concrete_fields)
    return vendor not in write.absent_on


def _is_emptied(field: Any) -> bool:
    """Say whether a delete of what the column points to leaves the row, and changes the column."""
    on_delete = getattr(getattr(field, "remote_field", None), "on_delete", None)
    return on_delete not in (None, models.CASCADE, models.PROTECT, models.RESTRICT, models.DO_NOTHING) and (
        left_to_database(field) != "DB_CASCADE"
    )


def _command(label: str) -> str:
    return f"manage.py rules_triggers install {label}"


def _means(model: ModelClass, rule: CompiledRule, state: TriggerState | None) -> Means:
    captures = {} if state is None else {table.label: table.captures for table in state.tables}
    if served(rule, captures) >= rule.signals & MODEL_SIGNALS.keys():
        return "triggers"
    return "bulk" if watched(model) else "signals"


def _trouble(state: TriggerState | None) -> str:
    if state is None:
        return ""
    if state.state == "missing":
        return gettext("Triggers were installed and are no longer in the database: rules miss what they told.")
    if state.state != "out_of_date":
        return ""
    text = gettext("The triggers do not capture %s, which a rule needs: it is told by signals until they do.")
    return text % (get_text_list(list(state.columns), gettext("and")) or gettext("every write"))
