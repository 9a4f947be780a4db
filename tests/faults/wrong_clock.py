"""``python -m tests.faults.wrong_clock SECONDS MODULE …``: a command line in a process whose clock is wrong.

Every clock that tells the time of day is off by so many seconds; those that measure durations are right.
"""

from __future__ import annotations

import datetime
import runpy
import sys
import time
from typing import Any

RIGHT = datetime.datetime


class _LikeRight(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, RIGHT)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, RIGHT)


def falsify(seconds: float) -> None:
    """Put the clocks wrong; before anything imports them by name."""
    offset = datetime.timedelta(seconds=seconds)
    right_time, right_time_ns = time.time, time.time_ns

    class Wrong(RIGHT, metaclass=_LikeRight):
        def __new__(cls, *args: Any, **options: Any) -> Any:
            return RIGHT(*args, **options)

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            return RIGHT.now(tz) + offset

        @classmethod
        def today(cls) -> Any:
            return RIGHT.today() + offset

        @classmethod
        def utcnow(cls) -> Any:
            return cls.now(datetime.UTC).replace(tzinfo=None)

    datetime.datetime = Wrong  # type: ignore[misc]
    time.time = lambda: right_time() + seconds
    time.time_ns = lambda: right_time_ns() + round(seconds * 1_000_000_000)


if __name__ == "__main__":
    falsify(float(sys.argv.pop(1)))
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
