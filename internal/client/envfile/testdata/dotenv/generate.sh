#!/bin/sh
# Writes expected.json: what the real parsers read from each case of cases.json. It needs npm, Python and the network.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --silent --no-audit --no-fund --prefix "$work" dotenv@18.0.10 > /dev/null
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q python-dotenv==1.2.4
node "$here/node.cjs" "$work/node_modules/dotenv" "$here/cases.json" > "$work/node.json"
"$work/venv/bin/python" "$here/python.py" "$here/cases.json" > "$work/python.json"
(cd "$here/compose" && go run . "$here/cases.json") > "$work/compose.json"
"$work/venv/bin/python" - "$here/cases.json" "$work" > "$here/expected.json" << 'END'
import json, sys
cases = json.load(open(sys.argv[1]))
parts = {name: json.load(open(f"{sys.argv[2]}/{name}.json")) for name in ("node", "python", "compose")}
rows = [json.dumps({"text": text, **{name: parts[name][n] for name in parts}}) for n, text in enumerate(cases)]
print("[\n" + ",\n".join(rows) + "\n]")
END
