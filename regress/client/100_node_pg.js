// SPDX-License-Identifier: Apache-2.0
// node-pg: queries, prepared statements, types, cursors, COPY streams, a pool,
// cancelling, LISTEN-less notices. Prints TAP.
const { Client, Pool } = require('pg');
const Cursor = require('pg-cursor');
const copy = require('pg-copy-streams');
const { Readable } = require('stream');
const { pipeline } = require('stream/promises');

let count = 0;
function ok(what, name, note) {
    console.log(`${what ? 'ok' : 'not ok'} ${++count} - ${name}`);
    if (!what && note !== undefined)
        console.log('# got ' + JSON.stringify(note));
}
function same(got, want, name) {
    ok(JSON.stringify(got) === JSON.stringify(want), name, got);
}
const sleep = ms => new Promise(done => setTimeout(done, ms));

async function main() {
    const client = new Client();
    const notices = [];
    client.on('notice', notice => notices.push(notice));
    await client.connect();
    await client.query('CREATE TOPIC node PARTITIONS 1');
    let res = await client.query('INSERT INTO node (_key, _value) VALUES ($1, $2), ($3, $4) RETURNING _offset, _key',
        ["k'1", 'ä ☃', 'k2', null]);
    same(res.rows, [{ _offset: '0', _key: "k'1" }, { _offset: '1', _key: 'k2' }], 'INSERT RETURNING');
    same([res.command, res.rowCount], ['INSERT', 2], 'command and rowCount');
    res = await client.query("SELECT _offset, _key, _value FROM node ORDER BY 1");
    same(res.rows[0], { _offset: '0', _key: "k'1", _value: 'ä ☃' }, 'SELECT');
    same(res.fields.map(f => [f.name, f.dataTypeID]), [['_offset', 20], ['_key', 25], ['_value', 25]], 'fields');
    ok(res.fields[0].tableID > 0 && res.fields[0].columnID > 0, 'where fields come from', res.fields[0]);
    res = await client.query({ text: 'SELECT 1, 2', rowMode: 'array' });
    same(res.rows, [[1, 2]], 'rows as arrays');
    res = await client.query("SELECT 1; SELECT 'two' AS t; INSERT INTO node (_value) VALUES ('m')");
    same(res.map(r => r.command), ['SELECT', 'SELECT', 'INSERT'], 'several statements');

    const types = `SELECT 1::int2 a, 2::int8 b, 1.50::numeric c, 2.5::float8 d, true e, '\\x00ff'::bytea f,
        timestamptz '2024-02-29 1:2:3+00' g, interval '1 day 2 hours' h, '{"a": [1]}'::jsonb i,
        ARRAY[1, NULL, 3] j, ARRAY['a', 'b,c'] k, NULL::int l, date '2024-02-29' m, ARRAY[1.5::float8] n,
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid o, ARRAY['{"x": 1}'::jsonb] p`;
    const want = { a: 1, b: '2', c: '1.50', d: 2.5, e: true, f: Buffer.from([0, 255]), g: new Date('2024-02-29T01:02:03Z'),
        h: { days: 1, hours: 2 }, i: { a: [1] }, j: [1, null, 3], k: ['a', 'b,c'], l: null, m: new Date(2024, 1, 29),
        n: [1.5], o: 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', p: [{ x: 1 }] };
    same((await client.query(types)).rows[0], want, 'types');
    res = await client.query({ text: 'SELECT $1::int, $2::text, $3::bool, $4::jsonb, $5::timestamptz, $6::bytea, $7::int[], $8::numeric',
        values: [5, 'x', false, { k: [1] }, new Date('2024-01-01T00:00:00Z'), Buffer.from('hi'), [1, 2], '1.10'], rowMode: 'array' });
    same(res.rows[0], [5, 'x', false, { k: [1] }, new Date('2024-01-01T00:00:00Z'), Buffer.from('hi'), [1, 2], '1.10'], 'parameters');
    for (let i = 0; i < 3; i++)
        res = await client.query({ name: 'plus', text: 'SELECT $1::int + 1 AS n', values: [i] });
    same(res.rows, [{ n: 3 }], 'a named statement');
    res = await client.query("SELECT count(*)::int n FROM node WHERE _key = ANY ($1)", [["k2", "none"]]);
    same(res.rows, [{ n: 1 }], 'an array parameter');

    for (const [text, code] of [['SELECT * FROM nothing', '42P01'], ['SELEC', '42601'], ['SELECT 1/0', '22012']])
        await client.query(text).then(() => ok(false, text), e => same(e.code, code, `${text}: ${code}`));
    await client.query('SELECT $1::int', ['x']).then(() => ok(false, '22P02'), e => same(e.code, '22P02', 'a bad parameter: 22P02'));
    await client.query('SELECT x FROM node').catch(e => same([e.severity, e.position], ['ERROR', '8'], 'the position of an error'));
    await client.query('DROP TOPIC IF EXISTS nowhere');
    ok(notices.some(n => /does not exist/.test(n.message)), 'a notice', notices);
    await client.query('BEGIN');
    await client.query('SELECT 1/0').catch(() => {});
    await client.query('SELECT 1').then(() => ok(false, '25P02'), e => same(e.code, '25P02', 'a failed transaction'));
    await client.query('ROLLBACK');

    await client.query("INSERT INTO node (_value) SELECT g::text FROM generate_series(1, 500) g");
    const cursor = client.query(new Cursor('SELECT _offset::int AS o FROM node ORDER BY 1'));
    let seen = 0, rows;
    while ((rows = await cursor.read(100)).length > 0)
        seen += rows.length;
    same(seen, 503, 'a cursor');
    await cursor.close();
    const live = client.query(new Cursor('SUBSCRIBE node (_offset) FROM OFFSET 500'));
    same((await live.read(3)).map(r => r._offset), ['500', '501', '502'], 'a cursor over SUBSCRIBE');
    const later = live.read(1);
    const other = new Client();
    await other.connect();
    await other.query("INSERT INTO node (_value) VALUES ('late')");
    same((await later).map(r => r._offset), ['503'], 'which waits for what comes later');
    await live.close();
    same((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }], 'the connection goes on');

    await pipeline(Readable.from(['c1\tone\n', 'c2\t\\N\n']), client.query(copy.from('COPY node (_key, _value) FROM STDIN')));
    let text = '';
    for await (const chunk of client.query(copy.to('COPY (SELECT _key, _value FROM node WHERE _offset > 503 ORDER BY _offset) TO STDOUT')))
        text += chunk;
    same(text, 'c1\tone\nc2\t\\N\n', 'COPY both ways');

    const start = Date.now();
    const waits = client.query('SUBSCRIBE node FROM LATEST');
    await sleep(200);
    await other.query(`SELECT pg_cancel_backend(${client.processID})`).then(
        () => {}, e => ok(false, 'pg_cancel_backend', e.message));
    await waits.then(() => ok(false, '57014'), e => same(e.code, '57014', 'pg_cancel_backend ends a waiting SUBSCRIBE'));
    ok(Date.now() - start < 3000, 'at once');
    const slow = new Client({ query_timeout: 300 });
    await slow.connect();
    await slow.query('SUBSCRIBE node FROM LATEST').then(() => ok(false, 'query_timeout'), () => ok(true, 'query_timeout'));
    await slow.end();
    const bounded = new Client({ statement_timeout: 200 });
    await bounded.connect();
    await bounded.query('SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b').then(() => ok(false, 'statement_timeout'), e => same(e.code, '57014', 'statement_timeout'));
    await bounded.end();

    const pool = new Pool({ max: 3 });
    const got = await Promise.all([...Array(20).keys()].map(i => pool.query('SELECT $1::int * 2 AS n', [i])));
    same(got.map(r => r.rows[0].n), [...Array(20).keys()].map(i => i * 2), 'a pool');
    await pool.end();
    await client.query('DROP TOPIC node');
    await client.end();
    await other.end();
}

main().then(() => console.log(`1..${count}`), e => { console.log(`# ${e.stack}`); process.exit(1); });
