// SPDX-License-Identifier: Apache-2.0

// Kafka's own Java client, 3.9 and the newest.
import java.io.FileInputStream;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.quota.*;
import org.apache.kafka.common.resource.*;

public class OxbowMatrix {
    static final String NAME = System.getenv("OX_NAME");
    static final int EACH = 50;
    static final List<TopicPartition> PARTS = List.of(new TopicPartition(NAME, 0),
        new TopicPartition(NAME, 1), new TopicPartition(NAME, 2));
    static int count, failed, produced;

    static synchronized void ok(boolean good, String what) {
        count++;
        if (!good)
            failed++;
        System.out.println((good ? "" : "not ") + "ok " + count + " - " + what);
    }

    static boolean until(BooleanSupplier condition) throws InterruptedException {
        long end = System.currentTimeMillis() + 60000;
        while (System.currentTimeMillis() < end && !condition.getAsBoolean())
            Thread.sleep(10);
        return condition.getAsBoolean();
    }

    interface Part { void run() throws Exception; }

    static void part(String name, Part run) {
        try {
            run.run();
        } catch (Throwable error) {
            error.printStackTrace();
            ok(false, name + ": " + error.toString().replace('\n', ' '));
        }
    }

    static Properties settings(String... more) throws Exception {
        Properties made = new Properties();
        made.load(new FileInputStream(System.getenv("OX_PROPERTIES")));
        String string = "org.apache.kafka.common.serialization.String";
        made.put("key.serializer", string + "Serializer");
        made.put("value.serializer", string + "Serializer");
        made.put("key.deserializer", string + "Deserializer");
        made.put("value.deserializer", string + "Deserializer");
        made.put("auto.offset.reset", "earliest");
        made.put("enable.auto.commit", "false");
        for (int i = 0; i < more.length; i += 2)
            made.put(more[i], more[i + 1]);
        return made;
    }

    // ---- produce and consume ----

    static int send(Producer<String, String> producer, String topic, String word, int number) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int i = 0; i < number; i++) {
            ProducerRecord<String, String> record = new ProducerRecord<>(topic, "k" + i, word + i);
            record.headers().add(new RecordHeader("h", "x".getBytes())).add(new RecordHeader("n", (byte[]) null));
            sent.add(producer.send(record));
        }
        producer.flush();
        Set<String> places = new HashSet<>();
        for (Future<RecordMetadata> future : sent)
            places.add(future.get().partition() + " " + future.get().offset());
        return places.size();
    }

    static void produce() throws Exception {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            try (Producer<String, String> producer = new KafkaProducer<>(settings("compression.type", codec,
                     "linger.ms", "5"))) {
                int number = send(producer, NAME, "v", EACH);
                produced += number;
                ok(number == EACH, "produce: " + codec + ", idempotent");
            }
        }
        for (String acks : List.of("all", "1", "0")) {
            try (Producer<String, String> producer = new KafkaProducer<>(settings("acks", acks,
                     "enable.idempotence", "false"))) {
                send(producer, NAME, "v", EACH);
                produced += EACH;
                ok(true, "produce: acks=" + acks);
            }
        }
    }

    static List<ConsumerRecord<String, String>> read(Consumer<String, String> reader, int number) {
        List<ConsumerRecord<String, String>> out = new ArrayList<>();
        long end = System.currentTimeMillis() + 30000;
        while (out.size() < number && System.currentTimeMillis() < end)
            for (ConsumerRecord<String, String> record : reader.poll(Duration.ofMillis(200)))
                out.add(record);
        return out;
    }

    static void consume() throws Exception {
        try (Consumer<String, String> reader = new KafkaConsumer<>(settings())) {
            reader.assign(PARTS);
            reader.seekToBeginning(PARTS);
            List<ConsumerRecord<String, String>> all = read(reader, produced);
            ok(all.size() == produced && all.stream().allMatch(r -> r.headers().toArray().length == 2
                && r.headers().lastHeader("n").value() == null), "consume: everything");
            Map<TopicPartition, Long> ends = reader.endOffsets(PARTS);
            ok(ends.values().stream().mapToLong(Long::longValue).sum() == produced
                && reader.beginningOffsets(PARTS).values().stream().allMatch(o -> o == 0),
                "consume: ends of the partitions");
            reader.seek(PARTS.get(0), 3);
            List<ConsumerRecord<String, String>> back = read(reader, 1);
            ok(back.get(0).offset() == 3 && back.get(0).partition() == 0, "consume: seek");
            Map<TopicPartition, OffsetAndTimestamp> found = reader.offsetsForTimes(
                Map.of(PARTS.get(0), 1L, PARTS.get(1), System.currentTimeMillis() + 3600000));
            ok(found.get(PARTS.get(0)).offset() == 0 && found.get(PARTS.get(1)) == null,
                "consume: offsets by time");
            ok(reader.partitionsFor(NAME).size() == 3 && reader.listTopics().containsKey(NAME),
                "consume: topics");
        }
    }

    // ---- groups ----

    /** A consumer that polls on a thread of its own. */
    static class Member extends Thread {
        final Properties settings;
        final Set<String> seen;
        volatile int mine;
        volatile boolean over, commit;
        volatile long total = -1;

        Member(Set<String> seen, Properties settings) {
            this.seen = seen;
            this.settings = settings;
            setDaemon(true);
            start();
        }

        public void run() {
            try (Consumer<String, String> reader = new KafkaConsumer<>(settings)) {
                reader.subscribe(List.of(NAME));
                while (!over) {
                    for (ConsumerRecord<String, String> record : reader.poll(Duration.ofMillis(50)))
                        seen.add(record.partition() + " " + record.offset());
                    mine = reader.assignment().size();
                    if (commit) {
                        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                        reader.endOffsets(PARTS).forEach((p, o) -> offsets.put(p, new OffsetAndMetadata(o, "note")));
                        reader.commitSync(offsets);
                        total = reader.committed(new HashSet<>(PARTS)).values().stream()
                            .mapToLong(OffsetAndMetadata::offset).sum();
                        commit = false;
                    }
                }
            } catch (Exception error) {
                error.printStackTrace();
            }
        }

        void leave() throws Exception {
            over = true;
            join(20000);
        }
    }

    static void share(String label, String group, String... more) throws Exception {
        Properties settings = settings("group.id", group);
        if (!Arrays.asList(more).contains("group.protocol"))
            settings.putAll(Map.of("heartbeat.interval.ms", "300", "session.timeout.ms", "6000"));
        for (int i = 0; i < more.length; i += 2)
            settings.put(more[i], more[i + 1]);
        Set<String> seen = Collections.synchronizedSet(new HashSet<>());
        Member one = new Member(seen, settings);
        ok(until(() -> one.mine == 3), "groups: one member has all" + label);
        Member two = new Member(seen, settings);
        ok(until(() -> one.mine > 0 && two.mine > 0 && one.mine + two.mine == 3), "groups: two share" + label);
        ok(until(() -> seen.size() == produced), "groups: all is read" + label);
        two.leave();
        ok(until(() -> one.mine == 3), "groups: one takes over" + label);
        one.commit = true;
        ok(until(() -> one.total == produced), "groups: commits" + label);
        one.leave();
        Set<String> again = Collections.synchronizedSet(new HashSet<>());
        Member three = new Member(again, settings);
        ok(until(() -> three.mine == 3) && again.isEmpty(),
            "groups: a new member begins where they ended" + label);
        three.leave();
    }

    static void groups() throws Exception {
        share("", NAME + "-g");
        share(", co-operative", NAME + "-c", "partition.assignment.strategy",
            "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
        share(", KIP-848", NAME + "-n", "group.protocol", "consumer");
    }

    // ---- transactions ----

    static void transactions() throws Exception {
        String topic = NAME + "-tx", group = NAME + "-txg";
        try (Admin admin = Admin.create(settings())) {
            admin.createTopics(List.of(new NewTopic(topic, 2, (short) 1))).all().get();
        }
        Producer<String, String> producer = new KafkaProducer<>(settings("transactional.id", NAME + "-id"));
        producer.initTransactions();
        producer.beginTransaction();
        send(producer, topic, "yes", 10);
        producer.sendOffsetsToTransaction(Map.of(PARTS.get(0), new OffsetAndMetadata(2)),
            new ConsumerGroupMetadata(group));
        producer.commitTransaction();
        ok(true, "transactions: commit");
        producer.beginTransaction();
        send(producer, topic, "no", 10);
        producer.sendOffsetsToTransaction(Map.of(PARTS.get(0), new OffsetAndMetadata(5)),
            new ConsumerGroupMetadata(group));
        producer.abortTransaction();
        ok(true, "transactions: abort");
        producer.beginTransaction();
        send(producer, topic, "yes", 10);
        producer.commitTransaction();
        try (Consumer<String, String> source = new KafkaConsumer<>(settings("group.id", group))) {
            ok(source.committed(Set.of(PARTS.get(0))).get(PARTS.get(0)).offset() == 2, "transactions: offsets");
        }
        for (String level : List.of("read_committed", "read_uncommitted")) {
            int number = level.equals("read_committed") ? 20 : 30;
            try (Consumer<String, String> reader = new KafkaConsumer<>(settings("isolation.level", level))) {
                List<TopicPartition> parts = List.of(new TopicPartition(topic, 0), new TopicPartition(topic, 1));
                reader.assign(parts);
                reader.seekToBeginning(parts);
                List<ConsumerRecord<String, String>> all = read(reader, number);
                reader.poll(Duration.ofMillis(500)).forEach(all::add);
                ok(all.size() == number && (number == 30
                    || all.stream().allMatch(r -> r.value().startsWith("yes"))), "transactions: " + level);
            }
        }
        try (Producer<String, String> newer = new KafkaProducer<>(settings("transactional.id", NAME + "-id"))) {
            newer.initTransactions();
            try {
                producer.beginTransaction();
                producer.send(new ProducerRecord<>(topic, "late"));
                producer.commitTransaction();
                ok(false, "transactions: the former producer is fenced");
            } catch (ProducerFencedException | InvalidProducerEpochException error) {
                ok(true, "transactions: the former producer is fenced");
            }
            producer.close(Duration.ofSeconds(1));
        }
    }

    // ---- admin ----

    static String setting(Admin admin, ConfigResource resource, String name) throws Exception {
        return admin.describeConfigs(List.of(resource)).all().get().get(resource).get(name).value();
    }

    static void topics(Admin admin, String topic) throws Exception {
        CreateTopicsResult made = admin.createTopics(List.of(new NewTopic(topic, 2, (short) 1)
            .configs(Map.of("retention.ms", "1000000"))));
        made.all().get();
        ok(made.numPartitions(topic).get() == 2
            && made.config(topic).get().get("retention.ms").value().equals("1000000"), "admin: create a topic");
        try {
            admin.createTopics(List.of(new NewTopic(topic, 2, (short) 1))).all().get();
            ok(false, "admin: only once");
        } catch (ExecutionException error) {
            ok(error.getCause() instanceof TopicExistsException, "admin: only once");
        }
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get();
        TopicDescription description = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
        ok(description.partitions().size() == 4, "admin: more partitions");
        ok(admin.describeTopics(org.apache.kafka.common.TopicCollection.ofTopicIds(List.of(description.topicId())))
            .allTopicIds().get().size() == 1, "admin: describe it by its id");
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(
            new ConfigEntry("retention.ms", "7000000"), AlterConfigOp.OpType.SET)))).all().get();
        ok(setting(admin, resource, "retention.ms").equals("7000000"), "admin: change a setting");
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
        ok(admin.describeConfigs(List.of(broker)).all().get().get(broker).entries().size() > 50,
            "admin: settings of the broker");
        TopicPartition first = PARTS.get(0);
        admin.deleteRecords(Map.of(first, RecordsToDelete.beforeOffset(2))).all().get();
        ok(admin.listOffsets(Map.of(first, OffsetSpec.earliest())).all().get().get(first).offset() == 2
            && admin.listOffsets(Map.of(first, OffsetSpec.maxTimestamp())).all().get().get(first).offset() > 0,
            "admin: delete records, list offsets");
        ok(admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1).values().stream()
            .anyMatch(d -> d.replicaInfos().containsKey(first)), "admin: log directories");
    }

    static void groupsOf(Admin admin) throws Exception {
        String group = NAME + "-g";
        ok(admin.listConsumerGroups().all().get().stream().map(ConsumerGroupListing::groupId)
            .collect(Collectors.toSet()).containsAll(List.of(group, NAME + "-n")), "admin: list groups");
        Map<String, ConsumerGroupDescription> found =
            admin.describeConsumerGroups(List.of(group, NAME + "-n")).all().get();
        ok(found.get(group).state() == org.apache.kafka.common.ConsumerGroupState.EMPTY
            && found.get(NAME + "-n").state() == org.apache.kafka.common.ConsumerGroupState.EMPTY,
            "admin: describe groups of both protocols");
        Map<TopicPartition, OffsetAndMetadata> offsets =
            admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        ok(offsets.values().stream().mapToLong(OffsetAndMetadata::offset).sum() == produced
            && offsets.get(PARTS.get(0)).metadata().equals("note"), "admin: offsets of a group");
        admin.alterConsumerGroupOffsets(group, Map.of(PARTS.get(0), new OffsetAndMetadata(1))).all().get();
        admin.deleteConsumerGroupOffsets(group, Set.of(PARTS.get(1))).all().get();
        offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        ok(offsets.get(PARTS.get(0)).offset() == 1 && !offsets.containsKey(PARTS.get(1)),
            "admin: change and delete them");
        admin.deleteConsumerGroups(List.of(group, NAME + "-n")).all().get();
        ok(admin.listConsumerGroups().all().get().stream().noneMatch(g -> g.groupId().equals(group)),
            "admin: delete groups");
    }

    static void transactionsOf(Admin admin) throws Exception {
        ok(admin.listTransactions().all().get().stream()
            .anyMatch(t -> t.transactionalId().equals(NAME + "-id")), "admin: list transactions");
        ok(admin.describeTransactions(List.of(NAME + "-id")).all().get().get(NAME + "-id").coordinatorId() == 1,
            "admin: describe a transaction");
        TopicPartition where = new TopicPartition(NAME + "-tx", 0);
        ok(!admin.describeProducers(List.of(where)).partitionResult(where).get().activeProducers().isEmpty(),
            "admin: producers of a partition");
    }

    static void security(Admin admin) throws Exception {
        String user = "u-" + NAME;
        admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(user,
            new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), "secret"))).all().get();
        ok(admin.describeUserScramCredentials(List.of(user)).all().get().get(user).credentialInfos().get(0)
            .iterations() == 4096, "admin: a user's password");
        admin.alterUserScramCredentials(List.of(
            new UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512))).all().get();
        AclBinding rule = new AclBinding(new ResourcePattern(ResourceType.TOPIC, NAME + "-acl", PatternType.PREFIXED),
            new AccessControlEntry("User:nobody", "*", AclOperation.READ, AclPermissionType.ALLOW));
        admin.createAcls(List.of(rule)).all().get();
        ok(admin.describeAcls(rule.toFilter()).values().get().equals(List.of(rule)), "admin: an access rule");
        ok(admin.deleteAcls(List.of(rule.toFilter())).all().get().size() == 1, "admin: delete it");
        ClientQuotaEntity entity = new ClientQuotaEntity(Map.of(ClientQuotaEntity.USER, user));
        admin.alterClientQuotas(List.of(new ClientQuotaAlteration(entity,
            List.of(new ClientQuotaAlteration.Op("producer_byte_rate", 1e9))))).all().get();
        ok(admin.describeClientQuotas(ClientQuotaFilter.containsOnly(List.of(
            ClientQuotaFilterComponent.ofEntity(ClientQuotaEntity.USER, user)))).entities().get().get(entity)
            .get("producer_byte_rate") == 1e9, "admin: a quota");
    }

    static void cluster(Admin admin) throws Exception {
        DescribeClusterResult cluster = admin.describeCluster();
        ok(cluster.nodes().get().size() == 1 && cluster.controller().get().id() == 1
            && cluster.clusterId().get().length() == 22, "admin: describe the cluster");
        ok(admin.describeFeatures().featureMetadata().get().finalizedFeatures().containsKey("metadata.version"),
            "admin: features");
        ok(admin.describeMetadataQuorum().quorumInfo().get().leaderId() == 1, "admin: the metadata quorum");
        Set<TopicPartition> first = Set.of(PARTS.get(0));
        Optional<Throwable> elected = admin.electLeaders(org.apache.kafka.common.ElectionType.PREFERRED, first)
            .partitions().get().get(PARTS.get(0));
        ok(elected.isPresent() && elected.get() instanceof ElectionNotNeededException, "admin: elect leaders");
        admin.alterPartitionReassignments(Map.of(PARTS.get(0),
            Optional.of(new NewPartitionReassignment(List.of(1))))).all().get();
        ok(admin.listPartitionReassignments(first).reassignments().get().isEmpty(), "admin: reassign partitions");
        org.apache.kafka.common.TopicPartitionReplica replica =
            new org.apache.kafka.common.TopicPartitionReplica(NAME, 0, 1);
        String dir = admin.describeReplicaLogDirs(List.of(replica)).all().get().get(replica)
            .getCurrentReplicaLogDir();
        admin.alterReplicaLogDirs(Map.of(replica, dir)).all().get();
        ok(dir.startsWith("/"), "admin: move a replica to where it is");
    }

    static void tokens(Admin admin) throws Exception {
        byte[] key = admin.createDelegationToken().delegationToken().get().hmac();
        ok(admin.describeDelegationToken().delegationTokens().get().stream()
            .anyMatch(t -> Arrays.equals(t.hmac(), key)), "admin: a delegation token");
        admin.renewDelegationToken(key).expiryTimestamp().get();
        admin.expireDelegationToken(key).expiryTimestamp().get();
        ok(until(() -> {
            try {
                return admin.describeDelegationToken().delegationTokens().get().stream()
                    .noneMatch(t -> Arrays.equals(t.hmac(), key));
            } catch (Exception error) {
                return false;
            }
        }), "admin: renew and expire it");
    }

    static void admin() throws Exception {
        String topic = NAME + "-admin";
        try (Admin admin = Admin.create(settings())) {
            topics(admin, topic);
            groupsOf(admin);
            transactionsOf(admin);
            security(admin);
            cluster(admin);
            if (!System.getenv("OX_MECHANISM").isEmpty())
                tokens(admin);
            admin.deleteTopics(List.of(topic)).all().get();
            ok(until(() -> {
                try {
                    return !admin.listTopics().names().get().contains(topic);
                } catch (Exception error) {
                    return false;
                }
            }), "admin: delete the topic");
        }
    }

    public static void main(String[] args) throws Exception {
        Properties version = new Properties();
        version.load(Producer.class.getResourceAsStream("/kafka/kafka-version.properties"));
        System.out.println("# version " + version.getProperty("version"));
        part("produce", OxbowMatrix::produce);
        part("consume", OxbowMatrix::consume);
        part("groups", OxbowMatrix::groups);
        part("transactions", OxbowMatrix::transactions);
        part("admin", OxbowMatrix::admin);
        System.out.println("1.." + count);
        System.exit(failed > 0 ? 1 : 0);
    }
}
