// SPDX-License-Identifier: Apache-2.0
//
// Kafka's tools for groups (kafka-consumer-groups, kafka-share-groups,
// kafka-streams-groups), with each of their options, in one process, for
// 175_group_tools.t: prints what they print, without ids, ports and spaces that
// fill columns, lines sorted (the tools have no order of their own).
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Exit;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.tools.consumer.group.ConsumerGroupCommand;
import org.apache.kafka.tools.consumer.group.ShareGroupCommand;
import org.apache.kafka.tools.streams.StreamsGroupCommand;

public class OxbowGroupTools {
    private static final String BROKER = System.getenv("OX_KAFKA");
    private static final String STRING = "org.apache.kafka.common.serialization.String";
    private static final long START = 1_700_000_000_000L;
    private static final PrintStream out = System.out;

    // ---- the tools ----

    interface Main { void main(String[] words) throws Exception; }

    private static class Ended extends RuntimeException { }

    private static String plain(String text) {
        Map<String, Integer> lines = new TreeMap<>();
        for (String line : text.split("(?m)^Option +Description")[0].split("\n")) { // without a tool's help
            String plain = line.replaceAll("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(_\\d+)?", "UUID")
                .replaceAll("(?<![\\w.-])[A-Za-z0-9_-]{22}(?![\\w.-])", "ID")
                .replaceAll("/?(localhost|127\\.0\\.0\\.1):\\d+", "BROKER").replaceAll("\\s+", " ").trim();
            if (!plain.isEmpty() && !plain.startsWith("at ") && !plain.matches(".*(SLF4J|StatusLogger).*"))
                lines.merge(plain, 1, Integer::sum);
        }
        StringBuilder made = new StringBuilder();
        lines.forEach((line, times) -> made.append("  ").append(line).append(times > 1 ? " (" + times + ")" : "").append('\n'));
        return made.toString();
    }

    private static String said(Main main, String... words) throws Exception {
        List<String> all = new ArrayList<>(List.of("--bootstrap-server", BROKER, "--timeout", "30000"));
        if (Arrays.asList(words).contains("--validate-regex"))
            all.clear();
        all.addAll(Arrays.asList(words));
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream to = new PrintStream(bytes, true, StandardCharsets.UTF_8), error = System.err;
        System.setOut(to);
        System.setErr(to);
        try {
            main.main(all.toArray(new String[0]));
        } catch (Ended ended) {
            to.println("(ends with a failure)");
        } catch (Throwable failed) {
            to.println(failed.toString());
        } finally {
            System.setOut(out);
            System.setErr(error);
        }
        return plain(bytes.toString(StandardCharsets.UTF_8));
    }

    private static void ask(String name, Main main, String line) throws Exception {
        out.println("$ " + name + " " + line);
        out.print(said(main, line.split(" ")));
        out.flush();
    }

    private static void consumer(String line) throws Exception { ask("consumer", ConsumerGroupCommand::main, line); }

    private static void share(String line) throws Exception { ask("share", ShareGroupCommand::main, line); }

    private static void streams(String line) throws Exception { ask("streams", StreamsGroupCommand::main, line); }

    // Until the tool says what is waited for.
    private static void until(Main main, String wanted, String... words) throws Exception {
        for (int i = 0; i < 120 && !said(main, words).contains(wanted); i++)
            Thread.sleep(500);
    }

    // ---- what there is ----

    private static Properties settings(String... more) {
        Properties set = new Properties();
        set.put("bootstrap.servers", BROKER);
        set.put("key.serializer", STRING + "Serializer");
        set.put("value.serializer", STRING + "Serializer");
        set.put("key.deserializer", STRING + "Deserializer");
        set.put("value.deserializer", STRING + "Deserializer");
        for (int i = 0; i < more.length; i += 2)
            set.put(more[i], more[i + 1]);
        return set;
    }

    private static void topics(Admin admin) throws Exception {
        List<NewTopic> wanted = new ArrayList<>();
        Map.of("one", 3, "two", 2, "idle", 1, "in", 2, "shared", 2).forEach((name, parts) ->
            wanted.add(new NewTopic(name, parts, (short)1).configs(Map.of("retention.ms", "-1"))));
        admin.createTopics(wanted).all().get();
        try (KafkaProducer<String, String> to = new KafkaProducer<>(settings())) {
            for (String topic : List.of("one", "two", "in", "shared"))
                for (int i = 0; i < 30; i++)
                    to.send(new ProducerRecord<>(topic, i % (topic.equals("one") ? 3 : 2), START + i * 1000L, "k" + i, "v" + i));
        }
    }

    private static void commit(String group, Map<TopicPartition, Long> offsets, String metadata) {
        Map<TopicPartition, OffsetAndMetadata> map = new HashMap<>();
        offsets.forEach((part, offset) -> map.put(part, new OffsetAndMetadata(offset, metadata)));
        try (KafkaConsumer<String, String> one = new KafkaConsumer<>(settings("group.id", group, "enable.auto.commit", "false"))) {
            one.assign(offsets.keySet());
            one.commitSync(map);
        }
    }

    private static void commits() {
        Map<TopicPartition, Long> some = Map.of(new TopicPartition("one", 0), 4L, new TopicPartition("one", 1), 7L,
            new TopicPartition("two", 1), 3L);
        for (String group : List.of("gone", "reset", "cut", "wiped"))
            commit(group, some, "note");
    }

    // A member that polls until it is told to go.
    private static Thread member(AtomicBoolean stop, String group, String topic, String... more) {
        Thread thread = new Thread(() -> {
            Properties set = settings(more);
            set.put("group.id", group);
            set.put("auto.offset.reset", "earliest");
            set.put("client.id", group + "-client");
            try (KafkaConsumer<String, String> one = new KafkaConsumer<>(set)) {
                one.subscribe(List.of(topic));
                while (!stop.get())
                    one.poll(Duration.ofMillis(100));
            }
        });
        thread.start();
        return thread;
    }

    private static Thread sharer(AtomicBoolean stop) {
        Thread thread = new Thread(() -> {
            Properties set = settings("group.id", "sharing", "client.id", "sharing-client", "share.acknowledgement.mode", "explicit");
            try (KafkaShareConsumer<String, String> one = new KafkaShareConsumer<>(set)) {
                one.subscribe(Set.of("shared"));
                while (!stop.get())
                    for (ConsumerRecord<String, String> record : one.poll(Duration.ofMillis(100)))
                        one.acknowledge(record);
            }
        });
        thread.start();
        return thread;
    }

    // ---- consumer groups ----

    private static void consumers() throws Exception {
        AtomicBoolean stop = new AtomicBoolean();
        Thread[] members = {member(stop, "classic", "one", "group.protocol", "classic", "group.instance.id", "fixed"),
            member(stop, "modern", "two", "group.protocol", "consumer")};
        for (String group : List.of("classic", "modern"))
            until(ConsumerGroupCommand::main, group.equals("classic") ? "classic one 2 10 10 0" : "modern two 1 15 15 0",
                "--describe", "--group", group);
        for (String words : List.of("", " --state", " --type", " --state --type", " --state Empty", " --state stable,empty", " --type consumer",
                " --type classic --state stable", " --state nonsense", " --type nonsense"))
            consumer("--list" + words);
        for (String group : List.of("--group classic", "--group modern", "--group gone", "--group missing", "--all-groups",
                "--group gone --group classic"))
            for (String words : List.of("", " --members", " --members --verbose", " --state", " --state --verbose", " --offsets --verbose"))
                consumer("--describe " + group + words);
        consumer("--describe --all-groups --group gone");
        consumer("--describe --group gone --members --state");
        consumer("--describe");
        for (String words : List.of("--delete --group classic", "--delete --group modern --group missing",
                "--delete-offsets --group classic --topic one", "--delete-offsets --group modern --topic two:0",
                "--delete-offsets --group modern --topic one", "--reset-offsets --group classic --topic one --to-earliest --execute",
                "--reset-offsets --group modern --all-topics --to-earliest --dry-run"))
            consumer(words);
        stop.set(true);
        for (Thread thread : members)
            thread.join();
        resets();
        deletes();
        for (String regex : List.of("one|two", "t.*", "(", "a{1001}", "(?i)x", "(?=x)", "\\pN", "[a-", "*", "\\1"))
            consumer("--validate-regex " + regex);
        consumer("--describe --validate-regex x");
    }

    private static void resets() throws Exception {
        String first = "--reset-offsets --group reset ";
        for (String topic : List.of("--topic one", "--topic one:0,2", "--topic one --topic two:1", "--all-topics"))
            for (String where : List.of("--to-earliest", "--to-latest", "--to-current", "--to-offset 5"))
                consumer(first + topic + " " + where + " --dry-run");
        for (String where : List.of("--to-offset 999", "--to-offset -7", "--shift-by 2", "--shift-by -3", "--shift-by 1000", "--shift-by -1000",
                "--to-datetime 2023-11-14T22:13:31.000", "--to-datetime 2023-11-14T22:13:31.000Z", "--to-datetime 2023-11-15T03:43:31.000+05:30",
                "--to-datetime 2099-01-01T00:00:00.000", "--to-datetime yesterday", "--by-duration P20000D", "--by-duration PT1H",
                "--by-duration 1h", "--to-earliest --to-latest", ""))
            consumer((first + "--topic one --topic two " + where + " --dry-run").replace("  ", " "));
        for (String words : List.of("--group missing --topic one --to-earliest --execute", "--group reset --topic missing --to-earliest --execute",
                "--group reset --topic one:9 --to-earliest --execute", "--group reset --to-earliest --execute",
                "--group reset --topic one --to-earliest", "--group reset --topic one --to-earliest --dry-run --execute",
                "--all-groups --topic one:0 --to-offset 2 --dry-run", "--group reset --group gone --topic one:1 --shift-by -1 --dry-run"))
            consumer("--reset-offsets " + words);
        consumer(first + "--topic one --topic idle --to-offset 6 --execute");
        consumer(first + "--topic two --shift-by 2 --execute");
        consumer("--describe --group reset");
        Path file = Files.createTempFile("oxbow", ".csv");
        Files.writeString(file, said(ConsumerGroupCommand::main, "--reset-offsets", "--group", "reset", "--all-topics", "--to-current",
            "--export", "--dry-run").replaceAll("(?m)^ +", ""));
        out.println("exported\n" + Files.readString(file).replaceAll("(?m)^", "  "));
        Files.writeString(file, "\"one\",0,1\n\"one\",2,3\n\"two\",1,100\n");
        out.println("$ consumer --from-file");
        out.print(said(ConsumerGroupCommand::main, "--reset-offsets", "--group", "reset", "--from-file", file.toString(), "--execute"));
        Files.writeString(file, "\"reset\",\"one\",0,2\n\"gone\",\"one\",1,1\n");
        out.print(said(ConsumerGroupCommand::main, "--reset-offsets", "--group", "reset", "--group", "gone", "--from-file", file.toString(),
            "--dry-run"));
        Files.delete(file);
        consumer("--describe --group reset");
    }

    private static void deletes() throws Exception {
        for (String words : List.of("--group cut --topic one:0", "--group cut --topic idle", "--group cut --topic missing", "--group cut --topic one --topic two",
                "--group missing --topic one", "--group cut", "--group cut --topic one:77"))
            consumer("--delete-offsets " + words);
        consumer("--describe --group cut");
        for (String words : List.of("--group gone", "--group gone", "--group reset --group missing", "--all-groups"))
            consumer("--delete " + words);
        consumer("--list");
    }

    // ---- share groups ----

    private static void shares(Admin admin) throws Exception {
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, "sharing"),
            List.of(new AlterConfigOp(new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET)))).all().get();
        AtomicBoolean stop = new AtomicBoolean();
        Thread member = sharer(stop);
        until(ShareGroupCommand::main, "sharing shared 1 - 0", "--describe", "--group", "sharing");
        until(ShareGroupCommand::main, "shared 1 0 0", "--describe", "--group", "sharing", "--offsets", "--verbose");
        for (String words : List.of("", " --state", " --state stable", " --state empty", " --state dead", " --state nonsense"))
            share("--list" + words);
        for (String group : List.of("--group sharing", "--group missing", "--all-groups"))
            for (String words : List.of(" --members", " --members --verbose", " --state", " --state --verbose"))
                share("--describe " + group + words);
        for (String words : List.of("--delete --group sharing", "--delete-offsets --group sharing --topic shared",
                "--reset-offsets --group sharing --topic shared --to-earliest --execute"))
            share(words);
        stop.set(true);
        member.join();
        for (String words : List.of("--group sharing --topic shared --to-earliest --dry-run", "--group sharing --topic shared --to-latest --dry-run",
                "--group sharing --topic shared:1 --to-datetime 2023-11-14T22:13:31.000 --dry-run", "--group sharing --all-topics --to-latest --dry-run",
                "--group missing --topic shared --to-earliest --execute", "--group sharing --topic missing --to-earliest --execute",
                "--group sharing --topic idle --to-earliest --execute", "--group sharing --topic shared --to-earliest",
                "--group sharing --topic shared --to-earliest --to-latest --execute", "--group sharing --topic shared:0 --to-earliest --execute"))
            share("--reset-offsets " + words);
        for (String words : List.of("", " --offsets", " --offsets --verbose", " --members", " --state"))
            share("--describe --group sharing" + words);
        for (String words : List.of("--delete-offsets --group sharing --topic idle", "--delete-offsets --group sharing --topic two",
                "--delete-offsets --group sharing --topic missing", "--delete-offsets --group missing --topic shared", "--describe --group sharing --offsets",
                "--delete-offsets --group sharing --topic shared", "--describe --group sharing --offsets", "--delete --group missing",
                "--delete --group sharing", "--list", "--delete --all-groups"))
            share(words);
        consumer("--describe --group sharing");
    }

    // ---- streams groups ----

    private static KafkaStreams app() throws Exception {
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream("in").groupBy((key, value) -> value).count().toStream().foreach((key, value) -> { });
        Properties set = new Properties();
        set.put("bootstrap.servers", BROKER);
        set.put("application.id", "flow");
        set.put("client.id", "flow-client");
        set.put("group.protocol", "streams");
        set.put("auto.offset.reset", "earliest");
        set.put("commit.interval.ms", "200");
        set.put("replication.factor", "1");
        set.put("state.dir", Files.createTempDirectory("oxbow").toString());
        set.put("default.key.serde", Serdes.StringSerde.class.getName());
        set.put("default.value.serde", Serdes.StringSerde.class.getName());
        KafkaStreams app = new KafkaStreams(builder.build(), set);
        app.start();
        return app;
    }

    private static void flows() throws Exception {
        KafkaStreams app = app();
        until(StreamsGroupCommand::main, "flow Stable", "--list", "--state");
        until(StreamsGroupCommand::main, "flow in 1 15 15 0", "--describe", "--group", "flow", "--offsets", "--verbose");
        until(StreamsGroupCommand::main, "flow in 1 0", "--describe", "--group", "flow");
        for (String words : List.of("", " --state", " --state Stable", " --state nonsense"))
            streams("--list" + words);
        for (String group : List.of("--group flow", "--group missing", "--all-groups"))
            for (String words : List.of("", " --members", " --members --verbose", " --state", " --state --verbose", " --offsets --verbose"))
                streams("--describe " + group + words);
        for (String words : List.of("--delete --group flow", "--delete-offsets --group flow --input-topic in",
                "--reset-offsets --group flow --input-topic in --to-earliest --execute"))
            streams(words);
        app.close();
        until(StreamsGroupCommand::main, "flow Empty", "--list", "--state");
        for (String where : List.of("--to-earliest", "--to-latest", "--to-current", "--to-offset 4", "--shift-by -2", "--by-duration PT1H",
                "--to-datetime 2023-11-14T22:13:31.000"))
            streams("--reset-offsets --group flow --input-topic in " + where + " --dry-run");
        for (String words : List.of("--reset-offsets --group flow --all-input-topics --to-offset 3 --dry-run",
                "--reset-offsets --group missing --input-topic in --to-earliest --execute", "--reset-offsets --group flow --input-topic idle --to-earliest --dry-run",
                "--reset-offsets --group flow --input-topic in:1 --to-offset 9 --execute", "--describe --group flow", "--describe --group flow --offsets --verbose",
                "--delete-offsets --group flow --input-topic in:0", "--delete-offsets --group flow --input-topic missing",
                "--describe --group flow --offsets --verbose", "--delete --group missing", "--delete --group flow --delete-all-internal-topics", "--list"))
            streams(words);
        consumer("--describe --group flow");
    }

    public static void main(String[] words) throws Exception {
        Exit.setExitProcedure((status, message) -> {
            throw new Ended();
        });
        try (Admin admin = Admin.create(settings())) {
            topics(admin);
            commits();
            consumers();
            shares(admin);
            flows();
            out.println("topics: " + new java.util.TreeSet<>(admin.listTopics().names().get()));
        }
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }
}
