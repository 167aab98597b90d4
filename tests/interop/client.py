"""A client of the bank that uses the SDK as its documentation shows.

    client.py SCENARIO SERVER BANK BOOKS

Prints the gid first. Exits with 0 when the SDK says that all went well, with 10 when it says that the
transaction was refused, and with 9 when the client was to die in the middle.
"""

import os
import sys

from dtmcli import msg, saga, tcc, utils

import books

SCENARIO, SERVER, BANK, BOOKS = sys.argv[1:]
DTM = SERVER + "/api/dtmsvr"
REFUSED, DEAD = 10, 9

THIRTY = {"amount": 30}
WITHDRAW, DEPOSIT = BANK + "/A/withdraw", BANK + "/B/deposit"
# There is no account C.
NOWHERE = BANK + "/C/deposit"


class ConnectionLost(Exception):
    """What a client of a database meets now and then."""


def transfer(gid, deposit, is_awaited=False):
    transaction = saga.Saga(DTM, gid)
    transaction.trans_base.wait_result = is_awaited
    transaction.add(THIRTY, WITHDRAW, WITHDRAW).add(THIRTY, deposit, deposit).submit()


def saga_succeeds(gid):
    transfer(gid, DEPOSIT)


def saga_refused(gid):
    transfer(gid, NOWHERE)


def saga_awaited(gid):
    transfer(gid, DEPOSIT, is_awaited=True)


def saga_awaited_and_refused(gid):
    transfer(gid, NOWHERE, is_awaited=True)


def tried(gid, deposit):
    def tries(transaction):
        for url in (WITHDRAW, deposit):
            transaction.call_branch(THIRTY, url, url, url)

    if tcc.tcc_global_transaction(DTM, gid, tries) != gid:
        raise utils.DTMFailureError("aborted")


def tcc_confirmed(gid):
    tried(gid, DEPOSIT)


def tcc_refused(gid):
    tried(gid, NOWHERE)


def withdraw(cursor):
    books.change(cursor, "A", -30)


def withdraw_too_much(cursor):
    books.change(cursor, "A", -101)


def message(gid):
    found = msg.Msg(DTM, gid).add(THIRTY, DEPOSIT)
    # So that a test need not wait for long until the sender is asked.
    found.trans_base.timeout_to_fail = 1
    return found


def message_submitted(gid):
    message(gid).do_and_submit_db(BANK + "/prepared", books.cursor(BOOKS), withdraw)


def message_refused(gid):
    message(gid).do_and_submit_db(BANK + "/prepared", books.cursor(BOOKS), withdraw_too_much)


def message_unsure(gid):
    def work(barrier):
        barrier.call(books.cursor(BOOKS), withdraw)
        raise ConnectionLost

    try:
        message(gid).do_and_submit(BANK + "/prepared", work)
    except ConnectionLost:
        return
    raise AssertionError("the SDK hides what went wrong")


def message_dead_after_work(gid):
    def work(barrier):
        barrier.call(books.cursor(BOOKS), withdraw)
        os._exit(DEAD)

    message(gid).do_and_submit(BANK + "/prepared", work)


def message_dead_before_work(gid):
    message(gid).do_and_submit(BANK + "/prepared", lambda barrier: os._exit(DEAD))


if __name__ == "__main__":
    new_gid = utils.gen_gid(DTM)
    print(new_gid, flush=True)
    try:
        globals()[SCENARIO](new_gid)
    except utils.DTMFailureError:
        sys.exit(REFUSED)
