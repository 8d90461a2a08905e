# SPDX-License-Identifier: Apache-2.0
# psycopg2 as programs use it: execute, types, named cursors, copy, errors,
# notices, cancelling. Prints TAP.
import datetime
import decimal
import io
import threading
import time
import uuid

import psycopg2
import psycopg2.extras

from tap import end, ok, same

conn = psycopg2.connect("")
conn.autocommit = True
cur = conn.cursor()
ok(conn.server_version >= 150000, "the server's version is a number", conn.server_version)
same(conn.encoding, "UTF8", "the encoding")

cur.execute("CREATE TOPIC py2 PARTITIONS 1")
same(cur.statusmessage, "CREATE TOPIC", "CREATE TOPIC")
cur.execute("INSERT INTO py2 (_key, _value) VALUES (%s, %s), (%s, %s) RETURNING _offset, _key",
            ("k'1", "ä ☃", "k2", None))
same(cur.fetchall(), [(0, "k'1"), (1, "k2")], "INSERT RETURNING")
same(cur.statusmessage, "INSERT 0 2", "the tag of INSERT")
same(cur.rowcount, 2, "rowcount")
cur.executemany("INSERT INTO py2 (_key, _value) VALUES (%s, %s)", [(f"m{i}", str(i)) for i in range(5)])
psycopg2.extras.execute_values(cur, "INSERT INTO py2 (_key, _value) VALUES %s", [("v1", "1"), ("v2", "2")])
cur.execute("SELECT _offset, _key, _value FROM py2 ORDER BY _offset LIMIT 2")
same(cur.fetchall(), [(0, "k'1", "ä ☃"), (1, "k2", None)], "SELECT")
same([d.name for d in cur.description], ["_offset", "_key", "_value"], "names of columns")
same([d.type_code for d in cur.description], [20, 25, 25], "types of columns")

cur.execute("SELECT 1::int2, 2::int8, 1.50::numeric, 2.5::float8, true, 'x'::text, '\\x00ff'::bytea, "
            "date '2024-02-29', timestamp '2024-02-29 1:2:3.5', timestamptz '2024-02-29 1:2:3+00', "
            "interval '1 day 2 hours', time '12:34:56', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, "
            "'{\"a\": [1]}'::jsonb, ARRAY[1, NULL, 3], ARRAY['a', 'b,c']")
row = list(cur.fetchone())
row[6] = bytes(row[6])
utc = datetime.timezone.utc
same(row, [1, 2, decimal.Decimal("1.50"), 2.5, True, "x", b"\x00\xff", datetime.date(2024, 2, 29),
           datetime.datetime(2024, 2, 29, 1, 2, 3, 500000), datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=utc),
           datetime.timedelta(days=1, hours=2), datetime.time(12, 34, 56),
           "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", {"a": [1]}, [1, None, 3], ["a", "b,c"]],
     "types arrive as Python's")
psycopg2.extras.register_uuid()
cur.execute("SELECT %s, %s, %s, %s, %s", (uuid.UUID(int=5), datetime.date(2024, 1, 1), [1, 2],
                                          decimal.Decimal("1.1"), psycopg2.extras.Json({"k": 1})))
ok(cur.fetchone()[2] == [1, 2], "parameters of many types")

# Named cursors
conn.autocommit = False
with conn.cursor(name="a cursor") as named:
    named.itersize = 3
    named.execute("SELECT _offset FROM py2 ORDER BY _offset")
    same([r[0] for r in named], list(range(9)), "a named cursor iterates in steps")
conn.commit()
with conn.cursor(name="live") as named:
    named.execute("SUBSCRIBE py2 (_offset) FROM OFFSET 6 UNTIL LATEST")
    same([r[0] for r in named], [6, 7, 8], "a named cursor over SUBSCRIBE ends with it")
conn.commit()
with conn.cursor(name="live2") as named:
    named.execute("SUBSCRIBE py2 (_value) FROM LATEST")
    other = psycopg2.connect("")
    other.autocommit = True

    def later():
        time.sleep(0.3)
        other.cursor().execute("INSERT INTO py2 (_value) VALUES ('late')")

    thread = threading.Thread(target=later)
    thread.start()
    start = time.time()
    same(named.fetchmany(10), [("late",)], "FETCH waits for a row that comes later")
    ok(time.time() - start < 3, "and returns at once when it is there", time.time() - start)
    thread.join()
conn.rollback()

# COPY
conn.autocommit = True
cur.copy_expert("COPY py2 (_key, _value) FROM STDIN (FORMAT csv)", io.StringIO("c1,one\nc2,\"two, 2\"\n"))
same(cur.rowcount, 2, "copy_expert in")
cur.copy_from(io.StringIO("t1\tx\nt2\t\\N\n"), "py2", columns=("_key", "_value"))
out = io.StringIO()
cur.copy_expert("COPY (SELECT _key, _value FROM py2 WHERE _offset > 9 ORDER BY _offset) TO STDOUT", out)
same(out.getvalue(), "c1\tone\nc2\ttwo, 2\nt1\tx\nt2\t\\N\n", "copy_expert out")
big = io.StringIO("".join(f"k{i}\t{'v' * 100}\n" for i in range(20000)))
cur.copy_expert("COPY py2 (_key, _value) FROM STDIN", big)
same(cur.rowcount, 20000, "20,000 rows in")
out = io.StringIO()
cur.copy_expert("COPY (SUBSCRIBE py2 (_value) FROM OFFSET 14 UNTIL LATEST) TO STDOUT", out)
same(len(out.getvalue()), 20000 * 101, "and out of a SUBSCRIBE")


class Broken(io.StringIO):
    def read(self, size=-1):
        raise RuntimeError("the reader broke")


try:
    cur.copy_expert("COPY py2 (_value) FROM STDIN", Broken())
    ok(False, "CopyFail")
except psycopg2.Error as error:
    ok(error.pgcode == "57014", "CopyFail is 57014", error.pgcode)
except RuntimeError:
    ok(True, "CopyFail")
cur.execute("SELECT 1")
same(cur.fetchone(), (1,), "the connection goes on")

# Errors
for text, code, kind in (("SELECT * FROM nothing", "42P01", psycopg2.errors.UndefinedTable),
                         ("SELEC", "42601", psycopg2.errors.SyntaxError),
                         ("SELECT 1/0", "22012", psycopg2.errors.DivisionByZero),
                         ("SELECT 'x'::int", "22P02", psycopg2.errors.InvalidTextRepresentation)):
    try:
        cur.execute(text)
        ok(False, text)
    except kind as error:
        same(error.pgcode, code, f"{text}: {code}")
conn.autocommit = False
try:
    cur.execute("SELECT 1/0")
except psycopg2.Error:
    pass
try:
    cur.execute("SELECT 1")
    ok(False, "a failed transaction refuses")
except psycopg2.errors.InFailedSqlTransaction:
    ok(True, "a failed transaction refuses")
conn.rollback()
conn.set_session(readonly=True)
try:
    cur.execute("INSERT INTO py2 (_value) VALUES ('x')")
    ok(False, "read only")
except psycopg2.errors.ReadOnlySqlTransaction:
    ok(True, "a read-only session refuses INSERT")
conn.rollback()
conn.set_session(readonly=False, autocommit=True)
cur.execute("DROP TOPIC IF EXISTS nothing_here")
ok(any("does not exist" in n for n in conn.notices), "notices arrive", conn.notices)


def cancel_later():
    time.sleep(0.3)
    conn.cancel()


thread = threading.Thread(target=cancel_later)
thread.start()
start = time.time()
try:
    cur.execute("SUBSCRIBE py2 FROM LATEST")
    ok(False, "cancel")
except psycopg2.errors.QueryCanceled:
    ok(time.time() - start < 2, "cancel() ends a waiting SUBSCRIBE", time.time() - start)
thread.join()
lines = "".join(f"k{i}\t{'v' * 1000}{i}\n" for i in range(12000))
cur.copy_expert("COPY py2 (_key, _value) FROM STDIN", io.StringIO(lines), size=64 * 1024 * 1024)
cur.execute("SELECT count(*), count(DISTINCT _key), min(length(_value)), max(length(_value)) FROM py2 WHERE _key ~ '^k[0-9]+$' AND length(_value) > 1000")
same(cur.fetchone(), (12000, 12000, 1001, 1005), "COPY of 12 MB in one message")
try:
    cur.copy_expert("COPY py2 FROM STDIN (FORMAT raw)", io.StringIO("x" * 9000000), size=64 * 1024 * 1024)
    ok(False, "a line longer than a message may be")
except psycopg2.Error as error:
    ok("max.message.bytes" in str(error), "a line longer than a message may be", str(error))
cur.execute("DROP TOPIC py2")
conn.close()
end()
