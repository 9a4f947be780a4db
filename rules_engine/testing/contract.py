"""The contract of actions, as tests that a site's own action is held to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rules_engine import types
from rules_engine.errors import PermanentError, Rejected, TransientError
from rules_engine.rules import registry
from rules_engine.rules.contract import Action
from rules_engine.types import ActionContext, ActionResult


class ActionContractTests:
    """What every action must hold to. Subclass it in a test module, and name the kind and a config that works.

    ::

        class TestPageOnCall(ActionContractTests):
            kind = "page_on_call"
            config = {"text": "Order {{ instance.pk }}"}
            context = {"instance": {"pk": 1}}
            rule = RuleSpec(slug="r", model="shop.order", signals=("post_save",))
    """

    kind: str
    config: Mapping[str, Any] = {}
    context: Mapping[str, Any] = {}
    rule = types.RuleSpec(slug="contract", signals=("post_save",))

    def action(self) -> Action:
        """Find the registered action under test."""
        action = registry.find(self.kind)
        assert action is not None, registry.unknown(self.kind)
        return action

    def test_it_names_itself(self) -> None:
        """It has a label for people and a flat schema for the form."""
        assert str(self.action().label)
        assert self.action().schema.get("type") == "object"

    def test_a_working_config_has_no_problems(self) -> None:
        """Hold that the config under test passes its own validation."""
        assert not list(self.action().validate_config(self.config, self.rule))

    def test_an_empty_config_is_refused_or_fine_and_never_crashes(self) -> None:
        """Validation takes anything an administrator may leave out."""
        list(self.action().validate_config({}, self.rule))
        list(self.action().reads({}, self.rule))

    def test_what_it_reads_are_paths(self) -> None:
        """Reads are tuples of names that begin with a root of the context."""
        for path in self.action().reads(self.config, self.rule):
            assert isinstance(path, tuple)
            assert path

    def test_it_runs_or_fails_in_words(self) -> None:
        """It returns a result, or raises one of the two errors that workers know what to do with.

        A kind that ``vetoes`` may raise ``Rejected``: that is what it is for.
        """
        expected = (PermanentError, TransientError, *((Rejected,) if self.action().vetoes else ()))
        try:
            result = self.action().run(self._context(), self.config)
        except expected as error:
            assert str(error)
        else:
            assert isinstance(result, ActionResult)

    def _context(self) -> ActionContext:
        from django.utils import timezone

        event_id = types.new_id()
        event = types.Event(
            id=event_id,
            signal=self.rule.signals[0],
            operation="create",
            model=self.rule.model,
            pk=1,
            occurred_at=timezone.now(),
            root_id=event_id,
            depth=0,
            context=self.context,
        )
        return ActionContext(types.new_id(), 1, event, self.rule.slug, 1)
