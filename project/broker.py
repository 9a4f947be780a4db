"""Kombu's filesystem transport, made safe for several processes and for crashes.

As it comes, it writes a message into a file that readers see at once, and a reader that takes the file half-written
ends its worker with a JSONDecodeError. Here files appear complete, and what an earlier crash left is passed over: a
hint that is lost costs nothing, since the sweep finds the work.
"""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps

#: Kombu's own, which knows more types than Python's; it is not annotated.
_as_json: Callable[[Any], str] = dumps


class Channel(filesystem.Channel):
    """Writes a file under a name that no reader looks for, then renames it."""

    # Kombu itself has another name for ``payload`` in the class above its own.
    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]
        # Readers take files by name, so the time comes first.
        _write(Path(self.data_folder_out) / f"{time.time_ns()}_{uuid.uuid4()}.{queue}.msg", payload)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        while True:
            try:
                return super()._get(queue)  # type: ignore[no-untyped-call]
            except ValueError:
                continue  # not JSON, and taken away by now: look for the next

    def get_table(self, exchange: str) -> list[Any]:
        try:
            return list(super().get_table(exchange))  # type: ignore[no-untyped-call]
        except ValueError:
            return []

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        bound = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        with _locked(self.control_folder):
            table = self.get_table(exchange)
            if bound not in table:
                path: Path = self._exchange_file(exchange)  # type: ignore[no-untyped-call]
                _write(path, [bound, *table])


class Transport(filesystem.Transport):
    """What ``project.celery`` puts in the place of Kombu's own."""

    Channel = Channel


def _write(path: Path, content: Any) -> None:
    draft = path.with_name(f".{uuid.uuid4()}")
    draft.write_text(_as_json(content), encoding="utf-8")
    os.replace(draft, path)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # Said, and not left to the closing: a child forked meanwhile has the file open too.
            fcntl.flock(file, fcntl.LOCK_UN)
