# SPDX-License-Identifier: Apache-2.0
"""What the Python programs of this folder say: TAP, line by line."""
_count = 0


def ok(what, name, note=""):
    global _count
    _count += 1
    print(f"{'ok' if what else 'not ok'} {_count} - {name}", flush=True)
    if not what and note != "":
        print(f"# got: {note!r}", flush=True)


def same(got, want, name):
    ok(got == want, name, got)


def end():
    print(f"1..{_count}", flush=True)
