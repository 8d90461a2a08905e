// SPDX-License-Identifier: Apache-2.0
// JDBC 42: see 090_jdbc.t. Prints TAP.
import java.math.BigDecimal;
import java.io.StringReader;
import java.io.StringWriter;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

public class OxbowJdbc {
    static int count = 0;

    static void same(Object got, Object want, String name) {
        count++;
        boolean ok = Objects.equals(got, want);
        System.out.println((ok ? "ok " : "not ok ") + count + " - " + name);
        if (!ok)
            System.out.println("# got " + got + ", not " + want);
    }

    static List<Long> longs(ResultSet rows) throws SQLException {
        List<Long> list = new ArrayList<>();
        while (rows.next())
            list.add(rows.getLong(1));
        return list;
    }

    public static void main(String[] args) throws Exception {
        String url = "jdbc:postgresql://127.0.0.1:" + System.getenv("PGPORT") + "/oxbow?user=oxbow&sslmode=disable";
        for (String mode : new String[] {"extended", "simple"})
            ordinary(url + "&preferQueryMode=" + mode, mode);
        metadata(url);
        more(url);
        live(url);
        System.out.println("1.." + count);
    }

    static void ordinary(String url, String mode) throws Exception {
        try (Connection conn = DriverManager.getConnection(url)) {
            Statement stmt = conn.createStatement();
            stmt.execute("CREATE TOPIC jdbc PARTITIONS 1");
            PreparedStatement insert =
                conn.prepareStatement("INSERT INTO jdbc (_key, _value) VALUES (?, ?)");
            insert.setString(1, "k'1");
            insert.setString(2, "\u00e4 \u2603");
            same(insert.executeUpdate(), 1, mode + ": executeUpdate");
            for (int i = 0; i < 9; i++) {
                insert.setString(1, "b" + i);
                insert.setString(2, i == 3 ? null : "" + i);
                insert.addBatch();
            }
            same(insert.executeBatch().length, 9, mode + ": executeBatch");
            ResultSet rows = stmt.executeQuery("SELECT _offset, _key, _value, _timestamp FROM jdbc ORDER BY 1");
            rows.next();
            same(rows.getLong("_offset"), 0L, mode + ": getLong");
            same(rows.getString(3), "\u00e4 \u2603", mode + ": getString");
            same(rows.getTimestamp(4).getTime() > 1600000000000L, true, mode + ": getTimestamp");
            same(rows.getMetaData().getColumnTypeName(4), "timestamptz", mode + ": type names");
            PreparedStatement select = conn.prepareStatement(
                "SELECT ?::int + 1, ?::numeric, ?::float8, ?::bool, ?::bytea, ?::date, ?::uuid, ARRAY[1, 2], '{\"a\": 1}'::jsonb");
            UUID uuid = new UUID(1, 2);
            for (int i = 0; i < 7; i++) { // the sixth time it is a named statement with binary results
                select.setInt(1, i);
                select.setBigDecimal(2, new BigDecimal("1.50"));
                select.setDouble(3, 2.5);
                select.setBoolean(4, true);
                if (mode.equals("extended"))
                    select.setBytes(5, new byte[] {0, -1});
                else // the driver cannot say a bytea there
                    select.setString(5, "\\x00ff");
                select.setDate(6, java.sql.Date.valueOf("2024-02-29"));
                select.setObject(7, uuid);
                rows = select.executeQuery();
                rows.next();
                if (i != 0 && i != 6)
                    continue;
                same(rows.getInt(1), i + 1, mode + ": int");
                same(rows.getBigDecimal(2), new BigDecimal("1.50"), mode + ": numeric");
                same(rows.getDouble(3), 2.5, mode + ": float8");
                same(rows.getBoolean(4), true, mode + ": bool");
                same(Arrays.toString(rows.getBytes(5)), "[0, -1]", mode + ": bytea");
                same(rows.getDate(6).toString(), "2024-02-29", mode + ": date");
                same(rows.getObject(7), uuid, mode + ": uuid");
                same(Arrays.toString((Object[]) rows.getArray(8).getArray()), "[1, 2]", mode + ": array");
                same(rows.getString(9), "{\"a\": 1}", mode + ": jsonb");
            }
            try {
                stmt.executeQuery("SELECT * FROM nothing");
                same("no error", "42P01", mode + ": error");
            } catch (SQLException e) {
                same(e.getSQLState(), "42P01", mode + ": error");
            }
            conn.setAutoCommit(false);
            stmt = conn.createStatement();
            stmt.setFetchSize(3);
            same(longs(stmt.executeQuery("SELECT _offset FROM jdbc ORDER BY 1")).size(), 10, mode + ": fetch size");
            conn.commit();
            try {
                stmt.executeQuery("SELECT 1/0");
            } catch (SQLException e) {
                same(e.getSQLState(), "22012", mode + ": 22012 in a transaction");
            }
            conn.rollback();
            conn.setAutoCommit(true);
            CopyManager copy = conn.unwrap(PGConnection.class).getCopyAPI();
            same(copy.copyIn("COPY jdbc (_key, _value) FROM STDIN", new StringReader("x\t1\ny\t2\n")), 2L, mode + ": copy in");
            StringWriter out = new StringWriter();
            copy.copyOut("COPY (SELECT _key FROM jdbc WHERE _offset > 9 ORDER BY _offset) TO STDOUT", out);
            same(out.toString(), "x\ny\n", mode + ": copy out");
            conn.createStatement().execute("DROP TOPIC jdbc");
        }
    }

    static void metadata(String url) throws Exception {
        try (Connection conn = DriverManager.getConnection(url)) {
            conn.createStatement().execute("CREATE TOPIC jdbc_meta PARTITIONS 1");
            DatabaseMetaData meta = conn.getMetaData();
            same(meta.getDatabaseMajorVersion() >= 15, true, "metadata: version");
            same(meta.getDatabaseProductName(), "PostgreSQL", "metadata: product");
            step("getSchemas", () -> names(meta.getSchemas(), "TABLE_SCHEM").contains("public"));
            step("getSchemas of a pattern", () -> names(meta.getSchemas(null, "pub%"), "TABLE_SCHEM").equals(List.of("public")));
            step("getTables", () -> names(meta.getTables(null, "public", "jdbc%", new String[] {"TABLE"}), "TABLE_NAME")
                .equals(List.of("jdbc_meta")));
            step("getTables of all kinds", () -> names(meta.getTables(null, null, null, null), "TABLE_NAME")
                .containsAll(List.of("jdbc_meta", "pg_class", "topics")));
            step("getTableTypes", () -> names(meta.getTableTypes(), "TABLE_TYPE").contains("TABLE"));
            step("getColumns", () -> names(meta.getColumns(null, "public", "jdbc_meta", "%"), "COLUMN_NAME")
                .equals(List.of("_partition", "_offset", "_timestamp", "_key", "_value", "_headers")));
            step("getColumns: types", () -> names(meta.getColumns(null, "public", "jdbc_meta", "%"), "TYPE_NAME")
                .equals(List.of("int4", "int8", "timestamptz", "text", "text", "jsonb")));
            step("getPrimaryKeys", () -> names(meta.getPrimaryKeys(null, "public", "jdbc_meta"), "COLUMN_NAME").isEmpty());
            step("getBestRowIdentifier", () -> names(meta.getBestRowIdentifier(null, "public", "jdbc_meta",
                DatabaseMetaData.bestRowSession, true), "COLUMN_NAME").isEmpty());
            step("getVersionColumns", () -> names(meta.getVersionColumns(null, "public", "jdbc_meta"), "COLUMN_NAME") != null);
            step("getIndexInfo", () -> names(meta.getIndexInfo(null, "public", "jdbc_meta", false, true), "INDEX_NAME").isEmpty());
            step("getImportedKeys", () -> names(meta.getImportedKeys(null, "public", "jdbc_meta"), "FK_NAME").isEmpty());
            step("getExportedKeys", () -> names(meta.getExportedKeys(null, "public", "jdbc_meta"), "FK_NAME").isEmpty());
            step("getCrossReference", () -> names(meta.getCrossReference(null, null, "a", null, null, "b"), "FK_NAME").isEmpty());
            step("getTablePrivileges", () -> names(meta.getTablePrivileges(null, "public", "jdbc_meta"), "PRIVILEGE") != null);
            step("getColumnPrivileges", () -> names(meta.getColumnPrivileges(null, "public", "jdbc_meta", "%"), "PRIVILEGE") != null);
            step("getProcedures", () -> names(meta.getProcedures(null, null, "no%"), "PROCEDURE_NAME").isEmpty());
            step("getFunctions", () -> names(meta.getFunctions(null, null, "lower"), "FUNCTION_NAME").contains("lower"));
            step("getProcedureColumns", () -> names(meta.getProcedureColumns(null, null, "no", null), "COLUMN_NAME").isEmpty());
            step("getUDTs", () -> names(meta.getUDTs(null, null, "%", null), "TYPE_NAME") != null);
            step("getTypeInfo", () -> names(meta.getTypeInfo(), "TYPE_NAME").contains("int8"));
            step("getCatalogs", () -> names(meta.getCatalogs(), "TABLE_CAT").contains("oxbow"));
            step("getClientInfoProperties", () -> names(meta.getClientInfoProperties(), "NAME").contains("ApplicationName"));
            step("getSQLKeywords", () -> meta.getSQLKeywords() != null);
            step("getMaxColumnNameLength", () -> meta.getMaxColumnNameLength() == 63);
            step("getMaxIndexKeys", () -> meta.getMaxColumnsInIndex() > 0);
            step("getUserName", () -> meta.getUserName().equals("oxbow"));
            step("getDefaultTransactionIsolation", () -> meta.getDefaultTransactionIsolation() == Connection.TRANSACTION_READ_COMMITTED);
            step("columns of a result", () -> {
                ResultSetMetaData rows = conn.createStatement().executeQuery("SELECT _key AS k, _offset FROM jdbc_meta").getMetaData();
                return rows.isNullable(1) == ResultSetMetaData.columnNullable && rows.isAutoIncrement(2) == false
                    && rows.getColumnLabel(1).equals("k") && rows.getColumnClassName(2).equals("java.lang.Long")
                    && rows.getTableName(1).equals("jdbc_meta") && rows.getSchemaName(1).isEmpty()
                    && ((org.postgresql.PGResultSetMetaData) rows).getBaseColumnName(1).equals("_key");
            });
            step("parameters of a statement", () -> {
                PreparedStatement select = conn.prepareStatement("SELECT * FROM jdbc_meta WHERE _offset > ? AND _key = ?");
                ParameterMetaData types = select.getParameterMetaData();
                return types.getParameterCount() == 2 && types.getParameterTypeName(1).equals("int8")
                    && types.getParameterTypeName(2).equals("text") && select.getMetaData().getColumnCount() == 6;
            });
            step("isValid", () -> conn.isValid(5));
            step("getSchema", () -> conn.getSchema().equals("public"));
            step("getCatalog", () -> conn.getCatalog().equals("oxbow"));
            step("setSchema", () -> { conn.setSchema("oxbow"); boolean is = conn.getSchema().equals("oxbow");
                conn.setSchema("public"); return is; });
            step("isolation", () -> { conn.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
                return conn.getTransactionIsolation() == Connection.TRANSACTION_SERIALIZABLE; });
            step("setReadOnly", () -> { conn.setReadOnly(true); boolean is = conn.isReadOnly(); conn.setReadOnly(false); return is; });
            step("setClientInfo", () -> { conn.setClientInfo("ApplicationName", "ledger");
                ResultSet rows = conn.createStatement().executeQuery("SHOW application_name");
                return rows.next() && rows.getString(1).equals("ledger"); });
            conn.createStatement().execute("DROP TOPIC jdbc_meta");
        }
    }

    static void more(String url) throws Exception {
        try (Connection conn = DriverManager.getConnection(url + "&reWriteBatchedInserts=true&ApplicationName=more")) {
            conn.createStatement().execute("CREATE TOPIC jdbc_more PARTITIONS 1");
            PreparedStatement insert = conn.prepareStatement("INSERT INTO jdbc_more (_key, _value) VALUES (?, ?)");
            for (int i = 0; i < 1000; i++) {
                insert.setString(1, "k" + i);
                insert.setString(2, "v" + i);
                insert.addBatch();
            }
            same(insert.executeBatch().length, 1000, "a rewritten batch");
            PreparedStatement back = conn.prepareStatement("INSERT INTO jdbc_more (_key, _value) VALUES (?, ?)",
                new String[] {"_partition", "_offset"});
            back.setString(1, "g");
            back.setString(2, "w");
            back.executeUpdate();
            ResultSet keys = back.getGeneratedKeys();
            keys.next();
            same(keys.getLong("_offset"), 1000L, "getGeneratedKeys");
            Statement scroll = conn.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY);
            ResultSet rows = scroll.executeQuery("SELECT _offset FROM jdbc_more ORDER BY 1");
            rows.last();
            same(rows.getRow(), 1001, "a scrollable result");
            rows.absolute(5);
            same(rows.getLong(1), 4L, "absolute()");
            Statement few = conn.createStatement();
            few.setMaxRows(7);
            same(longs(few.executeQuery("SELECT _offset FROM jdbc_more ORDER BY 1")).size(), 7, "setMaxRows");
            conn.setAutoCommit(false);
            PreparedStatement steps = conn.prepareStatement("SELECT _offset FROM jdbc_more WHERE _offset >= ? ORDER BY 1");
            steps.setFetchSize(50);
            for (int i = 0; i < 7; i++) {
                steps.setLong(1, 600);
                same(longs(steps.executeQuery()).size(), 401, "fetch size and a prepared statement, time " + i);
            }
            ResultSet one = conn.createStatement().executeQuery("SELECT 1");
            ResultSet two = steps.executeQuery();
            one.next();
            two.next();
            same(one.getInt(1) + two.getLong(1), 601L, "two results open at once");
            conn.rollback();
            conn.setAutoCommit(true);
            PreparedStatement any = conn.prepareStatement("SELECT count(*) FROM jdbc_more WHERE _key = ANY (?)");
            any.setArray(1, conn.createArrayOf("text", new String[] {"k1", "k2", "none"}));
            same(longs(any.executeQuery()), List.of(2L), "an array as parameter");
            PreparedStatement when = conn.prepareStatement("SELECT ?::timestamptz, ?::timestamp, ?::time, ?::date, ?::text, ?::int2");
            java.time.OffsetDateTime stamp = java.time.OffsetDateTime.parse("2024-02-29T01:02:03.5Z");
            for (int i = 0; i < 6; i++) {
                when.setObject(1, stamp);
                when.setObject(2, stamp.toLocalDateTime());
                when.setObject(3, stamp.toLocalTime());
                when.setObject(4, stamp.toLocalDate());
                when.setNull(5, Types.VARCHAR);
                when.setShort(6, (short) -3);
                rows = when.executeQuery();
            }
            rows.next();
            same(rows.getObject(1, java.time.OffsetDateTime.class), stamp, "OffsetDateTime");
            same(rows.getObject(2, java.time.LocalDateTime.class), stamp.toLocalDateTime(), "LocalDateTime");
            same(rows.getObject(3, java.time.LocalTime.class), stamp.toLocalTime(), "LocalTime");
            same(rows.getObject(4, java.time.LocalDate.class), stamp.toLocalDate(), "LocalDate");
            same(rows.getString(5), null, "setNull");
            same(rows.getShort(6), (short) -3, "short");
            rows = conn.createStatement().executeQuery("SELECT {fn concat('a', {fn ucase('b')})}, {d '2024-01-01'}, {ts '2024-01-01 00:00:00'}");
            rows.next();
            same(rows.getString(1), "aB", "escapes of JDBC");
            Statement both = conn.createStatement();
            same(both.execute("SELECT 1; INSERT INTO jdbc_more (_value) VALUES ('m'); SELECT 2"), true, "several statements");
            same(both.getMoreResults(), false, "their second");
            same(both.getUpdateCount(), 1, "its count");
            same(both.getMoreResults(), true, "their third");
            conn.createStatement().execute("DROP TOPIC IF EXISTS nowhere");
            Statement warned = conn.createStatement();
            warned.execute("DROP TOPIC IF EXISTS nowhere");
            same(warned.getWarnings() != null && warned.getWarnings().getSQLState().equals("00000"), true, "a notice");
            try {
                conn.createStatement().executeQuery("SELECT 1 +\n FROM");
            } catch (org.postgresql.util.PSQLException e) {
                same(e.getServerErrorMessage().getPosition(), 13, "the position of an error");
            }
            CopyManager copy = conn.unwrap(PGConnection.class).getCopyAPI();
            org.postgresql.copy.CopyIn in = copy.copyIn("COPY jdbc_more (_value) FROM STDIN");
            in.writeToCopy("gone\n".getBytes(), 0, 5);
            in.cancelCopy();
            same(conn.isValid(5), true, "cancelCopy");
            // The driver sends the request and leaves what is under way unread.
            Connection other = DriverManager.getConnection(url);
            org.postgresql.copy.CopyOut out = other.unwrap(PGConnection.class).getCopyAPI().copyOut("COPY (SELECT g FROM generate_series(1, 10000000) g) TO STDOUT");
            out.readFromCopy();
            out.cancelCopy();
            try {
                while (other.createStatement().execute("SELECT 1")) {
                }
                same("rows", "57014", "a copyOut that is cancelled");
            } catch (SQLException e) {
                same(e.getSQLState(), "57014", "a copyOut that is cancelled");
            }
            other.close();
            Statement slow = conn.createStatement();
            new Thread(() -> {
                try {
                    Thread.sleep(300);
                    slow.cancel();
                } catch (Exception e) {
                }
            }).start();
            try {
                slow.executeQuery("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b");
                same("rows", "57014", "cancel()");
            } catch (SQLException e) {
                same(e.getSQLState(), "57014", "cancel()");
            }
            conn.createStatement().execute("DROP TOPIC jdbc_more");
        }
    }

    interface Step { boolean run() throws Exception; }

    static void step(String name, Step step) {
        try {
            same(step.run(), true, "metadata: " + name);
        } catch (Exception e) {
            same(e.getMessage(), "no error", "metadata: " + name);
        }
    }

    static List<String> names(ResultSet rows, String column) throws SQLException {
        List<String> list = new ArrayList<>();
        while (rows.next())
            list.add(rows.getString(column));
        return list;
    }

    static void live(String url) throws Exception {
        try (Connection conn = DriverManager.getConnection(url)) {
            Statement stmt = conn.createStatement();
            stmt.execute("CREATE TOPIC jdbc_live PARTITIONS 1");
            stmt.execute("INSERT INTO jdbc_live (_value) SELECT g::text FROM generate_series(1, 5) g");
            conn.setAutoCommit(false);
            stmt = conn.createStatement();
            stmt.setFetchSize(1);
            ResultSet rows = stmt.executeQuery("SUBSCRIBE jdbc_live (_offset) FROM OFFSET 2");
            List<Long> got = new ArrayList<>();
            while (got.size() < 3 && rows.next())
                got.add(rows.getLong(1));
            same(got, List.of(2L, 3L, 4L), "an endless SUBSCRIBE with setFetchSize(1)");
            rows.close();
            conn.commit();
            conn.setAutoCommit(true);
            stmt = conn.createStatement();
            stmt.setQueryTimeout(1);
            try {
                stmt.executeQuery("SUBSCRIBE jdbc_live FROM LATEST");
                same("rows", "57014", "setQueryTimeout cancels");
            } catch (SQLException e) {
                same(e.getSQLState(), "57014", "setQueryTimeout cancels");
            }
            conn.createStatement().execute("DROP TOPIC jdbc_live");
        }
    }
}
