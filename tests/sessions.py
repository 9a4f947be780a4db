"""What a test asks of its connection's session, in the words of the database that it is on."""

from __future__ import annotations

from typing import Any

from django.db import connection

NUMBER = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}
END = {"postgresql": "SELECT pg_terminate_backend(%s)", "mysql": "KILL %s"}
LOCK_WAIT = {"postgresql": "SET LOCAL lock_timeout = '1s'", "mysql": "SET SESSION innodb_lock_wait_timeout = 1"}
WAITING = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    "mysql": "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' "
    "AND trx_mysql_thread_id IN (SELECT id FROM information_schema.processlist WHERE db = DATABASE())",
}
REPEATABLE_READ = {
    "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "mysql": "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
}


def run(statements: dict[str, str], *parameters: Any) -> Any:
    """Run the one of the database's kind; return the first value that it answers, if any."""
    with connection.cursor() as cursor:
        cursor.execute(statements[connection.vendor], parameters)
        return cursor.fetchone()[0] if cursor.description else None


def number() -> int:
    """The server's number of this session."""
    return int(run(NUMBER))


def end(session: int) -> None:
    """Have the server end a session, whoever's."""
    run(END, session)


def end_those_that_wait() -> None:
    """Have the server end the sessions in this database that wait for a lock."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING[connection.vendor])
        waiting = [session for (session,) in cursor.fetchall()]
    for session in waiting:
        end(session)


def wait_for_no_lock() -> None:
    """Have whoever waits for a lock in this transaction fail after a second, not wait for ever."""
    run(LOCK_WAIT)


def read_repeatably() -> None:
    """Have this session's transactions see their beginning to their end."""
    run(REPEATABLE_READ)
