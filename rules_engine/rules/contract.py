"""The contract of an action.

A site writes one by subclassing ``Action`` in a module called ``rule_actions`` of an installed app::

    @register_action
    class PageOnCall(Action):
        kind = "page_on_call"
        label = "Page whoever is on call"
        schema = {"type": "object", "keys": {"text": {"type": "string", "title": "Text"}}}

        def run(self, context, config):
            pager.send(render(config["text"], context.data), key=str(context.execution_id))
            return ActionResult("paged")
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.utils.functional import Promise

from rules_engine import conf, texts
from rules_engine.errors import Problem
from rules_engine.types import ActionContext, ActionResult, Path, RuleSpec, Timing


@dataclass(frozen=True, slots=True)
class Route:
    """Where an execution waits: its Celery queue, and the lane and order key that batch senders claim by."""

    queue: str
    lane: str = ""
    order_key: str = ""


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that an action changes and rules may hear of.

    ``operation`` is create, update, delete, add, remove or clear, of objects of ``model`` (a label such as
    ``"shop.order"``); or, without a model, the name of a signal that is sent. ``fields`` are the names of the fields
    that are written, or of the many-to-many fields; None is any of them.
    """

    model: str
    operation: str
    fields: frozenset[str] | None = None

    def writes(self, field: str) -> bool:
        """Whether that field may be among those written."""
        return self.fields is None or field in self.fields


@dataclass(frozen=True, slots=True)
class Preview:
    """What an action would do, for people: a line, and details by the words they are shown under.

    Details are texts, or JSON-safe data. No secret is to be among them: whoever may test a rule reads them.
    """

    summary: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Clause:
    """What an action does, as a part of its rule's sentence: an infinitive without a capital or a full stop, such as
    ``"page %(who)s"``, so that it can follow "then".

    ``values`` stand at the places of ``text``: texts and expressions as the config has them, which are told in words; a
    list of such; or another clause, for a part that is not always there. What is empty is shown as a gap to fill in.
    """

    text: str | Promise
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Setting:
    """In a clause: what is chosen in a setting of the action, by its title among the choices of the form."""

    key: str


@dataclass(frozen=True, slots=True)
class ModelName:
    """In a clause: what objects of a model are called, one (``an order``) or many (``orders``)."""

    label: str
    many: bool = False


@dataclass(frozen=True, slots=True)
class FieldName:
    """In a clause: what a field or a relation of a model is called, by its path (``items.product``)."""

    model: str
    path: str


@dataclass(frozen=True, slots=True)
class FieldValue:
    """In a clause: a value of the config that goes with a field, so that a choice is told by its title.

    Texts in it may read ``row``, an object of that model.
    """

    model: str
    path: str
    value: Any


#: For an action of which nobody can say what it changes.
ANYTHING = Effect("", "")


class Action:
    """One kind of thing a rule can do. Instances are shared between threads: keep no state on them."""

    #: What rules, packs and executions call it; one class a kind.
    kind: ClassVar[str]
    #: Shown in the admin's list of kinds: a text, or a lazy translation of one.
    label: ClassVar[str | Promise]
    #: A flat JSON Schema in django-jsonform's dialect, which draws the form in the admin. Its titles and help texts
    #: may be lazy translations, too.
    schema: ClassVar[Mapping[str, Any]]
    #: When an action of this kind may act; the first is the default.
    timings: ClassVar[Sequence[Timing]] = ("after_commit",)
    #: True when the only effect is in our own database: effect and record then commit together, exactly once.
    crash_safe: ClassVar[bool] = False
    #: True for a ``crash_safe`` kind whose effects may wait for each other's commit: those that a worker has claimed
    #: together are carried out one after another in one transaction, one of each chain. Not for what locks rows that
    #: people save.
    shares_transaction: ClassVar[bool] = False
    #: True for a kind whose ``run`` raises ``Rejected`` before a save or a delete that is not to be.
    vetoes: ClassVar[bool] = False
    #: True for a kind that code orders and no rule may have; the form of a rule does not offer it.
    only_ordered: ClassVar[bool] = False
    #: True where doing again what succeeded is harmless, as the receiver tells repetitions: the admin then offers it.
    replayable: ClassVar[bool] = False

    def form_schema(self, user: Any) -> Mapping[str, Any]:
        """Give the schema as the admin draws it for this user: ``schema``, unless choices are found in the database.

        A setting with ``choices`` and ``"open": True`` shows a stored value that is not among them, too; a string with
        ``"plain": True`` is taken as it is, and the form offers no values of the event for it.
        """
        return self.schema

    def initial_config(self, user: Any) -> Mapping[str, Any]:
        """Give what the admin's form of a new action begins with for this user; nothing unless a kind says otherwise.

        It is filled in where somebody sees it, and stored like what they type.
        """
        return {}

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Problem]:
        """Say what is wrong with ``config``, each with a pointer into it (``/subject``); nothing: it is fine."""
        return ()

    def reads(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Path]:
        """Name the context paths that ``run`` wants; only these are captured. ``("instance", "*")`` is all fields."""
        return ()

    def permissions(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[str]:
        """Name what the rule's author needs besides viewing what is read: ``"shop.change_order"``, for one."""
        return ()

    def effects(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Effect]:
        """Say what it changes that rules may hear of, to tell which rule can set off which; ``ANYTHING`` if unknown."""
        return ()

    def route(self, config: Mapping[str, Any]) -> Route:
        """Say where the execution waits; ``rules`` with no lane unless a kind says otherwise."""
        return Route(conf.queue())

    def retry_schedule(self, config: Mapping[str, Any]) -> Sequence[float] | None:
        """Give the seconds before the second, third, … attempt; None: ``RULES_ENGINE["RETRY_SCHEDULE"]``."""
        return None

    def rests_for(self, config: Mapping[str, Any]) -> float:
        """Tell for how many seconds it is not to be tried yet, as where a receiver has asked to be left alone; 0: now.

        Asked before each attempt that the engine itself makes; what has to rest waits, and no attempt is charged.
        """
        return 0.0

    def python(self, config: Mapping[str, Any], rule: RuleSpec) -> Sequence[str]:
        """Write what the admin's "Show as Python" prints for it: lines of a function's body, where ``instance`` is the
        object; they import for themselves what they use. Unless overridden, a comment that says what was configured.
        """
        settings = [f"#   {key}: {value!r}" for key, value in config.items()]
        return [f"# {self.label} ({self.kind}): to be written by hand. It is configured as", *settings]

    def clause(self, config: Mapping[str, Any], rule: RuleSpec) -> Clause | None:
        """Say in a few words what it does with that config, which may be half filled in; None: the label says enough.

        For the sentence that tells a rule in the admin. What looks like a secret has been taken out of ``config``.
        """
        return None

    def preview(self, context: ActionContext, config: Mapping[str, Any]) -> Preview:
        """Tell what ``run`` would do with this context, without doing it: nothing is sent, saved or queued in here.

        For the page that tests a rule. May raise what ``run`` may. Unless overridden, the config with its texts
        filled in.
        """
        return Preview(str(self.label), {key: _filled(value, context.data) for key, value in config.items()})

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        """Do it once. Raise ``PermanentError`` or ``TransientError``; never retry in here.

        An outside effect carries ``context.execution_id`` as its idempotency key: it is the same at each attempt.
        """
        raise NotImplementedError(f"{type(self).__name__} has no run().")

    def run_many(
        self, contexts: Sequence[ActionContext], configs: Sequence[Mapping[str, Any]]
    ) -> Sequence[ActionResult | Exception]:
        """Do several at once, each with the config at its place, and answer for each in order: a result, or the error
        that ``run`` would have raised.

        Optional; a kind without it is carried out one by one. With it attempts begin together, as many as a worker
        claims, and end together: for what is quick, and harmless when a process dies halfway and all are done again.
        With ``crash_safe`` all effects and records are one transaction. Where this raises, that is undone and each is
        given to ``run``, with the same ids; so is what is not ``crash_safe``, whatever it has done by then. What it
        changes that rules hear of counts as done by one of them.
        """
        raise NotImplementedError(f"{type(self).__name__} has no run_many().")

    def session(self) -> AbstractContextManager[object]:
        """Keep something open in the block, in which a worker carries out several executions of the kind one after
        another, as mails go over one connection. Optional; what raises in here is logged, and they go on without it."""
        return nullcontext()


def can_share(action: Action | None) -> bool:
    """Say whether several executions of the kind can be carried out together."""
    return action is not None and (does_many(action) or (action.crash_safe and action.shares_transaction))


def does_many(action: Action) -> bool:
    """Say whether the kind has a way of its own of doing many at once."""
    return type(action).run_many is not Action.run_many


def _filled(value: Any, data: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return texts.render(value, data)
    if isinstance(value, Mapping):
        return {key: _filled(inner, data) for key, inner in value.items()}
    return [_filled(inner, data) for inner in value] if isinstance(value, list) else value
