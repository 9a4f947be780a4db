#!/usr/bin/env bash
# datalogic-py takes texts such as "1h" and "60m" for spans of time, wherever they come from, also where they are sizes or
# codes: they are equal by ==, by === and to `in`, and ordered as times. JSONLogic itself compares them as texts. What
# has anything before it is a text: {"cat": ["=", …]} on both sides.
# Seen with datalogic-py 5.9.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "datalogic-py==5.9.0"
cat > "$folder/look.py" <<'PYTHON'
import json

from datalogic_py import Engine

ORDER = {"size": "60m"}
SIZE = {"var": "size"}
ASKED = (
    {"==": [SIZE, "1h"]},
    {"===": [SIZE, "1h"]},
    {"in": [SIZE, ["1h", "2h"]]},
    {">": [SIZE, "7s"]},
    {"===": [{"cat": ["=", SIZE]}, "=1h"]},
)
for logic in ASKED:
    print(json.dumps(logic), Engine().eval_str(json.dumps(logic), json.dumps(ORDER)))
PYTHON
seen=$(cd "$folder" && venv/bin/python look.py)
expected='{"==": [{"var": "size"}, "1h"]} true
{"===": [{"var": "size"}, "1h"]} true
{"in": [{"var": "size"}, ["1h", "2h"]]} true
{">": [{"var": "size"}, "7s"]} true
{"===": [{"cat": ["=", {"var": "size"}]}, "=1h"]} false'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'This has changed. It was:\n%s\n' "$expected" >&2; exit 1; }
