# SPDX-License-Identifier: Apache-2.0
# asyncpg: always binary, named portals, prefetching cursors, COPY. Prints TAP.
import asyncio
import datetime
import decimal
import io
import time
import uuid

import asyncpg

from tap import end, ok, same

async def main():
    conn = await asyncpg.connect(timeout=10, ssl=False)
    ok(conn.get_server_version().major >= 15, "the server's version")
    same(await conn.execute("CREATE TOPIC apg PARTITIONS 1"), "CREATE TOPIC", "CREATE TOPIC")
    rows = await conn.fetch("INSERT INTO apg (_key, _value) VALUES ($1, $2), ($3, $4) RETURNING _offset, _key",
                            "k1", "ä", "k2", None)
    same([tuple(r) for r in rows], [(0, "k1"), (1, "k2")], "INSERT RETURNING")
    await conn.executemany("INSERT INTO apg (_key, _value) VALUES ($1, $2)",
                           [(f"m{i}", str(i)) for i in range(8)])
    same(await conn.fetchval("SELECT count(*) FROM apg"), 10, "executemany and fetchval")
    utc = datetime.timezone.utc
    row = await conn.fetchrow(
        "SELECT 1::int2, 2::int8, 1.50::numeric, 2.5::float8, true, 'x'::text, '\\x00ff'::bytea, date '2024-02-29',"
        "timestamp '2024-02-29 1:2:3.5', timestamptz '2024-02-29 1:2:3+00', interval '1 day 2 hours',"
        "time '12:34:56', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '{\"a\": [1]}'::jsonb,"
        "ARRAY[1, NULL, 3], ARRAY['a', 'b,c'], NULL::int, 0.5::float4, 'n'::name, 5::oid")
    same(tuple(row), (1, 2, decimal.Decimal("1.50"), 2.5, True, "x", b"\x00\xff", datetime.date(2024, 2, 29),
                      datetime.datetime(2024, 2, 29, 1, 2, 3, 500000),
                      datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=utc), datetime.timedelta(days=1, hours=2),
                      datetime.time(12, 34, 56), uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
                      '{"a": [1]}', [1, None, 3], ["a", "b,c"], None, 0.5, "n", 5), "types")
    values = (5, decimal.Decimal("-1234.5678"), 2.5, False, b"\x01\x02", datetime.date(2024, 1, 1),
              datetime.datetime(2024, 1, 1, tzinfo=utc), uuid.UUID(int=7), [1, None], "s", '{"x": 1}',
              datetime.timedelta(days=3, seconds=1))
    names = ("int8", "numeric", "float8", "bool", "bytea", "date", "timestamptz", "uuid", "int4[]", "text", "jsonb",
             "interval")
    row = await conn.fetchrow("SELECT " + ", ".join(f"${i + 1}::{n}" for i, n in enumerate(names)), *values)
    same(tuple(row), values, "parameters")
    row = await conn.fetchrow("SELECT * FROM apg WHERE _key = $1 AND _offset >= $2 AND _offset = ANY ($3::int8[])",
                              "m3", 0, [5, 6])
    same((row["_offset"], row["_value"]), (5, "3"), "parameters in conditions")

    statement = await conn.prepare("SELECT _offset, _value FROM apg WHERE _offset > $1 ORDER BY 1")
    same([p.name for p in statement.get_parameters()], ["int8"], "types of parameters")
    same([a.name for a in statement.get_attributes()], ["_offset", "_value"], "columns before execution")
    same(len(await statement.fetch(6)), 3, "a prepared statement")

    async with conn.transaction():
        got = [r["_offset"] async for r in conn.cursor("SELECT _offset FROM apg ORDER BY 1", prefetch=3)]
        same(got, list(range(10)), "a cursor that prefetches")
        cursor = await conn.cursor("SELECT _offset FROM apg ORDER BY 1")
        same([r[0] for r in await cursor.fetch(4)], [0, 1, 2, 3], "cursor.fetch")
        await cursor.forward(2)
        same((await cursor.fetchrow())[0], 6, "cursor.forward")
    async with conn.transaction():
        got = []
        async for r in conn.cursor("SUBSCRIBE apg (_offset) FROM OFFSET 7", prefetch=1):
            got.append(r[0])
            if r[0] == 9:
                break
        same(got, [7, 8, 9], "a cursor over an endless SUBSCRIBE")
    async with conn.transaction():
        got = [r[0] async for r in conn.cursor("SUBSCRIBE apg (_offset) UNTIL LATEST", prefetch=4)]
        same(got, list(range(10)), "and over one with an end")

    result = await conn.copy_records_to_table("apg", records=[("c1", "x"), ("c2", None)], columns=["_key", "_value"])
    same(result, "COPY 2", "copy_records_to_table (binary)")
    result = await conn.copy_to_table("apg", source=io.BytesIO(b"d1,y\n"), columns=["_key", "_value"], format="csv")
    same(result, "COPY 1", "copy_to_table (csv)")
    out = io.BytesIO()
    result = await conn.copy_from_query("SELECT _key, _value FROM apg WHERE _offset > $1 ORDER BY _offset", 9, output=out)
    same((result, out.getvalue()), ("COPY 3", b"c1\tx\nc2\t\\N\nd1\ty\n"), "copy_from_query")
    out = io.BytesIO()
    await conn.copy_from_table("apg", columns=["_value"], output=out)
    same(len(out.getvalue().splitlines()), 13, "copy_from_table")

    for text, kind in (("SELECT * FROM nothing", asyncpg.UndefinedTableError),
                       ("SELEC", asyncpg.PostgresSyntaxError), ("SELECT 1/0", asyncpg.DivisionByZeroError)):
        try:
            await conn.fetch(text)
            ok(False, text)
        except kind:
            ok(True, f"{text}: {kind.__name__}")
    start = time.time()
    try:
        await conn.fetch("SUBSCRIBE apg FROM LATEST", timeout=0.3)
        ok(False, "a time-out")
    except asyncio.TimeoutError:
        ok(time.time() - start < 3, "a time-out cancels a waiting SUBSCRIBE")
    same(await conn.fetchval("SELECT 1"), 1, "the connection goes on")
    await conn.reset()
    ok(True, "reset()")
    await conn.close()

    pool = await asyncpg.create_pool(min_size=2, max_size=3, ssl=False)
    got = await asyncio.gather(*[pool.fetchval("SELECT $1::int * 2", i) for i in range(20)])
    same(got, [i * 2 for i in range(20)], "a pool")
    await pool.execute("DROP TOPIC apg")
    await pool.close()


asyncio.run(asyncio.wait_for(main(), 90))
end()
