# SPDX-License-Identifier: Apache-2.0
# psycopg 3: the extended protocol, binary results, stream(), copy(), server
# cursors, pipelines. Prints TAP.
import datetime
import decimal
import threading
import time
import uuid

import psycopg

from tap import end, ok, same

conn = psycopg.connect("", autocommit=True)
cur = conn.cursor()
cur.execute("CREATE TOPIC py3 PARTITIONS 1")
cur.execute("INSERT INTO py3 (_key, _value) VALUES (%s, %s), (%s, %s) RETURNING _offset, _key",
            ("k'1", "ä ☃", "k2", None))
same(cur.fetchall(), [(0, "k'1"), (1, "k2")], "INSERT RETURNING")
same(cur.statusmessage, "INSERT 0 2", "the tag of INSERT")
cur.executemany("INSERT INTO py3 (_key, _value) VALUES (%s, %s)", [(f"m{i}", str(i)) for i in range(5)])
same(cur.rowcount, 5, "executemany (pipelined)")

types = ("SELECT 1::int2, 2::int8, 3::int4, 1.50::numeric, 2.5::float8, 0.5::float4, true, 'x'::text, '\\x00ff'::bytea, "
         "date '2024-02-29', timestamp '2024-02-29 1:2:3.5', timestamptz '2024-02-29 1:2:3+00', "
         "interval '1 day 2 hours', time '12:34:56', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, "
         "'{\"a\": [1]}'::jsonb, ARRAY[1, NULL, 3], ARRAY['a', 'b,c'], NULL::int")
utc = datetime.timezone.utc
want = (1, 2, 3, decimal.Decimal("1.50"), 2.5, 0.5, True, "x", b"\x00\xff", datetime.date(2024, 2, 29),
        datetime.datetime(2024, 2, 29, 1, 2, 3, 500000), datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=utc),
        datetime.timedelta(days=1, hours=2), datetime.time(12, 34, 56),
        uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), {"a": [1]}, [1, None, 3], ["a", "b,c"], None)
same(conn.execute(types).fetchone(), want, "types as text")
same(conn.cursor(binary=True).execute(types).fetchone(), want, "types as binary")
for binary, name in ((False, "text"), (True, "binary")):
    mark = "%b" if binary else "%t"
    values = (5, decimal.Decimal("-1.25"), 2.5, True, b"\x01", datetime.date(2024, 1, 1),
              datetime.datetime(2024, 1, 1, tzinfo=utc), uuid.UUID(int=7), [1, 2], "s")
    names = ("int8", "numeric", "float8", "bool", "bytea", "date", "timestamptz", "uuid", "int4[]", "text")
    got = conn.execute("SELECT " + ", ".join(f"{mark}::{n}" for n in names), values).fetchone()
    same(got, values, f"parameters as {name}")

same([r[0] for r in cur.stream("SELECT _offset FROM py3 ORDER BY _offset")], list(range(7)), "stream()")
got = []
start = time.time()
for row in cur.stream("SUBSCRIBE py3 (_offset) FROM OFFSET 4"):
    got.append(row[0])
    if row[0] == 6:
        break
same(got, [4, 5, 6], "stream() of an endless SUBSCRIBE, left early")
cur.execute("SELECT 1")
same(cur.fetchone(), (1,), "the connection goes on")
ok(time.time() - start < 3, "at once", time.time() - start)

for i in range(8):
    cur.execute("SELECT %s::int + 1", (i,), prepare=True)
same(cur.fetchone(), (8,), "prepared statements")
with conn.transaction():
    with conn.cursor(name="server") as named:
        named.execute("SELECT _offset FROM py3 WHERE _offset < %s ORDER BY _offset", (5,))
        same(named.fetchmany(2), [(0,), (1,)], "a server cursor")
        same([r[0] for r in named], [2, 3, 4], "goes on")
with conn.transaction():
    with conn.cursor(name="live", binary=True) as named:
        named.execute("SUBSCRIBE py3 (_offset) FROM OFFSET 5")
        same(named.fetchmany(10), [(5,), (6,)], "a server cursor over SUBSCRIBE")

with cur.copy("COPY py3 (_key, _value) FROM STDIN") as copy:
    copy.write_row(("c1", "tab\there"))
    copy.write_row((None, "x"))
same(cur.rowcount, 2, "copy in")
with cur.copy("COPY py3 (_key, _value) FROM STDIN (FORMAT binary)") as copy:
    copy.set_types(("text", "text"))
    copy.write_row(("b1", "binary"))
    copy.write_row(("b2", None))
same(cur.rowcount, 2, "binary copy in")
with cur.copy("COPY (SELECT _key, _value FROM py3 WHERE _offset > 6 ORDER BY _offset) TO STDOUT") as copy:
    same(list(copy.rows()), [("c1", "tab\there"), (None, "x"), ("b1", "binary"), ("b2", None)], "copy out")
with cur.copy("COPY (SELECT _offset, _key, 1.5::numeric FROM py3 WHERE _offset > 8 ORDER BY _offset) TO STDOUT (FORMAT binary)") as copy:
    copy.set_types(("int8", "text", "numeric"))
    same(list(copy.rows()), [(9, "b1", decimal.Decimal("1.5")), (10, "b2", decimal.Decimal("1.5"))],
         "binary copy out")
with cur.copy("COPY (SUBSCRIBE py3 (_offset) FROM OFFSET 9 UNTIL LATEST) TO STDOUT") as copy:
    same(b"".join(bytes(b) for b in copy), b"9\n10\n", "copy of a SUBSCRIBE")
try:
    with cur.copy("COPY py3 (_key, _value) FROM STDIN") as copy:
        copy.write("only one\n")
    ok(False, "an error in COPY")
except psycopg.errors.BadCopyFileFormat:
    ok(True, "an error in COPY is 22P04")
try:
    with cur.copy("COPY py3 (_value) FROM STDIN") as copy:
        copy.write("x\n")
        raise ZeroDivisionError
except (ZeroDivisionError, psycopg.errors.QueryCanceled):
    ok(conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE, "a COPY given up in the middle")

try:
    with conn.pipeline():
        a = conn.execute("SELECT 1")
        b = conn.execute("SELECT 1/0")
        c = conn.execute("SELECT 3")
    ok(False, "a pipeline with an error")
except psycopg.errors.DivisionByZero:
    ok(True, "a pipeline with an error")
with conn.pipeline():
    a = conn.execute("SELECT %s::int", (1,))
    b = conn.execute("INSERT INTO py3 (_value) VALUES ('p') RETURNING _value")
same((a.fetchone(), b.fetchone()), ((1,), ("p",)), "a pipeline")
try:
    conn.execute("SELECT $1::int", ("x",))
except psycopg.Error:
    pass
try:
    conn.execute("SELECT * FROM nothing WHERE x = %s", (1,))
    ok(False, "an unknown relation")
except psycopg.errors.UndefinedTable as error:
    same(error.diag.statement_position, "15", "an error with its position")


def cancel_later():
    time.sleep(0.3)
    conn.cancel()


thread = threading.Thread(target=cancel_later)
thread.start()
start = time.time()
try:
    conn.execute("SUBSCRIBE py3 FROM LATEST")
    ok(False, "cancel")
except psycopg.errors.QueryCanceled:
    ok(time.time() - start < 2, "cancel() ends a waiting SUBSCRIBE", time.time() - start)
thread.join()
conn.execute("DROP TOPIC py3")
conn.close()
end()
