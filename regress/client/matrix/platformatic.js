// SPDX-License-Identifier: Apache-2.0

// @platformatic/kafka.
'use strict'
const path = require('path')
const { Admin, Consumer, Producer, stringSerializers, stringDeserializers } = require('@platformatic/kafka')
const { ok, part, end, until, sleep, EACH, ...at } = require('./scenario')

const settings = more => ({
  clientId: 'matrix',
  bootstrapBrokers: [at.server],
  tls: at.tls,
  sasl: at.token ? { mechanism: at.mechanism, token: at.token } : at.mechanism ? { mechanism: at.mechanism, username: at.user, password: at.password } : undefined,
  retries: 20,
  retryDelay: 200,
  ...more
})
const producerWith = more => new Producer(settings({ serializers: stringSerializers, ...more }))
let produced = 0

const messages = (topic, word, number) => Array.from({ length: number }, (_, i) =>
  ({ topic, key: `k${i}`, value: `${word}${i}`, headers: { h: 'x' } }))

async function withAdmin (run) {
  const admin = new Admin(settings())
  try {
    return await run(admin)
  } finally {
    await admin.close()
  }
}

async function produce () {
  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    const producer = producerWith({ compression, acks: -1 })
    const sent = await producer.send({ messages: messages(at.name, 'v', EACH) })
    produced += EACH
    ok(sent.offsets.length > 0 && sent.offsets.every(o => o.offset >= 0n), `produce: ${compression}`)
    await producer.close()
  }
  const idempotent = producerWith({ idempotent: true })
  await idempotent.send({ messages: messages(at.name, 'v', EACH) })
  produced += EACH
  ok(true, 'produce: idempotent')
  await idempotent.close()
  const careless = producerWith({ acks: 0 })
  await careless.send({ messages: messages(at.name, 'v', 1) })
  produced += 1
  ok(true, 'produce: acks=0')
  await sleep(200)
  await careless.close()
}

// A member of a group and the stream of what it gets.
async function member (groupId, topic, more = {}, stream = {}) {
  const own = more.groupProtocol ? {} : { heartbeatInterval: 300, sessionTimeout: 6000, rebalanceTimeout: 10000 }
  const me = { seen: new Map(), errors: [] }
  me.consumer = new Consumer(settings({
    groupId, deserializers: stringDeserializers, autocommit: false, maxWaitTime: 50, ...own, ...more
  }))
  me.stream = await me.consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest', ...stream })
  me.stream.on('data', m => me.seen.set(`${m.partition} ${m.offset}`, m))
  me.stream.on('error', error => me.errors.push(error))
  me.mine = () => (me.consumer.assignments || []).filter(a => a.topic === topic)
    .reduce((sum, a) => sum + a.partitions.length, 0)
  me.leave = () => me.consumer.close(true)
  return me
}

const sum = numbers => numbers.reduce((all, n) => all + Number(n), 0)

async function consume () {
  const me = await member(at.name + '-none', at.name)
  ok(await until(() => me.seen.size === produced), 'consume: everything')
  ok([...me.seen.values()].every(m => m.headers.get('h') === 'x'), 'consume: headers')
  const ends = await me.consumer.listOffsets({ topics: [at.name] })
  ok(sum(ends.get(at.name)) === produced, 'consume: ends of the partitions')
  const found = await me.consumer.listOffsets({ topics: [at.name], timestamp: 1n })
  ok(sum(found.get(at.name)) === 0, 'consume: offsets by time')
  await me.leave()
  const offsets = [3n, 0n, 0n].map((offset, partition) => ({ topic: at.name, partition, offset }))
  const there = await member(at.name + '-seek', at.name, {}, { mode: 'manual', offsets })
  ok(await until(() => there.seen.size === produced - 3) && !there.seen.has('0 2'), 'consume: seek')
  await there.leave()
}

async function share (label, group, more) {
  const one = await member(group, at.name, more)
  ok(await until(() => one.mine() === 3), 'groups: one member has all' + label)
  const two = await member(group, at.name, more)
  ok(await until(() => one.mine() > 0 && two.mine() > 0 && one.mine() + two.mine() === 3), 'groups: two share' + label)
  ok(await until(() => new Set([...one.seen.keys(), ...two.seen.keys()]).size === produced), 'groups: all is read' + label)
  await two.leave()
  ok(await until(() => one.mine() === 3), 'groups: one takes over' + label)
  const ends = await one.consumer.listOffsets({ topics: [at.name] })
  await one.consumer.commit({
    offsets: ends.get(at.name).map((offset, partition) => ({ topic: at.name, partition, offset, leaderEpoch: 0 }))
  })
  const done = await one.consumer.listCommittedOffsets({ topics: [{ topic: at.name, partitions: [0, 1, 2] }] })
  ok(sum(done.get(at.name)) === produced, 'groups: commits' + label)
  await one.leave()
  const three = await member(group, at.name, more)
  ok(await until(() => three.mine() === 3) && three.seen.size === 0, 'groups: a new member begins where they ended' + label)
  await three.leave()
}

async function groups () {
  await share('', at.name + '-g', {})
  await share(', KIP-848', at.name + '-n', { groupProtocol: 'consumer' })
}

async function transactions () {
  const topic = at.name + '-tx'
  await withAdmin(admin => admin.createTopics({ topics: [topic], partitions: 2, replicas: 1 }))
  const source = await member(at.name + '-txg', at.name)
  await until(() => source.seen.size > 10)
  const transactional = { idempotent: true, transactionalId: at.name + '-id' }
  const producer = producerWith(transactional)
  const run = async (word, offset, how) => {
    const transaction = await producer.beginTransaction()
    await transaction.send({ messages: messages(topic, word, 10) })
    if (offset) {
      await transaction.addConsumer(source.consumer)
      await transaction.addOffset(source.seen.get(`0 ${offset}`))
    }
    await transaction[how]()
  }
  await run('yes', '2', 'commit')
  ok(true, 'transactions: commit')
  await run('no', '5', 'abort')
  ok(true, 'transactions: abort')
  await run('yes', null, 'commit')
  const done = await source.consumer.listCommittedOffsets({ topics: [{ topic: at.name, partitions: [0] }] })
  ok(Number(done.get(at.name)[0]) === 3 || Number(done.get(at.name)[0]) === 2, 'transactions: offsets')
  await source.leave()
  for (const [level, isolationLevel, number] of [['read_committed', 1, 20], ['read_uncommitted', 0, 30]]) {
    const me = await member(`${at.name}-${level}`, topic, { isolationLevel })
    await until(() => me.seen.size >= number)
    await sleep(300)
    ok(me.seen.size === number && (number === 30 || [...me.seen.values()].every(m => m.value.startsWith('yes'))),
      `transactions: ${level}`)
    await me.leave()
  }
  const newer = producerWith(transactional)
  // It asks for producer 0 unless told otherwise, which every broker takes for a producer that was fenced.
  const transaction = await newer.beginTransaction({ producerId: -1n, producerEpoch: -1 })
  await transaction.send({ messages: messages(topic, 'no', 1) })
  await transaction.abort()
  let fenced = ''
  await run('late', null, 'commit').catch(error => { fenced = JSON.stringify(error, (_, v) => typeof v === 'bigint' ? String(v) : v) + error })
  ok(/EPOCH|FENCE/i.test(fenced), 'transactions: the former producer is fenced')
  if (!/EPOCH|FENCE/i.test(fenced)) console.log('# ' + fenced)
  await newer.close(true)
  await producer.close(true)
}

async function admin () {
  const topic = at.name + '-admin'
  await withAdmin(async admin => {
    const setting = async () => (await admin.describeConfigs({
      resources: [{ resourceType: 2, resourceName: topic, configurationKeys: ['retention.ms'] }]
    }))[0].configs[0].value
    const made = await admin.createTopics({ topics: [topic], partitions: 2, replicas: 1, configs: [{ name: 'retention.ms', value: '1000000' }] })
    ok(made[0].partitions === 2, 'admin: create a topic')
    ok(await admin.createTopics({ topics: [topic] }).then(() => false, () => true), 'admin: only once')
    await admin.createPartitions({ topics: [{ name: topic, count: 4, assignments: null }] })
    ok(await until(async () => (await admin.metadata({ topics: [topic], forceUpdate: true })).topics.get(topic).partitionsCount === 4),
      'admin: more partitions')
    ok(await setting() === '1000000', 'admin: describe its settings')
    await admin.incrementalAlterConfigs({
      resources: [{ resourceType: 2, resourceName: topic, configs: [{ name: 'retention.ms', configOperation: 0, value: '7000000' }] }]
    })
    ok(await setting() === '7000000', 'admin: change them')
    const group = at.name + '-g'
    ok((await admin.listGroups()).has(group), 'admin: list groups')
    ok(/^empty$/i.test((await admin.describeGroups({ groups: [group] })).get(group).state), 'admin: describe a group')
    const found = await admin.listConsumerGroupOffsets({ groups: [group] })
    ok(sum(found[0].topics[0].partitions.map(p => p.committedOffset)) === produced, 'admin: offsets of a group')
    await admin.alterConsumerGroupOffsets({ groupId: group, topics: [{ name: at.name, partitionOffsets: [{ partition: 0, offset: 1n }] }] })
    await admin.deleteConsumerGroupOffsets({ groupId: group, topics: [{ name: at.name, partitionIndexes: [1] }] })
    const changed = (await admin.listConsumerGroupOffsets({ groups: [group] }))[0].topics[0].partitions
    ok(changed.length === 2 && changed.find(p => p.partitionIndex === 0).committedOffset === 1n, 'admin: change and delete them')
    await admin.deleteGroups({ groups: [group] })
    ok(!(await admin.listGroups()).has(group), 'admin: delete a group')
    const deleted = await admin.deleteRecords({ topics: [{ name: at.name, partitions: [{ partition: 0, offset: 2n }] }] })
    ok(deleted[0].partitions[0].lowWatermark === 2n, 'admin: delete records')
    const dirs = await admin.describeLogDirs({ topics: [{ name: at.name, partitions: [0] }] })
    ok(dirs[0].results[0].topics.length === 1, 'admin: log directories')
    const acl = { resourceType: 2, resourceName: at.name + '-acl', resourcePatternType: 3, principal: 'User:nobody', host: '*', operation: 3, permissionType: 3 }
    await admin.createAcls({ creations: [acl] })
    ok((await admin.describeAcls({ filter: acl }))[0].acls.length === 1, 'admin: an access rule')
    ok((await admin.deleteAcls({ filters: [acl] })).length === 1, 'admin: delete it')
    const entity = [{ entityType: 'client-id', entityName: at.name }]
    await admin.alterClientQuotas({ entries: [{ entities: entity, ops: [{ key: 'request_percentage', value: 200, remove: false }] }] })
    const quotas = await admin.describeClientQuotas({ components: [{ entityType: 'client-id', matchType: 0, match: at.name }], strict: true })
    ok(quotas.length === 1 && quotas[0].values[0].value === 200, 'admin: a quota')
    await admin.deleteTopics({ topics: [topic] })
    ok(await until(async () => !(await admin.listTopics()).includes(topic)), 'admin: delete the topic')
  })
}

async function main () {
  console.log('# version ' + require(path.join(process.env.NODE_PATH, '@platformatic/kafka/package.json')).version)
  await part('produce', produce)
  await part('consume', consume)
  await part('groups', groups)
  await part('transactions', transactions)
  await part('admin', admin)
  end()
}
main()
