/** The server over real HTTP, with a job that does what the test says. */
import assert from 'node:assert/strict'
import { type IncomingHttpHeaders, request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { test, type TestContext } from 'node:test'
import { isMillraceError, MillraceError } from '../base/errors.ts'
import { FakeJob } from './fake-job.ts'
import { ControlServer, type ListenOptions } from './server.ts'

interface Exchange {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly json: any
}

interface World {
  readonly job: FakeJob
  readonly server: ControlServer
  get(path: string, headers?: object): Promise<Exchange>
  /** A body that is no text is sent as JSON. */
  post(path: string, body: unknown, headers?: object): Promise<Exchange>
}

async function makeWorld(context: TestContext, options: ListenOptions = {}): Promise<World> {
  const job = new FakeJob('shop')
  const server = await ControlServer.listen('shop', 0, options)
  server.attach(job)
  context.after(async () => {
    job.complete()
    await server.close()
  })
  return {
    job,
    server,
    get: (path, headers) => exchange(server.address, 'GET', path, undefined, headers),
    post: (path, body, headers) => {
      const text = typeof body === 'string' ? body : JSON.stringify(body)
      return exchange(server.address, 'POST', path, text, { 'content-type': 'application/json', ...headers })
    },
  }
}

/** fetch would not send a Host of one's own. */
function exchange(address: string, method: string, path: string, body?: string, headers = {}): Promise<Exchange> {
  const { promise, resolve, reject } = Promise.withResolvers<Exchange>()
  const sent = httpRequest(new URL(path, address), { method, headers, agent: false }, answer => {
    let text = ''
    answer.setEncoding('utf8').on('data', chunk => (text += chunk))
    answer.on('end', () =>
      resolve({
        status: answer.statusCode!,
        headers: answer.headers,
        json: text === '' ? undefined : JSON.parse(text),
      }),
    )
  })
  sent.on('error', reject).end(body)
  return promise
}

test('what the job is doing', async context => {
  const { get } = await makeWorld(context)
  const { status, headers, json } = await get('/v1/job')
  assert.equal(status, 200)
  assert.match(headers['content-type']!, /^application\/json/)
  assert.equal(headers['cache-control'], 'no-store')
  assert.deepEqual(json, {
    job: 'shop',
    pid: process.pid,
    state: 'running',
    parallelism: 2,
    stateBackend: 'heap',
    run: 3,
    lineage: null,
    restarts: 1,
    startedAtMs: 1000,
    recordsPerSecond: 50,
    restorableAtMs: null,
    restoring: null,
    sources: [{ source: 'in', records: 7, fraction: null }],
    lastCheckpoint: null,
  })
})

test('how much of a snapshot is loaded', async context => {
  const { job, get } = await makeWorld(context)
  job.restoring = { snapshot: 'chk-7', readBytes: 40, totalBytes: 400, bytesPerSecond: 80 }
  assert.deepEqual((await get('/v1/job')).json.restoring, job.restoring)
})

test('an operation runs until it is done, and says what came out', async context => {
  const { job, get, post } = await makeWorld(context)
  const asked = await post('/v1/rescale', { id: 'a', parallelism: 4 })
  assert.deepEqual([asked.status, asked.json.id, asked.json.kind, asked.json.state], [202, 'a', 'rescale', 'running'])
  assert.equal((await get('/v1/operations/a')).json.state, 'running')
  const waiting = get('/v1/operations/a?wait=30000')
  job.complete(9)
  const { status, json } = await waiting
  assert.equal(status, 200)
  const { progress, ...started } = asked.json
  assert.deepEqual(Object.keys(progress), ['elapsedMs', 'job', 'checkpoint', 'folders'])
  assert.deepEqual(json, { ...started, state: 'done', result: { parallelism: 4, snapshot: 'chk-9', pauseMs: 140 } })
  assert.deepEqual(job.calls, ['rescale 4'])
})

test('the result of each kind of operation', async context => {
  const { job, get, post } = await makeWorld(context)
  const results = {
    checkpoint: { snapshot: 'chk-5' },
    savepoint: { savepoint: 'sp-6', checkpoint: 'chk-5', path: null },
    stop: { savepoint: null },
    cancel: {},
  }
  for (const kind of Object.keys(results)) await post(`/v1/${kind}`, { id: kind })
  job.complete(5)
  for (const [kind, result] of Object.entries(results)) {
    assert.deepEqual((await get(`/v1/operations/${kind}?wait=1000`)).json.result, result)
  }
  assert.deepEqual(job.calls, ['checkpoint', 'savepoint', 'stop', 'cancel'])
})

test('what a savepoint is called and where it goes, and how to stop, is told to the job', async context => {
  const { job, get, post } = await makeWorld(context)
  const savepoint = { label: 'before the upgrade', to: '/backup/a' }
  await post('/v1/savepoint', { id: 'savepoint', ...savepoint })
  await post('/v1/stop', { id: 'stop', drain: true, savepoint })
  job.complete(5)
  const made = { savepoint: 'sp-6', checkpoint: 'chk-5', path: '/backup/a' }
  assert.deepEqual((await get('/v1/operations/savepoint?wait=1000')).json.result, made)
  assert.deepEqual((await get('/v1/operations/stop?wait=1000')).json.result, { savepoint: made })
  const text = JSON.stringify(savepoint)
  assert.deepEqual(job.calls, [`savepoint ${text}`, `stop {"drain":true,"savepoint":${text}}`])
})

test('a request that is sent again under its id is the same operation, while it runs and afterwards', async context => {
  const { job, get, post } = await makeWorld(context)
  const first = await post('/v1/checkpoint', { id: 'a' })
  assert.equal((await post('/v1/checkpoint', { id: 'a' })).json.startedAtMs, first.json.startedAtMs)
  job.complete(6)
  await get('/v1/operations/a?wait=1000')
  const again = await post('/v1/checkpoint', { id: 'a' })
  assert.deepEqual([again.json.state, again.json.result], ['done', { snapshot: 'chk-6' }])
  assert.deepEqual(job.calls, ['checkpoint'])
  const other = await post('/v1/stop', { id: 'a' })
  assert.deepEqual([other.status, other.json.code], [400, 'REQUEST_INVALID'])
})

test('an operation that fails says with what', async context => {
  const { job, get, post } = await makeWorld(context)
  await post('/v1/checkpoint', { id: 'a' })
  job.fail(new MillraceError('CHECKPOINT_FAILED', 'no room', { hint: 'make room', context: { id: 3 } }))
  const { status, json } = await get('/v1/operations/a?wait=1000')
  assert.deepEqual(
    [status, json.state, json.error],
    [200, 'failed', { code: 'CHECKPOINT_FAILED', message: 'no room', hint: 'make room', context: { id: 3 } }],
  )
})

test('an operation goes on when the client that asked for it goes away', async context => {
  const { job, server, get, post } = await makeWorld(context)
  const body = JSON.stringify({ id: 'a' })
  const socket = connect(Number(new URL(server.address).port), '127.0.0.1')
  const head = `Host: ${new URL(server.address).host}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`
  socket.write(`POST /v1/stop HTTP/1.1\r\n${head}\r\n\r\n${body}`)
  await job.whenAsked(1)
  socket.destroy()

  const impatient = new AbortController()
  const waiting = fetch(`${server.address}/v1/operations/a?wait=30000`, { signal: impatient.signal })
  impatient.abort()
  await assert.rejects(waiting)
  assert.equal((await post('/v1/stop', { id: 'a' })).json.state, 'running')
  job.complete()
  assert.equal((await get('/v1/operations/a?wait=1000')).json.state, 'done')
  assert.deepEqual(job.calls, ['stop'])
})

test('an operation that is running says how far it is: what the job does, and the slots that the checkpoint waits for', async context => {
  const { job, get, post } = await makeWorld(context)
  await post('/v1/checkpoint', { id: 'a' })
  job.pendingCheckpoint = { id: 8, startedAtMs: Date.now() - 5000, acknowledgedSlots: 1, slots: 2 }
  job.savepointFolders = [{ path: '/backup/a', fraction: 0.4 }]
  const { progress } = (await get('/v1/operations/a')).json
  const { elapsedMs, ...checkpoint } = progress.checkpoint
  assert.equal(progress.job, 'running')
  assert.deepEqual(checkpoint, { snapshot: 'chk-8', acknowledgedSlots: 1, slots: 2 })
  assert.ok(elapsedMs >= 5000)
  assert.deepEqual(progress.folders, job.savepointFolders)
  job.complete()
  assert.equal((await get('/v1/operations/a?wait=1000')).json.progress, undefined)
})

test('the operations that are known are listed, those that have ended too', async context => {
  const { job, get, post } = await makeWorld(context)
  await post('/v1/checkpoint', { id: 'a' })
  job.complete(3)
  await get('/v1/operations/a?wait=1000')
  await post('/v1/stop', { id: 'b' })
  const { operations } = (await get('/v1/operations')).json
  assert.deepEqual(
    operations.map(({ id, kind, state }: any) => [id, kind, state]),
    [
      ['a', 'checkpoint', 'done'],
      ['b', 'stop', 'running'],
    ],
  )
})

test('the API describes itself, and what the job is doing is there for Prometheus too', async context => {
  const { server, get } = await makeWorld(context)
  const { status, json } = await get('/openapi.json')
  assert.deepEqual([status, json.openapi, json.paths['/metrics'].get.operationId], [200, '3.1.0', 'metrics'])
  for (const _ of [1, 2]) {
    const scraped = await fetch(`${server.address}/metrics`)
    assert.match(scraped.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/)
    assert.match(await scraped.text(), /^millrace_operator_records_out_total\{operator="in",job_name="shop"\} 7$/m)
  }
})

test('an operation that nobody asked for is not found', async context => {
  const { get } = await makeWorld(context)
  const { status, json } = await get('/v1/operations/nope?wait=1000')
  assert.deepEqual([status, json.code, json.context], [404, 'OPERATION_NOT_FOUND', { id: 'nope' }])
})

test('a request whose Host is not this one, or that comes from a foreign origin, is refused and does nothing', async context => {
  const { job, server, get, post } = await makeWorld(context)
  const { port } = new URL(server.address)
  const foreign = [
    { host: 'evil.example' },
    { host: `evil.example:${port}` },
    { host: `127.0.0.1:${Number(port) + 1}` },
    { host: '127.0.0.1' },
    { origin: 'http://evil.example' },
    { origin: `https://127.0.0.1:${port}` },
    { origin: `http://127.0.0.1:${Number(port) + 1}` },
    { origin: 'null' },
  ]
  for (const headers of foreign) {
    for (const { status, headers: sent, json } of [
      await post('/v1/stop', {}, headers),
      await get('/v1/job', headers),
    ]) {
      assert.deepEqual([status, json.code], [403, 'REQUEST_INVALID'], JSON.stringify(headers))
      assert.deepEqual(
        Object.keys(sent).filter(name => name.startsWith('access-control-')),
        [],
      )
    }
  }
  assert.deepEqual(job.calls, [])
  for (const name of ['127.0.0.1', 'localhost', 'LOCALHOST', '[::1]']) {
    const host = `${name}:${port}`
    assert.equal((await get('/v1/job', { host, origin: `http://${host}` })).status, 200, host)
  }
})

const TOKEN = 'a-token-of-32-characters-in-all!'

for (const host of ['127.0.0.1', '0.0.0.0']) {
  test(`on ${host} with a token: a request without it, or with another one, is refused and does nothing`, async context => {
    const { job, get, post } = await makeWorld(context, { host, token: TOKEN })
    for (const authorization of [
      undefined,
      TOKEN,
      'Bearer ',
      `Bearer ${TOKEN}x`,
      `Bearer ${TOKEN.slice(1)}`,
      `Bearer ${TOKEN.toUpperCase()}`,
      `Basic ${TOKEN}`,
    ]) {
      const headers = authorization === undefined ? {} : { authorization }
      for (const { status, json, headers: sent } of [
        await post('/v1/stop', {}, headers),
        await get('/v1/job', headers),
        await get('/metrics', headers),
        await get('/openapi.json', headers),
        await get('/nowhere', headers),
      ]) {
        assert.deepEqual([status, json.code, sent['www-authenticate']], [401, 'UNAUTHORIZED', 'Bearer'], authorization)
        assert.ok(!JSON.stringify(json).includes(TOKEN))
      }
    }
    assert.deepEqual(job.calls, [])
    const headers = { authorization: `Bearer ${TOKEN}` }
    assert.equal((await get('/v1/job', headers)).status, 200)
    assert.equal((await get('/v1/job', { ...headers, origin: 'http://evil.example' })).status, 403)
  })
}

test('beyond the loopback any name leads here, and the address is one that this machine reaches', async context => {
  const { server, get } = await makeWorld(context, { host: '0.0.0.0', token: TOKEN })
  assert.match(server.address, /^http:\/\/127\.0\.0\.1:\d+$/)
  const host = `jobs.example:${new URL(server.address).port}`
  const headers = { host, authorization: `Bearer ${TOKEN}` }
  assert.equal((await get('/v1/job', headers)).status, 200)
  assert.equal((await get('/v1/job', { ...headers, origin: `http://${host}` })).status, 200)
  assert.equal((await get('/v1/job', { ...headers, origin: 'http://jobs.example:1' })).status, 403)
})

test('beyond the loopback nothing listens without a token', async () => {
  await assert.rejects(ControlServer.listen('shop', 0, { host: '0.0.0.0' }), /there is a token/)
})

test('a browser that asks whether it may is not told that it may', async context => {
  const { server } = await makeWorld(context)
  const headers = { origin: 'http://evil.example', 'access-control-request-method': 'POST' }
  const { status, headers: sent } = await exchange(server.address, 'OPTIONS', '/v1/stop', undefined, headers)
  assert.deepEqual([status, sent['access-control-allow-origin']], [403, undefined])
})

for (const [what, path, body, headers, status, message] of [
  ['no JSON', '/v1/stop', '{"id":', {}, 400, /the body is not a JSON object: "{/],
  ['nothing', '/v1/stop', '', {}, 400, /the body is not a JSON object/],
  ['no object', '/v1/stop', [], {}, 400, /not a JSON object: "\[\]"/],
  ['plain text', '/v1/stop', '{}', { 'content-type': 'text/plain' }, 415, /content-type is "text\/plain"/],
  ['a form', '/v1/stop', 'id=a', { 'content-type': 'application/x-www-form-urlencoded' }, 415, /not application\/json/],
  ['too much', '/v1/stop', { id: 'x'.repeat(64 * 1024) }, {}, 413, /more than 64 KiB/],
  ['an unknown field', '/v1/stop', { drian: true }, {}, 400, /drian: there is no such field/],
  [
    'an unknown field within',
    '/v1/stop',
    { savepoint: { from: 'a' } },
    {},
    400,
    /savepoint.from: there is no such field/,
  ],
  ['a relative path', '/v1/savepoint', { to: 'a/b' }, {}, 400, /to: expected an absolute path/],
  [
    'a label of two lines',
    '/v1/savepoint',
    { label: 'a\nb' },
    {},
    400,
    /label: expected 1 to 200 characters on one line/,
  ],
  ['a bad id', '/v1/stop', { id: '../a' }, {}, 400, /id: expected 1 to 64 of/],
  ['no parallelism', '/v1/rescale', {}, {}, 400, /parallelism: expected/],
  ['parallelism 0', '/v1/rescale', { parallelism: 0 }, {}, 400, /parallelism: expected a whole number from 1/],
  ['parallelism 1.5', '/v1/rescale', { parallelism: 1.5 }, {}, 400, /parallelism: expected a whole number from 1/],
  ["parallelism 'x'", '/v1/rescale', { parallelism: 'x' }, {}, 400, /parallelism: expected a whole number from 1/],
  ['parallelism 32769', '/v1/rescale', { parallelism: 32769 }, {}, 400, /parallelism: expected a whole .* 32768/],
  ['an unknown path', '/v1/explode', {}, {}, 404, /there is no POST \/v1\/explode/],
] as const) {
  test(`refused: ${what} to ${path}`, async context => {
    const { job, post } = await makeWorld(context)
    const answer = await post(path, body, headers)
    assert.deepEqual([answer.status, answer.json.code], [status, 'REQUEST_INVALID'])
    assert.match(answer.json.message, message)
    assert.deepEqual(job.calls, [])
  })
}

test('refused: a wait that is no time, or longer than the longest', async context => {
  const { get } = await makeWorld(context)
  for (const wait of ['-1', '1.5', 'x', '30001', '999999']) {
    const { status, json } = await get(`/v1/operations/a?wait=${wait}`)
    assert.deepEqual([status, json.code], [400, 'REQUEST_INVALID'], wait)
  }
})

test('a body whose length is not said is cut off too', async context => {
  const { job, server } = await makeWorld(context)
  const body = new Blob(['{}', ' '.repeat(64 * 1024)]).stream()
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${server.address}/v1/stop`, { method: 'POST', headers, body, duplex: 'half' })
  assert.equal(answer.status, 413)
  assert.deepEqual(job.calls, [])
})

test('before its job has started a request is told so', async context => {
  const server = await ControlServer.listen('shop', 0)
  context.after(() => server.close())
  const { status, json } = await exchange(server.address, 'GET', '/v1/job')
  assert.deepEqual([status, json.code, json.message], [409, 'JOB_NOT_RUNNING', "job 'shop' is starting"])
})

test('a job that is starting says what it is doing, and takes no orders yet', async context => {
  const job = new FakeJob('shop')
  const server = await ControlServer.listen('shop', 0)
  context.after(() => server.close())
  server.watch(job)
  assert.equal((await exchange(server.address, 'GET', '/v1/job')).json.job, 'shop')
  const headers = { 'content-type': 'application/json' }
  const { status, json } = await exchange(server.address, 'POST', '/v1/stop', '{}', headers)
  assert.deepEqual([status, json.message, job.calls], [409, "job 'shop' is starting", []])
})

test('a port that is taken is an error that names it', async context => {
  const { server } = await makeWorld(context)
  const port = Number(new URL(server.address).port)
  await assert.rejects(ControlServer.listen('other', port), error => {
    assert.ok(isMillraceError(error, 'PORT_TAKEN'))
    assert.match(error.message, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: .*EADDRINUSE`))
    return true
  })
})

test('closing tells those who wait how it ended, and then nobody is answered any more', async () => {
  const job = new FakeJob('shop')
  const server = await ControlServer.listen('shop', 0)
  server.attach(job)
  const headers = { 'content-type': 'application/json' }
  const { address } = server
  await exchange(address, 'POST', '/v1/stop', '{"id":"a"}', headers)
  const waiting = exchange(address, 'GET', '/v1/operations/a?wait=30000')
  // As the job ends: the server closes while what was asked of it is about to be done.
  await exchange(address, 'GET', '/v1/job')
  const closed = server.close()
  job.complete()
  assert.equal((await waiting).json.state, 'done')
  await closed
  await assert.rejects(exchange(address, 'GET', '/v1/job'), /ECONNREFUSED/)
})
