"""An ordeal's report as people and programs read it, the commands of its processes, and the ledger's file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from rules_engine.testing.faults.crew import producer_command, sweeper_command, worker_command
from rules_engine.testing.faults.ledger import Booking, Ledger
from rules_engine.testing.faults.report import Effects, Fault, Report
from rules_engine.testing.faults.servers import Missing, program

WELL = Effects("mail", count=2, lost=0, doubled=0, unexplained=0, of_nothing=0)


def report(*faults: Fault, effects: Effects = WELL, **fields: Any) -> Report:
    given = {"committed": 2, "vanished": 0, "states": {"succeeded": 2, "discarded": 1}, **fields}
    return Report("An ordeal", 7, seconds=61.4, effects=[effects], faults=list(faults), **given)


def lines(of: Report) -> list[str]:
    return [" ".join(line.split()) for line in of.lines()]


def test_a_report_says_what_came_of_it_in_columns() -> None:
    killed = Fault("kill a worker", 100.0, 100.5, ("a", "b"), repeated=1, resumed=2.0, recovered=3.25)
    stopped = Fault("stop Redis", 110.0, 111.0, ())
    said = lines(report(killed, stopped, tracebacks=3, ended=1))
    assert said[0] == "An ordeal; seed 7; 61 s in all"
    assert said[1] == "changes committed 2; seen committed and not there 0"
    assert said[2] == "executions: 1 discarded, 2 succeeded"
    assert said[5] == "mail 2 0 0 0 0"
    # Times count from the first fault; what never went on again is said to be so.
    assert said[8] == "kill a worker 0.0 0.5 2 1 2.0 3.2"
    assert said[9] == "stop Redis 10.0 1.0 0 0 never never"
    assert said[11] == "2 faults, 2 in flight at them; 3 tracebacks in the logs"
    assert said[12] == "1 workers and sweepers ended by themselves, and were begun anew"
    assert said[-1] == "The promises were kept."


def test_a_report_without_faults_is_one_too() -> None:
    said = lines(report())
    assert "0 faults, 0 in flight at them; 0 tracebacks in the logs" in said
    assert said[-1] == "The promises were kept."


@pytest.mark.parametrize(
    ("fields", "is_kept"),
    [
        ({}, True),
        ({"committed": 0}, False),
        ({"vanished": 1}, False),
        ({"effects": Effects("mail", 2, lost=1, doubled=0, unexplained=0, of_nothing=0)}, False),
        ({"effects": Effects("mail", 2, lost=0, doubled=0, unexplained=1, of_nothing=0)}, False),
        ({"effects": Effects("mail", 2, lost=0, doubled=0, unexplained=0, of_nothing=1)}, False),
        ({"effects": Effects("mail", 2, lost=0, doubled=1, unexplained=0, of_nothing=0)}, True),
        ({"effects": Effects("mail", 2, lost=0, doubled=2, unexplained=0, of_nothing=0)}, False),
    ],
    ids=str,
)
def test_the_promises_are_kept_or_not(fields: dict[str, Any], is_kept: bool) -> None:
    of = report(Fault("kill", 0.0, 1.0, ("a",)), **fields)
    assert lines(of)[-1] == ("The promises were kept." if is_kept else "THE PROMISES WERE NOT KEPT.")
    told = json.loads(json.dumps(of.as_json()))
    assert (told["is_kept"], told["in_flight"], told["faults"][0]["in_flight"]) == (is_kept, 1, 1)
    assert (told["seed"], told["states"]) == (7, {"succeeded": 2, "discarded": 1})


@pytest.mark.parametrize(
    ("runner", "told"),
    [
        ("worker", ["-m", "django", "rules_worker", "--processes=3"]),
        ("my-worker --name w{number} 'two words'", ["--name", "w5", "two words"]),
        ("celery", ["-m", "celery", "-A", "site", "worker", "-n", "ordeal5@%h", "-c", "3"]),
    ],
)
def test_a_worker_is_begun_as_its_runner_is(runner: str, told: list[str]) -> None:
    command = list(worker_command(runner, "site", 5, 3))
    assert [part for part in command if part in told] == told
    assert command[0] == ("my-worker" if runner.startswith("my") else sys.executable)


def test_a_producer_and_a_sweeper_are_modules_that_are_there(tmp_path: Path) -> None:
    for command in (producer_command("a.scenario", tmp_path, 1, 0.5), sweeper_command()):
        assert command[:2] == [sys.executable, "-m"]
        module = Path(*command[2].split(".")).with_suffix(".py")
        assert module.is_file()
    assert list(producer_command("a.scenario", tmp_path, 1, 0.5))[3:] == ["a.scenario", str(tmp_path), "1", "0.5"]


def test_a_program_that_is_not_here_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="The program no-such-server was not found"):
        program("no-such-server")
    (tmp_path / "some-server").touch()
    assert program("some-server", str(tmp_path)) == str(tmp_path / "some-server")


def test_a_ledger_is_written_down_and_says_when_all_was_booked(tmp_path: Path) -> None:
    ledger = Ledger(0)
    ledger.bookings += [
        Booking("mail", "k1", "a", 1.0),
        Booking("hook", "k2", "a", 3.0),
        Booking("mail", "k3", "a", 9.0),
        Booking("mail", "k4", "b", 2.0),
    ]
    ledger.write(tmp_path / "ledger")
    assert (tmp_path / "ledger").read_text().splitlines() == [
        "1.000 mail k1 a",
        "3.000 hook k2 a",
        "9.000 mail k3 a",
        "2.000 mail k4 b",
    ]
    assert [booking.key for booking in ledger.of_kind("mail")] == ["k1", "k3", "k4"]
    # Of both kinds "a" alone was booked, and that at its later one; what came twice counts from its first time.
    assert ledger.first_times(["mail", "hook"]) == {"a": 3.0}
    assert ledger.first_times(["mail"]) == {"a": 1.0, "b": 2.0}
    assert ledger.first_times(["none"]) == {}
