# SPDX-License-Identifier: Apache-2.0
"""kafka-python, Debian's (2.0) and the newest (3)."""
import threading
import time
import warnings

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from scenario import (CA, CERT, EACH, KEY, MECHANISM, NAME, PASSWORD, PROTOCOL, SERVER, USER, end, ok,
                      part, skip, token, until)

warnings.simplefilter("ignore")
NEW = tuple(int(word) for word in kafka.__version__.split(".")[:2]) >= (3, 0)
PARTS = [TopicPartition(NAME, i) for i in range(3)]
HEADERS = [("h", b"x"), ("e", b"")]
produced = 0


try:
    from kafka.net.sasl.oauth import AbstractTokenProvider
except ImportError:
    from kafka.oauth import AbstractTokenProvider


class Provider(AbstractTokenProvider):
    def __init__(self, **config):
        pass

    def token(self):
        return token()

    def extensions(self):
        return {}


def settings(**more):
    made = {"bootstrap_servers": SERVER, "security_protocol": PROTOCOL, **more}
    if "SSL" in PROTOCOL:
        made["ssl_cafile"] = CA
    if CERT:
        made.update(ssl_certfile=CERT, ssl_keyfile=KEY)
    if MECHANISM == "OAUTHBEARER":
        made.update(sasl_mechanism=MECHANISM, sasl_oauth_token_provider=Provider())
    elif MECHANISM:
        made.update(sasl_mechanism=MECHANISM, sasl_plain_username=USER, sasl_plain_password=PASSWORD)
    return made


def consumer(*topics, **more):
    more.setdefault("enable_auto_commit", False)
    return KafkaConsumer(*topics, **settings(auto_offset_reset="earliest", fetch_max_wait_ms=50, **more))


def send(producer, topic, values, **more):
    sent = [producer.send(topic, key=b"k%d" % i, value=value, headers=HEADERS)
            for i, value in enumerate(values)]
    producer.flush(20)
    return len({(future.get(20).partition, future.get(20).offset) for future in sent})


def produce():
    global produced
    values = [b"v%d" % i for i in range(EACH)]
    for codec in (None, "gzip", "snappy", "lz4", "zstd"):
        try:
            producer = KafkaProducer(**settings(acks="all", linger_ms=5, compression_type=codec))
        except AssertionError:
            continue  # it lacks the library
        number = send(producer, NAME, values)
        produced += number
        ok(number == EACH, "produce: %s" % codec)
        producer.close()
    if NEW:
        producer = KafkaProducer(**settings(enable_idempotence=True))
        number = send(producer, NAME, values)
        produced += number
        ok(number == EACH, "produce: idempotent")
        producer.close()
    producer = KafkaProducer(**settings(acks=0))
    producer.send(NAME, key=b"k", value=b"v", headers=HEADERS)
    producer.flush(20)
    producer.close()
    produced += 1
    ok(True, "produce: acks=0")


def read(reader, number, seconds=30):
    messages, deadline = [], time.time() + seconds
    while len(messages) < number and time.time() < deadline:
        for batch in reader.poll(timeout_ms=500).values():
            messages += batch
    return messages


def consume():
    reader = consumer()
    reader.assign(PARTS)
    reader.seek_to_beginning()
    messages = read(reader, produced)
    ok(len(messages) == produced and all(list(m.headers) == HEADERS for m in messages),
       "consume: everything")
    ends = reader.end_offsets(PARTS)
    ok(sum(ends.values()) == produced and sum(reader.beginning_offsets(PARTS).values()) == 0,
       "consume: ends of the partitions")
    reader.seek(PARTS[0], 3)
    back = [m for m in read(reader, ends[PARTS[0]] - 3) if m.partition == 0]
    ok(back and back[0].offset == 3, "consume: seek")
    found = reader.offsets_for_times({PARTS[0]: 1, PARTS[1]: int(time.time() * 1000) + 3600000})
    ok(found[PARTS[0]].offset == 0 and found[PARTS[1]] is None, "consume: offsets by time")
    reader.close()


class Member(threading.Thread):
    """A consumer that polls on a thread of its own: a join blocks it."""

    def __init__(self, group, seen, **more):
        super().__init__(daemon=True)
        self.group, self.seen, self.more = group, seen, more
        self.mine, self.commit, self.total, self.over = set(), False, None, False
        self.start()

    def run(self):
        reader = consumer(NAME, group_id=self.group, heartbeat_interval_ms=300, session_timeout_ms=6000,
                          **self.more)
        while not self.over:
            # 3.0.12 forgets a SyncGroup whose answer comes when poll() has timed out.
            for batch in reader.poll(timeout_ms=1000).values():
                self.seen.extend((m.partition, m.offset) for m in batch)
            self.mine = set(reader.assignment())
            if self.commit:
                ends = reader.end_offsets(PARTS)
                extra = (-1,) if NEW else ()
                reader.commit({p: OffsetAndMetadata(ends[p], "note", *extra) for p in PARTS})
                self.total = sum(reader.committed(p) for p in PARTS)
                self.commit = False
        reader.close()


def share(label, group, **more):
    seen = []
    one = Member(group, seen, **more)
    ok(until(lambda: len(one.mine) == 3), "groups: one member has all" + label)
    two = Member(group, seen, **more)
    ok(until(lambda: len(one.mine) in (1, 2) and len(one.mine) + len(two.mine) == 3 and
             not one.mine & two.mine), "groups: two share" + label)
    ok(until(lambda: len(set(seen)) == produced), "groups: all is read" + label)
    two.over = True
    ok(until(lambda: len(one.mine) == 3), "groups: one takes over" + label)
    one.commit = True
    ok(until(lambda: one.total == produced), "groups: commits" + label)
    one.over = True
    one.join(20)
    again = []
    three = Member(group, again, **more)
    ok(until(lambda: len(three.mine) == 3) and not again, "groups: a new member begins where they ended" + label)
    three.over = True
    three.join(20)


def groups():
    share("", NAME + "-g")
    if NEW:
        from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
        share(", co-operative", NAME + "-c", partition_assignment_strategy=[CooperativeStickyAssignor])


def transactions():
    if not NEW:
        return skip("transactions", "the client has none")
    topic = NAME + "-tx"
    make(topic, 2)
    parts = [TopicPartition(topic, i) for i in range(2)]
    producer = KafkaProducer(**settings(transactional_id=NAME + "-id"))
    producer.init_transactions()
    source = consumer(group_id=NAME + "-txg")

    def run(word, offset, over):
        producer.begin_transaction()
        for i in range(10):
            producer.send(topic, key=b"k%d" % i, value=b"%s%d" % (word, i))
        if offset is not None:
            producer.send_offsets_to_transaction({PARTS[0]: OffsetAndMetadata(offset, "", -1)},
                                                 NAME + "-txg")
        producer.flush(20)
        over()

    run(b"yes", 2, producer.commit_transaction)
    ok(True, "transactions: commit")
    run(b"no", 5, producer.abort_transaction)
    ok(True, "transactions: abort")
    run(b"yes", None, producer.commit_transaction)
    ok(source.committed(PARTS[0]) == 2, "transactions: offsets")
    source.close()
    for level, number in (("read_committed", 20), ("read_uncommitted", 30)):
        reader = consumer(isolation_level=level)
        reader.assign(parts)
        values = [m.value for m in read(reader, number)]
        values += [m.value for m in read(reader, 1, 1)]
        ok(len(values) == number and (number == 30 or all(v[:3] == b"yes" for v in values)),
           "transactions: " + level)
        reader.close()
    newer = KafkaProducer(**settings(transactional_id=NAME + "-id"))
    newer.init_transactions()
    try:
        run(b"late", None, producer.commit_transaction)
        ok(False, "transactions: the former producer is fenced")
    except KafkaError as error:
        ok("Fenced" in repr(error) or "Epoch" in repr(error), "transactions: the former producer is fenced")
    newer.close()


def make(topic, number, **configs):
    client = KafkaAdminClient(**settings())
    if NEW:
        client.create_topics({topic: {"num_partitions": number, "replication_factor": 1, "configs": configs}})
    else:
        from kafka.admin import NewTopic
        client.create_topics([NewTopic(topic, number, 1, topic_configs=configs)])
    client.close()


def admin():
    topic = NAME + "-admin"
    make(topic, 2, **{"retention.ms": "1000000"})
    client = KafkaAdminClient(**settings())
    ok(len(client.describe_topics([topic])[0]["partitions"]) == 2, "admin: create a topic")
    try:
        make(topic, 2)
        ok(False, "admin: it exists")
    except KafkaError as error:
        ok(type(error).__name__ == "TopicAlreadyExistsError", "admin: it exists")
    if NEW:
        client.create_partitions({topic: 4})
    else:
        from kafka.admin import NewPartitions
        client.create_partitions({topic: NewPartitions(4)})
    ok(until(lambda: len(client.describe_topics([topic])[0]["partitions"]) == 4), "admin: more partitions")
    (newer if NEW else older)(client, topic)
    client.delete_topics([topic])
    ok(until(lambda: topic not in client.list_topics()), "admin: delete the topic")
    client.close()


def older(client, topic):
    def setting():
        answer = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])[0]
        return dict(entry[:2] for entry in answer.resources[0][4])["retention.ms"]

    ok(setting() == "1000000", "admin: describe its settings")
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "7000000"})])
    ok(setting() == "7000000", "admin: change them")
    ok((NAME + "-g", "consumer") in client.list_consumer_groups(), "admin: list groups")
    ok(client.describe_consumer_groups([NAME + "-g"])[0].state == "Empty", "admin: describe a group")
    found = client.list_consumer_group_offsets(NAME + "-g")
    ok(sum(o.offset for o in found.values()) == produced, "admin: offsets of a group")
    answers = client.delete_consumer_groups([NAME + "-g"])
    ok([error.__name__ for _, error in answers] == ["NoError"], "admin: delete a group")
    try:
        ok(client.describe_cluster()["cluster_id"], "admin: describe the cluster")
    except AttributeError:
        pass


def newer(client, topic):
    from kafka.admin import (ACL, ACLFilter, ACLOperation, ACLPermissionType, OffsetSpec, ResourcePattern,
                             ResourcePatternFilter, ResourceType, ACLResourcePatternType,
                             ScramMechanism, UserScramCredentialDeletion, UserScramCredentialUpsertion)

    def setting():
        answer = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        found = next(iter(answer.values()))[topic]["retention.ms"]
        return found["value"] if isinstance(found, dict) else getattr(found, "value", found)

    ok(str(setting()) == "1000000", "admin: describe its settings")
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "7000000"})])
    ok(str(setting()) == "7000000", "admin: change them")
    client.reset_configs([ConfigResource(ConfigResourceType.TOPIC, topic, ["retention.ms"])])
    ok("7000000" not in repr(client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])),
       "admin: reset them")
    ok(any(NAME + "-g" in repr(g) for g in client.list_groups()), "admin: list groups")
    ok("Empty" in repr(client.describe_groups([NAME + "-g"])), "admin: describe a group")
    found = client.list_group_offsets({NAME + "-g": None})[NAME + "-g"]
    ok(sum(o.offset for o in found.values()) == produced, "admin: offsets of a group")
    client.alter_group_offsets(NAME + "-g", {PARTS[0]: OffsetAndMetadata(1, "", -1)})
    found = client.list_group_offsets({NAME + "-g": [PARTS[0]]})[NAME + "-g"]
    ok(found[PARTS[0]].offset == 1, "admin: change them")
    client.delete_group_offsets(NAME + "-g", [PARTS[1]])
    found = client.list_group_offsets({NAME + "-g": None})[NAME + "-g"]
    ok(PARTS[1] not in found, "admin: delete some")
    client.delete_groups([NAME + "-g"])
    ok(not any("'%s-g'" % NAME in repr(g) for g in client.list_groups()), "admin: delete a group")
    ok(client.describe_cluster()["cluster_id"], "admin: describe the cluster")
    last = client.list_partition_offsets({PARTS[0]: OffsetSpec.LATEST})
    ok(last[PARTS[0]].offset > 0, "admin: list offsets")
    client.delete_records({PARTS[0]: 2})
    first = client.list_partition_offsets({PARTS[0]: OffsetSpec.EARLIEST})
    ok(first[PARTS[0]].offset == 2, "admin: delete records")
    ok(topic in repr(client.describe_topic_partitions([topic])), "admin: partitions of a topic")
    ok(topic in repr(client.describe_log_dirs()), "admin: log directories")
    ok(NAME + "-id" in repr(client.list_transactions()), "admin: list transactions")
    ok("EMPTY" in repr(client.describe_transactions([NAME + "-id"])).upper(), "admin: describe a transaction")
    ok(client.describe_producers([TopicPartition(NAME + "-tx", 0)]), "admin: producers of a partition")
    user = "u-" + NAME
    change = UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, "secret")
    ok(client.alter_user_scram_credentials([change]) == {user: None}, "admin: a user's password")
    ok("SHA_512" in repr(client.describe_user_scram_credentials([user])), "admin: describe it")
    client.alter_user_scram_credentials([UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512)])
    where = ResourcePattern(ResourceType.TOPIC, NAME + "-acl", ACLResourcePatternType.LITERAL)
    rule = ACL("User:nobody", "*", ACLOperation.READ, ACLPermissionType.ALLOW, where)
    same = ACLFilter("User:nobody", "*", ACLOperation.READ, ACLPermissionType.ALLOW,
                     ResourcePatternFilter(ResourceType.TOPIC, NAME + "-acl", ACLResourcePatternType.LITERAL))
    ok(client.create_acls([rule])["succeeded"] == [rule], "admin: an access rule")
    ok(client.describe_acls(same)[0] == [rule], "admin: describe it")
    ok(len(client.delete_acls([same])[0][1]) == 1, "admin: delete it")


print("# version %s" % kafka.__version__)
part("produce", produce)
part("consume", consume)
part("groups", groups)
part("transactions", transactions)
part("admin", admin)
end()
