// SPDX-License-Identifier: Apache-2.0

// kafka-console, a command-line tool of its own on top of @platformatic/kafka.
'use strict'
const { spawnSync } = require('child_process')
const { readFileSync } = require('fs')
const { ok, skip, part, end, until, server, name, mechanism, user, password, token, tls } = require('./scenario.js')

const folder = `${process.env.NODE_PATH}/kafka-console`
const topic = `${name}-console`

// What the tool prints; its TLS takes authorities from node's own setting.
function run (input, ...words) {
  const options = ['-b', server, '-t', '60000']
  if (tls) options.push('--ssl')
  if (mechanism) options.push('--mechanism', mechanism.toLowerCase())
  if (token) options.push('--oauth-bearer', token)
  else if (mechanism) options.push('--username', user, '--password', password)
  const env = { ...process.env, ...(tls ? { NODE_EXTRA_CA_CERTS: process.env.OX_CA } : {}) }
  const done = spawnSync(process.execPath, [`${folder}/build/cli.js`, ...options, ...words], { input, env, timeout: 90000 })
  if (done.status) console.log(`${words}\n${done.stdout}${done.stderr}`.replace(/^/mg, '# '))
  return String(done.stdout)
}

const lines = text => text.split('\n').filter(Boolean).map(line => JSON.parse(line))

async function admin () {
  run('', 'topic:create', topic, '-p', '3', '-r', '1')
  ok(run('', 'list').split('\n').some(line => line.includes(topic)), 'admin: topic:create, list')
  const meta = lines(run('', 'metadata'))[0]
  ok(meta && JSON.stringify(meta).includes(topic), 'admin: metadata')
  ok(run('', 'config', '-r', 'topic', '-n', topic).includes('retention.ms'), 'admin: config of a topic')
  ok(run('', 'config', '-r', 'broker', '-n', '1').includes('log.dirs'), 'admin: config of a broker')
}

async function produce () {
  const messages = Array.from({ length: 60 }, (_, i) => JSON.stringify({ key: `k${i}`, value: { number: i }, headers: { h: 'x' } }))
  run(messages.join('\n') + '\n', 'produce', topic, '-H', 'origin:matrix')
  const offsets = run('', 'topic:offsets', topic)
  const sum = [...offsets.matchAll(/"high":"?(\d+)/g)].reduce((all, found) => all + Number(found[1]), 0)
  ok(sum === 60, 'produce: all are in the topic')
  if (sum !== 60) console.log('# ' + offsets)
}

async function consume () {
  const seen = lines(run('', 'consume', topic, '--snapshot'))
  ok(seen.length === 60 && new Set(seen.map(m => m.value.number)).size === 60, 'consume: a snapshot has each once')
  ok(seen.every(m => m.key === `k${m.value.number}` && m.headers.origin === 'matrix'), 'consume: keys and headers')
  const later = new Date(Date.now() - 3600000).toISOString()
  ok(lines(run('', 'consume', topic, '--from', later, '--count', '10')).length === 10, 'consume: from a time')
}

async function groups () {
  const group = `${name}-cg`
  ok(lines(run('', 'consume', topic, '-g', group, '--from', '0', '--count', '60')).length === 60, 'groups: a member reads all')
  const committed = () => [...run('', 'topic:offsets', topic, '-g', group).matchAll(/"offset":"?(\d+)/g)]
    .reduce((all, found) => all + Number(found[1]), 0)
  ok(await until(() => committed() === 60), 'groups: and commits')
}

async function main () {
  console.log('# version ' + JSON.parse(readFileSync(`${folder}/package.json`)).version)
  await part('admin', admin)
  await part('produce', produce)
  await part('consume', consume)
  await part('groups', groups)
  skip('transactions', 'the tool has none')
  run('', 'topic:delete', topic)
  ok(!run('', 'list').includes(topic), 'admin: topic:delete')
  end()
}

main()
