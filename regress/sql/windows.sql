-- Window functions
CREATE TOPIC w PARTITIONS 1;
INSERT INTO w (_key, _value) VALUES ('a', '5'), ('a', '3'), ('b', '9'), ('b', '9'), ('a', '7'), ('c', '1');
SELECT _key, _offset, row_number() OVER (PARTITION BY _key ORDER BY _offset) AS n FROM w ORDER BY _key, _offset;
SELECT _value, rank() OVER r, dense_rank() OVER r, percent_rank() OVER r, cume_dist() OVER r FROM w WINDOW r AS (ORDER BY _value::int) ORDER BY _value::int, _offset;
SELECT _offset, lag(_value) OVER o AS prev, lead(_value, 2, 'none') OVER o AS next2 FROM w WINDOW o AS (ORDER BY _offset) ORDER BY _offset;
SELECT _key, _offset, sum(_value::int) OVER (PARTITION BY _key ORDER BY _offset) AS run, sum(_value::int) OVER (PARTITION BY _key) AS total FROM w ORDER BY _key, _offset;
SELECT _offset, avg(_value::int) OVER (ORDER BY _offset ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS a3, count(*) OVER () AS n FROM w ORDER BY _offset;
SELECT _offset, _value, first_value(_value) OVER o, last_value(_value) OVER o, nth_value(_value, 2) OVER o FROM w WINDOW o AS (ORDER BY _offset ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) ORDER BY 1;
SELECT g, ntile(3) OVER (ORDER BY g), sum(g) OVER (ORDER BY g / 2) AS peers, sum(g) OVER (ORDER BY g RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) AS rng FROM generate_series(1, 7) g ORDER BY g;
SELECT * FROM (SELECT _key, _offset, row_number() OVER (PARTITION BY _key ORDER BY _offset DESC) AS n FROM w) t WHERE n = 1 ORDER BY _key;
SELECT _key, count(*), rank() OVER (ORDER BY count(*) DESC) FROM w GROUP BY _key ORDER BY 3, 1;
SELECT _key, sum(_value::int) FILTER (WHERE _offset > 1) OVER (PARTITION BY _key) FROM w ORDER BY _offset;
SELECT row_number() OVER () FROM w WHERE row_number() OVER () > 1;
SELECT row_number() FROM w;
SELECT sum(1) OVER nothing FROM w;
DROP TOPIC w;
