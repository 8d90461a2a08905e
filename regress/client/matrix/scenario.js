// SPDX-License-Identifier: Apache-2.0

// What the JavaScript programs of the matrix share: the connection that the
// environment names, and lines of TAP.
'use strict'
const fs = require('fs')

const env = process.env
let count = 0
let failed = 0

function ok (good, what) {
  count++
  if (!good) failed++
  console.log(`${good ? '' : 'not '}ok ${count} - ${what}`)
}

const skip = (part, why) => ok(true, `${part}: # SKIP ${why}`)
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

async function until (condition, seconds = 40) {
  const end = Date.now() + seconds * 1000
  while (Date.now() < end && !(await condition())) await sleep(20)
  return await condition()
}

// What a part throws fails that part alone.
async function part (name, run) {
  try {
    await run()
  } catch (error) {
    console.log(String(error.stack).replace(/^/mg, '# '))
    ok(false, `${name}: ${String(error).replace(/\s+/g, ' ')}`)
  }
}

function end () {
  console.log(`1..${count}`)
  process.exit(failed ? 1 : 0)
}

module.exports = {
  ok,
  skip,
  sleep,
  until,
  part,
  end,
  EACH: 50,
  server: env.OX_KAFKA,
  name: env.OX_NAME,
  mechanism: env.OX_MECHANISM,
  user: env.OX_USER,
  password: env.OX_PASSWORD,
  token: env.OX_TOKEN ? fs.readFileSync(env.OX_TOKEN, 'utf8') : undefined,
  tls: /SSL/.test(env.OX_PROTOCOL)
    ? {
        ca: [fs.readFileSync(env.OX_CA)],
        ...(env.OX_CERT ? { cert: fs.readFileSync(env.OX_CERT), key: fs.readFileSync(env.OX_KEY) } : {})
      }
    : undefined
}
