"""A process that forks once it has begun, as ``gunicorn --preload`` and uWSGI do: its children tell workers, too.

What else a child needs, that it follows the rules, is in ``test_guarantees``.
"""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path

import pytest

from project.clinic.models import Doctor
from rules_engine.testing import create_rule
from rules_engine.work.troubles import noticing
from tests import services
from tests.faults.processes import python, said

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "x"})]


def test_a_process_that_forks_while_it_tells_workers_has_children_that_do(
    process_environment: dict[str, str], tmp_path: Path
) -> None:
    # As gunicorn --preload forks: what the parent's thread was importing, no child could import any more.
    (tmp_path / "slow_transport.py").write_text("import time\ntime.sleep(1)\nfrom project.broker import Transport\n")
    code = """
    from kombu.transport import TRANSPORT_ALIASES
    TRANSPORT_ALIASES["filesystem"] = "slow_transport:Transport"
    doctor("parent")
    connection.close()
    while "slow_transport" not in sys.modules:
        time.sleep(0.01)
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        doctor("child")
        hints.flush(10)
        say(left=sorted(hints._publisher.queues | hints._publisher.publishing))
        os._exit(0)
    os.waitpid(child, 0)
    """
    create_rule(model=Doctor, actions=LOG)
    environment = {
        **process_environment,
        "CELERY_BROKER_URL": "filesystem://localhost",
        "DEMO_VAR": str(tmp_path),
        "PYTHONPATH": f"{tmp_path}:{process_environment.get('PYTHONPATH', '')}",
    }
    assert said(python(code, environment, first="import sys\n")) == [{"left": []}]


@pytest.mark.rabbitmq
def test_a_forked_child_tells_workers_over_a_connection_of_its_own(process_environment: dict[str, str]) -> None:
    code = """
    from celery import current_app
    def port():
        with current_app.pool.acquire() as held:
            return held.default_channel.connection.sock.getsockname()[1]
    hints.notify("fork")
    hints.flush(10)
    connection.close()
    say(port=port())
    child = os.fork()
    if child == 0:
        hints.notify("fork")
        hints.flush(10)
        say(port=port())
        os._exit(0)
    os.waitpid(child, 0)
    say(port=port())
    with current_app.pool.acquire() as held:
        held.default_channel.queue_delete("fork")
        held.default_channel.exchange_delete("fork")
    """
    parent, child, later = said(python(code, {**process_environment, "CELERY_BROKER_URL": services.amqp_url() or ""}))
    assert parent == later != child


def test_a_process_that_forks_with_an_open_connection_says_so_once(process_environment: dict[str, str]) -> None:
    code = """
    def forked():
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
    doctor("parent")
    forked()
    forked()
    connection.close()
    say(ended=True)
    """
    process = python(code, process_environment)
    out, err = process.communicate(timeout=60)
    assert "ended" in out
    assert err.count("forks with open connections to databases (default)") == 1


def test_a_forked_child_notices_trouble_as_its_parent_did() -> None:
    forked = multiprocessing.get_context("fork").Process(
        target=lambda: sys.exit(0 if noticing._sweeps.has_come() else 1)
    )
    with noticing._sweeps._lock:
        forked.start()
        forked.join(30)
    is_stuck = forked.is_alive()
    forked.kill()
    forked.join()
    assert not is_stuck, "it waits for a lock that nobody lets go of"
    assert forked.exitcode == 0
