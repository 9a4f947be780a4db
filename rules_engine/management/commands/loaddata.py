"""Django's ``loaddata``, which also looks at the rules it has loaded, before it commits them."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import loaddata

from rules_engine.context.actor import loading
from rules_engine.management.terminal import shown
from rules_engine.models import Rule, RuleAction
from rules_engine.packs.loading import loaded_problems


class Command(loaddata.Command):
    """A fixture with a rule that is switched on and cannot run is not loaded; all else is as Django has it."""

    def loaddata(self, fixture_labels: Any) -> None:
        """Load, then check the rules that came; called inside the transaction of the whole command."""
        self.loaded_rules: set[Any] = set()
        # Raw saves say that they are; the many-to-many changes among them do not.
        with loading():
            super().loaddata(fixture_labels)
        if not self.loaded_rules:
            return
        problems, notes, running = loaded_problems(self.loaded_rules, self.using)
        for note in running:
            self.stderr.write(f"note: {shown(note)}")
        for note in notes:
            self.stderr.write(f"note: {shown(note)} (The rule is switched off.)")
        if problems:
            said = "\n".join(shown(problem) for problem in problems)
            raise CommandError(
                f"{said}\nAll of it was undone: nothing was loaded. Mend the fixture, or load these rules switched "
                'off ("enabled": false).'
            )

    def save_obj(self, obj: Any) -> bool:
        """Note which rules are loaded, or given other actions."""
        saved: bool = super().save_obj(obj)
        if saved and isinstance(obj.object, Rule):
            self.loaded_rules.add(obj.object.pk)
        elif saved and isinstance(obj.object, RuleAction) and obj.object.rule_id is not None:
            self.loaded_rules.add(obj.object.rule_id)
        return saved
