#!/usr/bin/env bash
# A row was deleted, and the server has not yet purged it: on a busy machine that takes seconds. Whoever then inserts its
# unique value anew locks the gaps around it until the end of his transaction, also where it only reads what is committed;
# everybody else's inserts into those gaps wait for him, whatever their values.
# Seen with MariaDB 10.11.19, mysqlclient 2.3.2 (compiled: Debian's libmariadb-dev, gcc, pkg-config). Needs a MariaDB,
# named by MYSQL_HOST (127.0.0.1) and MYSQL_USER (root, without a password); makes and drops a table in `test`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "mysqlclient==2.3.2"
cat > "$folder/look.py" <<'PYTHON'
import os

import MySQLdb


def connected(level="READ COMMITTED"):
    host, user = os.environ.get("MYSQL_HOST", "127.0.0.1"), os.environ.get("MYSQL_USER", "root")
    connection = MySQLdb.connect(host=host, user=user, db="test", autocommit=True)
    cursor = connection.cursor()
    cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
    cursor.execute("SET innodb_lock_wait_timeout = 2")
    return cursor


def others(kept, held, insert="INSERT INTO findings_seat (name) VALUES (%s)"):
    holder.execute("TRUNCATE findings_seat")
    if kept:  # a reader who still sees the row keeps the server from purging it
        reader.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        holder.execute(insert, ["chair"])
        holder.execute("DELETE FROM findings_seat")
    holder.execute("BEGIN")
    holder.execute(insert, [held])
    try:
        other.execute(insert, ["stool"])
        return "is stored"
    except MySQLdb.OperationalError as error:
        return f"waits, until error {error.args[0]}"
    finally:
        holder.execute("ROLLBACK")
        reader.execute("COMMIT")


holder, other, reader = connected(), connected(), connected("REPEATABLE READ")
holder.execute("CREATE OR REPLACE TABLE findings_seat (id int AUTO_INCREMENT PRIMARY KEY, name varchar(50) UNIQUE)")
print("beside a new value another", others(kept=False, held="chair"))
print("beside one that was deleted another", others(kept=True, held="chair"))
print("beside a new one, with a deleted one there, another", others(kept=True, held="bench"))
holder.execute("DROP TABLE findings_seat")
PYTHON
seen=$(cd "$folder" && venv/bin/python look.py)
expected='beside a new value another is stored
beside one that was deleted another waits, until error 1205
beside a new one, with a deleted one there, another is stored'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'This has changed. It was:\n%s\n' "$expected" >&2; exit 1; }
