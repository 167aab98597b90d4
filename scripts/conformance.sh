#!/usr/bin/env bash
# Plays the conformance scenarios of the dtm protocol against one node, then against two in turn.
#
#     scripts/conformance.sh PATH/TO/conform.py
#
# All of them must hold.
set -euo pipefail
conform=$(realpath "$1")
cd "$(dirname "$0")/.."

cargo build --locked --quiet
tandem=${CARGO_TARGET_DIR:-target}/debug/tandem
scratch=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$scratch"' EXIT

# Waits for the file $1 to hold a line that matches $2, and prints the part that \(…\) marks.
await_line() {
    for _ in $(seq 300); do
        local found
        found=$(sed -n "s/.*$2.*/\1/p" "$1" | head -n 1)
        if [ -n "$found" ]; then
            echo "$found"
            return
        fi
        sleep 0.1
    done
    cat "$1" >&2
    echo "$1: no line like $2" >&2
    return 1
}

redis-server --port 0 --unixsocket "$scratch/redis.sock" --save '' --appendonly no \
    --dir "$scratch" >"$scratch/redis.log" &
await_line "$scratch/redis.log" '\(ready to accept\)' >/dev/null

# Starts node $1 and prints its URL.
start_node() {
    "$tandem" serve --redis-url "redis+unix://$scratch/redis.sock" \
        --http-addr 127.0.0.1:0 --grpc-addr 127.0.0.1:0 --log-format json 2>"$scratch/$1.log" &
}
url_of() {
    echo "http://$(await_line "$scratch/$1.log" '"http_addr":"\([^"]*\)"')"
}

# Plays all scenarios against the nodes $1 and judges them.
play() {
    echo "conformance against $1"
    python3 "$conform" --server "$1" --json "$scratch/record.json" >"$scratch/played" || true
    python3 - "$scratch/record.json" <<'PYTHON'
import json, sys
record = json.load(open(sys.argv[1]))
broken = {name: case["problems"] for name, case in record.items() if case["problems"]}
for name, problems in broken.items():
    print("FAIL", name, *problems, sep="\n     ")
print(f"{len(record) - len(broken)} scenarios hold, {len(broken)} do not")
sys.exit(1 if broken or not record else 0)
PYTHON
}

start_node one
play "$(url_of one)"
start_node two
play "$(url_of one),$(url_of two)"
