# SPDX-License-Identifier: Apache-2.0
# Groups as librdkafka forms them. "before": members share a topic, one comes
# back under its instance id, one leaves. Then the server is killed. "after":
# what was committed is still there.
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

server, phase = sys.argv[1], sys.argv[2]
count = 0 if phase == "before" else 10


def ok(good, what):
    global count
    count += 1
    print(("ok" if good else "not ok") + " %d - %s" % (count, what), flush=True)


def consumer(instance, strategy="cooperative-sticky"):
    made = Consumer({
        "bootstrap.servers": server, "group.id": "shared", "group.instance.id": instance,
        "session.timeout.ms": 6000, "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "partition.assignment.strategy": strategy})
    made.revoked = 0

    def revoke(who, partitions):
        made.revoked += 1

    made.subscribe(["shared"], on_revoke=revoke)
    return made


class Counting(Consumer):
    revoked = 0


Consumer = Counting


def poll(members, until, seconds=30):
    seen, end = 0, time.time() + seconds
    while time.time() < end and not until(seen):
        for member in members:
            message = member.poll(0.05)
            if message is not None and not message.error():
                seen += 1
    return seen


def shares(members):
    return sorted(len(member.assignment()) for member in members)


def produce(number):
    producer = Producer({"bootstrap.servers": server})
    for i in range(number):
        producer.produce("shared", str(i), partition=i % 6)
    producer.flush()


def before():
    admin = AdminClient({"bootstrap.servers": server})
    admin.create_topics([NewTopic("shared", 6, 1)])["shared"].result()
    produce(600)
    members = [consumer("a"), consumer("b"), consumer("c")]
    seen = poll(members, lambda n: n >= 600 and shares(members) == [2, 2, 2])
    ok(seen >= 600, "three members read everything")
    ok(shares(members) == [2, 2, 2], "two partitions each")
    owned = sorted(p.partition for m in members for p in m.assignment())
    ok(owned == [0, 1, 2, 3, 4, 5], "every partition is somebody's")
    for member in members:
        member.commit(asynchronous=False)
    done = members[0].committed([TopicPartition("shared", p) for p in range(6)])
    ok([p.offset for p in done] == [100] * 6, "all offsets are committed")
    revoked = [member.revoked for member in members]
    mine = sorted(p.partition for p in members[2].assignment())
    members[2].close()
    members[2] = consumer("c")
    poll(members, lambda n: len(members[2].assignment()) == 2)
    ok(sorted(p.partition for p in members[2].assignment()) == mine,
        "a member that comes back under its instance id has what it had")
    ok([member.revoked for member in members[:2]] == revoked[:2], "and nobody is disturbed")
    produce(60)
    seen = poll(members, lambda n: n >= 60)
    ok(seen == 60, "they go on after what they committed")
    for member in members:
        member.commit(asynchronous=False)
    members.pop().close()
    poll(members, lambda n: shares(members) == [3, 3])
    ok(shares(members) == [3, 3], "one leaves for good: the others share")
    groups = admin.list_groups("shared")
    ok(groups[0].state == "Stable" and groups[0].protocol_type == "consumer", "the group is stable")
    ok(len(groups[0].members) == 2, "with two members")
    # No good-bye: the server is about to be killed.
    sys.stdout.flush()
    import os
    os._exit(0)


def after():
    member = consumer("a")
    done = member.committed([TopicPartition("shared", p) for p in range(6)])
    ok([p.offset for p in done] == [110] * 6, "killed: what was committed is there")
    produce(6)
    seen = poll([member], lambda n: n >= 6, 40)
    ok(seen == 6, "a member reads what is new, and nothing twice")
    ok(len(member.assignment()) == 6, "the others are gone after their sessions")
    member.commit(asynchronous=False)
    done = member.committed([TopicPartition("shared", p) for p in range(6)])
    ok([p.offset for p in done] == [111] * 6, "and commits")
    member.close()


before() if phase == "before" else after()
