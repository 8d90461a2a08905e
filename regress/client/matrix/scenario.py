# SPDX-License-Identifier: Apache-2.0
"""What the Python programs of the matrix share: the connection that the
environment names, and lines of TAP."""
import os
import sys
import threading
import time
import traceback

SERVER = os.environ["OX_KAFKA"]
PROTOCOL = os.environ["OX_PROTOCOL"]
MECHANISM = os.environ["OX_MECHANISM"]
USER = os.environ["OX_USER"]
PASSWORD = os.environ["OX_PASSWORD"]
CA = os.environ["OX_CA"]
CERT = os.environ.get("OX_CERT")
KEY = os.environ.get("OX_KEY")
NAME = os.environ["OX_NAME"]
EACH = 50  # records for each codec



def token():
    """The token that an identity provider would give."""
    with open(os.environ["OX_TOKEN"]) as file:
        return file.read()


count = 0
failed = 0
lock = threading.Lock()


def ok(good, what):
    """WHAT begins with the part's name and a colon."""
    global count, failed
    with lock:
        count += 1
        failed += not good
        print("%sok %d - %s" % ("" if good else "not ", count, what), flush=True)


def skip(part, why):
    ok(True, "%s: # SKIP %s" % (part, why))


def until(condition, seconds=40):
    deadline = time.time() + seconds
    while time.time() < deadline and not condition():
        time.sleep(0.02)
    return condition()


def part(name, run):
    """What a part throws fails that part alone."""
    try:
        run()
    except Exception as error:  # the matrix shows it
        traceback.print_exc()
        ok(False, "%s: %s" % (name, " ".join(repr(error).split())[:150]))


def end():
    print("1..%d" % count, flush=True)
    sys.stdout.flush()
    os._exit(1 if failed else 0)
