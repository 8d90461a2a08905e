// SPDX-License-Identifier: Apache-2.0

// segmentio/kafka-go.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

var (
	produced  int
	dialer    *kafka.Dialer
	transport *kafka.Transport
	client    *kafka.Client
)

func setUp() {
	var login sasl.Mechanism
	var err error
	switch mechanism {
	case "PLAIN":
		login = plain.Mechanism{Username: user, Password: password}
	case "SCRAM-SHA-256":
		login, err = scram.Mechanism(scram.SHA256, user, password)
	case "SCRAM-SHA-512":
		login, err = scram.Mechanism(scram.SHA512, user, password)
	}
	must(err)
	dialer = &kafka.Dialer{Timeout: 10 * time.Second, SASLMechanism: login}
	transport = &kafka.Transport{SASL: login}
	if encrypted() {
		dialer.TLS, transport.TLS = tlsConfig(), tlsConfig()
	}
	client = &kafka.Client{Addr: kafka.TCP(server), Transport: transport, Timeout: 20 * time.Second}
}

func messages(word string, number int) []kafka.Message {
	out := make([]kafka.Message, number)
	for i := range out {
		out[i] = kafka.Message{Key: []byte(fmt.Sprintf("k%d", i)), Value: []byte(fmt.Sprintf("%s%d", word, i)),
			Headers: []kafka.Header{{Key: "h", Value: []byte("x")}}}
	}
	return out
}

func produce() {
	codecs := map[string]kafka.Compression{"none": 0, "gzip": kafka.Gzip, "snappy": kafka.Snappy,
		"lz4": kafka.Lz4, "zstd": kafka.Zstd}
	for codec, compression := range codecs {
		writer := &kafka.Writer{Addr: kafka.TCP(server), Topic: name, Transport: transport, BatchSize: each,
			BatchTimeout: 5 * time.Millisecond, RequiredAcks: kafka.RequireAll, Compression: compression,
			Balancer: kafka.Murmur2Balancer{}}
		must(writer.WriteMessages(soon(), messages("v", each)...))
		must(writer.Close())
		produced += each
		ok(true, "produce: %s", codec)
	}
	writer := &kafka.Writer{Addr: kafka.TCP(server), Topic: name, Transport: transport,
		BatchTimeout: 5 * time.Millisecond, RequiredAcks: kafka.RequireNone}
	must(writer.WriteMessages(soon(), messages("v", 1)...))
	must(writer.Close())
	produced++
	ok(true, "produce: acks=0")
}

func reader(topic string, partition int, level kafka.IsolationLevel) *kafka.Reader {
	return kafka.NewReader(kafka.ReaderConfig{Brokers: []string{server}, Topic: topic, Partition: partition,
		Dialer: dialer, MaxWait: 200 * time.Millisecond, IsolationLevel: level})
}

func read(r *kafka.Reader, wait time.Duration) []kafka.Message {
	var out []kafka.Message
	for {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		m, err := r.FetchMessage(ctx)
		cancel()
		if err != nil {
			return out
		}
		out = append(out, m)
	}
}

func ends(topic string, parts int) int64 {
	asked := map[string][]kafka.OffsetRequest{}
	for i := 0; i < parts; i++ {
		asked[topic] = append(asked[topic], kafka.LastOffsetOf(i), kafka.FirstOffsetOf(i))
	}
	found, err := client.ListOffsets(soon(), &kafka.ListOffsetsRequest{Topics: asked})
	must(err)
	sum := int64(0)
	for _, p := range found.Topics[topic] {
		must(p.Error)
		sum += p.LastOffset
	}
	return sum
}

func consume() {
	ok(until(func() bool { return ends(name, 3) == int64(produced) }), "consume: ends of the partitions")
	number, good := 0, true
	for i := 0; i < 3; i++ {
		r := reader(name, i, kafka.ReadUncommitted)
		for _, m := range read(r, 2*time.Second) {
			number++
			good = good && len(m.Headers) == 1 && string(m.Headers[0].Value) == "x"
		}
		r.Close()
	}
	ok(number == produced && good, "consume: everything")
	r := reader(name, 0, kafka.ReadUncommitted)
	defer r.Close()
	must(r.SetOffset(3))
	m, err := r.FetchMessage(soon())
	must(err)
	ok(m.Offset == 3, "consume: seek")
	must(r.SetOffsetAt(soon(), time.Now().Add(-time.Hour)))
	m, err = r.FetchMessage(soon())
	must(err)
	ok(m.Offset == 0, "consume: offsets by time")
}

type member struct {
	sync.Mutex
	r    *kafka.Reader
	seen map[string]bool
	last map[int]kafka.Message
	over context.CancelFunc
	done chan struct{}
}

func join(group string) *member {
	ctx, over := context.WithCancel(context.Background())
	m := &member{seen: map[string]bool{}, last: map[int]kafka.Message{}, over: over, done: make(chan struct{})}
	m.r = kafka.NewReader(kafka.ReaderConfig{Brokers: []string{server}, GroupID: group, Topic: name, Dialer: dialer,
		MaxWait: 200 * time.Millisecond, HeartbeatInterval: 300 * time.Millisecond, SessionTimeout: 6 * time.Second,
		JoinGroupBackoff: 200 * time.Millisecond, StartOffset: kafka.FirstOffset})
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			message, err := m.r.FetchMessage(ctx)
			if err != nil {
				continue
			}
			m.Lock()
			m.seen[fmt.Sprint(message.Partition, " ", message.Offset)] = true
			m.last[message.Partition] = message
			m.Unlock()
		}
	}()
	return m
}

func (m *member) number() int { m.Lock(); defer m.Unlock(); return len(m.seen) }
func (m *member) leave()      { m.over(); <-m.done; must(m.r.Close()) }

// assigned tells how many partitions each member of a group has, as the server knows it.
func assigned(group string) (members, parts int) {
	found, err := client.DescribeGroups(soon(), &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	must(err)
	must(found.Groups[0].Error)
	if found.Groups[0].GroupState != "Stable" {
		return 0, 0
	}
	for _, m := range found.Groups[0].Members {
		number := 0
		for _, t := range m.MemberAssignments.Topics {
			number += len(t.Partitions)
		}
		if number > 0 {
			members++
		}
		parts += number
	}
	return
}

func groups() {
	group := name + "-g"
	one := join(group)
	ok(until(func() bool { return one.number() == produced }), "groups: one member has all")
	two := join(group)
	ok(until(func() bool { members, parts := assigned(group); return members == 2 && parts == 3 }),
		"groups: two share")
	two.leave()
	ok(until(func() bool { members, parts := assigned(group); return members == 1 && parts == 3 }),
		"groups: one takes over")
	one.Lock()
	var last []kafka.Message
	for _, m := range one.last {
		last = append(last, m)
	}
	one.Unlock()
	must(one.r.CommitMessages(soon(), last...))
	found, err := client.OffsetFetch(soon(), &kafka.OffsetFetchRequest{GroupID: group,
		Topics: map[string][]int{name: {0, 1, 2}}})
	must(err)
	sum := int64(0)
	for _, p := range found.Topics[name] {
		sum += p.CommittedOffset
	}
	ok(sum == int64(produced), "groups: commits")
	one.leave()
	three := join(group)
	ok(until(func() bool { members, parts := assigned(group); return members == 1 && parts == 3 }) &&
		three.number() == 0, "groups: a new member begins where they ended")
	three.leave()
}

// The calls that kafka-go has for transactions are single requests.
func transactions() {
	topic, id, group := name+"-tx", name+"-id", name+"-txg"
	makeTopic(topic, 1)
	var session *kafka.ProducerSession
	until(func() bool {
		found, err := client.InitProducerID(soon(), &kafka.InitProducerIDRequest{TransactionalID: id,
			TransactionTimeoutMs: 30000})
		if err == nil && found.Error == nil {
			session = found.Producer
		}
		return session != nil
	})
	if session == nil {
		panic("no producer id")
	}
	run := func(commit bool, offset int64) {
		added, err := client.AddPartitionsToTxn(soon(), &kafka.AddPartitionsToTxnRequest{TransactionalID: id,
			ProducerID: session.ProducerID, ProducerEpoch: session.ProducerEpoch,
			Topics: map[string][]kafka.AddPartitionToTxn{topic: {{Partition: 0}}}})
		must(err)
		must(added.Topics[topic][0].Error)
		offsets, err := client.AddOffsetsToTxn(soon(), &kafka.AddOffsetsToTxnRequest{TransactionalID: id,
			ProducerID: session.ProducerID, ProducerEpoch: session.ProducerEpoch, GroupID: group})
		must(err)
		must(offsets.Error)
		committed, err := client.TxnOffsetCommit(soon(), &kafka.TxnOffsetCommitRequest{TransactionalID: id,
			GroupID: group, ProducerID: session.ProducerID, ProducerEpoch: session.ProducerEpoch,
			GenerationID: -1, Topics: map[string][]kafka.TxnOffsetCommit{name: {{Partition: 0, Offset: offset}}}})
		must(err)
		must(committed.Topics[name][0].Error)
		ended, err := client.EndTxn(soon(), &kafka.EndTxnRequest{TransactionalID: id, Committed: commit,
			ProducerID: session.ProducerID, ProducerEpoch: session.ProducerEpoch})
		must(err)
		must(ended.Error)
	}
	run(true, 2)
	ok(true, "transactions: commit")
	// The former transaction's markers may still be on their way.
	until(func() bool {
		defer func() { recover() }()
		run(false, 5)
		return true
	})
	ok(true, "transactions: abort")
	found, err := client.OffsetFetch(soon(), &kafka.OffsetFetchRequest{GroupID: group,
		Topics: map[string][]int{name: {0}}})
	must(err)
	ok(found.Topics[name][0].CommittedOffset == 2, "transactions: offsets")
	// Its reader gives markers as if they were messages: each is there, nothing else.
	r := reader(topic, 0, kafka.ReadCommitted)
	defer r.Close()
	ok(len(read(r, time.Second)) >= 2, "transactions: markers")
}

func makeTopic(topic string, parts int, entries ...kafka.ConfigEntry) error {
	made, err := client.CreateTopics(soon(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: topic,
		NumPartitions: parts, ReplicationFactor: 1, ConfigEntries: entries}}})
	must(err)
	return made.Errors[topic]
}

func admin() {
	topic := name + "-admin"
	must(makeTopic(topic, 2, kafka.ConfigEntry{ConfigName: "retention.ms", ConfigValue: "1000000"}))
	ok(errors.Is(makeTopic(topic, 2), kafka.TopicAlreadyExists), "admin: create a topic once")
	grown, err := client.CreatePartitions(soon(), &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: 4}}})
	must(err)
	must(grown.Errors[topic])
	count := func() int {
		found, err := client.Metadata(soon(), &kafka.MetadataRequest{Topics: []string{topic}})
		must(err)
		return len(found.Topics[0].Partitions)
	}
	ok(until(func() bool { return count() == 4 }), "admin: more partitions")
	setting := func() string {
		found, err := client.DescribeConfigs(soon(), &kafka.DescribeConfigsRequest{
			Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic,
				ResourceName: topic, ConfigNames: []string{"retention.ms"}}}})
		must(err)
		return found.Resources[0].ConfigEntries[0].ConfigValue
	}
	ok(setting() == "1000000", "admin: describe its settings")
	_, err = client.IncrementalAlterConfigs(soon(), &kafka.IncrementalAlterConfigsRequest{
		Resources: []kafka.IncrementalAlterConfigsRequestResource{{ResourceType: kafka.ResourceTypeTopic,
			ResourceName: topic, Configs: []kafka.IncrementalAlterConfigsRequestConfig{{Name: "retention.ms",
				Value: "7000000", ConfigOperation: kafka.ConfigOperationSet}}}}})
	must(err)
	ok(setting() == "7000000", "admin: change them")
	_, err = client.AlterConfigs(soon(), &kafka.AlterConfigsRequest{
		Resources: []kafka.AlterConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
			Configs: []kafka.AlterConfigRequestConfig{{Name: "retention.ms", Value: "8000000"}}}}})
	must(err)
	ok(setting() == "8000000", "admin: change all of them")
	listed, err := client.ListGroups(soon(), &kafka.ListGroupsRequest{})
	must(err)
	ok(strings.Contains(fmt.Sprint(listed.Groups), name+"-g"), "admin: list groups")
	removed, err := client.OffsetDelete(soon(), &kafka.OffsetDeleteRequest{GroupID: name + "-g",
		Topics: map[string][]int{name: {1}}})
	must(err)
	must(removed.Error)
	ok(removed.Topics[name][0].Error == nil, "admin: delete an offset")
	gone, err := client.DeleteGroups(soon(), &kafka.DeleteGroupsRequest{GroupIDs: []string{name + "-g"}})
	must(err)
	ok(gone.Errors[name+"-g"] == nil, "admin: delete a group")
	versions, err := client.ApiVersions(soon(), &kafka.ApiVersionsRequest{})
	must(err)
	ok(versions.Error == nil && len(versions.ApiKeys) > 40, "admin: versions of the APIs")
	_, err = client.AlterUserScramCredentials(soon(), &kafka.AlterUserScramCredentialsRequest{
		Upsertions: []kafka.UserScramCredentialsUpsertion{{Name: "u-" + name,
			Mechanism: kafka.ScramMechanismSha256, Iterations: 4096, Salt: []byte("salt"),
			SaltedPassword: []byte("01234567890123456789012345678901")}}})
	must(err)
	users, err := client.DescribeUserScramCredentials(soon(), &kafka.DescribeUserScramCredentialsRequest{
		Users: []kafka.UserScramCredentialsUser{{Name: "u-" + name}}})
	must(err)
	ok(users.Results[0].CredentialInfos[0].Iterations == 4096, "admin: a user's password")
	_, err = client.CreateACLs(soon(), &kafka.CreateACLsRequest{ACLs: []kafka.ACLEntry{{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: name + "-acl",
		ResourcePatternType: kafka.PatternTypeLiteral, Principal: "User:nobody", Host: "*",
		Operation: kafka.ACLOperationTypeRead, PermissionType: kafka.ACLPermissionTypeAllow}}})
	must(err)
	rules, err := client.DescribeACLs(soon(), &kafka.DescribeACLsRequest{Filter: kafka.ACLFilter{
		ResourceTypeFilter: kafka.ResourceTypeTopic, ResourceNameFilter: name + "-acl",
		ResourcePatternTypeFilter: kafka.PatternTypeLiteral, Operation: kafka.ACLOperationTypeAny,
		PermissionType: kafka.ACLPermissionTypeAny}})
	must(err)
	ok(len(rules.Resources) == 1, "admin: an access rule")
	deleted, err := client.DeleteTopics(soon(), &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	must(err)
	must(deleted.Errors[topic])
	ok(true, "admin: delete the topic")
	conn, err := dialer.DialContext(soon(), "tcp", server)
	must(err)
	defer conn.Close()
	controller, err := conn.Controller()
	must(err)
	_, port, _ := net.SplitHostPort(server)
	ok(fmt.Sprint(controller.Port) == port, "admin: the controller")
}

func main() {
	fmt.Printf("# version %s\n", releaseOf("github.com/segmentio/kafka-go"))
	setUp()
	part("produce", produce)
	part("consume", consume)
	part("groups", groups)
	part("transactions", transactions)
	part("admin", admin)
	end()
}
