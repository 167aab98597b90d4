"""A bank that is called over HTTP and guards its books with the SDK's barrier.

    bank.py BOOKS

It prints the address where it listens, and ends with its standard input.

    POST /A/withdraw, /B/deposit     {"amount": 30}; the op is the one that the query tells
    GET  /prepared                   whether the local work of a message was done
    GET  /calls?gid=, /accounts      for tests: what it was called for, in order; what it has
"""

import json
import os
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from dtmcli import utils
from dtmcli.barrier import BranchBarrier

import books

BOOKS = sys.argv[1]

# Gid, and the call in one phrase.
calls = []


def barrier(query):
    return BranchBarrier(query["trans_type"], query["gid"], query["branch_id"], query["op"])


def prepared(query):
    with books.opened(BOOKS) as cursor:
        barrier(query).query_prepared(cursor)


def move(account, direction, query, body):
    amount = json.loads(body)["amount"]
    amount = {"deposit": amount, "withdraw": -amount}[direction]
    with books.opened(BOOKS) as cursor:
        barrier(query).call(cursor, lambda it: books.apply(it, query["op"], account, amount))


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def answer(self, body):
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        if url.path == "/calls":
            return self.reply(200, [what for gid, what in calls if gid == query["gid"]])
        if url.path == "/accounts":
            return self.reply(200, books.accounts(BOOKS))
        try:
            if url.path == "/prepared":
                prepared(query)
            else:
                move(*url.path.strip("/").split("/"), query, body)
            status, result = 200, "SUCCESS"
        except utils.DTMFailureError:
            status, result = 409, "FAILURE"
        except Exception:
            traceback.print_exc()
            status, result = 500, "the bank is out of order"
        branch = f"{query.get('branch_id')} {query.get('op')}"
        calls.append((query.get("gid"), f"{branch} {url.path} {status}"))
        return self.reply(status, {"dtm_result": result})

    def reply(self, status, value):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def end_with_input():
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    books.create(BOOKS)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=end_with_input, daemon=True).start()
    print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
    # The SDK prints each statement; what it says belongs to the log.
    sys.stdout = sys.stderr
    server.serve_forever()
