"""``manage.py rulepack list | check | install | diff | export``."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.management.base import CommandError
from django.db import DatabaseError, router, transaction

from rules_engine.errors import NotEntered, did_you_mean
from rules_engine.management.tables import TablesCommand
from rules_engine.management.terminal import counted, progress, shown
from rules_engine.management.verdicts import lines_of, summary
from rules_engine.models import Rule
from rules_engine.packs import checking, files, installing, writing
from rules_engine.packs.checking import Pack
from rules_engine.packs.files import PackError
from rules_engine.packs.installing import Change
from rules_engine.rules.cascades import analyse
from rules_engine.surroundings.own_rules import are_kept_here
from rules_engine.surroundings.state import text_of, within
from rules_engine.test.kept.running import of_pack, stored_tests
from rules_engine.types import RuleSpec

#: Rules that are named in one sentence.
MOST_NAMED = 10
#: What is said of each rule when a pack is, or would be, installed.
SAID = {
    "new": "added",
    "changed": "updated",
    "unchanged": "unchanged",
    "kept": "kept as it was edited here; the pack has nothing newer",
    "conflict": "differs here, and may have been edited",
}


class Command(TablesCommand):
    """Finds, checks, installs, compares and writes rule packs."""

    help = "Lists, checks, installs, compares and exports rule packs: fixtures that hold rules and nothing else."
    # A rule that is broken here must not keep its mended form from being installed.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        subcommands = parser.add_subparsers(dest="subcommand", required=True, metavar="list|check|install|diff|export")
        about = "List the packs of the installed apps' fixtures folders and of FIXTURE_DIRS."
        subcommands.add_parser("list", help=about, description=about)
        about = "Say everything that is wrong with a pack, with its place. Writes nothing; exit code 1 for problems."
        _takes_pack(subcommands.add_parser("check", help=about, description=about))
        about = (
            "Install a pack, all of it or nothing: add its rules, and update those that an earlier install put here. "
            "Doing it again changes nothing. A rule that is updated keeps its switch and loses its author; actions "
            "that the pack's rule has no more are removed."
        )
        self._add_install(subcommands.add_parser("install", help="Install a pack.", description=about))
        about = "Show how a pack differs from the rules that are here."
        _takes_pack(subcommands.add_parser("diff", help=about, description=about))
        about = "Write rules as a pack: always the same text for the same rules, without authors, keys and secrets."
        export = subcommands.add_parser("export", help="Write rules as a pack.", description=about)
        export.add_argument("slugs", nargs="*", metavar="SLUG", help="The rules; all of them when none is named.")
        export.add_argument("--output", "-o", metavar="FILE", help="Write to this file instead of the terminal.")
        export.add_argument("--dry-run", action="store_true", help="Say what would be written; leave the file alone.")
        export.add_argument(
            "--without-tests",
            dest="with_tests",
            action="store_false",
            help="Leave out the tests that are kept with the rules: their samples hold data of this site.",
        )

    def _add_install(self, parser: ArgumentParser) -> None:
        _takes_pack(parser)
        parser.add_argument("--dry-run", action="store_true", help="Say what would change; change nothing.")
        parser.add_argument("--disabled", action="store_true", help="Switch off what is added or updated.")
        parser.add_argument(
            "--surroundings",
            default="",
            metavar="NAME",
            help="Install the rules for one tenant, as rules of its own: each slug ends in the name.",
        )
        edited = parser.add_mutually_exclusive_group()
        edited.add_argument(
            "--overwrite", action="store_true", help="Take the pack's form of rules that were edited here as well."
        )
        edited.add_argument("--keep", action="store_true", help="Leave those as they are, and install the rest.")

    def handle(self, *args: Any, subcommand: str, **options: Any) -> None:
        """Do one of the five."""
        try:
            getattr(self, f"_{subcommand}")(**options)
        except PackError as error:
            raise CommandError(shown(error)) from error
        finally:
            progress(self, "")

    def _list(self, **_: Any) -> None:
        packs = files.find()
        if not packs:
            self.stdout.write("There are no packs: no fixtures folder holds a file with rules.")
            return
        for name, paths in packs.items():
            for path in paths:
                self.stdout.write(f"{shown(name)}: {self._summary(path)} ({shown(path)})")
        name = shown(next(iter(packs)))
        self.stdout.write(
            f'"rulepack check {name}" says what is in one and whether it fits this site; "rulepack install {name}" '
            "installs it."
        )

    def _summary(self, path: Path) -> str:
        try:
            pack = checking.check(files.read(path))
        except PackError as error:
            return shown(error)
        if pack.problems:
            return f"{counted(len(pack.problems), 'problem')}; rulepack check says which"
        changes = installing.plan(pack.rules)
        here = sum(change.here is not None for change in changes)
        same = sum(change.verdict == "unchanged" for change in changes)
        return f"{counted(len(changes), 'rule')}, {here} installed, {same} of them as in the pack"

    def _check(self, pack: str, **_: Any) -> None:
        path, checked = self._read(pack)
        self._report(checked)
        if checked.problems:
            raise CommandError(self._verdict(path, checked))
        for said in analyse(checked.rules).loops_said():
            self.stdout.write(f"remark: {shown(said)}")
        self._run_tests(path, checked)
        for rule in checked.rules:
            switch = "" if rule.enabled else " (shipped switched off)"
            self.stdout.write(f"{shown(rule.slug)}: {shown(_told(rule))}{switch}")
        rules, actions = len(checked.rules), sum(len(rule.actions) for rule in checked.rules)
        self.stdout.write(f"{shown(path)}: {counted(rules, 'rule')}, {counted(actions, 'action')}, no problems.")
        self._lead_on(pack, checked)

    def _run_tests(self, path: Path, pack: Pack, otherwise: str = "") -> None:
        """Run the tests of the pack's rules. Raises ``CommandError`` where some fail."""
        verdicts = of_pack(pack)
        for line in lines_of(verdicts, only_failing=True):
            self.stdout.write(line)
        if not all(verdict.is_passed for verdict in verdicts):
            raise CommandError(f"{shown(path)}: {summary(verdicts)}.{otherwise}")
        if verdicts:
            self.stdout.write(f"{summary(verdicts)}.")

    def _lead_on(self, pack: str, checked: Pack) -> None:
        try:
            new = [change for change in installing.plan(checked.rules) if change.verdict != "unchanged"]
        except DatabaseError:
            self.stdout.write('The tables of the rules are not here yet: "migrate" makes them.')
            return
        if new:
            self.stdout.write(f'"rulepack install {shown(pack)}" installs it; --dry-run says what would change.')
        else:
            self.stdout.write("It is installed here, and as in the pack.")

    def _read(self, name: str) -> tuple[Path, Pack]:
        path = files.locate(name)
        progress(self, f"Reading {path}")
        try:
            return path, checking.check(files.read(path))
        except PackError as error:
            raise PackError(f"{path}: {error}") from error

    def _report(self, pack: Pack) -> None:
        progress(self, "")
        for finding in pack.problems:
            self.stdout.write(shown(finding))
        for note in pack.notes:
            self.stdout.write(f"note: {shown(note)} (The pack ships this rule switched off.)")
        for remark in pack.remarks[: checking.MOST_FINDINGS]:
            self.stdout.write(f"remark: {shown(remark)}")
        if pack.left_out:
            self.stdout.write(f"… and {counted(pack.left_out, 'more problem', 'more problems')}.")
        if pack.is_cut:
            self.stdout.write("The rest of the pack was not looked at.")

    def _verdict(self, path: Path, pack: Pack) -> str:
        return f"{shown(path)}: {counted(len(pack.problems) + pack.left_out, 'problem')}."

    def _install(self, pack: str, surroundings: str, **options: Any) -> None:
        try:
            with within(text_of(surroundings or None)):
                if surroundings and not are_kept_here():
                    raise CommandError('Only with "own_rules" in RULES_ENGINE["SURROUNDINGS"] a tenant has its own.')
                self._install_here(pack, surroundings, **options)
        except NotEntered as error:
            raise CommandError(str(error)) from error

    def _install_here(
        self, pack: str, ending: str, dry_run: bool, disabled: bool, overwrite: bool, keep: bool, **_: Any
    ) -> None:
        path, checked = self._read(pack)
        tests = 0
        self._report(checked)
        if checked.problems:
            raise CommandError(f"{self._verdict(path, checked)} Nothing was installed.")
        if not disabled:
            self._run_tests(path, checked, " Nothing was installed; with --disabled it is, switched off.")
        rules, kept_tests = installing.with_ending(checked.rules, checked.tests, ending)
        # One transaction: what somebody saves between the look and the write would be lost.
        with transaction.atomic(using=router.db_for_write(Rule)):
            changes = installing.plan(rules, overwrite=overwrite, lock=not dry_run)
            self._refuse_edited(changes, pack, keep)
            if not dry_run:
                progress(self, f"Installing {counted(sum(change.writes for change in changes), 'rule')}")
                installing.install(changes, path.stem, disabled=disabled)
                tests = installing.install_tests(changes, kept_tests)
        progress(self, "")
        self._say(changes, dry_run)
        if tests:
            self.stdout.write(f"{counted(tests, 'test')} of rules written.")
        if written := [change for change in changes if change.writes and not dry_run]:
            self._lead_to_admin(written, disabled)

    def _lead_to_admin(self, written: Sequence[Change], disabled: bool) -> None:
        off = [change for change in written if disabled or not (change.here or change.rule).enabled]
        if off:
            names = ", ".join(shown(change.rule.slug) for change in off[:MOST_NAMED])
            more = f" and {len(off) - MOST_NAMED:,} more" if len(off) > MOST_NAMED else ""
            self.stdout.write(f"Switched off: {names}{more}. Switch them on under Rules in the admin.")

    def _refuse_edited(self, changes: Sequence[Change], pack: str, keep: bool) -> None:
        edited = [change.rule.slug for change in changes if change.verdict == "conflict"]
        if edited and not keep:
            raise CommandError(
                f"{', '.join(map(shown, edited))}: the pack's form differs from the one here, which was edited or not "
                f"installed by rulepack. Nothing was installed. See rulepack diff {shown(pack)}; then --overwrite "
                "takes the pack's form, and --keep leaves these as they are."
            )

    def _say(self, changes: Sequence[Change], dry_run: bool) -> None:
        for change in changes:
            if change.verdict != "unchanged":
                would_be = "would be " if dry_run and change.writes else ""
                self.stdout.write(f"{change.rule.slug}: {would_be}{_said(change)}")
        written = sum(change.writes for change in changes)
        unchanged = sum(change.verdict == "unchanged" for change in changes)
        if not written:
            self.stdout.write(f"Nothing to change: {counted(unchanged, 'rule is', 'rules are')} as in the pack.")
        elif dry_run:
            self.stdout.write(f"{counted(written, 'rule')} would be written. This was a dry run.")
        else:
            self.stdout.write(f"{counted(written, 'rule')} written, {unchanged} unchanged.")

    def _diff(self, pack: str, **_: Any) -> None:
        path, checked = self._read(pack)
        self._report(checked)
        if checked.problems:
            raise CommandError(self._verdict(path, checked))
        different = [change for change in installing.plan(checked.rules) if change.verdict != "unchanged"]
        for change in different:
            self.stdout.write(f"{change.rule.slug}: {'not here' if change.here is None else _said(change)}")
            for line in installing.difference(change).splitlines():
                self.stdout.write(shown(line))
        if not different:
            self.stdout.write(f"No difference: {counted(len(checked.rules), 'rule is', 'rules are')} as in the pack.")

    def _export(self, slugs: list[str], output: str | None, dry_run: bool, with_tests: bool, **_: Any) -> None:
        specs = Rule.objects.filter(slug__in=slugs).specs() if slugs else Rule.objects.all().specs()
        known = {spec.slug for spec in specs}
        for slug in slugs:
            if slug not in known:
                every = list(Rule.objects.values_list("slug", flat=True))
                raise CommandError(f'There is no rule "{shown(slug)}".{did_you_mean(slug, every)} Nothing was written.')
        cleaned = [writing.without_secrets(spec) for spec in specs]
        for spec, removed in cleaned:
            for pointer in removed:
                self.stderr.write(f"{spec.slug} {shown(pointer)}: left out, since it looks like a secret.")
        kept = stored_tests(specs) if with_tests else {}
        text = writing.text((spec for spec, _ in cleaned), kept)
        if output is None:
            self.stdout.write(text, ending="")
        elif dry_run:
            self.stdout.write(f"{counted(len(specs), 'rule')} would be written to {shown(output)}.")
        else:
            _write(Path(output), text)
            self.stdout.write(f"{counted(len(specs), 'rule')} written to {shown(output)}.")


def _told(rule: RuleSpec) -> str:
    """Return the rule as a sentence, where the admin is installed, which has the words; its name elsewhere."""
    if not apps.is_installed("django.contrib.admin"):
        return rule.name
    from rules_engine.admin.reading.sentence import sentence

    return str(sentence(rule))


def _takes_pack(parser: ArgumentParser) -> None:
    parser.add_argument("pack", metavar="NAME|PATH", help="A pack's name, as rulepack list says it, or its file.")


def _said(change: Change) -> str:
    return SAID[change.verdict]


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror or error}.") from error
