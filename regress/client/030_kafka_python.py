# SPDX-License-Identifier: Apache-2.0
"""kafka-python against one server: prints TAP. argv: bootstrap address."""
import sys
import threading
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

server = sys.argv[1]
count = 0


def ok(good, sentence):
    global count
    count += 1
    print("%sok %d - %s" % ("" if good else "not ", count, sentence), flush=True)


def fails(name, call):
    try:
        call()
    except KafkaError as error:
        return type(error).__name__ == name
    return False


admin = KafkaAdminClient(bootstrap_servers=server)
answer = admin.create_topics([NewTopic("py", 3, 1, topic_configs={"retention.ms": "1000000"})])
ok(answer.topic_errors[0][1] == 0, "create a topic")
ok(fails("TopicAlreadyExistsError", lambda: admin.create_topics([NewTopic("py", 1, 1)])),
   "creating it again fails")
ok(fails("InvalidTopicError", lambda: admin.create_topics([NewTopic("a b", 1, 1)])),
   "a bad name")
ok(fails("InvalidReplicationFactorError", lambda: admin.create_topics([NewTopic("r", 1, 7)])),
   "too many replicas")
admin.create_partitions({"py": NewPartitions(5)})
ok(admin.list_topics().count("py") == 1, "listed")
ok(fails("InvalidPartitionsError", lambda: admin.create_partitions({"py": NewPartitions(2)})),
   "a topic does not shrink")


def config(name):
    answers = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, "py")])
    for answer in answers:
        for entry in answer.resources[0][4]:
            if entry[0] == name:
                return entry[1]
    return None


ok(config("retention.ms") == "1000000", "its setting")
admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "py", {"retention.ms": "7000000"})])
ok(config("retention.ms") == "7000000", "changed")

for codec in (None, "gzip", "snappy", "lz4", "zstd"):
    try:
        producer = KafkaProducer(bootstrap_servers=server, acks="all", linger_ms=5,
                                 compression_type=codec)
    except AssertionError:
        continue  # kafka-python lacks the library
    sent = [producer.send("py", key=b"k%d" % i, value=b"v%d" % i, headers=[("h", b"x")])
            for i in range(400)]
    producer.flush()
    places = {(s.get(10).partition, s.get(10).offset) for s in sent}
    ok(len(places) == 400, "produce with %s" % codec)
    producer.close()

partitions = [TopicPartition("py", i) for i in range(5)]
consumer = KafkaConsumer("py", bootstrap_servers=server, group_id="pyg",
                         auto_offset_reset="earliest", consumer_timeout_ms=3000,
                         enable_auto_commit=False)
total = sum(consumer.end_offsets(partitions).values())
seen = 0
for message in consumer:
    seen += message.value[:1] == b"v" and message.headers == [("h", b"x")]
    if seen == total:
        break
ok(seen == total, "a group consumes everything")
consumer.commit()
ok(sum(consumer.committed(p) for p in partitions) == total, "and commits")
ok(sum(consumer.beginning_offsets(partitions).values()) == 0, "beginning offsets")
first = consumer.offsets_for_times({p: 0 for p in partitions})
ok(all(first[p] and first[p].offset == 0 for p in partitions), "offsets by time")
late = consumer.offsets_for_times({partitions[0]: int(time.time() * 1000) + 3600000})
ok(late[partitions[0]] is None, "no record after the last")
ok(("pyg", "consumer") in admin.list_consumer_groups(), "the group is listed")
group = admin.describe_consumer_groups(["pyg"])[0]
ok(group.state == "Stable" and len(group.members) == 1, "and described")
offsets = admin.list_consumer_group_offsets("pyg")
ok(sum(o.offset for o in offsets.values()) == total, "its offsets")
consumer.close()
ok(admin.describe_consumer_groups(["pyg"])[0].state == "Empty", "empty when its member left")
answers = dict((g, e.__name__) for g, e in admin.delete_consumer_groups(["pyg", "nobody"]))
ok(answers == {"pyg": "NoError", "nobody": "GroupIdNotFoundError"}, "deleted, and none to delete")



class Member(threading.Thread):
    """A consumer that polls on a thread of its own: a join blocks it."""

    def __init__(self):
        super().__init__(daemon=True)
        self.mine = set()
        self.stop = False
        self.start()

    def run(self):
        reader = KafkaConsumer("py", bootstrap_servers=server, group_id="two",
                               heartbeat_interval_ms=300, session_timeout_ms=6000)
        while not self.stop:
            reader.poll(timeout_ms=100)
            self.mine = set(reader.assignment())
        reader.close()


def until(condition):
    deadline = time.time() + 30
    while time.time() < deadline and not condition():
        time.sleep(0.05)
    return condition()


one, two = Member(), Member()
ok(until(lambda: len(one.mine) in (2, 3) and len(one.mine) + len(two.mine) == 5 and
         not one.mine & two.mine), "two members share the partitions")
two.stop = True
ok(until(lambda: len(one.mine) == 5), "one takes over when the other leaves")
one.stop = True
one.join(10)

plain = KafkaConsumer(bootstrap_servers=server, group_id="plain", enable_auto_commit=False)
plain.assign(partitions[:1])
plain.seek(partitions[0], 3)
batch = plain.poll(timeout_ms=5000, max_records=1)
ok(batch and batch[partitions[0]][0].offset == 3, "assign and seek")
plain.commit({partitions[0]: OffsetAndMetadata(4, "note")})
ok(plain.committed(partitions[0]) == 4, "commit without membership")
plain.close()
admin.delete_topics(["py"])
ok("py" not in admin.list_topics(), "the topic is deleted")
print("1..%d" % count)
