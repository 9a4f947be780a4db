"""``manage.py rules_health``: whether all is well, for cron and containers."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from rules_engine.errors import SettingsError
from rules_engine.monitoring import health

EXIT_CODES = {"healthy": 0, "unhealthy": 1, "unknown": 2}


class Command(BaseCommand):
    """Makes the checks and says what they came to."""

    help = "Says whether all is well. Exit codes: 0 it is, 1 it is not, 2 that could not be found out."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="Say it as JSON.")
        parser.add_argument(
            "--check", action="append", default=[], choices=health.NAMES, help="Only this; can be given several times."
        )

    def handle(self, *args: Any, check: list[str], **options: Any) -> None:
        """Say what came of each check, and exit by what they come to together."""
        try:
            made = health.checks(check)
        except SettingsError as error:
            self.stderr.write(str(error))
            sys.exit(EXIT_CODES["unknown"])
        state = health.overall(made)
        if options["json"]:
            told = {"state": state, "checks": {one.name: {"state": one.state, "says": one.says} for one in made}}
            self.stdout.write(json.dumps(told))
        else:
            for one in made:
                self.stdout.write(f"{one.name}: {one.state}. {one.says}")
        if EXIT_CODES[state]:
            sys.exit(EXIT_CODES[state])
