"""``manage.py rules_partitions status | convert | extend``: the tables that grow, partitioned by time on PostgreSQL."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.db import OperationalError, connections

from rules_engine.databases.partitions import NotPartitioned, Partition, moment, size
from rules_engine.management.tables import TablesCommand
from rules_engine.management.terminal import counted, progress, shown
from rules_engine.outbox import partitions


class Command(TablesCommand):
    """Shows partitions, and makes them."""

    help = "Partitions the tables of events, executions and attempts by time, so that what is old is dropped at once."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        subcommands = parser.add_subparsers(dest="subcommand", required=True, metavar="status|convert|extend")
        about = "Show the partitions of each table, with their rows and sizes. Changes nothing."
        subcommands.add_parser("status", help=about, description=about)
        about = (
            "Partition the tables. What is there becomes the first partition of each. Saves that rules match wait "
            "while PostgreSQL looks through the tables once, some seconds for ten million rows."
        )
        convert = subcommands.add_parser("convert", help="Partition the tables.", description=about)
        convert.add_argument("--days", type=int, default=partitions.DAYS, help="Days of a partition; 7 unless said.")
        about = "Make partitions ahead. rules_prune does that, too."
        extend = subcommands.add_parser("extend", help=about, description=about)
        extend.add_argument("--ahead", type=int, default=partitions.AHEAD, help="How many; 4 unless said.")

    def handle(self, *args: Any, subcommand: str, **options: Any) -> None:
        """Do one of the three."""
        if not partitions.is_possible():
            vendor = connections[partitions.database()].display_name
            raise CommandError(
                f"Partitions are PostgreSQL's, and this database is {vendor}: rules_prune removes in batches there."
            )
        try:
            getattr(self, f"_{subcommand}")(**options)
        except NotPartitioned as error:
            raise CommandError(shown(error)) from error
        except OperationalError as error:
            raise CommandError(
                f"The database did not do it, and nothing is changed; try again: {shown(error)}"
            ) from error
        finally:
            progress(self, "")

    def _status(self, **_: Any) -> None:
        for told in partitions.state():
            if not told.partitions:
                self.stdout.write(f"{told.table} is not partitioned; rules_partitions convert does that.")
                continue
            self.stdout.write(f"{told.table}:")
            for partition in told.partitions:
                self._tell(partition)

    def _tell(self, partition: Partition) -> None:
        rows, size_in_bytes = size(partition.name, partitions.database())
        since = f"from {moment(partition.low):%Y-%m-%d}" if partition.low else "all"
        until = f"before {moment(partition.high):%Y-%m-%d}" if partition.high else "what no other takes"
        told = until if partition.is_rest else f"{since} {until}"
        self.stdout.write(f"  {partition.name}: {told}; about {counted(rows, 'row')}, {size_in_bytes / 1e6:,.1f} MB")

    def _convert(self, days: int, **_: Any) -> None:
        if not 1 <= days <= partitions.MOST_DAYS:
            raise CommandError(f"--days {days}: a partition has 1 to {partitions.MOST_DAYS} days.")
        progress(self, "Partitioning…")
        done = partitions.convert(days)
        for table in done:
            self.stdout.write(f"{table} is partitioned.")
        if not done:
            self.stdout.write("All tables are partitioned already; rules_partitions status shows them.")

    def _extend(self, ahead: int, **_: Any) -> None:
        if not 0 <= ahead <= partitions.MOST_AHEAD:
            raise CommandError(f"--ahead {ahead}: 0 to {partitions.MOST_AHEAD} can be made ahead.")
        if not any(told.partitions for told in partitions.state()):
            raise CommandError("No table is partitioned yet; rules_partitions convert does that.")
        self.stdout.write(f"{counted(partitions.extend(ahead), 'partition')} made.")
