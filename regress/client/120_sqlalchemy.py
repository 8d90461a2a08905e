# SPDX-License-Identifier: Apache-2.0
# SQLAlchemy over psycopg2 and psycopg 3: what it asks when it connects,
# reflection, expressions, streaming. Prints TAP.
import os

import sqlalchemy as sa

from tap import end, ok, same

def attempt(name, call):
    try:
        return call()
    except Exception as error:
        ok(False, name, str(error))
        return None


def run(driver):
    engine = sa.create_engine(f"postgresql+{driver}://oxbow@127.0.0.1:{os.environ['PGPORT']}/oxbow")
    topic = f"alchemy_{driver}"
    with engine.connect() as conn:
        same(conn.scalar(sa.text("SELECT 1")), 1, f"{driver}: connects")
        conn.execute(sa.text(f"CREATE TOPIC {topic} PARTITIONS 1"))
        conn.execute(sa.text(f"COMMENT ON TOPIC {topic} IS 'a ledger'"))
        conn.commit()
    inspector = sa.inspect(engine)
    same(inspector.default_schema_name, "public", "the default schema")
    ok(topic in (attempt("get_table_names", inspector.get_table_names) or []), "get_table_names")
    ok("public" in (attempt("get_schema_names", inspector.get_schema_names) or []), "get_schema_names")
    ok("topics" in (attempt("get_view_names", lambda: inspector.get_view_names("oxbow")) or []), "get_view_names")
    columns = attempt("get_columns", lambda: inspector.get_columns(topic)) or []
    same([(c["name"], str(c["type"])) for c in columns],
         [("_partition", "INTEGER"), ("_offset", "BIGINT"), ("_timestamp", "TIMESTAMP"), ("_key", "TEXT"),
          ("_value", "TEXT"), ("_headers", "JSONB")], "get_columns")
    same(attempt("get_pk_constraint", lambda: inspector.get_pk_constraint(topic)["constrained_columns"]), [], "get_pk_constraint")
    same(attempt("get_foreign_keys", lambda: inspector.get_foreign_keys(topic)), [], "get_foreign_keys")
    same(attempt("get_indexes", lambda: inspector.get_indexes(topic)), [], "get_indexes")
    same(attempt("get_unique_constraints", lambda: inspector.get_unique_constraints(topic)), [], "get_unique_constraints")
    same(attempt("get_check_constraints", lambda: inspector.get_check_constraints(topic)), [], "get_check_constraints")
    same(attempt("get_table_comment", lambda: inspector.get_table_comment(topic)), {"text": "a ledger"}, "get_table_comment")
    same(attempt("has_table", lambda: (inspector.has_table(topic), inspector.has_table("nothing"))), (True, False), "has_table")
    same(attempt("get_sequence_names", inspector.get_sequence_names), [], "get_sequence_names")
    same(attempt("get_enums", inspector.get_enums), [], "get_enums")
    same(attempt("get_domains", inspector.get_domains), [], "get_domains")
    ok(attempt("get_view_definition", lambda: inspector.get_view_definition("topics", "oxbow")) is not None, "get_view_definition")
    meta = sa.MetaData()
    table = attempt("reflection", lambda: sa.Table(topic, meta, autoload_with=engine))
    attempt("metadata.reflect", lambda: sa.MetaData().reflect(bind=engine))
    if table is None:
        return
    ok("_offset" in table.c, "a reflected table")
    with engine.begin() as conn:
        got = conn.execute(table.insert().values(_key="a", _value="1").returning(table.c._offset))
        same(got.scalar(), 0, "insert().returning()")
    # A transaction writes once, and psycopg 3 sends a statement a row.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(table.insert(), [{"_key": f"k{i}", "_value": str(i)} for i in range(1000)])
    with engine.connect() as conn:
        same(conn.scalar(sa.select(sa.func.count()).select_from(table)), 1001, "executemany")
        rows = conn.execute(sa.select(table.c._offset, table.c._key).where(table.c._key.in_(["k1", "k2"]))
                            .order_by(table.c._offset.desc()).limit(5)).all()
        same(rows, [(3, "k2"), (2, "k1")], "select().where(in_)")
        number = sa.cast(table.c._value, sa.Integer)
        query = (sa.select((number % 3).label("m"), sa.func.sum(number).label("s"))
                 .group_by("m").having(sa.func.count() > 1).order_by("m"))
        same(conn.execute(query).all(), [(0, 166833), (1, 166168), (2, 166500)], "group_by and having")
        sub = sa.select(table.c._key, sa.func.row_number().over(order_by=table.c._offset).label("n")).subquery()
        same(conn.execute(sa.select(sub.c._key).where(sub.c.n == 3)).scalar(), "k1", "a window in a sub-query")
        cte = sa.select(sa.literal(1).label("n")).cte(recursive=True)
        cte = cte.union_all(sa.select(cte.c.n + 1).where(cte.c.n < 5))
        same(conn.execute(sa.select(sa.func.sum(cte.c.n))).scalar(), 15, "a recursive CTE")
        streamed = conn.execution_options(stream_results=True, yield_per=100).execute(
            sa.select(table.c._offset).order_by(table.c._offset))
        same(sum(1 for _ in streamed), 1001, "stream_results")
        same(conn.scalar(sa.select(sa.exists().where(table.c._key == "k9"))), True, "exists()")
        same(conn.scalar(sa.select(sa.func.json_build_object("a", 1)))["a"], 1, "json")
    try:
        with engine.connect() as conn:
            conn.execute(sa.text("SELECT * FROM nothing"))
        ok(False, "an error")
    except sa.exc.ProgrammingError as error:
        ok("does not exist" in str(error), "an error")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(sa.text(f"DROP TOPIC {topic}"))
    engine.dispose()


for driver in ("psycopg2", "psycopg"):
    run(driver)
end()
