# SPDX-License-Identifier: Apache-2.0
"""Consume, transform, produce, exactly once: the parts of 150_exactly_once.t.

    fill COUNT        numbered records into eos-in
    process NAME      every record of eos-in to eos-a and eos-b in transactions,
                      with the offsets; some are aborted on purpose
    watch FILE        what a reader of committed records sees as it comes, and
                      committed offsets and ends of partitions that go back
    lag               records of eos-in that the group has not committed
    check COUNT FILE  the rules; one line each

A record of eos-a: partition|offset|value of the input|transaction|good or bad; a
transaction is named NAME.PROCESS.NUMBER."""
import collections
import faulthandler
import os
import random
import signal
import sys
import time

from confluent_kafka import (Consumer, KafkaError, KafkaException, Producer,
                             TopicPartition)

SERVERS = os.environ['OX_KAFKA']
PARTITIONS = 4
GROUP = 'eos'
stop = False


def consumer(group, **more):
    return Consumer({'bootstrap.servers': SERVERS, 'group.id': group, 'auto.offset.reset': 'earliest',
                     'enable.auto.commit': False, 'isolation.level': 'read_committed',
                     'partition.assignment.strategy': 'range,roundrobin', 'log_level': 0,
                     'reconnect.backoff.max.ms': 500, **more})


def fill(count):
    failed = []
    producer = Producer({'bootstrap.servers': SERVERS, 'enable.idempotence': True, 'linger.ms': 5,
                         'log_level': 0, 'reconnect.backoff.max.ms': 500})
    for i in range(count):
        producer.produce('eos-in', key=str(i), value='i%d' % i, partition=i % PARTITIONS,
                         on_delivery=lambda err, _: err and failed.append(err))
        if i % 100 == 0:
            producer.poll(0.02)
    producer.flush(120)
    print('filled', count - len(failed))


def rewind(source, batch):
    first = {}
    for message in batch:
        part = message.partition()
        first[part] = min(first.get(part, message.offset()), message.offset())
    for part, offset in first.items():
        try:
            source.seek(TopicPartition('eos-in', part, offset))
        except KafkaException:
            pass  # no longer ours


def transform(source, sink, batch, member, tag):
    bad = random.random() < 0.15
    sink.begin_transaction()
    for message in batch:
        value = '%d|%d|%s|%s|%s' % (message.partition(), message.offset(),
                                    message.value().decode(), tag, 'bad' if bad else 'good')
        for topic in ('eos-a', 'eos-b'):
            sink.produce(topic, key=message.key(), value=value, partition=message.partition())
    if random.random() < 0.3:
        sink.flush(10)
        time.sleep(random.random() * 0.2)
    ends = {}
    for message in batch:
        part = message.partition()
        ends[part] = max(ends.get(part, 0), message.offset() + 1)
    sink.send_offsets_to_transaction(
        [TopicPartition('eos-in', part, offset) for part, offset in ends.items()], member, 10)
    if bad:
        sink.abort_transaction(10)
        rewind(source, batch)
    else:
        sink.commit_transaction(10)


def haunt(sink, tag):
    """Another has taken this one's place: write all the same, which must be refused."""
    try:
        try:
            sink.begin_transaction()
        except KafkaException as failure:
            print(tag, 'cannot begin', failure, flush=True)  # there is one; or it is over
        for part in range(PARTITIONS):
            for topic in ('eos-a', 'eos-b'):
                sink.produce(topic, value='%d|0|ghost|%s|good' % (part, tag), partition=part)
        sink.commit_transaction(10)
    except KafkaException as failure:
        print(tag, 'ghost', failure, flush=True)
    os._exit(3)


def process(name):
    source = consumer(GROUP, **{'session.timeout.ms': 6000, 'heartbeat.interval.ms': 500})
    sink = Producer({'bootstrap.servers': SERVERS, 'transactional.id': name, 'linger.ms': 2,
                     'transaction.timeout.ms': 8000, 'log_level': 0,
                     'reconnect.backoff.max.ms': 500})
    sink.init_transactions(60)
    born = int(time.time() * 1000)
    print('ready', name, os.getpid(), flush=True)
    signal.signal(signal.SIGUSR2, lambda *_: haunt(sink, '%s.%d.0' % (name, born)))
    source.subscribe(['eos-in'])
    number = 0
    while not stop:
        batch = [m for m in source.consume(20, 0.2) if not m.error()]
        if not batch:
            continue
        number += 1
        tag = '%s.%d.%d' % (name, born, number)
        try:
            transform(source, sink, batch, source.consumer_group_metadata(), tag)
        except KafkaException as failure:
            error = failure.args[0]
            print(tag, error, flush=True)
            if error.fatal():
                os._exit(3)  # at once, as a crash: nobody says goodbye to the group
            try:
                sink.abort_transaction(30)
            except KafkaException as again:
                print(tag, 'cannot abort', again, flush=True)
                os._exit(3)
            rewind(source, batch)
    source.close()
    return 0


def read_all(topic, level):
    """Every record up to the end, by partition; the ends; and whether it came to them."""
    reader = consumer('reader-%d' % os.getpid(),
                      **{'isolation.level': level, 'enable.partition.eof': True})
    reader.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    rows = collections.defaultdict(list)
    open_parts, until = set(range(PARTITIONS)), time.time() + 60
    while open_parts and time.time() < until:
        for message in reader.consume(1000, 0.2):
            if message.error():
                if message.error().code() == KafkaError._PARTITION_EOF:
                    open_parts.discard(message.partition())
                continue
            part = rows[message.partition()]
            part.append((message.offset(), message.key(), message.value().decode()))
            if len(part) > 1 and message.offset() <= part[-2][0]:
                until = 0  # it goes back, and may have no end
    ends = [reader.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1]
            for p in range(PARTITIONS)]
    reader.close()
    return rows, ends, not open_parts


def committed(reader):
    parts = [TopicPartition('eos-in', p) for p in range(PARTITIONS)]
    return {p.partition: p.offset for p in reader.committed(parts, 5) if p.offset >= 0}


def stable(reader):
    return {p: reader.get_watermark_offsets(TopicPartition('eos-a', p), timeout=5)[1]
            for p in range(PARTITIONS)}


def watch(path):
    live = consumer('watch-live')
    live.assign([TopicPartition('eos-a', p, 0) for p in range(PARTITIONS)])
    asker = consumer(GROUP)
    kinds = (('back', committed), ('shrunk', stable))
    before, asked = {'back': {}, 'shrunk': {}}, 0
    with open(path, 'w') as out:
        while not stop:
            for message in live.consume(200, 0.1):
                if not message.error():
                    print('seen', message.partition(), message.offset(),
                          message.value().decode(), file=out, flush=True)
            if time.time() - asked < 0.3:
                continue
            asked = time.time()
            for word, ask in kinds:
                try:
                    now = ask(asker)
                except KafkaException:
                    continue
                for part, offset in before[word].items():
                    if now.get(part, -1) < offset:
                        print(word, part, offset, now.get(part), file=out, flush=True)
                before[word].update(now)


def lag():
    reader = consumer(GROUP)
    done = committed(reader)
    left = 0
    for part in range(PARTITIONS):
        end = reader.get_watermark_offsets(TopicPartition('eos-in', part), timeout=10)[1]
        left += end - done.get(part, 0)
    print(left)


def report(rule, faults):
    print('%s - %s' % ('ok' if not faults else 'not ok', rule))
    for fault in list(faults)[:5]:
        print('#', fault)


def check_watch(path, good):
    seen, faults = collections.defaultdict(list), {'back': [], 'shrunk': []}
    with open(path) as lines:
        for line in lines:
            words = line.split()
            if words[0] == 'seen':
                seen[int(words[1])].append((int(words[2]), words[3]))
            else:
                faults[words[0]].append(line)
    report('committed offsets never go back', faults['back'])
    report('what committed readers may read never shrinks', faults['shrunk'])
    wrong = []
    for part, rows in seen.items():
        final = [(offset, value) for offset, _, value in good[part]]
        if rows != final[:len(rows)]:
            wrong.append('partition %d differs from the end' % part)
    report('a live reader saw what stays, in that order',
           wrong if any(seen.values()) else ['it saw nothing'])


def check_transactions(topic, rows):
    """In a partition, those of a processor stand in their order, and none of a process
    behind one of the process that took its place."""
    faults = []
    for part, records in rows.items():
        now = {}
        for _, _, value in records:
            name, born, number = value.split('|')[3].rsplit('.', 2)
            this = (int(born), int(number))
            if this < now.get(name, this):
                faults.append((part, value))
            now[name] = max(this, now.get(name, this))
    report(topic + ': no zombie wrote, transactions are in order', faults)


def check(count, path):
    source, source_ends, whole = read_all('eos-in', 'read_committed')
    report('the input is whole', [] if whole and sum(map(len, source.values())) == count
           else ['%d of %d' % (sum(map(len, source.values())), count)])
    given = {(part, offset): (key, value) for part, rows in source.items()
             for offset, key, value in rows}
    out = {}
    for topic in ('eos-a', 'eos-b'):
        rows, ends, whole = read_all(topic, 'read_committed')
        every, _, _ = read_all(topic, 'read_uncommitted')
        out[topic] = rows
        origins, order, wrong, bad = collections.Counter(), [], [], []
        for part, records in rows.items():
            last = -1
            for offset, key, value in records:
                p, o, text, _, mark = value.split('|')
                origin = (int(p), int(o))
                origins[origin] += 1
                if origin[1] <= last:
                    order.append(value)
                last = origin[1]
                if mark != 'good':
                    bad.append(value)
                if given.get(origin) != (key, text) or origin[0] != part:
                    wrong.append((part, key, value))
            if [r[0] for r in records] != sorted({r[0] for r in records}):
                order.append('offsets of partition %d' % part)
        report(topic + ': none is lost', ([] if whole else ['not read to the end'])
               + [o for o in given if o not in origins])
        report(topic + ': none is there twice', [o for o, n in origins.items() if n > 1])
        report(topic + ': none is out of order', order)
        report(topic + ': nothing aborted is read', bad)
        report(topic + ': key, value and partition are right', wrong)
        missing = [r for p in rows for r in set(rows[p]).difference(every[p])]
        report(topic + ': what is committed is there uncommitted too', missing)
        check_transactions(topic, rows)
        again, _, _ = read_all(topic, 'read_committed')
        report(topic + ': read again, it is the same', [] if again == rows else ['it differs'])
    halves = [collections.Counter(r[2].split('|')[3] for p in rows for r in rows[p])
              for rows in (out['eos-a'], out['eos-b'])]
    print('# transactions seen:', dict(collections.Counter(t.split('.')[0] for t in halves[0])))
    report('no transaction is torn', [t for t in halves[0] | halves[1]
                                      if halves[0][t] != halves[1][t]])
    reader = consumer(GROUP)
    done = committed(reader)
    report('the group is at the end', ['%d: %s of %d' % (p, done.get(p), end)
                                       for p, end in enumerate(source_ends) if done.get(p) != end])
    check_watch(path, out['eos-a'])


def on_signal(*_):
    global stop
    stop = True


signal.signal(signal.SIGTERM, on_signal)
faulthandler.register(signal.SIGUSR1)
ACTIONS = {'fill': lambda n: fill(int(n)), 'process': process, 'watch': watch, 'lag': lag,
           'check': lambda n, path: check(int(n), path)}
try:
    sys.exit(ACTIONS[sys.argv[1]](*sys.argv[2:]) or 0)
except KafkaException as failure:
    print(sys.argv[1:], failure)
    sys.exit(4)
