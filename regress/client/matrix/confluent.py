# SPDX-License-Identifier: Apache-2.0
"""confluent-kafka for Python (librdkafka), Debian's and the newest."""
import time
import uuid

import confluent_kafka
from confluent_kafka import (OFFSET_BEGINNING, OFFSET_INVALID, Consumer, KafkaException, Producer,
                             TopicPartition)
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from librdkafka import settings
from scenario import EACH, MECHANISM, NAME, end, ok, part, until

RELEASE = tuple(int(word) for word in confluent_kafka.libversion()[0].split("-")[0].split("."))
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
produced = 0


def consumer(group, **more):
    if "group_protocol" not in more:
        more["heartbeat_interval_ms"] = 300
    return Consumer(settings(group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
                             fetch_wait_max_ms=50, **more))


def served(client):
    """Old releases ask for a token only while they are polled."""
    if MECHANISM == "OAUTHBEARER":
        client.poll(1)
    return client


def send(producer, topic, values, **more):
    places = set()

    def delivered(error, message):
        if error is None:
            places.add((message.partition(), message.offset()))

    for i, value in enumerate(values):
        producer.produce(topic, key="k%d" % i, value=value, on_delivery=delivered, **more)
    return places


def produce():
    global produced
    for codec in CODECS:
        producer = Producer(settings(compression_type=codec, acks="all", linger_ms=5))
        places = send(producer, NAME, ["v%d" % i for i in range(EACH)], headers={"h": b"x", "n": None})
        producer.flush(20)
        produced += len(places)
        ok(len(places) == EACH, "produce: %s" % codec)
    producer = Producer(settings(enable_idempotence=True))
    places = send(producer, NAME, ["v%d" % i for i in range(EACH)], headers={"h": b"x", "n": None})
    producer.flush(20)
    produced += len(places)
    ok(len(places) == EACH, "produce: idempotent")
    producer = Producer(settings(acks="0"))
    send(producer, NAME, ["v"], headers={"h": b"x", "n": None})
    producer.flush(20)
    produced += 1
    ok(True, "produce: acks=0")


def read(reader, number, seconds=30):
    messages, deadline = [], time.time() + seconds
    while len(messages) < number and time.time() < deadline:
        messages += [m for m in reader.consume(500, 0.2) if m.error() is None]
    return messages


def consume():
    reader = consumer(NAME + "-none")
    parts = [TopicPartition(NAME, i, OFFSET_BEGINNING) for i in range(3)]
    reader.assign(parts)
    messages = read(reader, produced)
    ok(len(messages) == produced and
       all(m.headers() == [("h", b"x"), ("n", None)] for m in messages), "consume: everything")
    ends = [reader.get_watermark_offsets(p) for p in parts]
    ok(sum(high for _, high in ends) == produced, "consume: ends of the partitions")
    reader.seek(TopicPartition(NAME, 0, 3))
    back = [m for m in read(reader, ends[0][1] - 3) if m.partition() == 0]
    ok(back and back[0].offset() == 3, "consume: seek")
    asked = [TopicPartition(NAME, 0, 1), TopicPartition(NAME, 1, int(time.time() * 1000) + 3600000)]
    first, late = reader.offsets_for_times(asked, timeout=10)
    ok(first.offset == 0 and late.offset in (OFFSET_INVALID, -1), "consume: offsets by time")
    reader.close()


def share(label, group, **more):
    seen = []
    one = consumer(group, **more)
    one.subscribe([NAME])

    def poll(*members):
        for member in members:
            seen.extend((m.partition(), m.offset()) for m in member.consume(500, 0.05)
                        if m.error() is None)

    ok(until(lambda: poll(one) or len(one.assignment()) == 3), "groups: one member has all" + label)
    two = consumer(group, **more)
    two.subscribe([NAME])
    ok(until(lambda: poll(one, two) or len(one.assignment()) in (1, 2) and
             len(one.assignment()) + len(two.assignment()) == 3), "groups: two share" + label)
    ok(until(lambda: poll(one, two) or len(set(seen)) == produced), "groups: all is read" + label)
    two.close()
    ok(until(lambda: poll(one) or len(one.assignment()) == 3), "groups: one takes over" + label)
    poll(one, one)
    one.commit(offsets=[TopicPartition(NAME, i, one.get_watermark_offsets(TopicPartition(NAME, i))[1])
                        for i in range(3)], asynchronous=False)
    done = one.committed([TopicPartition(NAME, i) for i in range(3)], timeout=10)
    ok(sum(p.offset for p in done) == produced, "groups: commits" + label)
    one.close()
    three = consumer(group, **more)
    three.subscribe([NAME])
    del seen[:]
    ok(until(lambda: poll(three) or len(three.assignment()) == 3) and not seen,
       "groups: a new member begins where they ended" + label)
    three.close()


def groups():
    share("", NAME + "-g")
    share(", co-operative", NAME + "-c", partition_assignment_strategy="cooperative-sticky")
    if RELEASE >= (2, 4, 0):
        share(", KIP-848", NAME + "-n", group_protocol="consumer")


def transactions():
    topic = NAME + "-tx"
    make(topic, 2)
    producer = served(Producer(settings(transactional_id=NAME + "-id")))
    producer.init_transactions(30)
    producer.begin_transaction()
    send(producer, topic, ["yes%d" % i for i in range(10)])
    source = served(consumer(NAME + "-txg"))
    producer.send_offsets_to_transaction([TopicPartition(NAME, 0, 2)], source.consumer_group_metadata(), 20)
    producer.commit_transaction(30)
    ok(True, "transactions: commit")
    producer.begin_transaction()
    send(producer, topic, ["no%d" % i for i in range(10)])
    producer.send_offsets_to_transaction([TopicPartition(NAME, 0, 5)], source.consumer_group_metadata(), 20)
    producer.flush(20)
    producer.abort_transaction(30)
    ok(True, "transactions: abort")
    producer.begin_transaction()
    send(producer, topic, ["yes%d" % i for i in range(10)])
    producer.commit_transaction(30)
    done = source.committed([TopicPartition(NAME, 0)], timeout=10)
    ok(done[0].offset == 2, "transactions: offsets")
    for level, number in (("read_committed", 20), ("read_uncommitted", 30)):
        reader = consumer(NAME + "-none", isolation_level=level, enable_partition_eof=True)
        reader.assign([TopicPartition(topic, i, OFFSET_BEGINNING) for i in range(2)])
        values, over = [], 0
        while over < 2:
            for message in reader.consume(100, 0.1):
                over += message.error() is not None
                values += [message.value()] if message.error() is None else []
        ok(len(values) == number and (number == 30 or all(v[:3] == b"yes" for v in values)),
           "transactions: " + level)
        reader.close()
    newer = served(Producer(settings(transactional_id=NAME + "-id")))
    newer.init_transactions(30)
    try:
        producer.begin_transaction()
        producer.produce(topic, "late")
        producer.commit_transaction(20)
        ok(False, "transactions: the former producer is fenced")
    except KafkaException as error:
        ok(error.args[0].fatal() or "FENCED" in error.args[0].name(),
           "transactions: the former producer is fenced")
    source.close()


def make(topic, number):
    client = served(AdminClient(settings()))
    client.create_topics([NewTopic(topic, number, 1)])[topic].result(20)


def admin():
    topic = NAME + "-admin"
    client = served(AdminClient(settings()))
    client.create_topics([NewTopic(topic, 2, 1, config={"retention.ms": "1000000"})])[topic].result(20)
    ok(len(client.list_topics(topic, 10).topics[topic].partitions) == 2, "admin: create a topic")
    try:
        client.create_topics([NewTopic(topic, 2, 1)])[topic].result(20)
        ok(False, "admin: it exists")
    except KafkaException as error:
        ok(error.args[0].name() == "TOPIC_ALREADY_EXISTS", "admin: it exists")
    client.create_partitions([NewPartitions(topic, 4)])[topic].result(20)
    ok(until(lambda: len(client.list_topics(topic, 10).topics[topic].partitions) == 4),
       "admin: more partitions")
    resource = ConfigResource("topic", topic)
    value = client.describe_configs([resource])[resource].result(20)["retention.ms"].value
    ok(value == "1000000", "admin: describe its settings")
    changed = ConfigResource("topic", topic, set_config={"retention.ms": "7000000"})
    client.alter_configs([changed])[changed].result(20)
    value = client.describe_configs([resource])[resource].result(20)["retention.ms"].value
    ok(value == "7000000", "admin: change them")
    broker = ConfigResource("broker", "1")
    ok(len(client.describe_configs([broker])[broker].result(20)) > 50, "admin: settings of the broker")
    ok(any(g.id == NAME + "-g" for g in client.list_groups(timeout=10)), "admin: list groups")
    if hasattr(client, "describe_consumer_groups"):
        newer(client, topic)
    client.delete_topics([topic])[topic].result(20)
    ok(until(lambda: topic not in client.list_topics(timeout=10).topics), "admin: delete the topic")


def newer(client, topic):
    """What newer releases have."""
    from confluent_kafka import ConsumerGroupTopicPartitions, ConsumerGroupState, IsolationLevel
    from confluent_kafka.admin import (AlterConfigOpType, ConfigEntry, OffsetSpec, ResourcePatternType,
                                       ResourceType, ScramCredentialInfo, ScramMechanism,
                                       UserScramCredentialDeletion, UserScramCredentialUpsertion)
    names = [g.group_id for g in client.list_consumer_groups().result(20).valid]
    ok(NAME + "-g" in names, "admin: list consumer groups")
    group = client.describe_consumer_groups([NAME + "-g"])[NAME + "-g"].result(20)
    ok(group.state == ConsumerGroupState.EMPTY, "admin: describe a group")
    asked = ConsumerGroupTopicPartitions(NAME + "-g")
    found = client.list_consumer_group_offsets([asked])[NAME + "-g"].result(20)
    ok(sum(p.offset for p in found.topic_partitions) == produced, "admin: offsets of a group")
    moved = ConsumerGroupTopicPartitions(NAME + "-g", [TopicPartition(NAME, 0, 1)])
    client.alter_consumer_group_offsets([moved])[NAME + "-g"].result(20)
    asked = ConsumerGroupTopicPartitions(NAME + "-g", [TopicPartition(NAME, 0)])
    found = client.list_consumer_group_offsets([asked])[NAME + "-g"].result(20)
    ok(found.topic_partitions[0].offset == 1, "admin: change them")
    client.delete_consumer_groups([NAME + "-g"])[NAME + "-g"].result(20)
    ok(NAME + "-g" not in [g.group_id for g in client.list_consumer_groups().result(20).valid],
       "admin: delete a group")
    where = TopicPartition(NAME, 0)
    last = client.list_offsets({where: OffsetSpec.latest()},
                               isolation_level=IsolationLevel.READ_COMMITTED)[where].result(20)
    ok(last.offset > 0, "admin: list offsets")
    found = client.describe_topics(confluent_kafka.TopicCollection([topic]))[topic].result(20)
    ok(len(found.partitions) == 4, "admin: describe a topic")
    ok(len(client.describe_cluster().result(20).nodes) == 1, "admin: describe the cluster")
    entry = ConfigEntry("retention.ms", "8000000", incremental_operation=AlterConfigOpType.SET)
    changed = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    client.incremental_alter_configs([changed])[changed].result(20)
    value = client.describe_configs([changed])[changed].result(20)["retention.ms"].value
    ok(value == "8000000", "admin: change a setting")
    client.delete_records([TopicPartition(NAME, 0, 2)])
    ok(until(lambda: client.list_offsets({where: OffsetSpec.earliest()})[where].result(20).offset == 2),
       "admin: delete records")
    user = "u" + uuid.uuid4().hex
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
    client.alter_user_scram_credentials(
        [UserScramCredentialUpsertion(user, info, b"secret")])[user].result(20)
    found = client.describe_user_scram_credentials([user])[user].result(20)
    ok(found.scram_credential_infos[0].iterations == 4096, "admin: a user's password")
    client.alter_user_scram_credentials(
        [UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_256)])[user].result(20)
    acls(client)


def acls(client):
    from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType,
                                       ResourcePatternType, ResourceType)
    words = (ResourceType.TOPIC, NAME + "-acl", ResourcePatternType.LITERAL, "User:nobody", "*",
             AclOperation.READ, AclPermissionType.ALLOW)
    binding, same = AclBinding(*words), AclBindingFilter(*words)
    client.create_acls([binding])[binding].result(20)
    ok(client.describe_acls(same).result(20) == [binding], "admin: an access rule")
    ok(client.delete_acls([same])[same].result(20) == [binding], "admin: delete it")


print("# version %s" % confluent_kafka.version() if isinstance(confluent_kafka.version(), str)
      else "# version %s" % confluent_kafka.version()[0])
part("produce", produce)
part("consume", consume)
part("groups", groups)
part("transactions", transactions)
part("admin", admin)
end()
