// SPDX-License-Identifier: Apache-2.0

// sarama.
package main

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"
)

var produced int

// The exchange that sarama leaves to its user.
type exchange struct {
	hash scram.HashGeneratorFcn
	conv *scram.ClientConversation
}

func (x *exchange) Begin(userName, password, authzID string) error {
	made, err := x.hash.NewClient(userName, password, authzID)
	if err == nil {
		x.conv = made.NewConversation()
	}
	return err
}
func (x *exchange) Step(challenge string) (string, error) { return x.conv.Step(challenge) }
func (x *exchange) Done() bool                            { return x.conv.Done() }

type provider struct{}

func (provider) Token() (*sarama.AccessToken, error) {
	return &sarama.AccessToken{Token: token()}, nil
}

func settings(more ...func(*sarama.Config)) *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Producer.Return.Successes = true
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	c.Consumer.Group.Session.Timeout = 6 * time.Second
	if encrypted() {
		c.Net.TLS.Enable, c.Net.TLS.Config = true, tlsConfig()
	}
	if mechanism == "OAUTHBEARER" {
		c.Net.SASL.Enable, c.Net.SASL.Mechanism = true, sarama.SASLTypeOAuth
		c.Net.SASL.TokenProvider = provider{}
	} else if mechanism != "" {
		c.Net.SASL.Enable, c.Net.SASL.User, c.Net.SASL.Password = true, user, password
		c.Net.SASL.Mechanism = sarama.SASLMechanism(mechanism)
		c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient {
			if mechanism == "SCRAM-SHA-256" {
				return &exchange{hash: sha256.New}
			}
			return &exchange{hash: sha512.New}
		}
	}
	for _, change := range more {
		change(c)
	}
	return c
}

func messages(topic, word string, number int) []*sarama.ProducerMessage {
	out := make([]*sarama.ProducerMessage, number)
	for i := range out {
		out[i] = &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(fmt.Sprintf("k%d", i)),
			Value:   sarama.StringEncoder(fmt.Sprintf("%s%d", word, i)),
			Headers: []sarama.RecordHeader{{Key: []byte("h"), Value: []byte("x")}}}
	}
	return out
}

func producer(more ...func(*sarama.Config)) sarama.SyncProducer {
	p, err := sarama.NewSyncProducer([]string{server}, settings(more...))
	must(err)
	return p
}

func idempotent(c *sarama.Config) {
	c.Producer.Idempotent, c.Producer.RequiredAcks, c.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
}

func send(p sarama.SyncProducer, topic, word string, number int) int {
	list := messages(topic, word, number)
	must(p.SendMessages(list))
	places := map[string]bool{}
	for _, m := range list {
		places[fmt.Sprint(m.Partition, " ", m.Offset)] = true
	}
	return len(places)
}

func produce() {
	codecs := []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP,
		sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD}
	for _, codec := range codecs {
		p := producer(func(c *sarama.Config) {
			c.Producer.Compression, c.Producer.RequiredAcks = codec, sarama.WaitForAll
		})
		number := send(p, name, "v", each)
		produced += number
		ok(number == each, "produce: %s", codec)
		must(p.Close())
	}
	p := producer(idempotent)
	number := send(p, name, "v", each)
	produced += number
	ok(number == each, "produce: idempotent")
	must(p.Close())
	p = producer(func(c *sarama.Config) { c.Producer.RequiredAcks = sarama.NoResponse })
	must(p.SendMessages(messages(name, "v", 1)))
	must(p.Close())
	produced++
	ok(true, "produce: acks=0")
}

// read takes what partitions 0 to parts-1 hold from offset on, for wait after the last.
func read(topic string, parts, number int, offset int64, more ...func(*sarama.Config)) []*sarama.ConsumerMessage {
	reader, err := sarama.NewConsumer([]string{server}, settings(more...))
	must(err)
	defer reader.Close()
	all := make(chan *sarama.ConsumerMessage)
	over := make(chan struct{})
	for i := 0; i < parts; i++ {
		part, err := reader.ConsumePartition(topic, int32(i), offset)
		must(err)
		defer part.AsyncClose()
		go func() {
			for {
				select {
				case m := <-part.Messages():
					select {
					case all <- m:
					case <-over:
						return
					}
				case <-over:
					return
				}
			}
		}()
	}
	defer close(over)
	var out []*sarama.ConsumerMessage
	deadline := time.After(30 * time.Second)
	for {
		wait := time.After(time.Hour)
		if len(out) >= number {
			wait = time.After(500 * time.Millisecond)
		}
		select {
		case m := <-all:
			out = append(out, m)
		case <-wait:
			return out
		case <-deadline:
			return out
		}
	}
}

func connect() sarama.Client {
	cl, err := sarama.NewClient([]string{server}, settings())
	must(err)
	return cl
}

func consume() {
	got := read(name, 3, produced, sarama.OffsetOldest)
	good := len(got) == produced
	for _, m := range got {
		good = good && len(m.Headers) == 1 && string(m.Headers[0].Value) == "x"
	}
	ok(good, "consume: everything")
	cl := connect()
	defer cl.Close()
	sum := int64(0)
	for i := int32(0); i < 3; i++ {
		last, err := cl.GetOffset(name, i, sarama.OffsetNewest)
		must(err)
		sum += last
	}
	ok(sum == int64(produced), "consume: ends of the partitions")
	back := read(name, 1, 1, 3)
	ok(len(back) > 0 && back[0].Offset == 3, "consume: seek")
	first, err := cl.GetOffset(name, 0, 1)
	must(err)
	ok(first == 0, "consume: offsets by time")
}

type member struct {
	sync.Mutex
	group  sarama.ConsumerGroup
	mine   int
	seen   map[string]bool
	cancel context.CancelFunc
	over   chan struct{}
	ends   map[int32]int64
	done   chan struct{}
}

func (m *member) Setup(s sarama.ConsumerGroupSession) error {
	m.Lock()
	defer m.Unlock()
	m.mine = len(s.Claims()[name])
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	m.Lock()
	defer m.Unlock()
	m.mine = 0
	return nil
}

func (m *member) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			m.Lock()
			m.seen[fmt.Sprint(message.Partition, " ", message.Offset)] = true
			m.Unlock()
		case <-tick.C:
			m.Lock()
			if m.ends != nil {
				for p, offset := range m.ends {
					s.MarkOffset(name, p, offset, "note")
				}
				s.Commit()
				m.ends = nil
				close(m.done)
			}
			m.Unlock()
		case <-s.Context().Done():
			return nil
		}
	}
}

func join(group string, more ...func(*sarama.Config)) *member {
	made, err := sarama.NewConsumerGroup([]string{server}, group, settings(more...))
	must(err)
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{group: made, seen: map[string]bool{}, cancel: cancel, over: make(chan struct{}),
		done: make(chan struct{})}
	go func() {
		defer close(m.over)
		for ctx.Err() == nil {
			if err := made.Consume(ctx, []string{name}, m); err != nil && ctx.Err() == nil {
				fmt.Println("# consume:", err)
				time.Sleep(100 * time.Millisecond)
			}
		}
	}()
	return m
}

func (m *member) parts() int { m.Lock(); defer m.Unlock(); return m.mine }
func (m *member) number() int {
	m.Lock()
	defer m.Unlock()
	return len(m.seen)
}
func (m *member) leave() { m.cancel(); <-m.over; must(m.group.Close()) }

func together(one, two *member) int {
	one.Lock()
	defer one.Unlock()
	two.Lock()
	defer two.Unlock()
	number := len(one.seen)
	for place := range two.seen {
		if !one.seen[place] {
			number++
		}
	}
	return number
}

func share(label, group string, more ...func(*sarama.Config)) {
	one := join(group, more...)
	ok(until(func() bool { return one.parts() == 3 }), "groups: one member has all%s", label)
	two := join(group, more...)
	ok(until(func() bool { return one.parts() > 0 && two.parts() > 0 && one.parts()+two.parts() == 3 }),
		"groups: two share%s", label)
	ok(until(func() bool { return together(one, two) == produced }), "groups: all is read%s", label)
	two.leave()
	ok(until(func() bool { return one.parts() == 3 }), "groups: one takes over%s", label)
	cl := connect()
	defer cl.Close()
	ends := map[int32]int64{}
	for i := int32(0); i < 3; i++ {
		last, err := cl.GetOffset(name, i, sarama.OffsetNewest)
		must(err)
		ends[i] = last
	}
	one.Lock()
	one.ends = ends
	one.Unlock()
	select {
	case <-one.done:
	case <-time.After(20 * time.Second):
	}
	admin, err := sarama.NewClusterAdmin([]string{server}, settings())
	must(err)
	defer admin.Close()
	found, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{name: {0, 1, 2}})
	must(err)
	sum := int64(0)
	for i := int32(0); i < 3; i++ {
		sum += found.GetBlock(name, i).Offset
	}
	ok(sum == int64(produced), "groups: commits%s", label)
	one.leave()
	three := join(group, more...)
	ok(until(func() bool { return three.parts() == 3 }) && three.number() == 0,
		"groups: a new member begins where they ended%s", label)
	three.leave()
}

func groups() {
	share("", name+"-g")
	share(", sticky", name+"-s", func(c *sarama.Config) {
		c.Consumer.Group.Rebalance.GroupStrategies =
			[]sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
	})
}

func transactions() {
	topic, group := name+"-tx", name+"-txg"
	admin, err := sarama.NewClusterAdmin([]string{server}, settings())
	must(err)
	defer admin.Close()
	must(admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1}, false))
	transactional := func(c *sarama.Config) {
		idempotent(c)
		c.Producer.Transaction.ID = name + "-id"
	}
	p := producer(transactional)
	offsets := func(offset int64) map[string][]*sarama.PartitionOffsetMetadata {
		return map[string][]*sarama.PartitionOffsetMetadata{name: {{Partition: 0, Offset: offset}}}
	}
	must(p.BeginTxn())
	send(p, topic, "yes", 10)
	must(p.AddOffsetsToTxn(offsets(2), group))
	must(p.CommitTxn())
	ok(true, "transactions: commit")
	must(p.BeginTxn())
	send(p, topic, "no", 10)
	must(p.AddOffsetsToTxn(offsets(5), group))
	must(p.AbortTxn())
	ok(true, "transactions: abort")
	must(p.BeginTxn())
	send(p, topic, "yes", 10)
	must(p.CommitTxn())
	found, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{name: {0}})
	must(err)
	ok(found.GetBlock(name, 0).Offset == 2, "transactions: offsets")
	for _, level := range []sarama.IsolationLevel{sarama.ReadCommitted, sarama.ReadUncommitted} {
		number := 20
		if level == sarama.ReadUncommitted {
			number = 30
		}
		got := read(topic, 2, number, sarama.OffsetOldest, func(c *sarama.Config) { c.Consumer.IsolationLevel = level })
		good := len(got) == number
		for _, m := range got {
			good = good && (number == 30 || strings.HasPrefix(string(m.Value), "yes"))
		}
		ok(good, "transactions: isolation level %d", level)
	}
	newer := producer(transactional)
	err = func() error {
		if err := p.BeginTxn(); err != nil {
			return err
		}
		if err := p.SendMessages(messages(topic, "late", 1)); err != nil {
			return err
		}
		return p.CommitTxn()
	}()
	fmt.Println("# fenced:", err)
	ok(err != nil, "transactions: the former producer is fenced")
	must(newer.Close())
	p.Close()
}

func admin() {
	topic := name + "-admin"
	ad, err := sarama.NewClusterAdmin([]string{server}, settings())
	must(err)
	defer ad.Close()
	value := "1000000"
	detail := &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1,
		ConfigEntries: map[string]*string{"retention.ms": &value}}
	must(ad.CreateTopic(topic, detail, false))
	err = ad.CreateTopic(topic, detail, false)
	ok(errors.Is(err, sarama.ErrTopicAlreadyExists), "admin: create a topic once")
	must(ad.CreatePartitions(topic, 4, nil, false))
	topics, err := ad.ListTopics()
	must(err)
	ok(topics[topic].NumPartitions == 4 && *topics[topic].ConfigEntries["retention.ms"] == value,
		"admin: more partitions")
	setting := func() string {
		found, err := ad.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic,
			ConfigNames: []string{"retention.ms"}})
		must(err)
		return found[0].Value
	}
	ok(setting() == value, "admin: describe its settings")
	changed := "7000000"
	must(ad.IncrementalAlterConfig(sarama.TopicResource, topic, map[string]sarama.IncrementalAlterConfigsEntry{
		"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &changed}}, false))
	ok(setting() == changed, "admin: change them")
	must(ad.AlterConfig(sarama.TopicResource, topic, map[string]*string{"retention.ms": &value}, false))
	ok(setting() == value, "admin: change all of them")
	brokers, err := ad.DescribeConfig(sarama.ConfigResource{Type: sarama.BrokerResource, Name: "1"})
	must(err)
	ok(len(brokers) > 50, "admin: settings of the broker")
	listed, err := ad.ListConsumerGroups()
	must(err)
	ok(listed[name+"-g"] == "consumer", "admin: list groups")
	described, err := ad.DescribeConsumerGroups([]string{name + "-g"})
	must(err)
	ok(described[0].State == "Empty", "admin: describe a group")
	must(ad.DeleteConsumerGroupOffset(name+"-g", name, 1))
	found, err := ad.ListConsumerGroupOffsets(name+"-g", nil)
	must(err)
	ok(found.GetBlock(name, 1) == nil && found.GetBlock(name, 0) != nil, "admin: delete an offset")
	must(ad.DeleteConsumerGroup(name + "-g"))
	ok(true, "admin: delete a group")
	must(ad.DeleteRecords(name, map[int32]int64{0: 2}))
	cl := connect()
	defer cl.Close()
	first, err := cl.GetOffset(name, 0, sarama.OffsetOldest)
	must(err)
	ok(first == 2, "admin: delete records")
	nodes, controller, err := ad.DescribeCluster()
	must(err)
	ok(len(nodes) == 1 && controller == 1, "admin: describe the cluster")
	dirs, err := ad.DescribeLogDirs([]int32{1})
	must(err)
	ok(len(dirs[1]) > 0 && len(dirs[1][0].Topics) > 0, "admin: log directories")
	_, err = ad.UpsertUserScramCredentials([]sarama.AlterUserScramCredentialsUpsert{{Name: "u-" + name,
		Mechanism: sarama.SCRAM_MECHANISM_SHA_256, Iterations: 4096, Salt: []byte("salt"), Password: []byte("secret")}})
	must(err)
	users, err := ad.DescribeUserScramCredentials([]string{"u-" + name})
	must(err)
	ok(users[0].CredentialInfos[0].Iterations == 4096, "admin: a user's password")
	where := sarama.Resource{ResourceType: sarama.AclResourceTopic, ResourceName: name + "-acl",
		ResourcePatternType: sarama.AclPatternLiteral}
	must(ad.CreateACL(where, sarama.Acl{Principal: "User:nobody", Host: "*",
		Operation: sarama.AclOperationRead, PermissionType: sarama.AclPermissionAllow}))
	filter := sarama.AclFilter{ResourceType: sarama.AclResourceTopic, ResourceName: &where.ResourceName,
		ResourcePatternTypeFilter: sarama.AclPatternLiteral, Operation: sarama.AclOperationAny,
		PermissionType: sarama.AclPermissionAny}
	rules, err := ad.ListAcls(filter)
	must(err)
	ok(len(rules) == 1 && len(rules[0].Acls) == 1, "admin: an access rule")
	gone, err := ad.DeleteACL(filter, false)
	must(err)
	ok(len(gone) == 1, "admin: delete it")
	must(ad.DeleteTopic(topic))
	topics, err = ad.ListTopics()
	must(err)
	_, there := topics[topic]
	ok(!there, "admin: delete the topic")
}

func main() {
	fmt.Printf("# version %s\n", releaseOf("github.com/IBM/sarama"))
	part("produce", produce)
	part("consume", consume)
	part("groups", groups)
	part("transactions", transactions)
	part("admin", admin)
	end()
}
