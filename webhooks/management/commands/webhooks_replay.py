"""``manage.py webhooks_replay``: deliveries of an endpoint, sent again."""

from __future__ import annotations

import getpass
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from rules_engine.actions import did_you_mean
from webhooks.deliveries import replays
from webhooks.models import Endpoint


class Command(BaseCommand):
    """Count what a replay would send, and ask the workers for it."""

    help = (
        "Sends deliveries of an endpoint again, under the same webhook-id, behind those that are fresh. Workers do "
        "it, so it goes on when this command has ended. Those that failed and are being retried are tried at once, and "
        "have all their attempts before them again. What was pruned cannot be sent again."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--endpoint", required=True, help="The endpoint's slug.")
        parser.add_argument("--since", required=True, help="Recorded since then: 30m, 2h, 3d, or a date or time.")
        parser.add_argument("--until", default="", help="Recorded until then; else until now.")
        parser.add_argument(
            "--status", default="failed", choices=list(replays.STATUSES), help="How they did. Default: failed."
        )
        parser.add_argument(
            "--error-kind",
            default="",
            help=f"What their last attempt came to: {', '.join(replays.ERROR_KINDS)}, or a status (503, 5xx).",
        )
        parser.add_argument("--dry-run", action="store_true", help="Only count.")

    def handle(
        self, *args: Any, endpoint: str, since: str, until: str, status: str, error_kind: str, **options: Any
    ) -> None:
        """Count, and ask unless it is a dry run. Raises ``CommandError`` for what cannot be selected."""
        target = _endpoint(endpoint)
        try:
            window = {"since": _moment(since), "until": _moment(until)}
            selection = replays.selection(target, **window, status=status, error_kind=error_kind)
            counted = replays.count(selection)
            if not options["dry_run"]:
                replays.ask(target, selection, {"id": "", "username": f"command line ({_user()})"})
        except ValueError as error:
            raise CommandError(str(error)) from None
        happens = "would be" if options["dry_run"] else "will be"
        noun = "delivery" if counted.again == 1 else "deliveries"
        self.stdout.write(f"{counted.again:,} {noun} to {target.slug} {happens} sent again.")
        if counted.at_once:
            self.stdout.write(f"{counted.at_once:,} more, being retried, {happens} tried at once.")
        if counted.lost:
            self.stdout.write(f"{counted.lost:,} more cannot be: what they were about is not recorded any more.")


def _moment(text: str) -> datetime | None:
    return replays.moment(text) if text else None


def _endpoint(slug: str) -> Endpoint:
    endpoint = Endpoint.objects.filter(slug=slug).first()
    if endpoint is None:
        slugs = list(Endpoint.objects.values_list("slug", flat=True))
        raise CommandError(f'There is no endpoint "{slug}".{did_you_mean(slug, slugs)}')
    return endpoint


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "?"
