"""The demo's queue in files: a message is there whole or not at all, and what a crash left is passed over."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection

from project.broker import Transport

MESSAGES = 20
LONG = "x" * 500_000


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    for name in ("queue", "control"):
        (tmp_path / name).mkdir()
    queue = str(tmp_path / "queue")
    return {"data_folder_in": queue, "data_folder_out": queue, "control_folder": str(tmp_path / "control")}


@pytest.fixture
def name() -> str:
    """A name of its own: Kombu remembers for the whole process which queues it has made known."""
    return uuid.uuid4().hex


@pytest.fixture
def queue(folders: dict[str, str], name: str) -> Iterator[Any]:
    with Connection(transport=Transport, transport_options=folders) as connection, connection.SimpleQueue(name) as made:
        yield made


def test_a_reader_beside_a_writer_takes_every_message_whole(folders: dict[str, str], name: str, queue: Any) -> None:
    def write() -> None:
        options = {"transport": Transport, "transport_options": folders}
        with Connection(**options) as connection, connection.SimpleQueue(name) as own:
            for number in range(MESSAGES):
                own.put({"number": number, "text": LONG})

    writer = threading.Thread(target=write)
    writer.start()
    read = []
    for _ in range(MESSAGES):
        message = queue.get(timeout=30)
        message.ack()
        read.append(message.payload["number"])
    writer.join()
    assert read == list(range(MESSAGES))


def test_what_a_crash_left_half_written_is_passed_over(folders: dict[str, str], name: str, queue: Any) -> None:
    (Path(folders["data_folder_in"]) / f"1_half.{name}.msg").write_text('{"body": "e')
    queue.put({"number": 1})
    message = queue.get(timeout=30)
    message.ack()
    assert message.payload == {"number": 1}


def test_no_draft_is_left_behind(folders: dict[str, str], name: str, queue: Any) -> None:
    queue.put({"number": 1})
    [written] = Path(folders["data_folder_in"]).iterdir()
    assert written.name.endswith(f".{name}.msg")


def test_a_list_of_queues_that_was_cut_off_is_empty(folders: dict[str, str], name: str, queue: Any) -> None:
    table = Path(folders["control_folder"]) / f"{name}.exchange"
    assert queue.channel.get_table(name)
    table.write_text("[[")
    assert queue.channel.get_table(name) == []
