// SPDX-License-Identifier: Apache-2.0
//
// A word count with Kafka Streams, exactly once, for 046_streams.t: two instances,
// a repartition topic, a changelog. Three parts of lines are written: the first
// for one instance, the second while the broker restarts, the third after the
// second instance has taken over from the first, which leaves. Each word's counts
// must come out as 1, 2, 3, ... to the last, read committed. Prints "half" when
// the first part is counted, and at the end what was seen.
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsMetadata;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

public class OxbowStreams {
    private static final String BROKER = System.getenv("OX_KAFKA");
    private static final String PROTOCOL = System.getenv("OX_PROTOCOL");
    private static final String STATE = System.getenv("OX_STATE");
    private static final String[] WORDS = {"oxbow", "lake", "river", "bend", "meander", "silt",
        "flood", "reed"};
    private static final Random random = new Random(1071);
    private static final Map<String, Long> written = new TreeMap<>(), counted = new HashMap<>();
    private static long torn;

    private static KafkaStreams instance(String name, int port) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream("lines")
            .flatMapValues(line -> List.of(line.split(" ")))
            .groupBy((key, word) -> word)
            .count(Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts"))
                .withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()))
            .toStream()
            .to("counts-out", Produced.with(Serdes.String(), Serdes.Long()));
        Properties config = new Properties();
        config.put("bootstrap.servers", BROKER);
        config.put("application.id", "count-" + PROTOCOL);
        config.put("application.server", "127.0.0.1:" + port);
        config.put("client.id", name);
        config.put("state.dir", STATE + "/" + name);
        config.put("processing.guarantee", "exactly_once_v2");
        config.put("group.protocol", PROTOCOL);
        config.put("num.stream.threads", "2");
        config.put("commit.interval.ms", "200");
        config.put("statestore.cache.max.bytes", "0");
        config.put("default.key.serde", Serdes.StringSerde.class.getName());
        config.put("default.value.serde", Serdes.StringSerde.class.getName());
        config.put("replication.factor", "1");
        if (PROTOCOL.equals("classic"))
            config.put("session.timeout.ms", "10000");
        KafkaStreams streams = new KafkaStreams(builder.build(), config);
        streams.start();
        return streams;
    }

    private static void write(KafkaProducer<String, String> producer, int lines) {
        for (int i = 0; i < lines; i++) {
            StringBuilder line = new StringBuilder();
            for (int j = 0; j < 5; j++) {
                String word = WORDS[random.nextInt(WORDS.length)];
                written.merge(word, 1L, Long::sum);
                line.append(j > 0 ? " " : "").append(word);
            }
            producer.send(new ProducerRecord<>("lines", "" + i, line.toString()));
        }
        producer.flush();
    }

    // Reads until every word has the count that it must have, or time is up.
    private static boolean await(KafkaConsumer<String, Long> reader, int seconds) {
        long until = System.currentTimeMillis() + seconds * 1000L;
        while (!counted.equals(written) && System.currentTimeMillis() < until)
            for (ConsumerRecord<String, Long> record : reader.poll(Duration.ofMillis(200))) {
                long before = counted.getOrDefault(record.key(), 0L);
                if (record.value() != before + 1)
                    torn++;
                counted.put(record.key(), record.value());
            }
        return counted.equals(written);
    }

    private static boolean running(KafkaStreams... all) throws Exception {
        for (int i = 0; i < 1200; i++) {
            boolean good = true;
            for (KafkaStreams one : all)
                good &= one.state() == KafkaStreams.State.RUNNING;
            if (good)
                return true;
            Thread.sleep(100);
        }
        return false;
    }

    // The end points that have tasks, as the instance was told: interactive queries.
    private static String places(KafkaStreams streams) {
        Map<Integer, Integer> ports = new TreeMap<>();
        for (StreamsMetadata one : streams.metadataForAllStreamsClients())
            if (!one.topicPartitions().isEmpty())
                ports.merge(one.hostInfo().port(), one.topicPartitions().size(), Integer::sum);
        return ports.keySet().toString();
    }

    private static String awaitPlaces(KafkaStreams streams, String wanted) throws Exception {
        for (int i = 0; i < 600 && !places(streams).equals(wanted); i++)
            Thread.sleep(100);
        return places(streams);
    }

    private static void say(String name, Object value) {
        System.out.println(name + "=" + value);
        System.out.flush();
    }

    public static void main(String[] args) throws Exception {
        Properties config = new Properties();
        config.put("bootstrap.servers", BROKER);
        config.put("delivery.timeout.ms", "120000");
        config.put("isolation.level", "read_committed");
        config.put("auto.offset.reset", "earliest");
        config.put("group.id", "reader");
        config.put("enable.auto.commit", "false");
        KafkaProducer<String, String> producer =
            new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
        KafkaConsumer<String, Long> reader =
            new KafkaConsumer<>(config, new StringDeserializer(), new LongDeserializer());
        // In no group: a client that finds no broker forgets its topics and joins anew,
        // and this one has committed nothing.
        List<TopicPartition> parts = List.of(new TopicPartition("counts-out", 0), new TopicPartition("counts-out", 1));
        reader.assign(parts);
        reader.seekToBeginning(parts);
        KafkaStreams first = instance("one", 7001);
        write(producer, 100);
        say("part1", await(reader, 120));
        say("half", 1);
        write(producer, 200);
        say("part2", await(reader, 120));
        KafkaStreams second = instance("two", 7002);
        say("both", running(first, second));
        say("places", awaitPlaces(second, "[7001, 7002]"));
        write(producer, 100);
        say("part3", await(reader, 120));
        first.close(CloseOptions.timeout(Duration.ofSeconds(60))
            .withGroupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP));
        write(producer, 100);
        say("part4", await(reader, 120));
        say("alone", awaitPlaces(second, "[7002]"));
        say("torn", torn);
        try (Admin admin = Admin.create(config)) {
            for (GroupListing group : admin.listGroups().all().get())
                if (group.groupId().startsWith("count-"))
                    say("type", group.type().get() + "/" + group.groupState().get());
            if (PROTOCOL.equals("streams"))
                say("topology", admin.describeStreamsGroups(List.of("count-streams")).all().get()
                    .get("count-streams").subtopologies().size());
        }
        second.close(CloseOptions.timeout(Duration.ofSeconds(60))
            .withGroupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP));
        reader.close();
        producer.close();
        System.exit(0);
    }
}
