"""What an author of an action needs. The kinds that the engine brings along are the modules of this package.

A kind is a subclass of ``Action`` in a module ``rule_actions`` of an installed app, decorated with ``register_action``.
"""

from __future__ import annotations

from rules_engine.context.snapshot import plain as plain
from rules_engine.errors import PermanentError as PermanentError
from rules_engine.errors import Problem as Problem
from rules_engine.errors import Refused as Refused
from rules_engine.errors import RulesEngineError as RulesEngineError
from rules_engine.errors import SettingsError as SettingsError
from rules_engine.errors import TemplateError as TemplateError
from rules_engine.errors import TransientError as TransientError
from rules_engine.errors import did_you_mean as did_you_mean
from rules_engine.rules.contract import ANYTHING as ANYTHING
from rules_engine.rules.contract import Action as Action
from rules_engine.rules.contract import Clause as Clause
from rules_engine.rules.contract import Effect as Effect
from rules_engine.rules.contract import Preview as Preview
from rules_engine.rules.contract import Route as Route
from rules_engine.rules.contract import Setting as Setting
from rules_engine.rules.registry import register_action as register_action
from rules_engine.rules.values import evaluate as evaluate
from rules_engine.rules.values import problems as problems
from rules_engine.rules.values import reads as reads
from rules_engine.rules.values import text as text
from rules_engine.texts import render as render
from rules_engine.types import ActionContext as ActionContext
from rules_engine.types import ActionResult as ActionResult
from rules_engine.types import Event as Event
from rules_engine.types import FieldChange as FieldChange
from rules_engine.types import RuleSpec as RuleSpec
