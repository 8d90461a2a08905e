# SPDX-License-Identifier: Apache-2.0
"""Apicurio Registry, which keeps its schemas in topics, and confluent-kafka with
Avro records of these schemas. argv: the words that start the registry."""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, ConfigResource
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

import scenario
from librdkafka import settings
from scenario import NAME, SERVER, end, ok, part, skip, until

RECORDS = 100
ORDER = '{"type": "record", "name": "order", "fields": [{"name": "item", "type": "string"}%s]}'
AMOUNT = ', {"name": "amount", "type": "int", "default": 1}'
JOURNAL, SNAPSHOTS, EVENTS = NAME + "-journal", NAME + "-snapshots", NAME + "-events"


# ---- the registry ----

def java_properties():
    """The connection as Java's programs have it, for each of the registry's clients."""
    with open(os.environ["OX_PROPERTIES"]) as file:
        for line in file:
            name, value = line.rstrip("\n").split("=", 1)
            yield "apicurio.kafka.common." + name, value


def free_port():
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


class Registry:
    """One process; what it keeps in memory ends with it."""

    def __init__(self):
        self.port = free_port()
        self.log = tempfile.TemporaryFile("w+")
        values = {
            "quarkus.http.host": "127.0.0.1", "quarkus.http.port": self.port,
            "quarkus.management.host": "127.0.0.1", "quarkus.management.port": 0,
            "apicurio.storage.kind": "kafkasql", "apicurio.kafkasql.topic": JOURNAL,
            "apicurio.kafkasql.snapshots.topic": SNAPSHOTS, "apicurio.events.kafka.topic": EVENTS,
            "apicurio.kafkasql.consumer.group-prefix": NAME + "-",
            "apicurio.kafkasql.bootstrap.servers": SERVER}
        settings = tempfile.NamedTemporaryFile("w", suffix=".properties")
        for name, value in [*values.items(), *java_properties()]:
            settings.write("%s=%s\n" % (name, value))
        settings.flush()
        self.settings = settings
        more = ["-Dquarkus.config.locations=" + settings.name]
        self.process = subprocess.Popen([sys.argv[1], *more, *sys.argv[2:]], stdout=self.log,
                                        stderr=subprocess.STDOUT)
        # The same address again is asked when no answer comes: now and then the registry's
        # HTTP server takes a request and forgets it.
        url = "http://127.0.0.1:%d/apis/ccompat/v7" % self.port
        self.client = SchemaRegistryClient({"url": ",".join([url] * 3), "timeout": 20})

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError("the registry ended with %d" % self.process.returncode)
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/apis/ccompat/v7/subjects" % self.port, timeout=5):
                return True
        except OSError:
            time.sleep(0.2)
            return False

    def ready(self):
        return until(self.answers, 120)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return None

    def tail(self):
        self.log.seek(0)
        for line in self.log.readlines()[-40:]:
            print("# " + line.rstrip()[:300])


# ---- the client ----

def produce(registry):
    first = registry.client.register_schema(NAME + "-value", Schema(ORDER % "", "AVRO"))
    second = registry.client.register_schema(NAME + "-value", Schema(ORDER % AMOUNT, "AVRO"))
    ok(first != second, "produce: two versions of a schema are registered")
    again = registry.client.register_schema(NAME + "-value", Schema(ORDER % AMOUNT, "AVRO"))
    ok(again == second, "produce: the same schema again has the same id")
    write = AvroSerializer(registry.client, ORDER % AMOUNT)
    context = SerializationContext(NAME, MessageField.VALUE)
    producer = Producer(settings())
    for i in range(RECORDS):
        producer.produce(NAME, write({"item": "item %d" % i, "amount": i}, context))
    ok(producer.flush(60) == 0, "produce: records of that schema are written")


def consume(registry):
    read = AvroDeserializer(registry.client)
    context = SerializationContext(NAME, MessageField.VALUE)
    reader = Consumer(settings(group_id=NAME + "-reader", auto_offset_reset="earliest"))
    reader.subscribe([NAME])
    found = set()

    def more():
        for message in reader.consume(RECORDS, 1):
            if message.error() is None:
                value = read(message.value(), context)
                found.add((value["item"], value["amount"]))
        return len(found) >= RECORDS

    until(more)
    reader.close()
    ok(found == {("item %d" % i, i) for i in range(RECORDS)}, "consume: records are read with the schema")
    versions = registry.client.get_versions(NAME + "-value")
    ok(versions == [1, 2], "consume: the registry has what it read from its journal")


def groups(registry):
    admin = AdminClient(settings())
    names = [group.group_id for group in admin.list_consumer_groups().result(30).valid]
    own = [name for name in names if name.startswith(NAME + "-") and name != NAME + "-reader"]
    ok(own, "groups: the registry reads its journal in a group")


def administer(registry):
    admin = AdminClient(settings())
    topics = admin.list_topics(timeout=30).topics
    ok(all(name in topics for name in (JOURNAL, SNAPSHOTS, EVENTS)), "admin: the registry made its topics")
    asked = ConfigResource(ConfigResource.Type.TOPIC, JOURNAL)
    found = admin.describe_configs([asked])[asked].result(30)
    ok(found["cleanup.policy"].value == "delete", "admin: with the settings it wants")
    registry.client.set_compatibility(NAME + "-value", "BACKWARD")
    ok(registry.client.get_compatibility(NAME + "-value") == "BACKWARD", "admin: a rule is kept")
    wrong = Schema('{"type": "record", "name": "order", "fields": [{"name": "weight", "type": "int"}]}', "AVRO")
    ok(not registry.client.test_compatibility(NAME + "-value", wrong), "admin: and used")


def again(before):
    """A new process has it all from the topics."""
    registry = Registry()
    try:
        ok(registry.ready(), "consume: the registry starts again")
        ok(registry.client.get_versions(NAME + "-value") == [1, 2], "consume: and has every version")
        schema = registry.client.get_latest_version(NAME + "-value")
        ok(schema.schema_id == before.schema_id and schema.schema.schema_str == before.schema.schema_str,
           "consume: the last is as it was")
        ok(registry.client.get_compatibility(NAME + "-value") == "BACKWARD", "consume: so is its rule")
    finally:
        registry.stop()


print("# version %s" % re.search(r"registry-([\d.]+)/", " ".join(sys.argv) + "/").group(1))
server = Registry()
try:
    ok(server.ready(), "produce: the registry starts")
    for name, run in ("produce", produce), ("consume", consume), ("groups", groups), ("admin", administer):
        part(name, lambda run=run: run(server))
    skip("transactions", "it has none")
    latest = server.client.get_latest_version(NAME + "-value")
finally:
    server.stop()
    if scenario.failed:
        server.tail()
if os.environ["OX_SECURITY"] == "plaintext":
    part("consume", lambda: again(latest))
end()
