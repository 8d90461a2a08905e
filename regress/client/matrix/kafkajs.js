// SPDX-License-Identifier: Apache-2.0

// kafkajs.
'use strict'
const kafkajs = require('kafkajs')
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = kafkajs
const { ok, part, end, until, sleep, EACH, ...at } = require('./scenario')

const codecs = ['None', 'GZIP']
try {
  CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
  codecs.push('Snappy')
} catch {}
try {
  const LZ4 = require('kafkajs-lz4')
  CompressionCodecs[CompressionTypes.LZ4] = new LZ4().codec
  codecs.push('LZ4')
} catch {}
const zlib = require('zlib')
if (zlib.zstdCompressSync) {
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async encoder => zlib.zstdCompressSync(encoder.buffer),
    decompress: async bytes => zlib.zstdDecompressSync(bytes)
  })
  codecs.push('ZSTD')
}

const kafka = new Kafka({
  brokers: [at.server],
  ssl: at.tls,
  sasl: at.token
    ? { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: at.token }) }
    : at.mechanism
      ? { mechanism: at.mechanism.toLowerCase(), username: at.user, password: at.password }
      : undefined,
  logLevel: logLevel.NOTHING,
  retry: { retries: 10 }
})
let produced = 0

const messages = (word, number) => Array.from({ length: number }, (_, i) =>
  ({ key: `k${i}`, value: `${word}${i}`, headers: { h: 'x' } }))

async function withAdmin (run) {
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await run(admin)
  } finally {
    await admin.disconnect()
  }
}

async function produce () {
  for (const codec of codecs) {
    const producer = kafka.producer()
    await producer.connect()
    const sent = await producer.send({ topic: at.name, messages: messages('v', EACH), acks: -1, compression: CompressionTypes[codec] })
    produced += EACH
    ok(sent.length > 0 && sent.every(s => s.errorCode === 0 && Number(s.baseOffset) >= 0), `produce: ${codec}`)
    await producer.disconnect()
  }
  const idempotent = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await idempotent.connect()
  await idempotent.send({ topic: at.name, messages: messages('v', EACH) })
  produced += EACH
  ok(true, 'produce: idempotent')
  await idempotent.disconnect()
  const careless = kafka.producer()
  await careless.connect()
  await careless.send({ topic: at.name, messages: messages('v', 1), acks: 0 })
  produced += 1
  ok(true, 'produce: acks=0')
  await sleep(200)
  await careless.disconnect()
}

// A member of a group; it has no consumer without one.
async function member (groupId, topic, more = {}) {
  const me = { seen: new Map(), mine: 0 }
  me.consumer = kafka.consumer({ groupId, heartbeatInterval: 300, sessionTimeout: 6000, maxWaitTimeInMs: 50, ...more })
  me.consumer.on(me.consumer.events.GROUP_JOIN, e => {
    me.mine = (e.payload.memberAssignment[topic] || []).length
  })
  me.consumer.on(me.consumer.events.REBALANCING, () => { me.mine = 0 })
  await me.consumer.connect()
  await me.consumer.subscribe({ topics: [topic], fromBeginning: true })
  me.running = me.consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => me.seen.set(`${partition} ${message.offset}`, message)
  })
  me.leave = () => me.consumer.disconnect()
  return me
}

async function consume () {
  const me = await member(at.name + '-none', at.name)
  ok(await until(() => me.seen.size === produced), 'consume: everything')
  ok([...me.seen.values()].every(m => String(m.headers.h) === 'x'), 'consume: headers')
  me.seen.clear()
  me.consumer.seek({ topic: at.name, partition: 0, offset: '3' })
  ok(await until(() => me.seen.size > 0) && [...me.seen.keys()][0] === '0 3', 'consume: seek')
  await me.leave()
  await withAdmin(async admin => {
    const ends = await admin.fetchTopicOffsets(at.name)
    ok(ends.reduce((sum, p) => sum + Number(p.high), 0) === produced, 'consume: ends of the partitions')
    const found = await admin.fetchTopicOffsetsByTimestamp(at.name, 1)
    ok(found.every(p => p.offset === '0'), 'consume: offsets by time')
  })
}

async function groups () {
  const group = at.name + '-g'
  const one = await member(group, at.name)
  ok(await until(() => one.mine === 3), 'groups: one member has all')
  const two = await member(group, at.name)
  ok(await until(() => one.mine > 0 && two.mine > 0 && one.mine + two.mine === 3), 'groups: two share')
  ok(await until(() => new Set([...one.seen.keys(), ...two.seen.keys()]).size === produced), 'groups: all is read')
  await two.leave()
  ok(await until(() => one.mine === 3), 'groups: one takes over')
  await withAdmin(async admin => {
    const ends = await admin.fetchTopicOffsets(at.name)
    await one.consumer.commitOffsets(ends.map(p => ({ topic: at.name, partition: p.partition, offset: p.high, metadata: 'note' })))
    const found = await admin.fetchOffsets({ groupId: group, topics: [at.name] })
    ok(found[0].partitions.reduce((sum, p) => sum + Number(p.offset), 0) === produced, 'groups: commits')
  })
  await one.leave()
  const three = await member(group, at.name)
  ok(await until(() => three.mine === 3) && three.seen.size === 0, 'groups: a new member begins where they ended')
  await three.leave()
}

async function transactions () {
  const topic = at.name + '-tx'
  const group = at.name + '-txg'
  await withAdmin(admin => admin.createTopics({ topics: [{ topic, numPartitions: 2 }] }))
  const producer = kafka.producer({ idempotent: true, transactionalId: at.name + '-id', maxInFlightRequests: 1 })
  await producer.connect()
  const run = async (word, offset, how) => {
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: messages(word, 10) })
    if (offset) {
      await transaction.sendOffsets({ consumerGroupId: group, topics: [{ topic: at.name, partitions: [{ partition: 0, offset }] }] })
    }
    await transaction[how]()
  }
  await run('yes', '2', 'commit')
  ok(true, 'transactions: commit')
  await run('no', '5', 'abort')
  ok(true, 'transactions: abort')
  await run('yes', null, 'commit')
  await withAdmin(async admin => {
    const found = await admin.fetchOffsets({ groupId: group, topics: [at.name] })
    ok(found[0].partitions[0].offset === '2', 'transactions: offsets')
  })
  for (const [level, number] of [['read_committed', 20], ['read_uncommitted', 30]]) {
    const me = await member(`${at.name}-${level}`, topic, { readUncommitted: number === 30 })
    await until(() => me.seen.size >= number)
    await sleep(300)
    ok(me.seen.size === number && (number === 30 || [...me.seen.values()].every(m => /^yes/.test(String(m.value)))),
      `transactions: ${level}`)
    await me.leave()
  }
  const newer = kafka.producer({ idempotent: true, transactionalId: at.name + '-id', maxInFlightRequests: 1 })
  await newer.connect()
  await (await newer.transaction()).abort()
  let fenced = ''
  await run('late', null, 'commit').catch(error => { fenced = error.type || String(error) })
  ok(/EPOCH|FENCED/.test(fenced), `transactions: the former producer is fenced`)
  await newer.disconnect()
  await producer.disconnect()
}

async function admin () {
  const topic = at.name + '-admin'
  const setting = async admin => (await admin.describeConfigs({
    includeSynonyms: true, resources: [{ type: 2, name: topic, configNames: ['retention.ms'] }]
  })).resources[0].configEntries[0].configValue
  await withAdmin(async admin => {
    const wanted = { topics: [{ topic, numPartitions: 2, configEntries: [{ name: 'retention.ms', value: '1000000' }] }] }
    ok(await admin.createTopics(wanted), 'admin: create a topic')
    ok(!(await admin.createTopics(wanted)), 'admin: only once')
    await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] })
    ok(await until(async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length === 4),
      'admin: more partitions')
    ok(await setting(admin) === '1000000', 'admin: describe its settings')
    await admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name: topic, configEntries: [{ name: 'retention.ms', value: '7000000' }] }] })
    ok(await setting(admin) === '7000000', 'admin: change them')
    const group = at.name + '-g'
    ok((await admin.listGroups()).groups.some(g => g.groupId === group), 'admin: list groups')
    ok((await admin.describeGroups([group])).groups[0].state === 'Empty', 'admin: describe a group')
    await admin.resetOffsets({ groupId: group, topic: at.name, earliest: true })
    const found = await admin.fetchOffsets({ groupId: group, topics: [at.name], resolveOffsets: true })
    ok(found[0].partitions.every(p => p.offset === '0'), 'admin: reset offsets')
    ok((await admin.deleteGroups([group]))[0].errorCode === 0, 'admin: delete a group')
    ok((await admin.describeCluster()).brokers.length === 1, 'admin: describe the cluster')
    await admin.deleteTopicRecords({ topic: at.name, partitions: [{ partition: 0, offset: '2' }] })
    ok((await admin.fetchTopicOffsets(at.name)).find(p => p.partition === 0).low === '2', 'admin: delete records')
    const acl = { resourceType: 2, resourceName: at.name + '-acl', resourcePatternType: 3, principal: 'User:nobody', host: '*', operation: 3, permissionType: 3 }
    await admin.createAcls({ acl: [acl] })
    ok((await admin.describeAcls(acl)).resources[0].acls.length === 1, 'admin: an access rule')
    ok((await admin.deleteAcls({ filters: [acl] })).filterResponses[0].matchingAcls.length === 1, 'admin: delete it')
    await admin.deleteTopics({ topics: [topic] })
    ok(await until(async () => !(await admin.listTopics()).includes(topic)), 'admin: delete the topic')
  })
}

async function main () {
  console.log('# version ' + require('kafkajs/package.json').version)
  await part('produce', produce)
  await part('consume', consume)
  await part('groups', groups)
  await part('transactions', transactions)
  await part('admin', admin)
  end()
}
main()
