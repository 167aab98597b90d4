"""The books of a small bank in SQLite, with the table that the SDK's barrier needs beside them."""

import contextlib
import sqlite3

from dtmcli import utils

SCHEMA = """
create table if not exists dtm_barrier.barrier (
    trans_type text, gid text, branch_id text, op text, barrier_id text, reason text,
    unique (gid, branch_id, op, barrier_id)
);
create table if not exists dtm_barrier.account (
    name text primary key, balance integer, held integer default 0
);
insert or ignore into dtm_barrier.account (name, balance) values ('A', 100), ('B', 50);
"""


class Cursor(sqlite3.Cursor):
    """A cursor that understands the SDK's statements, which are in MySQL's dialect.

    As with the drivers of MySQL, `execute` answers how many rows it changed.
    """

    def execute(self, statement, parameters=()):
        statement = statement.replace("insert ignore into", "insert or ignore into")
        # Text is quoted by either mark in MySQL, and by the single one in SQLite.
        super().execute(statement.replace('"', "'"), parameters)
        return self.rowcount


def cursor(path):
    """Opens the books; all in one file, so that a local transaction covers barrier and accounts."""
    connection = sqlite3.connect(":memory:", timeout=10, isolation_level="IMMEDIATE")
    # The SDK's statements name the barrier's database.
    connection.execute("attach ? as dtm_barrier", (path,))
    return connection.cursor(Cursor)


@contextlib.contextmanager
def opened(path):
    """A cursor whose connection is closed at the end; the SDK's own AutoCursor closes in an order that
    SQLite refuses."""
    found = cursor(path)
    with contextlib.closing(found.connection):
        yield found


def create(path):
    """Creates the books where there are none."""
    with opened(path) as found:
        found.executescript(SCHEMA)


def change(found, account, balance, held=0):
    """Adds to an account; refuses where there is none, or not enough on it."""
    is_changed = found.execute(
        "update dtm_barrier.account set balance = balance + :balance, held = held + :held "
        "where name = :account and balance + :balance >= 0 and held + :held >= 0",
        {"account": account, "balance": balance, "held": held},
    )
    if not is_changed:
        raise utils.DTMFailureError(f"account {account} cannot take {balance}")


def apply(found, op, account, amount):
    """Does what an op means for a deposit, or for a withdrawal if the amount is negative.

    What is tried is held: a withdrawal leaves the balance, a deposit has not come yet.
    """
    withdrawn = min(amount, 0)
    if op == "action":
        change(found, account, amount)
    elif op == "compensate":
        change(found, account, -amount)
    elif op == "try":
        change(found, account, withdrawn, held=-withdrawn)
    elif op == "confirm":
        change(found, account, max(amount, 0), held=withdrawn)
    elif op == "cancel":
        change(found, account, -withdrawn, held=withdrawn)
    else:
        raise ValueError(f"unknown op {op}")


def accounts(path):
    """Balance and held amount of each account."""
    with opened(path) as found:
        found.execute("select name, balance, held from dtm_barrier.account order by name")
        return {name: [balance, held] for name, balance, held in found.fetchall()}
