"""``manage.py rules_test``: runs the tests that are kept with rules."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from rules_engine.errors import did_you_mean
from rules_engine.management.tables import TablesCommand
from rules_engine.management.terminal import counted, shown
from rules_engine.management.verdicts import as_json, lines_of, summary
from rules_engine.models import Rule, RuleTest
from rules_engine.packs import checking, files
from rules_engine.packs.files import PackError
from rules_engine.test.kept.running import Verdict, of_pack, run_all, stored_tests

#: What is no test's fault: a rule that is not there, a pack that cannot be read.
CANNOT_RUN = 2


class Command(TablesCommand):
    """Runs the tests of the rules that are here, or of a pack."""

    help = (
        "Runs the tests that are kept with rules, and says how each that fails differs from what it expects. Nothing "
        "is sent, saved, counted or held. Exit code 0: all passed; 1: some failed; 2: they could not be run."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slugs", nargs="*", metavar="RULE", help="Slugs of rules; all of them when none is named.")
        parser.add_argument("--pack", metavar="NAME|PATH", help="Run those of a pack, with its own rules.")
        about = "How it is said: text (the default), or json for scripts."
        parser.add_argument("--format", dest="said_as", choices=["text", "json"], default="text", help=about)

    def handle(self, *args: Any, slugs: list[str], pack: str | None, said_as: str, **options: Any) -> None:
        """Run them and say what came of it."""
        verdicts = self._of_pack(pack, slugs) if pack is not None else self._of_rules(slugs)
        failed = sum(not verdict.is_passed for verdict in verdicts)
        if said_as == "json":
            self.stdout.write(json.dumps([as_json(verdict) for verdict in verdicts], indent=2, ensure_ascii=False))
        else:
            for line in lines_of(verdicts):
                self.stdout.write(line)
            self.stdout.write(f"{summary(verdicts)}." if verdicts else _nothing(slugs, pack))
        if failed:
            raise CommandError(f"{counted(failed, 'test')} failed.", returncode=1)

    def _of_rules(self, slugs: list[str]) -> list[Verdict]:
        wanted = {"slug__in": slugs} if slugs else {"pk__in": RuleTest.objects.values("rule")}
        specs = Rule.objects.filter(**wanted).specs()
        self._refuse_unknown(slugs, {spec.slug for spec in specs}, list(Rule.objects.values_list("slug", flat=True)))
        kept = stored_tests(specs)
        return [verdict for spec in specs for verdict in run_all(spec, kept[spec.slug])]

    def _of_pack(self, name: str, slugs: list[str]) -> list[Verdict]:
        try:
            pack = checking.check(files.read(files.locate(name)))
        except PackError as error:
            raise CommandError(shown(error), returncode=CANNOT_RUN) from error
        if pack.problems:
            for finding in pack.problems:
                self.stderr.write(shown(finding))
            said = f"The pack has {counted(len(pack.problems), 'problem')}; mend it first, then run its tests."
            raise CommandError(said, returncode=CANNOT_RUN)
        every = [rule.slug for rule in pack.rules]
        self._refuse_unknown(slugs, set(every), every)
        return [verdict for verdict in of_pack(pack) if not slugs or verdict.rule in slugs]

    def _refuse_unknown(self, slugs: list[str], found: set[str], every: list[str]) -> None:
        for slug in slugs:
            if slug not in found:
                message = f'There is no rule "{shown(slug)}".{did_you_mean(slug, every)} Nothing was tested.'
                raise CommandError(message, returncode=CANNOT_RUN)


def _nothing(slugs: list[str], pack: str | None) -> str:
    where = "These rules have" if slugs else "The pack has" if pack is not None else "No rule has"
    none = "no tests" if where != "No rule has" else "tests"
    return (
        f"{where} {none} yet. A test is kept by a button in the admin: on the page that tests a rule, or on that of a "
        "recorded event."
    )
