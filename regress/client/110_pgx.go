// SPDX-License-Identifier: Apache-2.0
// pgx: statement cache and binary values, batches, COPY, pools, contexts that
// end, the simple protocol. Prints TAP.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

var count int

func ok(what bool, name string, note any) {
	count++
	if what {
		fmt.Printf("ok %d - %s\n", count, name)
	} else {
		fmt.Printf("not ok %d - %s\n# got %v\n", count, name, note)
	}
}

func same(got, want any, name string) { ok(reflect.DeepEqual(got, want), name, fmt.Sprintf("%#v, not %#v", got, want)) }

func must(err error) {
	if err != nil {
		fmt.Printf("# %v\n", err)
		os.Exit(1)
	}
}

func code(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return fmt.Sprint(err)
}

func numbers(rows pgx.Rows, err error) []int64 {
	must(err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	must(err)
	return list
}

func ordinary(ctx context.Context, mode string) {
	conn, err := pgx.Connect(ctx, "default_query_exec_mode="+mode)
	must(err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "CREATE TOPIC pgx PARTITIONS 1")
	must(err)
	tag, err := conn.Exec(ctx, "INSERT INTO pgx (_key, _value) VALUES ($1, $2), ($3, $4)", "k'1", "ä ☃", "k2", nil)
	must(err)
	same(tag.String(), "INSERT 0 2", mode+": INSERT")
	var offset int64
	var key string
	var value *string
	var stamp time.Time
	must(conn.QueryRow(ctx, "SELECT _offset, _key, _value, _timestamp FROM pgx WHERE _key = $1", "k'1").Scan(&offset, &key, &value, &stamp))
	same([]any{offset, key, *value}, []any{int64(0), "k'1", "ä ☃"}, mode+": SELECT")
	ok(time.Since(stamp) < time.Hour, mode+": a timestamp", stamp)
	for i := 0; i < 3; i++ {
		var a int32
		var b string
		var c bool
		var d []byte
		var e map[string]any
		var f []int32
		var g time.Time
		var h float64
		var j *int64
		must(conn.QueryRow(ctx, "SELECT $1::int4 + 1, $2::text, $3::bool, $4::bytea, $5::jsonb, $6::int4[], $7::timestamptz, $8::float8, $9::int8",
			i, "x", true, []byte{0, 255}, `{"a": 1}`, []int32{1, 2}, time.Unix(1700000000, 0), 2.5, nil).Scan(&a, &b, &c, &d, &e, &f, &g, &h, &j))
		if i == 2 {
			same([]any{a, b, c, d, e["a"], f, g.Unix(), h, j == nil},
				[]any{int32(3), "x", true, []byte{0, 255}, 1.0, []int32{1, 2}, int64(1700000000), 2.5, true}, mode+": parameters and results")
		}
	}
	rows, err := conn.Query(ctx, "SELECT 1::int2, 1.50::numeric, date '2024-02-29', interval '1 day', ARRAY['a', NULL], 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, time '1:02:03'")
	must(err)
	rows.Next()
	values, err := rows.Values()
	rows.Close()
	ok(err == nil && len(values) == 7 && values[0] == int16(1), mode+": Values()", fmt.Sprint(values, err))
	_, err = conn.Exec(ctx, "SELECT * FROM nothing")
	same(code(err), "42P01", mode+": 42P01")
	_, err = conn.Exec(ctx, "SELECT 1/$1::int", 0)
	same(code(err), "22012", mode+": 22012")
	tx, err := conn.Begin(ctx)
	must(err)
	_, err = tx.Exec(ctx, "INSERT INTO pgx (_value) VALUES ('undone')")
	must(err)
	must(tx.Rollback(ctx))
	same(numbers(conn.Query(ctx, "SELECT count(*) FROM pgx")), []int64{2}, mode+": a transaction rolled back")
	_, err = conn.Exec(ctx, "DROP TOPIC pgx")
	must(err)
}

func more(ctx context.Context) {
	conn, err := pgx.Connect(ctx, "")
	must(err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "CREATE TOPIC pgx PARTITIONS 1")
	must(err)
	n, err := conn.CopyFrom(ctx, pgx.Identifier{"pgx"}, []string{"_key", "_value"}, pgx.CopyFromSlice(5000, func(i int) ([]any, error) {
		return []any{fmt.Sprint("k", i), fmt.Sprint(i)}, nil
	}))
	ok(err == nil && n == 5000, "CopyFrom (binary)", fmt.Sprint(n, err))
	var out bytes.Buffer
	_, err = conn.PgConn().CopyTo(ctx, &out, "COPY (SELECT _value FROM pgx WHERE _offset < 3 ORDER BY _offset) TO STDOUT")
	must(err)
	same(out.String(), "0\n1\n2\n", "CopyTo")
	_, err = conn.PgConn().CopyFrom(ctx, strings.NewReader("a\tb\tc\n"), "COPY pgx (_key, _value) FROM STDIN")
	same(code(err), "22P04", "an error in COPY")
	batch := &pgx.Batch{}
	batch.Queue("INSERT INTO pgx (_value) VALUES ($1)", "from a batch")
	batch.Queue("SELECT count(*) FROM pgx WHERE _offset < $1", 10)
	batch.Queue("SELECT 'three'")
	results := conn.SendBatch(ctx, batch)
	_, err = results.Exec()
	must(err)
	rows, err := results.Query()
	same(numbers(rows, err), []int64{10}, "SendBatch")
	var three string
	must(results.QueryRow().Scan(&three))
	must(results.Close())
	same(three, "three", "its third")
	batch = &pgx.Batch{}
	batch.Queue("SELECT 1")
	batch.Queue("SELECT 1/0")
	batch.Queue("SELECT 2")
	err = conn.SendBatch(ctx, batch).Close()
	same(code(err), "22012", "a batch with an error")

	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	live, err := pgx.Connect(ctx, "")
	must(err)
	rows, err = live.Query(short, "SUBSCRIBE pgx (_offset) FROM OFFSET 4998")
	must(err)
	var got []int64
	for rows.Next() {
		var offset int64
		must(rows.Scan(&offset))
		got = append(got, offset)
	}
	same(got, []int64{4998, 4999, 5000}, "SUBSCRIBE until the context ends")
	ok(rows.Err() != nil && time.Since(start) < 5*time.Second, "and then at once", rows.Err())

	pool, err := pgxpool.New(ctx, "pool_max_conns=4")
	must(err)
	done := make(chan error, 20)
	for i := 0; i < 20; i++ {
		go func(i int) {
			var n int
			err := pool.QueryRow(ctx, "SELECT $1::int * 2", i).Scan(&n)
			if err == nil && n != i*2 {
				err = errors.New("a wrong answer")
			}
			done <- err
		}(i)
	}
	var failed error
	for i := 0; i < 20; i++ {
		if err := <-done; err != nil {
			failed = err
		}
	}
	ok(failed == nil, "a pool", failed)
	pool.Close()
	must(conn.PgConn().CancelRequest(ctx))
	same(numbers(conn.Query(ctx, "SELECT 1::int8")), []int64{1}, "a CancelRequest with nothing to cancel")
	same(conn.PgConn().ParameterStatus("server_encoding"), "UTF8", "ParameterStatus")
	_, err = conn.Exec(ctx, "DROP TOPIC pgx")
	must(err)
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		ordinary(ctx, mode)
	}
	more(ctx)
	fmt.Printf("1..%d\n", count)
}
