// SPDX-License-Identifier: Apache-2.0
//
// Java's consumers in groups of both protocols, for 047_consumer_groups.t. First
// what the consumer protocol offers: subscriptions by pattern, the assignors
// uniform and range, members with an instance id. Then one group of four members
// reads while the broker restarts, under the protocols that the members have; a
// group goes over from one to the other member by member, and back. Each record
// must be read once by the group, whatever happens. Prints "half" when the broker
// may restart, reads a line when it has, and prints results as name=value.
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class OxbowGroups {
    private static final String BROKER = System.getenv("OX_KAFKA");
    private static KafkaProducer<String, String> producer;
    private static Admin admin;

    private static void say(String name, Object value) {
        System.out.println(name + "=" + value);
        System.out.flush();
    }

    private static Properties common() {
        Properties config = new Properties();
        config.put("bootstrap.servers", BROKER);
        config.put("delivery.timeout.ms", "120000");
        config.put("key.deserializer", StringDeserializer.class.getName());
        config.put("value.deserializer", StringDeserializer.class.getName());
        config.put("key.serializer", StringSerializer.class.getName());
        config.put("value.serializer", StringSerializer.class.getName());
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", "false");
        config.put("default.api.timeout.ms", "60000");
        return config;
    }

    // A member, polled by the thread of its own, commits what it has read.
    private static class Member extends Thread implements ConsumerRebalanceListener {
        final KafkaConsumer<String, String> consumer;
        final Group group;
        volatile boolean stop;
        volatile Set<TopicPartition> assigned = new HashSet<>();
        volatile int revoked, lost;
        volatile Exception failure;

        Member(Group group, String protocol, String assignor, String instance) {
            Properties config = common();
            this.group = group;
            config.put("group.id", group.name);
            config.put("group.protocol", protocol);
            if (protocol.equals("classic")) {
                config.put("session.timeout.ms", "10000");
                config.put("heartbeat.interval.ms", "500");
                config.put("partition.assignment.strategy",
                    "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
            } else if (assignor != null) {
                config.put("group.remote.assignor", assignor);
            }
            if (instance != null)
                config.put("group.instance.id", instance);
            consumer = new KafkaConsumer<>(config);
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        }

        // Before it gives partitions up it commits what it has read of them.
        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            revoked += partitions.size();
            if (!partitions.isEmpty())
                commit();
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            lost += partitions.size();
        }

        private void commit() {
            for (int i = 0; i < 50; i++)
                try {
                    consumer.commitSync();
                    return;
                } catch (RebalanceInProgressException e) {
                    return; // it is said again when that is over
                } catch (RetriableException e) {
                    failure = e;
                }
        }

        @Override
        public void run() {
            try {
                while (!stop) {
                    for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100)))
                        group.read(record);
                    assigned = new HashSet<>(consumer.assignment());
                    commit();
                }
            } catch (Exception e) {
                failure = e;
                e.printStackTrace();
            }
            consumer.close();
        }

        void leave() throws Exception {
            stop = true;
            join();
        }
    }

    private static class Group {
        final String name;
        final Map<String, Integer> seen = new HashMap<>();
        final List<Member> members = new ArrayList<>();
        int written;

        Group(String name) {
            this.name = name;
        }

        synchronized void read(ConsumerRecord<String, String> record) {
            seen.merge(record.topic() + "/" + record.partition() + "/" + record.offset(), 1,
                Integer::sum);
        }

        synchronized int again() {
            int count = 0;
            for (int times : seen.values())
                count += times - 1;
            return count;
        }

        synchronized int distinct() {
            return seen.size();
        }

        Member add(String protocol, String assignor, String instance, String... topics) {
            Member member = new Member(this, protocol, assignor, instance);
            member.consumer.subscribe(List.of(topics), member);
            members.add(member);
            member.start();
            return member;
        }

        void write(String topic, int partitions, int count) {
            for (int i = 0; i < count; i++)
                producer.send(new ProducerRecord<>(topic, i % partitions, "k" + i, "v" + i));
            producer.flush();
            written += count;
        }

        // Every partition has one owner, and they have so many each.
        boolean settled(int... sizes) {
            Set<TopicPartition> all = new HashSet<>();
            Map<Integer, Integer> counts = new TreeMap<>(), wanted = new TreeMap<>();
            int sum = 0;
            for (Member member : members) {
                all.addAll(member.assigned);
                sum += member.assigned.size();
                counts.merge(member.assigned.size(), 1, Integer::sum);
            }
            for (int size : sizes)
                wanted.merge(size, 1, Integer::sum);
            return all.size() == sum && counts.equals(wanted);
        }

        boolean await(int... sizes) throws Exception {
            for (int i = 0; i < 900 && !(settled(sizes) && distinct() >= written); i++)
                Thread.sleep(100);
            return settled(sizes) && distinct() >= written;
        }

        List<Set<TopicPartition>> parts() {
            List<Set<TopicPartition>> all = new ArrayList<>();
            for (Member member : members)
                all.add(new HashSet<>(member.assigned));
            return all;
        }

        String sizes() {
            TreeSet<String> out = new TreeSet<>();
            for (Member member : members)
                out.add(member.getName() + ":" + member.assigned);
            return out + " read " + distinct() + " of " + written;
        }

        String type() throws Exception {
            ConsumerGroupDescription description =
                admin.describeConsumerGroups(List.of(name)).all().get().get(name);
            return description.type() + "/" + description.groupState() + "/"
                + description.members().size();
        }

        long committed() throws Exception {
            long sum = 0;
            for (OffsetAndMetadata offset : admin.listConsumerGroupOffsets(name)
                    .partitionsToOffsetAndMetadata().get().values())
                sum += offset.offset();
            return sum;
        }

        void end() throws Exception {
            for (Member member : members)
                member.leave();
            members.clear();
        }
    }

    // By pattern: topics that are there, and one that comes later.
    private static void patterns() throws Exception {
        Group group = new Group("patterns");
        Member member = new Member(group, "consumer", null, null);
        member.consumer.subscribe(new SubscriptionPattern("pat-[a-z]+"), member);
        group.members.add(member);
        member.start();
        group.write("pat-a", 2, 20);
        say("pattern", group.await(2));
        admin.createTopics(List.of(new org.apache.kafka.clients.admin.NewTopic("pat-b", 3,
            (short) 1), new org.apache.kafka.clients.admin.NewTopic("pat-9", 1, (short) 1)))
            .all().get();
        group.write("pat-b", 3, 30);
        say("pattern_later", group.await(5));
        group.end();
        Member bad = new Member(group, "consumer", null, null);
        bad.consumer.subscribe(new SubscriptionPattern("pat-(["), bad);
        try {
            for (int i = 0; i < 100; i++)
                bad.consumer.poll(Duration.ofMillis(100));
            say("pattern_bad", "taken");
        } catch (Exception e) {
            say("pattern_bad", e.getClass().getSimpleName());
        }
        bad.consumer.close();
    }

    // range: the same partitions of both topics go to one member. uniform: even.
    private static void assignors() throws Exception {
        for (String assignor : new String[] {"range", "uniform"}) {
            Group group = new Group("by-" + assignor);
            group.add("consumer", assignor, null, "wide", "wide2");
            group.add("consumer", assignor, null, "wide", "wide2");
            boolean settled = group.await(3, 3);
            boolean together = settled;
            for (Member member : group.members)
                for (TopicPartition one : member.assigned)
                    together &= member.assigned.contains(new TopicPartition(
                        one.topic().equals("wide") ? "wide2" : "wide", one.partition()));
            if (assignor.equals("range"))
                settled = group.await(4, 2);
            say(assignor, settled);
            ConsumerGroupDescription description =
                admin.describeConsumerGroups(List.of(group.name)).all().get().get(group.name);
            say(assignor + "_named", description.partitionAssignor());
            group.end();
        }
        Group group = new Group("by-nobody");
        Member bad = new Member(group, "consumer", "nobody", null);
        bad.consumer.subscribe(List.of("wide"), bad);
        try {
            for (int i = 0; i < 100; i++)
                bad.consumer.poll(Duration.ofMillis(100));
            say("assignor_bad", "taken");
        } catch (Exception e) {
            say("assignor_bad", e.getClass().getSimpleName());
        }
        bad.consumer.close();
    }

    // A member with an instance id goes and comes back: the others see nothing.
    private static void statics() throws Exception {
        Group group = new Group("statics");
        for (String instance : new String[] {"i1", "i2", "i3"})
            group.add("consumer", null, instance, "six");
        say("static", group.await(2, 2, 2));
        Member gone = group.members.remove(2);
        Set<TopicPartition> had = gone.assigned;
        int before = group.members.get(0).revoked + group.members.get(1).revoked;
        gone.leave();
        Thread.sleep(1500);
        say("static_kept", group.type());
        Member back = group.add("consumer", null, "i3", "six");
        say("static_back", group.await(2, 2, 2) && back.assigned.equals(had));
        say("static_quiet", group.members.get(0).revoked + group.members.get(1).revoked - before);
        Member twin = new Member(group, "consumer", null, "i3");
        twin.consumer.subscribe(List.of("six"), twin);
        try {
            for (int i = 0; i < 100; i++)
                twin.consumer.poll(Duration.ofMillis(100));
            say("static_twin", "taken");
        } catch (Exception e) {
            say("static_twin", e.getClass().getSimpleName());
        }
        twin.consumer.close();
        group.end();
    }

    // Members of these protocols read while the broker restarts.
    private static void restarts(String name, String... protocols) throws Exception {
        Group group = new Group(name);
        boolean fixed = name.startsWith("static_");
        for (String protocol : protocols)
            group.add(protocol, null, fixed ? "i" + group.members.size() : null, "six");
        group.write("six", 6, 600);
        say(name + "_1", group.await(2, 2, 1, 1));
        List<Set<TopicPartition>> had = group.parts();
        String type = group.type();
        long committed = group.committed();
        say("half", name);
        Thread.sleep(500);
        group.write("six", 6, 600);
        while (System.in.read() != '\n')
            ;
        say(name + "_2", group.await(2, 2, 1, 1) ? "true" : group.sizes());
        int lost = 0;
        for (Member member : group.members)
            lost += member.lost;
        say(name + "_members", group.type().equals(type) ? type : type + " then " + group.type());
        say(name + "_committed", group.committed() >= committed);
        say(name + "_lost", lost);
        say(name + "_kept", group.parts().equals(had));
        say(name + "_again", group.again());
        group.end();
        say(name + "_end", group.committed() == group.written);
        if (fixed) /* they keep their places */
            admin.removeMembersFromConsumerGroup(name, new RemoveMembersFromConsumerGroupOptions()).all().get();
        delete(name);
        admin.deleteRecords(Map.of()).all().get();
    }

    // A classic consumer that is closed amid a rebalance may say nothing to the group, and what
    // any says while the server restarts is lost: the group waits for its session to end, up to
    // 45 s.
    private static void delete(String name) throws Exception {
        for (int i = 0;; i++)
            try {
                admin.deleteConsumerGroups(List.of(name)).all().get();
                return;
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof GroupNotEmptyException) || i > 600)
                    throw e;
                Thread.sleep(100);
            }
    }

    // A rolling upgrade from the classic protocol, and the way back.
    private static void moves() throws Exception {
        Group group = new Group("moves");
        String[] way = {"consumer", "classic"};
        for (int i = 0; i < 3; i++)
            group.add("classic", null, null, "moving");
        group.write("moving", 6, 300);
        say("moves_start", group.await(2, 2, 2) + "/" + group.type());
        for (String protocol : way) {
            for (int i = 0; i < 3; i++) {
                group.members.remove(0).leave();
                group.add(protocol, null, null, "moving");
                group.write("moving", 6, 60);
                boolean good = group.await(2, 2, 2);
                say("moves_" + protocol + i, good ? good : group.sizes());
            }
            say("moves_" + protocol, group.type());
        }
        say("moves_again", group.again());
        group.end();
        say("moves_end", group.committed() == group.written);
    }

    public static void main(String[] args) throws Exception {
        producer = new KafkaProducer<>(common());
        admin = Admin.create(common());
        for (String part : args)
            switch (part) {
            case "patterns": patterns(); break;
            case "assignors": assignors(); break;
            case "statics": statics(); break;
            case "moves": moves(); break;
            case "mixed": restarts(part, "classic", "consumer", "classic", "consumer"); break;
            case "static_classic": restarts(part, "classic", "classic", "classic", "classic"); break;
            case "static_consumer": restarts(part, "consumer", "consumer", "consumer", "consumer"); break;
            default: restarts(part, part, part, part, part); break;
            }
        producer.close();
        admin.close();
        System.exit(0);
    }
}
