// SPDX-License-Identifier: Apache-2.0
//
// Two members of a share group, for 045_share_groups.t: every seventh record is
// released when it comes first, every eleventh rejected, the others accepted.
// Prints "half" when half of them are done, and at the end what has happened.
// A record whose acknowledgement was confirmed must never come again; one whose
// acknowledgement got no answer may.
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.SharePartitionOffsetInfo;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.config.ConfigResource;

public class OxbowShare {
    private static final Map<String, String> said = new ConcurrentHashMap<>(); // place: word
    private static final Set<String> confirmed = ConcurrentHashMap.newKeySet();
    private static final Set<String> unanswered = ConcurrentHashMap.newKeySet();
    private static final AtomicInteger again = new AtomicInteger(), released = new AtomicInteger(),
        second = new AtomicInteger(), failures = new AtomicInteger();
    private static volatile boolean stop;
    private static int expected;

    private static String place(String topic, int partition, long offset) {
        return topic + "/" + partition + "/" + offset;
    }

    private static void settled(Map<TopicIdPartition, Set<Long>> offsets, Exception failure) {
        if (failure != null)
            failures.incrementAndGet();
        for (Map.Entry<TopicIdPartition, Set<Long>> entry : offsets.entrySet())
            for (long offset : entry.getValue()) {
                String at = place(entry.getKey().topic(), entry.getKey().partition(), offset);
                if (!"release".equals(said.get(at)))
                    (failure != null ? unanswered : confirmed).add(at);
            }
    }

    // What got no answer is done or comes again: the group's start offsets tell.
    private static boolean complete(Admin admin) throws Exception {
        if (confirmed.size() + unanswered.size() < expected)
            return false;
        long done = 0;
        for (SharePartitionOffsetInfo info : admin
                .listShareGroupOffsets(Map.of("shared", new ListShareGroupOffsetsSpec()))
                .partitionsToOffsetInfo("shared").get().values())
            done += info == null ? 0 : info.startOffset();
        return done == expected;
    }

    private static void take(KafkaShareConsumer<String, String> member,
            ConsumerRecord<String, String> record) {
        String at = place(record.topic(), record.partition(), record.offset());
        int number = Integer.parseInt(record.value());
        if (confirmed.contains(at))
            again.incrementAndGet();
        unanswered.remove(at);
        boolean first = !said.containsKey(at);
        if (number % 7 == 0 && first) {
            released.incrementAndGet();
            said.put(at, "release");
            member.acknowledge(record, AcknowledgeType.RELEASE);
            return;
        }
        if ("release".equals(said.get(at)) && record.deliveryCount().get() == 2)
            second.incrementAndGet();
        boolean reject = number % 11 == 0;
        said.put(at, reject ? "reject" : "accept");
        member.acknowledge(record, reject ? AcknowledgeType.REJECT : AcknowledgeType.ACCEPT);
    }

    private static Properties settings() {
        Properties set = new Properties();
        set.put("bootstrap.servers", System.getenv("OX_KAFKA"));
        set.put("group.id", "shared");
        set.put("share.acknowledgement.mode", "explicit");
        set.put("max.poll.records", "40");
        set.put("reconnect.backoff.max.ms", "200");
        String text = "org.apache.kafka.common.serialization.StringDeserializer";
        set.put("key.deserializer", text);
        set.put("value.deserializer", text);
        return set;
    }

    private static void member() {
        try (KafkaShareConsumer<String, String> member = new KafkaShareConsumer<>(settings())) {
            member.setAcknowledgementCommitCallback(OxbowShare::settled);
            member.subscribe(Set.of(System.getenv("OX_TOPIC")));
            while (!stop)
                for (ConsumerRecord<String, String> record : member.poll(Duration.ofMillis(300)))
                    take(member, record);
        }
    }

    private static void fromTheStart(Admin admin) throws Exception {
        AlterConfigOp op = new AlterConfigOp(
            new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET);
        admin.incrementalAlterConfigs(Map.of(
            new ConfigResource(ConfigResource.Type.GROUP, "shared"), Set.of(op))).all().get();
    }

    // Until all is done; says when half is.
    private static void watch(Admin admin) throws Exception {
        long until = System.currentTimeMillis() + 100_000;
        boolean half = false;
        while (System.currentTimeMillis() < until && !complete(admin)) {
            Thread.sleep(10);
            if (!half && confirmed.size() >= expected / 2) {
                half = true;
                System.out.println("half");
            }
        }
        stop = true;
    }

    public static void main(String[] words) throws Exception {
        expected = Integer.parseInt(words[0]);
        Thread[] members = {new Thread(OxbowShare::member), new Thread(OxbowShare::member)};
        Properties set = new Properties();
        set.put("bootstrap.servers", System.getenv("OX_KAFKA"));
        set.put("reconnect.backoff.max.ms", "200");
        try (Admin admin = Admin.create(set)) {
            fromTheStart(admin);
            for (Thread thread : members)
                thread.start();
            watch(admin);
        }
        for (Thread thread : members)
            thread.join(10_000); // the last answers are told when a member leaves
        long rejected = said.values().stream().filter("reject"::equals).count();
        System.out.printf("done=%d rejected=%d released=%d second=%d again=%d failures=%d%n",
            confirmed.size() + unanswered.size(), rejected, released.get(), second.get(),
            again.get(), failures.get());
        System.exit(0);
    }
}
