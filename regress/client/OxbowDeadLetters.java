// SPDX-License-Identifier: Apache-2.0
//
// Dead-letter queues of share groups (KIP-1191), for 048_dead_letters.t.
//
//   rules      every way in which a group gives records up, and those in which it
//              does not; prints what stands in the queues, byte for byte, and
//              what the group has left
//   long NUMBER  two members over many records, with ends of the server on the way
//              ("half"); prints what became of them
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.SharePartitionOffsetInfo;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

public class OxbowDeadLetters {
    private static final String BYTES = "org.apache.kafka.common.serialization.ByteArray";
    private static Admin admin;

    private static Properties settings(String... more) {
        Properties set = new Properties();
        set.put("bootstrap.servers", System.getenv("OX_KAFKA"));
        set.put("reconnect.backoff.max.ms", "200");
        for (int i = 0; i < more.length; i += 2)
            set.put(more[i], more[i + 1]);
        return set;
    }

    // ---- what is set ----

    private static void set(ConfigResource.Type type, String name, String... pairs) throws Exception {
        List<AlterConfigOp> ops = new ArrayList<>();
        for (int i = 0; i < pairs.length; i += 2)
            ops.add(new AlterConfigOp(new ConfigEntry(pairs[i], pairs[i + 1]), AlterConfigOp.OpType.SET));
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(type, name), ops)).all().get();
    }

    private static void group(String name, String queue, String copy, String... more) throws Exception {
        set(ConfigResource.Type.GROUP, name, "share.auto.offset.reset", "earliest", "share.delivery.count.limit", "2",
            "share.record.lock.duration.ms", "2000", "errors.deadletterqueue.topic.name", queue,
            "errors.deadletterqueue.copy.record.enable", copy);
        if (more.length > 0)
            set(ConfigResource.Type.GROUP, name, more);
    }

    private static void topic(String name, int partitions, String... configs) throws Exception {
        Map<String, String> map = new HashMap<>();
        for (int i = 0; i < configs.length; i += 2)
            map.put(configs[i], configs[i + 1]);
        admin.createTopics(List.of(new NewTopic(name, partitions, (short)1).configs(map))).all().get();
    }

    // ---- what is written ----

    private static KafkaProducer<byte[], byte[]> producer(String... more) {
        Properties set = settings(more);
        set.put("key.serializer", BYTES + "Serializer");
        set.put("value.serializer", BYTES + "Serializer");
        return new KafkaProducer<>(set);
    }

    private static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    // The key says what is to become of the record.
    private static void send(KafkaProducer<byte[], byte[]> to, String topic, int partition, String key, byte[] value) throws Exception {
        ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic, partition, bytes(key), value);
        record.headers().add(new RecordHeader("own", bytes(key))).add(new RecordHeader("none", null));
        to.send(record);
    }

    // ---- what a member does ----

    private static KafkaShareConsumer<byte[], byte[]> member(String group, String topic, String... more) {
        Properties set = settings(more);
        set.put("group.id", group);
        set.put("share.acknowledgement.mode", "explicit");
        set.put("key.deserializer", BYTES + "Deserializer");
        set.put("value.deserializer", BYTES + "Deserializer");
        KafkaShareConsumer<byte[], byte[]> member = new KafkaShareConsumer<>(set);
        member.subscribe(Set.of(topic));
        return member;
    }

    private static AcknowledgeType fate(ConsumerRecord<byte[], byte[]> record) {
        String key = record.key() == null ? "reject" : new String(record.key(), StandardCharsets.UTF_8);
        return key.startsWith("reject") ? AcknowledgeType.REJECT
            : key.startsWith("release") ? AcknowledgeType.RELEASE : AcknowledgeType.ACCEPT;
    }

    // Until nothing has come for a while: what came, and its last delivery.
    private static String take(KafkaShareConsumer<byte[], byte[]> member, long sleep) throws Exception {
        Map<String, Integer> came = new TreeMap<>(), late = new TreeMap<>();
        for (int quiet = 0, tries = 0; quiet < 4 && tries < 90; tries++) {
            ConsumerRecords<byte[], byte[]> records = member.poll(Duration.ofMillis(1000));
            quiet = records.isEmpty() && !came.isEmpty() ? quiet + 1 : 0;
            if (records.isEmpty())
                continue;
            Thread.sleep(sleep);
            for (ConsumerRecord<byte[], byte[]> record : records) {
                came.merge(record.partition() + "/" + record.offset(), (int)record.deliveryCount().get(), Math::max);
                member.acknowledge(record, fate(record));
            }
            for (Optional<KafkaException> error : member.commitSync().values())
                late.merge(error.map(e -> e.getClass().getSimpleName()).orElse("taken"), 1, Integer::sum);
        }
        return came + (sleep > 0 ? " " + late : "");
    }

    // ---- what is seen ----

    private static String text(byte[] data) {
        if (data == null)
            return "null";
        if (data.length > 80)
            return "(" + data.length + " bytes, " + Arrays.hashCode(data) + ")";
        StringBuilder out = new StringBuilder("\"");
        for (byte b : data)
            out.append(b >= 32 && b < 127 && b != '"' && b != '\\' ? String.valueOf((char)b) : String.format("\\x%02x", b));
        return out.append('"').toString();
    }

    private static List<ConsumerRecord<byte[], byte[]>> read(String topic) throws Exception {
        Properties set = settings("auto.offset.reset", "earliest", "isolation.level", "read_uncommitted");
        set.put("key.deserializer", BYTES + "Deserializer");
        set.put("value.deserializer", BYTES + "Deserializer");
        List<ConsumerRecord<byte[], byte[]>> all = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(set)) {
            List<TopicPartition> parts = new ArrayList<>();
            admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions()
                .forEach(info -> parts.add(new TopicPartition(topic, info.partition())));
            consumer.assign(parts);
            consumer.seekToBeginning(parts);
            Map<TopicPartition, Long> ends = consumer.endOffsets(parts);
            while (parts.stream().anyMatch(part -> consumer.position(part) < ends.get(part)))
                consumer.poll(Duration.ofMillis(200)).forEach(all::add);
        }
        return all;
    }

    private static String header(ConsumerRecord<byte[], byte[]> record, String name) {
        Header header = record.headers().lastHeader(name);
        return header == null || header.value() == null ? null : new String(header.value(), StandardCharsets.UTF_8);
    }

    private static long number(ConsumerRecord<byte[], byte[]> record, String name) {
        String text = header(record, "__dlq.errors." + name);
        return text == null ? -1 : Long.parseLong(text);
    }

    private static void show(String queue) throws Exception {
        List<ConsumerRecord<byte[], byte[]>> all = read(queue);
        all.sort(Comparator.<ConsumerRecord<byte[], byte[]>, String>comparing(r -> String.valueOf(header(r, "__dlq.errors.group")))
            .thenComparing(r -> number(r, "partition")).thenComparing(r -> number(r, "offset")));
        System.out.println("queue " + queue + ": " + all.size());
        for (ConsumerRecord<byte[], byte[]> record : all) {
            StringBuilder line = new StringBuilder(record.partition() + " " + record.timestampType() + " key=" + text(record.key())
                + " value=" + text(record.value()));
            for (Header header : record.headers())
                line.append(' ').append(header.key()).append('=').append(text(header.value()));
            if (record.timestamp() < System.currentTimeMillis() - 600_000)
                line.append(" old");
            System.out.println(line);
        }
    }

    private static void left(String group) throws Exception {
        Map<String, String> seen = new TreeMap<>();
        admin.listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec())).partitionsToOffsetInfo(group).get()
            .forEach((part, info) -> seen.put(part.toString(),
                info == null ? "none" : "lag " + info.lag().map(String::valueOf).orElse("unknown")));
        System.out.println("left of " + group + ": " + seen);
    }

    // ---- rules ----

    // One group, the topic that was filled, and the queue that it leaves.
    private static void run(String group, String topic, long sleep, String... more) throws Exception {
        try (KafkaShareConsumer<byte[], byte[]> member = member(group, topic, more)) {
            System.out.println(group + " got " + take(member, sleep));
        }
        Thread.sleep(1000);
        left(group);
    }

    // Rejected, released too often, accepted; keys and values of each kind, each codec.
    private static void kinds() throws Exception {
        topic("kinds", 3);
        group("g.kinds", "dlq.kinds", "true");
        int partition = 0;
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd"))
            try (KafkaProducer<byte[], byte[]> to = producer("compression.type", codec, "linger.ms", "50")) {
                partition = (partition + 1) % 3;
                send(to, "kinds", partition, "reject " + codec, bytes("\u00e4 \ud83d\udc02"));
                send(to, "kinds", partition, "accept " + codec, bytes("fine"));
                send(to, "kinds", partition, "release " + codec, bytes("back"));
                send(to, "kinds", partition, "release null " + codec, null);
                send(to, "kinds", partition, "reject empty " + codec, new byte[0]);
                send(to, "kinds", partition, null, new byte[] {0, -1, 127, -128});
                send(to, "kinds", partition, "accept " + codec, bytes("fine"));
            }
        run("g.kinds", "kinds", 0);
        show("dlq.kinds");
        Config made = admin.describeConfigs(List.of(new ConfigResource(ConfigResource.Type.TOPIC, "dlq.kinds"))).all().get()
            .values().iterator().next();
        for (String name : List.of("errors.deadletterqueue.group.enable", "message.timestamp.type", "cleanup.policy"))
            System.out.println(name + " = " + made.get(name).value() + " " + made.get(name).source());
    }

    // Locks that run out; a queue that is there, with fewer partitions; headers only.
    private static void timeouts() throws Exception {
        topic("late", 3);
        topic("dlq.late", 2, "errors.deadletterqueue.group.enable", "true");
        group("g.late", "dlq.late", "false");
        try (KafkaProducer<byte[], byte[]> to = producer()) {
            for (int i = 0; i < 6; i++)
                send(to, "late", i % 3, "accept " + i, bytes("late"));
        }
        run("g.late", "late", 4000);
        show("dlq.late");
    }

    // A member that goes with records in hand, twice.
    private static void leavers() throws Exception {
        topic("leave", 1);
        group("g.leave", "dlq.leave", "true");
        try (KafkaProducer<byte[], byte[]> to = producer()) {
            for (int i = 0; i < 3; i++)
                send(to, "leave", 0, "accept " + i, bytes("left"));
        }
        for (int round = 1; round <= 2; round++) {
            int got = 0;
            KafkaShareConsumer<byte[], byte[]> member = member("g.leave", "leave");
            for (int tries = 0; got == 0 && tries < 60; tries++)
                got = member.poll(Duration.ofMillis(1000)).count();
            System.out.println("round " + round + ": " + got);
            member.close();
        }
        Thread.sleep(3000);
        left("g.leave");
        show("dlq.leave");
    }

    // What is aborted or deleted is gone, and no dead letter.
    private static void archived() throws Exception {
        topic("gone", 1);
        group("g.gone", "dlq.gone", "true", "share.isolation.level", "read_committed");
        try (KafkaProducer<byte[], byte[]> to = producer("transactional.id", "gone")) {
            to.initTransactions();
            to.beginTransaction();
            send(to, "gone", 0, "reject aborted", bytes("a"));
            send(to, "gone", 0, "reject aborted", bytes("b"));
            to.flush();
            to.abortTransaction();
            to.beginTransaction();
            send(to, "gone", 0, "reject committed", bytes("c"));
            send(to, "gone", 0, "accept committed", bytes("d"));
            to.commitTransaction();
        }
        run("g.gone", "gone", 0);
        try (KafkaProducer<byte[], byte[]> to = producer()) {
            for (int i = 0; i < 4; i++)
                send(to, "gone", 0, "release " + i, bytes("e"));
            to.flush();
        }
        admin.deleteRecords(Map.of(new TopicPartition("gone", 0), RecordsToDelete.beforeOffset(8))).all().get();
        run("g.gone", "gone", 0);
        show("dlq.gone");
    }

    // A queue whose records must be small.
    private static void large() throws Exception {
        topic("large", 1);
        topic("dlq.large", 1, "errors.deadletterqueue.group.enable", "true", "max.message.bytes", "2000");
        group("g.large", "dlq.large", "true");
        try (KafkaProducer<byte[], byte[]> to = producer("linger.ms", "50")) {
            for (int i = 0; i < 8; i++)
                send(to, "large", 0, "reject " + i, new byte[500]);
            send(to, "large", 0, "reject large", new byte[5000]);
            send(to, "large", 0, "reject small", bytes("small"));
        }
        run("g.large", "large", 0);
        show("dlq.large");
    }

    // Queues that cannot be: the records are given up all the same.
    private static void unfit() throws Exception {
        topic("unfit", 1);
        topic("dlq.unfit", 1);
        group("g.unfit", "dlq.unfit", "true");
        try (KafkaProducer<byte[], byte[]> to = producer()) {
            send(to, "unfit", 0, "reject", bytes("r"));
            send(to, "unfit", 0, "release", bytes("s"));
        }
        run("g.unfit", "unfit", 0);
        show("dlq.unfit");
    }

    private static void rules() throws Exception {
        set(ConfigResource.Type.BROKER, "", "errors.deadletterqueue.auto.create.topics.enable", "true");
        kinds();
        timeouts();
        leavers();
        archived();
        large();
        unfit();
    }

    // ---- long ----

    private static final Map<String, Integer> offered = new ConcurrentHashMap<>(); // place: deliveries seen
    private static final Set<String> accepted = ConcurrentHashMap.newKeySet(), confirmed = ConcurrentHashMap.newKeySet();
    private static volatile boolean stop;

    private static void settled(Map<TopicIdPartition, Set<Long>> offsets, Exception failure) {
        if (failure == null)
            offsets.forEach((part, set) -> set.forEach(offset -> confirmed.add(part.partition() + "/" + offset)));
    }

    // Every ninth is rejected, every seventh always released; the others accepted.
    private static void work() {
        try (KafkaShareConsumer<byte[], byte[]> member = member("g.long", "long", "max.poll.records", "50")) {
            member.setAcknowledgementCommitCallback(OxbowDeadLetters::settled);
            while (!stop)
                for (ConsumerRecord<byte[], byte[]> record : member.poll(Duration.ofMillis(300))) {
                    int number = Integer.parseInt(new String(record.value(), StandardCharsets.UTF_8));
                    String at = record.partition() + "/" + record.offset();
                    offered.merge(at, (int)record.deliveryCount().get(), Math::max);
                    AcknowledgeType type = number % 9 == 0 ? AcknowledgeType.REJECT
                        : number % 7 == 0 ? AcknowledgeType.RELEASE : AcknowledgeType.ACCEPT;
                    if (type == AcknowledgeType.ACCEPT)
                        accepted.add(at);
                    member.acknowledge(record, type);
                }
        }
    }

    private static long start() throws Exception {
        long done = 0;
        for (SharePartitionOffsetInfo info : admin.listShareGroupOffsets(Map.of("g.long", new ListShareGroupOffsetsSpec()))
                .partitionsToOffsetInfo("g.long").get().values())
            done += info == null ? 0 : info.startOffset();
        return done;
    }

    private static void fill(int number) throws Exception {
        set(ConfigResource.Type.BROKER, "", "errors.deadletterqueue.auto.create.topics.enable", "true");
        topic("long", 3);
        group("g.long", "dlq.long", "true");
        try (KafkaProducer<byte[], byte[]> to = producer("linger.ms", "5")) {
            for (int i = 1; i <= number; i++)
                send(to, "long", i % 3, "k", bytes(String.valueOf(i)));
        }
    }

    private static void ends(int number) throws Exception {
        fill(number);
        Thread[] members = {new Thread(OxbowDeadLetters::work), new Thread(OxbowDeadLetters::work)};
        for (Thread thread : members)
            thread.start();
        long until = System.currentTimeMillis() + 240_000;
        for (int part = 1; System.currentTimeMillis() < until; Thread.sleep(10)) {
            if (part <= 3 && confirmed.size() >= number * part / 5) {
                System.out.println("part " + part++);
                continue;
            }
            if (offered.size() >= number && start() == number)
                break;
        }
        stop = true;
        for (Thread thread : members)
            thread.join(20_000);
        Thread.sleep(3000);
        judge(number);
    }

    private static void judge(int number) throws Exception {
        Map<String, Integer> buried = new HashMap<>();
        int strange = 0;
        for (ConsumerRecord<byte[], byte[]> record : read("dlq.long")) {
            buried.merge(number(record, "partition") + "/" + number(record, "offset"), 1, Integer::sum);
            int value = Integer.parseInt(new String(record.value(), StandardCharsets.UTF_8));
            // records 1, 4, 7, ... of partition 1 are at 0, 1, 2, ...
            long place = number(record, "partition") == 0 ? value / 3 - 1 : value / 3;
            if (place != number(record, "offset") || value % 3 != number(record, "partition"))
                strange++;
        }
        int lost = 0, wrongly = 0, given = 0, twice = 0;
        for (int i = 1; i <= number; i++) {
            String at = i % 3 + "/" + (i % 3 == 0 ? i / 3 - 1 : i / 3);
            boolean dead = i % 9 == 0 || i % 7 == 0;
            given += dead ? 1 : 0;
            if (dead ? !buried.containsKey(at) : !accepted.contains(at) && !buried.containsKey(at))
                lost++;
            if (!dead && buried.containsKey(at) && offered.getOrDefault(at, 0) < 2)
                wrongly++;
            if (buried.getOrDefault(at, 0) > 1)
                twice++;
        }
        System.out.printf("start=%d given=%d lost=%d wrongly=%d strange=%d twice=%d%n", start(), given, lost, wrongly, strange, twice);
    }

    public static void main(String[] words) throws Exception {
        try (Admin made = Admin.create(settings())) {
            admin = made;
            if (words[0].equals("rules"))
                rules();
            else
                ends(Integer.parseInt(words[1]));
        }
        System.exit(0);
    }
}
