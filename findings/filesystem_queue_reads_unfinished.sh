#!/usr/bin/env bash
# Kombu's filesystem transport writes a message into a file that readers find by name at once, and readers do not ask for
# the lock that the writer holds: they take the unfinished file away, and get() raises a JSONDecodeError.
# Seen with kombu 5.7.0 on Linux: most of 40 messages of 4 MB were lost in this way.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "kombu==5.7.0"
cat > "$folder/look.py" <<'PYTHON'
import json
import os
import threading
import time

from kombu import Connection

MESSAGES, TEXT = 40, "x" * 4_000_000
FOLDERS = {"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}
for folder in ("queue", "control"):
    os.mkdir(folder)


def write():
    with Connection("filesystem://", transport_options=FOLDERS) as connection, connection.SimpleQueue("q") as queue:
        for _ in range(MESSAGES):
            queue.put({"text": TEXT})


writer, read, unfinished = threading.Thread(target=write), 0, 0
with Connection("filesystem://", transport_options=FOLDERS) as connection, connection.SimpleQueue("q") as queue:
    writer.start()
    while writer.is_alive() or os.listdir("queue"):
        try:
            queue.get_nowait().ack()
            read += 1
        except queue.Empty:
            time.sleep(0.0005)
        except json.JSONDecodeError:
            unfinished += 1
print("some were taken unfinished:", unfinished > 0, "| all are accounted for:", read + unfinished == MESSAGES)
PYTHON
seen=$(cd "$folder" && venv/bin/python look.py)
expected='some were taken unfinished: True | all are accounted for: True'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'This has changed. It was:\n%s\n' "$expected" >&2; exit 1; }
