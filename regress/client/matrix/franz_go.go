// SPDX-License-Identifier: Apache-2.0

// franz-go: kgo and kadm.
package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

var produced int

func client(more ...kgo.Opt) *kgo.Client {
	made := []kgo.Opt{kgo.SeedBrokers(server)}
	if encrypted() {
		made = append(made, kgo.DialTLSConfig(tlsConfig()))
	}
	auth := scram.Auth{User: user, Pass: password}
	switch mechanism {
	case "OAUTHBEARER":
		made = append(made, kgo.SASL(oauth.Auth{Token: token()}.AsMechanism()))
	case "PLAIN":
		made = append(made, kgo.SASL(plain.Auth{User: user, Pass: password}.AsMechanism()))
	case "SCRAM-SHA-256":
		made = append(made, kgo.SASL(auth.AsSha256Mechanism()))
	case "SCRAM-SHA-512":
		made = append(made, kgo.SASL(auth.AsSha512Mechanism()))
	}
	cl, err := kgo.NewClient(append(made, more...)...)
	must(err)
	return cl
}

func records(topic, word string, number int) []*kgo.Record {
	out := make([]*kgo.Record, number)
	for i := range out {
		out[i] = &kgo.Record{Topic: topic, Key: []byte(fmt.Sprintf("k%d", i)),
			Value:   []byte(fmt.Sprintf("%s%d", word, i)),
			Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("x")}, {Key: "n"}}}
	}
	return out
}

func send(cl *kgo.Client, topic, word string, number int) int {
	places := map[string]bool{}
	for _, result := range cl.ProduceSync(soon(), records(topic, word, number)...) {
		must(result.Err)
		places[fmt.Sprint(result.Record.Partition, " ", result.Record.Offset)] = true
	}
	return len(places)
}

func produce() {
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	for codec, option := range codecs {
		cl := client(kgo.ProducerBatchCompression(option))
		number := send(cl, name, "v", each)
		produced += number
		ok(number == each, "produce: %s, idempotent", codec)
		cl.Close()
	}
	cl := client(kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck()))
	number := send(cl, name, "v", each)
	produced += number
	ok(number == each, "produce: acks=1")
	cl.Close()
	cl = client(kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.NoAck()))
	must(cl.ProduceSync(soon(), records(name, "v", 1)...).FirstErr())
	cl.Close()
	produced++
	ok(true, "produce: acks=0")
}

func read(cl *kgo.Client, number int, wait time.Duration) []*kgo.Record {
	var out []*kgo.Record
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	for len(out) < number && ctx.Err() == nil {
		fetches := cl.PollFetches(ctx)
		for _, err := range fetches.Errors() {
			if ctx.Err() == nil {
				panic(err.Err)
			}
		}
		out = append(out, fetches.Records()...)
	}
	return out
}

func consume() {
	cl := client(kgo.ConsumeTopics(name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()
	got := read(cl, produced, 30*time.Second)
	good := len(got) == produced
	for _, r := range got {
		good = good && len(r.Headers) == 2 && string(r.Headers[0].Value) == "x" && r.Headers[1].Value == nil
	}
	ok(good, "consume: everything")
	ends, err := kadm.NewClient(cl).ListEndOffsets(soon(), name)
	must(err)
	sum := int64(0)
	ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	ok(sum == int64(produced), "consume: ends of the partitions")
	cl.SetOffsets(map[string]map[int32]kgo.EpochOffset{name: {0: {Epoch: -1, Offset: 3}}})
	back := read(cl, 1, 30*time.Second)
	ok(len(back) > 0 && back[0].Partition == 0 && back[0].Offset == 3, "consume: seek")
	times, err := kadm.NewClient(cl).ListOffsetsAfterMilli(soon(), 1, name)
	must(err)
	first, _ := times.Lookup(name, 0)
	late, err := kadm.NewClient(cl).ListOffsetsAfterMilli(soon(), time.Now().UnixMilli()+3600000, name)
	must(err)
	last, _ := late.Lookup(name, 0)
	end, _ := ends.Lookup(name, 0)
	ok(first.Offset == 0 && last.Offset == end.Offset, "consume: offsets by time")
}

// A member of a group that polls on a goroutine of its own.
type member struct {
	sync.Mutex
	cl   *kgo.Client
	mine map[int32]bool
	seen map[string]bool
	over chan struct{}
}

func join(group string, more ...kgo.Opt) *member {
	m := &member{mine: map[int32]bool{}, seen: map[string]bool{}, over: make(chan struct{})}
	set := func(in bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
			m.Lock()
			defer m.Unlock()
			for _, p := range topics[name] {
				if in {
					m.mine[p] = true
				} else {
					delete(m.mine, p)
				}
			}
		}
	}
	m.cl = client(append([]kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(name),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.HeartbeatInterval(300 * time.Millisecond), kgo.SessionTimeout(6 * time.Second),
		kgo.OnPartitionsAssigned(set(true)), kgo.OnPartitionsRevoked(set(false)),
		kgo.OnPartitionsLost(set(false))}, more...)...)
	go func() {
		for {
			select {
			case <-m.over:
				return
			default:
			}
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			got := m.cl.PollFetches(ctx).Records()
			cancel()
			m.Lock()
			for _, r := range got {
				m.seen[fmt.Sprint(r.Partition, " ", r.Offset)] = true
			}
			m.Unlock()
		}
	}()
	return m
}

func (m *member) parts() int { m.Lock(); defer m.Unlock(); return len(m.mine) }
func (m *member) leave()     { close(m.over); m.cl.Close() }

func (m *member) number(other *member) int {
	m.Lock()
	defer m.Unlock()
	all := map[string]bool{}
	for place := range m.seen {
		all[place] = true
	}
	if other != nil {
		other.Lock()
		defer other.Unlock()
		for place := range other.seen {
			all[place] = true
		}
	}
	return len(all)
}

func share(label, group string, more ...kgo.Opt) {
	one := join(group, more...)
	ok(until(func() bool { return one.parts() == 3 }), "groups: one member has all%s", label)
	two := join(group, more...)
	ok(until(func() bool { return one.parts() > 0 && two.parts() > 0 && one.parts()+two.parts() == 3 }),
		"groups: two share%s", label)
	ok(until(func() bool { return one.number(two) == produced }), "groups: all is read%s", label)
	two.leave()
	ok(until(func() bool { return one.parts() == 3 }), "groups: one takes over%s", label)
	ends, err := kadm.NewClient(one.cl).ListEndOffsets(soon(), name)
	must(err)
	offsets := map[string]map[int32]kgo.EpochOffset{name: {}}
	ends.Each(func(o kadm.ListedOffset) {
		offsets[name][o.Partition] = kgo.EpochOffset{Epoch: -1, Offset: o.Offset}
	})
	one.cl.CommitOffsetsSync(soon(), offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest,
		_ *kmsg.OffsetCommitResponse, err error) {
		must(err)
	})
	sum := int64(0)
	found, err := kadm.NewClient(one.cl).FetchOffsets(soon(), group)
	must(err)
	found.Each(func(o kadm.OffsetResponse) { sum += o.At })
	ok(sum == int64(produced), "groups: commits%s", label)
	one.leave()
	three := join(group, more...)
	ok(until(func() bool { return three.parts() == 3 }) && three.number(nil) == 0,
		"groups: a new member begins where they ended%s", label)
	three.leave()
}

func groups() {
	share(", co-operative", name+"-g")
	share(", range", name+"-r", kgo.Balancers(kgo.RangeBalancer()))
	share(", KIP-848", name+"-n", kgo.ServerSideBalancer())
}

func transactions() {
	topic, id, group := name+"-tx", name+"-id", name+"-txg"
	admin := kadm.NewClient(client())
	defer admin.Close()
	_, err := admin.CreateTopic(soon(), 2, 1, nil, topic)
	must(err)
	_, err = admin.CreateTopic(soon(), 1, 1, nil, topic+"-in")
	must(err)
	send(client(), topic+"-in", "in", 10)
	session := func(more ...kgo.Opt) *kgo.GroupTransactSession {
		made := []kgo.Opt{kgo.SeedBrokers(server)}
		made = append(made, client().Opts()...)
		made = append(made, kgo.TransactionalID(id), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic+"-in"),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
			kgo.RequireStableFetchOffsets(), kgo.HeartbeatInterval(300*time.Millisecond))
		made = append(made, more...)
		s, err := kgo.NewGroupTransactSession(made...)
		must(err)
		return s
	}
	s := session()
	run := func(word string, how kgo.TransactionEndTry) bool {
		must(s.Begin())
		send(s.Client(), topic, word, 10)
		done, err := s.End(soon(), how)
		must(err)
		return done
	}
	must(s.PollFetches(soon()).Err())
	ok(run("yes", kgo.TryCommit), "transactions: commit with offsets")
	ok(!run("no", kgo.TryAbort), "transactions: abort")
	ok(run("yes", kgo.TryCommit), "transactions: commit again")
	found, err := admin.FetchOffsets(soon(), group)
	must(err)
	at, _ := found.Lookup(topic+"-in", 0)
	ok(at.At > 0, "transactions: offsets")
	for level, number := range map[string]int{"read_committed": 20, "read_uncommitted": 30} {
		isolation := kgo.ReadUncommitted()
		if number == 20 {
			isolation = kgo.ReadCommitted()
		}
		cl := client(kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(isolation),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		got := append(read(cl, number, 30*time.Second), read(cl, 1, time.Second)...)
		good := len(got) == number
		for _, r := range got {
			good = good && (number == 30 || string(r.Value[:3]) == "yes")
		}
		ok(good, "transactions: %s", level)
		cl.Close()
	}
	described, err := admin.DescribeTransactions(soon(), id)
	must(err)
	ok(described[id].State == "CompleteCommit", "transactions: describe")
	newer := client(kgo.TransactionalID(id))
	must(newer.BeginTransaction())
	send(newer, topic, "no", 1)
	err = func() error {
		if err := s.Begin(); err != nil {
			return err
		}
		err := s.Client().ProduceSync(soon(), records(topic, "late", 1)...).FirstErr()
		s.End(soon(), kgo.TryAbort)
		return err
	}()
	ok(errors.Is(err, kerr.InvalidProducerEpoch) || errors.Is(err, kerr.ProducerFenced) ||
		errors.Is(err, kerr.InvalidProducerIDMapping), "transactions: the former producer is fenced")
	must(newer.EndTransaction(soon(), kgo.TryAbort))
	newer.Close()
	s.Close()
}

func admin() {
	topic := name + "-admin"
	cl := client()
	defer cl.Close()
	ad := kadm.NewClient(cl)
	value := "1000000"
	_, err := ad.CreateTopic(soon(), 2, 1, map[string]*string{"retention.ms": &value}, topic)
	must(err)
	_, err = ad.CreateTopic(soon(), 2, 1, nil, topic)
	ok(errors.Is(err, kerr.TopicAlreadyExists), "admin: create a topic once")
	grown, err := ad.UpdatePartitions(soon(), 4, topic)
	must(err)
	must(grown.Error())
	topics, err := ad.ListTopics(soon(), topic)
	must(err)
	ok(len(topics[topic].Partitions) == 4, "admin: more partitions")
	setting := func() string {
		found, err := ad.DescribeTopicConfigs(soon(), topic)
		must(err)
		for _, c := range found[0].Configs {
			if c.Key == "retention.ms" {
				return c.MaybeValue()
			}
		}
		return ""
	}
	ok(setting() == "1000000", "admin: describe its settings")
	changed := "7000000"
	_, err = ad.AlterTopicConfigs(soon(), []kadm.AlterConfig{{Name: "retention.ms", Value: &changed}}, topic)
	must(err)
	ok(setting() == "7000000", "admin: change them")
	brokers, err := ad.DescribeBrokerConfigs(soon(), 1)
	must(err)
	ok(len(brokers[0].Configs) > 50, "admin: settings of the broker")
	listed, err := ad.ListGroups(soon())
	must(err)
	ok(listed[name+"-g"].State == "Empty", "admin: list groups")
	described, err := ad.DescribeGroups(soon(), name+"-g")
	must(err)
	ok(described[name+"-g"].State == "Empty", "admin: describe a group")
	news, err := ad.DescribeConsumerGroups(soon(), name+"-n")
	must(err)
	ok(news[name+"-n"].State == "Empty" || errors.Is(news[name+"-n"].Err, kerr.GroupIDNotFound),
		"admin: describe a group of the new protocol")
	lag, err := ad.Lag(soon(), name+"-g")
	must(err)
	ok(lag[name+"-g"].Lag.Total() == 0, "admin: lag")
	_, err = ad.DeleteGroups(soon(), name+"-g")
	must(err)
	offsets := kadm.Offsets{}
	offsets.AddOffset(name, 0, 2, -1)
	deleted, err := ad.DeleteRecords(soon(), offsets)
	must(err)
	must(deleted.Error())
	starts, err := ad.ListStartOffsets(soon(), name)
	must(err)
	start, _ := starts.Lookup(name, 0)
	ok(start.Offset == 2, "admin: delete records")
	most, err := ad.ListMaxTimestampOffsets(soon(), name)
	must(err)
	greatest, _ := most.Lookup(name, 0)
	ok(greatest.Offset > 0, "admin: offset of the greatest timestamp")
	_, err = ad.DescribeAllLogDirs(soon(), nil)
	must(err)
	ok(true, "admin: log directories")
	_, err = ad.AlterUserSCRAMs(soon(), nil, []kadm.UpsertSCRAM{{User: "u-" + name,
		Mechanism: kadm.ScramSha256, Iterations: 4096, Password: "secret"}})
	must(err)
	users, err := ad.DescribeUserSCRAMs(soon(), "u-"+name)
	must(err)
	ok(users["u-"+name].CredInfos[0].Iterations == 4096, "admin: a user's password")
	_, err = ad.AlterUserSCRAMs(soon(), []kadm.DeleteSCRAM{{User: "u-" + name, Mechanism: kadm.ScramSha256}}, nil)
	must(err)
	rule := kadm.NewACLs().Topics(name + "-acl").Allow("User:nobody").AllowHosts("*").
		Operations(kadm.OpRead).ResourcePatternType(kadm.ACLPatternLiteral)
	_, err = ad.CreateACLs(soon(), rule)
	must(err)
	rules, err := ad.DescribeACLs(soon(), rule)
	must(err)
	ok(len(rules) == 1 && len(rules[0].Described) == 1, "admin: an access rule")
	gone, err := ad.DeleteACLs(soon(), rule)
	must(err)
	ok(len(gone) == 1 && len(gone[0].Deleted) == 1, "admin: delete it")
	quota := name + "-quota"
	kind := "client-id"
	_, err = ad.AlterClientQuotas(soon(), []kadm.AlterClientQuotaEntry{{
		Entity: []kadm.ClientQuotaEntityComponent{{Type: kind, Name: &quota}},
		Ops:    []kadm.AlterClientQuotaOp{{Key: "consumer_byte_rate", Value: 1e9}}}})
	must(err)
	quotas, err := ad.DescribeClientQuotas(soon(), true, []kadm.DescribeClientQuotaComponent{{Type: kind,
		MatchName: &quota, MatchType: 0}})
	must(err)
	ok(len(quotas) == 1 && quotas[0].Values[0].Value == 1e9, "admin: a quota")
	_, err = ad.DeleteTopics(soon(), topic)
	must(err)
	topics, err = ad.ListTopics(soon())
	must(err)
	ok(!topics.Has(topic), "admin: delete the topic")
}

func main() {
	fmt.Printf("# version %s\n", releaseOf("github.com/twmb/franz-go"))
	part("produce", produce)
	part("consume", consume)
	part("groups", groups)
	part("transactions", transactions)
	part("admin", admin)
	end()
}
