# SPDX-License-Identifier: Apache-2.0
"""aiokafka."""
import asyncio
import ssl
import time
import traceback

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.abc import AbstractTokenProvider
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from scenario import CA, CERT, EACH, KEY, MECHANISM, NAME, PASSWORD, PROTOCOL, SERVER, USER, end, ok, token

PARTS = [TopicPartition(NAME, i) for i in range(3)]
HEADERS = [("h", b"x"), ("e", b"")]
produced = 0


class Provider(AbstractTokenProvider):
    async def token(self):
        return token()


def settings(**more):
    made = {"bootstrap_servers": SERVER, "security_protocol": PROTOCOL, **more}
    if "SSL" in PROTOCOL:
        made["ssl_context"] = ssl.create_default_context(cafile=CA)
    if CERT:
        made["ssl_context"].load_cert_chain(CERT, KEY)
    if MECHANISM == "OAUTHBEARER":
        made.update(sasl_mechanism=MECHANISM, sasl_oauth_token_provider=Provider())
    elif MECHANISM:
        made.update(sasl_mechanism=MECHANISM, sasl_plain_username=USER, sasl_plain_password=PASSWORD)
    return made


def consumer(*topics, **more):
    return AIOKafkaConsumer(*topics, **settings(auto_offset_reset="earliest", enable_auto_commit=False,
                                                fetch_max_wait_ms=50, **more))


async def until(condition, seconds=40):
    deadline = time.time() + seconds
    while time.time() < deadline and not condition():
        await asyncio.sleep(0.02)
    return condition()


async def send(producer, topic, values):
    sent = [await producer.send(topic, key=b"k%d" % i, value=value, headers=HEADERS)
            for i, value in enumerate(values)]
    return len({(r.partition, r.offset) for r in await asyncio.gather(*sent)})


async def produce():
    global produced
    values = [b"v%d" % i for i in range(EACH)]
    for codec in (None, "gzip", "snappy", "lz4", "zstd"):
        async with AIOKafkaProducer(**settings(acks="all", linger_ms=5, compression_type=codec)) as producer:
            number = await send(producer, NAME, values)
        produced += number
        ok(number == EACH, "produce: %s" % codec)
    async with AIOKafkaProducer(**settings(enable_idempotence=True)) as producer:
        number = await send(producer, NAME, values)
    produced += number
    ok(number == EACH, "produce: idempotent")
    async with AIOKafkaProducer(**settings(acks=0)) as producer:
        await producer.send_and_wait(NAME, key=b"k", value=b"v", headers=HEADERS)
    produced += 1
    ok(True, "produce: acks=0")


async def read(reader, number, seconds=30):
    messages, deadline = [], time.time() + seconds
    while len(messages) < number and time.time() < deadline:
        for batch in (await reader.getmany(timeout_ms=500)).values():
            messages += batch
    return messages


async def consume():
    async with consumer() as reader:
        reader.assign(PARTS)
        await reader.seek_to_beginning()
        messages = await read(reader, produced)
        ok(len(messages) == produced and all(list(m.headers) == HEADERS for m in messages),
           "consume: everything")
        ends = await reader.end_offsets(PARTS)
        ok(sum(ends.values()) == produced, "consume: ends of the partitions")
        reader.seek(PARTS[0], 3)
        back = [m for m in await read(reader, ends[PARTS[0]] - 3) if m.partition == 0]
        ok(back and back[0].offset == 3, "consume: seek")
        found = await reader.offsets_for_times(
            {PARTS[0]: 1, PARTS[1]: int(time.time() * 1000) + 3600000})
        ok(found[PARTS[0]].offset == 0 and found[PARTS[1]] is None, "consume: offsets by time")


async def groups():
    seen = []
    group = {"group_id": NAME + "-g", "heartbeat_interval_ms": 300, "session_timeout_ms": 6000}

    async def follow(member):
        async for message in member:
            seen.append((message.partition, message.offset))

    one, two = consumer(NAME, **group), consumer(NAME, **group)
    await one.start()
    first = asyncio.create_task(follow(one))
    ok(await until(lambda: len(one.assignment()) == 3), "groups: one member has all")
    await two.start()
    second = asyncio.create_task(follow(two))
    ok(await until(lambda: len(one.assignment()) in (1, 2) and
                   len(one.assignment()) + len(two.assignment()) == 3), "groups: two share")
    ok(await until(lambda: len(set(seen)) == produced), "groups: all is read")
    second.cancel()
    await two.stop()
    ok(await until(lambda: len(one.assignment()) == 3), "groups: one takes over")
    ends = await one.end_offsets(PARTS)
    await one.commit({p: (ends[p], "note") for p in PARTS})
    ok(sum([await one.committed(p) for p in PARTS]) == produced, "groups: commits")
    first.cancel()
    await one.stop()
    async with consumer(NAME, **group) as three:
        batch = await three.getmany(timeout_ms=1000)
        ok(not batch and len(three.assignment()) == 3, "groups: a new member begins where they ended")


async def transactions():
    topic = NAME + "-tx"
    await make(topic, 2)
    producer = AIOKafkaProducer(**settings(transactional_id=NAME + "-id"))
    await producer.start()

    async def run(word, offset, over):
        await producer.begin_transaction()
        await send(producer, topic, [b"%s%d" % (word, i) for i in range(10)])
        if offset is not None:
            await producer.send_offsets_to_transaction({PARTS[0]: OffsetAndMetadata(offset, "")},
                                                       NAME + "-txg")
        await over()

    await run(b"yes", 2, producer.commit_transaction)
    ok(True, "transactions: commit")
    await run(b"no", 5, producer.abort_transaction)
    ok(True, "transactions: abort")
    await run(b"yes", None, producer.commit_transaction)
    async with consumer(group_id=NAME + "-txg") as source:
        ok(await source.committed(PARTS[0]) == 2, "transactions: offsets")
    for level, number in (("read_committed", 20), ("read_uncommitted", 30)):
        async with consumer(isolation_level=level) as reader:
            reader.assign([TopicPartition(topic, i) for i in range(2)])
            values = [m.value for m in await read(reader, number)]
            values += [m.value for m in await read(reader, 1, 1)]
            ok(len(values) == number and (number == 30 or all(v[:3] == b"yes" for v in values)),
               "transactions: " + level)
    newer = AIOKafkaProducer(**settings(transactional_id=NAME + "-id"))
    await newer.start()
    try:
        await run(b"late", None, producer.commit_transaction)
        ok(False, "transactions: the former producer is fenced")
    except KafkaError as error:
        ok("Fenced" in repr(error) or "Epoch" in repr(error), "transactions: the former producer is fenced")
    await newer.stop()
    await producer.stop()


async def make(topic, number, **configs):
    client = AIOKafkaAdminClient(**settings())
    await client.start()
    answer = await client.create_topics([NewTopic(topic, number, 1, topic_configs=configs)])
    await client.close()
    return answer.topic_errors[0][1]


async def admin():
    topic = NAME + "-admin"
    ok(await make(topic, 2, **{"retention.ms": "1000000"}) == 0, "admin: create a topic")
    ok(await make(topic, 2) == 36, "admin: it exists")
    client = AIOKafkaAdminClient(**settings())
    await client.start()
    await client.create_partitions({topic: NewPartitions(4)})
    ok(len((await client.describe_topics([topic]))[0]["partitions"]) == 4, "admin: more partitions")

    async def setting():
        answer = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        return dict(entry[:2] for entry in answer[0].resources[0][4])["retention.ms"]

    ok(await setting() == "1000000", "admin: describe its settings")
    await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "7000000"})])
    ok(await setting() == "7000000", "admin: change them")
    ok((NAME + "-g", "consumer") in await client.list_consumer_groups(), "admin: list groups")
    described = await client.describe_consumer_groups([NAME + "-g"])
    ok("Empty" in repr(described), "admin: describe a group")
    found = await client.list_consumer_group_offsets(NAME + "-g")
    ok(sum(o.offset for o in found.values()) == produced, "admin: offsets of a group")
    from aiokafka.admin import RecordsToDelete
    answer = await client.delete_records({PARTS[0]: RecordsToDelete(before_offset=2)})
    ok(answer[PARTS[0]] == 2, "admin: delete records")
    ok((await client.describe_cluster())["cluster_id"], "admin: describe the cluster")
    await client.delete_topics([topic])
    ok(topic not in await client.list_topics(), "admin: delete the topic")
    await client.close()


async def part(name, run):
    try:
        await run()
    except Exception as error:
        traceback.print_exc()
        ok(False, "%s: %s" % (name, " ".join(repr(error).split())[:150]))


async def main():
    print("# version %s" % aiokafka.__version__)
    for run in (produce, consume, groups, transactions, admin):
        await part(run.__name__, run)


asyncio.run(main())
end()
