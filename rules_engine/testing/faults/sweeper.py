"""``python -m rules_engine.testing.faults.sweeper``: does what is due, again and again, beside the workers."""

from __future__ import annotations

import sys
import time

#: Seconds of one run of ``rules_sweep``, and until the next.
RUN_SECONDS, PAUSE_SECONDS = 2, 1.0


def main() -> None:
    """Sweep until killed."""
    import django

    django.setup()
    from django.core.management import CommandError, call_command
    from django.db import DatabaseError, InterfaceError, connections

    sys.stdout.write("Sweeping. ready.\n")
    sys.stdout.flush()
    while True:
        try:
            call_command("rules_sweep", seconds=RUN_SECONDS, verbosity=0)
        except (CommandError, DatabaseError, InterfaceError) as error:
            sys.stdout.write(f"{error}\n")
            connections.close_all()
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
