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
from dataclasses import dataclass
from typing import Any, ClassVar

from rules_engine import conf
from rules_engine.errors import Problem
from rules_engine.types import ActionContext, ActionResult, Path, RuleSpec, Timing


@dataclass(frozen=True, slots=True)
class Route:
    """Where an execution waits: its Celery queue, and the lane and order key that batch senders claim by."""

    queue: str
    lane: str = ""
    order_key: str = ""


class Action:
    """One kind of thing a rule can do. Instances are shared between threads: keep no state on them."""

    kind: ClassVar[str]
    #: Shown in the admin's list of kinds.
    label: ClassVar[str]
    #: A flat JSON Schema in django-jsonform's dialect, which draws the form in the admin.
    schema: ClassVar[Mapping[str, Any]]
    #: When an action of this kind may act; the first is the default.
    timings: ClassVar[Sequence[Timing]] = ("after_commit",)
    #: True when the only effect is in our own database: effect and record then commit together, exactly once.
    crash_safe: ClassVar[bool] = False

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Problem]:
        """What is wrong with ``config``, each problem with a pointer into it (``/subject``). Nothing: it is fine."""
        return ()

    def reads(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Path]:
        """The context paths that ``run`` will want; only these are captured. ``("instance", "*")`` is all fields."""
        return ()

    def permissions(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[str]:
        """Permissions such as ``"shop.change_order"`` that the rule's author needs, besides viewing what is read."""
        return ()

    def route(self, config: Mapping[str, Any]) -> Route:
        """Where the execution waits; ``rules`` with no lane unless a kind says otherwise."""
        return Route(conf.queue())

    def retry_schedule(self, config: Mapping[str, Any]) -> Sequence[float] | None:
        """Seconds before the second, third, … attempt; None leaves it to ``RULES_ENGINE["RETRY_SCHEDULE"]``."""
        return None

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        """Do it once. Raise ``PermanentError`` or ``TransientError``; never retry in here.

        An outside effect carries ``context.execution_id`` as its idempotency key: it is the same at each attempt.
        """
        raise NotImplementedError(f"{type(self).__name__} has no run().")
