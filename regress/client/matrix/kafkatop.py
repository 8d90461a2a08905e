# SPDX-License-Identifier: Apache-2.0
"""kafkatop, a monitor of groups and their lag: its figures are those of the groups."""
import importlib.metadata
import json
import subprocess
import sys

from confluent_kafka import Consumer, Producer, TopicPartition

from scenario import NAME, SERVER, end, ok, part, skip

GROUP = NAME + "-lagging"


def run(*words):
    """What it prints about our group."""
    command = [sys.executable, "-m", "kafkatop", "--kafka-broker", SERVER, "--text", "--all", *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    text = done.stdout
    if done.returncode or not text:
        print("# " + (text + done.stderr)[-1500:].replace("\n", "\n# "))
    return text


def records():
    producer = Producer({"bootstrap.servers": SERVER})
    for i in range(90):
        producer.produce(NAME, value="value-%d" % i, partition=i % 3)
    producer.flush(20)
    reader = Consumer({"bootstrap.servers": SERVER, "group.id": GROUP, "enable.auto.commit": False})
    reader.commit(offsets=[TopicPartition(NAME, i, 10 + i) for i in range(3)], asynchronous=False)
    reader.close()


def groups():
    text = run("--summary-json", "--group-filter-pattern", GROUP)
    seen = json.loads(text[text.index("{"):])[GROUP]["topics"][NAME]
    ok(seen == {"partitions": 3, "lag_max": 20, "lag_min": 18}, "groups: the lag of a group's partitions")
    ok(GROUP in run("--summary", "--group-filter-pattern", GROUP), "groups: as a table too")
    ok(GROUP in run("--poll-period", "1", "--poll-iterations", "2", "--group-filter-pattern", GROUP),
       "groups: and as a monitor of two rounds")


def admin():
    text = run("--topicinfo-parts")
    ok(NAME in text, "admin: topics and their partitions")


print("# version %s" % importlib.metadata.version("kafkatop"))
records()
skip("produce", "it only shows")
skip("consume", "it only shows")
part("groups", groups)
skip("transactions", "it only shows")
part("admin", admin)
end()
