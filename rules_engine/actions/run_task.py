"""``run_task``: one of the Celery tasks that the site's operator lists in ``RULES_ENGINE["TASKS"]``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from celery import current_app
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine import conf
from rules_engine.actions import arguments
from rules_engine.context.snapshot import plain, safe
from rules_engine.errors import Problem, Refused, TransientError, did_you_mean
from rules_engine.outbox.hints import PUBLISH_ERRORS
from rules_engine.rules.contract import ANYTHING, Action, Clause, Effect, Preview
from rules_engine.rules.registry import register_action
from rules_engine.types import ActionContext, ActionResult, Path, RuleSpec

#: Some brokers make a file of a queue's name: it must not lead anywhere.
QUEUE_NAME = re.compile(r"[A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,199}")
#: A bound task is given itself under that name.
RESERVED = ("self",)


@register_action
class RunTask(Action):
    """Ask Celery for a task. Its id is the execution's, so it is the same however often this is tried."""

    kind = "run_task"
    label = _("Run a task")
    schema = {
        "type": "object",
        "keys": {
            "task": {
                "type": "string",
                "title": _("Task"),
                "plain": True,
                "required": True,
                "helpText": _('One of those in the setting RULES_ENGINE["TASKS"].'),
            },
            "arguments": arguments.SCHEMA,
            "queue": {
                "type": "string",
                "title": _("Queue"),
                "plain": True,
                "helpText": _("Optional; else where the site sends the task."),
            },
        },
    }

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Problem]:
        if not config.get("task"):
            yield Problem("/task", gettext("Name the task to run. %(listed)s") % {"listed": _listed()})
        elif trouble := _task_problem(config["task"]):
            yield Problem("/task", trouble)
        if trouble := _queue_problem(config.get("queue")):
            yield Problem("/queue", trouble)
        yield from arguments.problems(config, rule, RESERVED)

    def reads(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Path]:
        return arguments.reads(config)

    def effects(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Effect]:
        return [ANYTHING]

    def clause(self, config: Mapping[str, Any], rule: RuleSpec) -> Clause:
        return Clause(_("run the task %(task)s"), {"task": config.get("task")})

    def preview(self, context: ActionContext, config: Mapping[str, Any]) -> Preview:
        if trouble := _task_problem(config["task"]) or _queue_problem(config.get("queue") or None):
            raise Refused(trouble)
        values = plain(safe(arguments.evaluate(config, context.data)))
        details = {gettext("Task"): config["task"], gettext("Arguments"): values, gettext("Queue"): config.get("queue")}
        summary = gettext("Asks Celery for %(task)s") % {"task": conf.tasks()[config["task"]]}
        return Preview(summary, {name: value for name, value in details.items() if value})

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        name, queue = config["task"], config.get("queue") or None
        if trouble := _task_problem(name) or _queue_problem(queue):
            raise Refused(trouble)
        values = plain(safe(arguments.evaluate(config, context.data)))
        _publish(name, values, str(context.execution_id), queue)
        return ActionResult(
            f"Asked for {conf.tasks()[name]}", {"task": name, "id": str(context.execution_id), "arguments": values}
        )


def _listed() -> str:
    known = ", ".join(conf.tasks())
    return (
        gettext('RULES_ENGINE["TASKS"] has: %(known)s.') % {"known": known}
        if known
        else gettext('RULES_ENGINE["TASKS"], the list of them, is empty.')
    )


def _task_problem(name: Any) -> str | None:
    known = conf.tasks()
    if isinstance(name, str) and name in known:
        return None
    return gettext('Rules may not run the task "%(name)s".%(hint)s %(listed)s') % {
        "name": name,
        "hint": did_you_mean(name, list(known)),
        "listed": _listed(),
    }


def _queue_problem(queue: Any) -> str | None:
    if queue in (None, "") or (isinstance(queue, str) and QUEUE_NAME.fullmatch(queue)):
        return None
    return gettext("Expected the name of a queue, of letters, digits and _ . : -, and got %(queue)s.") % {
        "queue": repr(queue)
    }


def _publish(name: str, values: dict[str, Any], task_id: str, queue: str | None) -> None:
    try:
        # No retry of Celery's own: the execution has its schedule, and a worker is not to be held up here.
        current_app.send_task(name, kwargs=values, task_id=task_id, queue=queue, retry=False)
    except PUBLISH_ERRORS as error:
        raise TransientError(f"The broker could not be given the task: {error}") from error
