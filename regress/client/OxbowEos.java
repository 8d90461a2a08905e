// SPDX-License-Identifier: Apache-2.0
//
// A processor of 150_exactly_once.t: as "process" of 150_exactly_once.py, with
// Kafka's own client, whose producers speak the second transaction protocol.
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.WakeupException;

public class OxbowEos {
    private static final Random random = new Random();
    private static volatile boolean stop;

    private static Properties settings(String name) {
        Properties set = new Properties();
        set.put("bootstrap.servers", System.getenv("OX_KAFKA"));
        set.put("group.id", "eos");
        set.put("isolation.level", "read_committed");
        set.put("enable.auto.commit", "false");
        set.put("auto.offset.reset", "earliest");
        set.put("max.poll.records", "20");
        set.put("session.timeout.ms", "6000");
        set.put("heartbeat.interval.ms", "500");
        set.put("partition.assignment.strategy",
            "org.apache.kafka.clients.consumer.RangeAssignor,"
                + "org.apache.kafka.clients.consumer.RoundRobinAssignor");
        set.put("transactional.id", name);
        set.put("transaction.timeout.ms", "8000");
        set.put("max.block.ms", "30000");
        set.put("linger.ms", "2");
        String text = "org.apache.kafka.common.serialization.String";
        set.put("key.deserializer", text + "Deserializer");
        set.put("value.deserializer", text + "Deserializer");
        set.put("key.serializer", text + "Serializer");
        set.put("value.serializer", text + "Serializer");
        return set;
    }

    private static void rewind(KafkaConsumer<String, String> source,
            List<ConsumerRecord<String, String>> batch) {
        Map<TopicPartition, Long> first = new HashMap<>();
        for (ConsumerRecord<String, String> record : batch)
            first.merge(new TopicPartition(record.topic(), record.partition()), record.offset(),
                Math::min);
        for (Map.Entry<TopicPartition, Long> entry : first.entrySet())
            try {
                source.seek(entry.getKey(), entry.getValue());
            } catch (IllegalStateException notOurs) {
                // another member has it now
            }
    }

    private static void transform(KafkaConsumer<String, String> source,
            KafkaProducer<String, String> sink, List<ConsumerRecord<String, String>> batch,
            String tag) throws InterruptedException {
        boolean bad = random.nextInt(100) < 15;
        Map<TopicPartition, OffsetAndMetadata> ends = new HashMap<>();
        sink.beginTransaction();
        for (ConsumerRecord<String, String> record : batch) {
            String value = record.partition() + "|" + record.offset() + "|" + record.value() + "|"
                + tag + "|" + (bad ? "bad" : "good");
            for (String topic : new String[] {"eos-a", "eos-b"})
                sink.send(new ProducerRecord<>(topic, record.partition(), record.key(), value));
            ends.put(new TopicPartition(record.topic(), record.partition()),
                new OffsetAndMetadata(record.offset() + 1));
        }
        if (random.nextInt(100) < 30) {
            sink.flush();
            Thread.sleep(random.nextInt(200));
        }
        sink.sendOffsetsToTransaction(ends, source.groupMetadata());
        if (bad) {
            sink.abortTransaction();
            rewind(source, batch);
        } else {
            sink.commitTransaction();
        }
    }

    private static void process(String name, KafkaConsumer<String, String> source,
            KafkaProducer<String, String> sink) throws InterruptedException {
        long born = System.currentTimeMillis();
        int number = 0;
        while (!stop) {
            List<ConsumerRecord<String, String>> batch = new ArrayList<>();
            source.poll(Duration.ofMillis(200)).forEach(batch::add);
            if (batch.isEmpty())
                continue;
            String tag = name + "." + born + "." + ++number;
            try {
                transform(source, sink, batch, tag);
            } catch (ProducerFencedException | InvalidProducerEpochException fenced) {
                throw fenced;
            } catch (KafkaException failure) {
                System.out.println(tag + " " + failure);
                sink.abortTransaction();
                rewind(source, batch);
            }
        }
    }

    public static void main(String[] words) throws Exception {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stop = true;
            try {
                Thread.sleep(1500);
            } catch (InterruptedException gone) {
                // the end, then
            }
        }));
        Properties set = settings(words[0]);
        try (KafkaConsumer<String, String> source = new KafkaConsumer<>(set);
                KafkaProducer<String, String> sink = new KafkaProducer<>(set)) {
            sink.initTransactions();
            System.out.println("ready " + words[0] + " " + ProcessHandle.current().pid());
            source.subscribe(List.of("eos-in"));
            process(words[0], source, sink);
        } catch (WakeupException end) {
            System.out.println("woken");
        } catch (KafkaException failure) {
            System.out.println(words[0] + " ends: " + failure);
            Runtime.getRuntime().halt(3);
        }
    }
}
