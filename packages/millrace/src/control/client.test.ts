/** The client against real servers, found through locks in memory. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { isMillraceError, MillraceError } from '../base/errors.ts'
import { acquireLock, type JobLock } from '../host/lock.ts'
import { currentProcess } from '../host/process-identity.ts'
import type { ProcessIdentity } from '../snapshot/lock-record.ts'
import type { SnapshotStore } from '../store/contract.ts'
import { memoryStorage } from '../store/memory/index.ts'
import { type ClientOptions, JobClient } from './client.ts'
import { FakeJob } from './fake-job.ts'
import { ControlServer } from './server.ts'

const CLOCK = { now: () => Date.now(), sleep: async () => undefined }

interface World {
  readonly store: SnapshotStore
  client(options?: ClientOptions): JobClient
  /** A process takes the job. */
  own(identity?: Partial<ProcessIdentity>): Promise<JobLock>
  /** A server that is closed after the test. */
  serve(job: FakeJob): Promise<ControlServer>
}

function makeWorld(context: TestContext): World {
  const store = memoryStorage({ now: () => Date.now() }).job('shop')
  return {
    store,
    client: (options = { patienceMs: 0 }) => new JobClient('shop', store, options),
    own: async identity => {
      const lock = await acquireLock(store, { ...currentProcess(), ...identity }, CLOCK, { job: 'shop' })
      context.after(() => lock.release())
      return lock
    },
    serve: async job => {
      const server = await ControlServer.listen(job.status().job, 0)
      server.attach(job)
      context.after(async () => {
        job.complete()
        await server.close()
      })
      return server
    },
  }
}

/** Its address, once it listens. */
async function open(server: Server): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** What lies between a client and a server: it passes on requests and answers, until it is cut. */
class Wire {
  /** Posts whose answer is lost: the connection is closed instead. */
  losses = 0
  /** Whom all later requests are passed to once a POST was answered. */
  next: string | undefined
  private readonly server = createServer((incoming, outgoing) => void this.pass(incoming, outgoing))
  private readonly cutting = new AbortController()
  private target: string

  constructor(target: string) {
    this.target = target
  }

  async open(): Promise<string> {
    return open(this.server)
  }

  cut(): void {
    this.cutting.abort()
    this.server.close()
    this.server.closeAllConnections()
  }

  private async pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const isPost = incoming.method === 'POST'
    const body = (await incoming.toArray()).join('')
    const request = { headers: { 'content-type': 'application/json' }, signal: this.cutting.signal }
    try {
      const url = this.target + incoming.url!
      const answer = await fetch(url, isPost ? { ...request, method: 'POST', body } : request)
      const text = await answer.text()
      if (isPost && this.next !== undefined) this.target = this.next
      if (isPost && this.losses-- > 0) incoming.socket.destroy()
      else outgoing.writeHead(answer.status).end(text)
    } catch {
      incoming.socket.destroy()
    }
  }
}

/** A running job with its server and client, and what lies between. */
async function running(context: TestContext, options?: ClientOptions) {
  const world = makeWorld(context)
  const job = new FakeJob('shop')
  const server = await world.serve(job)
  const wire = new Wire(server.address)
  context.after(() => wire.cut())
  const lock = await world.own()
  await lock.setControl(await wire.open())
  return { ...world, job, wire, lock, client: world.client(options) }
}

function isError(code: string, message: RegExp): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof MillraceError, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  }
}

test('every operation comes to its end, with its result', async context => {
  const { job, client } = await running(context)
  assert.equal((await client.status()).run, 3)
  const all = [client.checkpoint(), client.rescale(2), client.savepoint(), client.stop(), client.cancel()]
  await job.whenAsked(5)
  job.complete(8)
  assert.deepEqual(await Promise.all(all), [
    { snapshot: 'chk-8' },
    { parallelism: 2, snapshot: 'chk-8', pauseMs: 140 },
    { savepoint: 'sp-9', checkpoint: 'chk-8', path: null },
    { savepoint: null },
    undefined,
  ])
  assert.deepEqual(job.calls.toSorted(), ['cancel', 'checkpoint', 'rescale 2', 'savepoint', 'stop'])
})

test('what the job fails with is thrown as it was', async context => {
  const { job, client } = await running(context)
  const checkpoint = client.checkpoint()
  await job.whenAsked(1)
  job.fail(new MillraceError('CHECKPOINT_FAILED', 'no room', { hint: 'make room', context: { id: 3 } }))
  await assert.rejects(checkpoint, error => {
    assert.ok(isMillraceError(error, 'CHECKPOINT_FAILED'))
    assert.deepEqual([error.message, error.hint, error.context], ['no room', 'make room', { id: 3 }])
    return true
  })
})

test('a job that refuses to stop, since it is ending, has not died', async context => {
  const { client, own, serve } = makeWorld(context)
  const job = new FakeJob('shop')
  const server = await serve(job)
  await (await own()).setControl(server.address)
  const stopped = assert.rejects(client().stop({ savepoint: {} }), isError('JOB_NOT_RUNNING', /is ending/))
  await job.whenAsked(1)
  job.fail(new MillraceError('JOB_NOT_RUNNING', 'job shop is ending'))
  await stopped
})

test('a job that nobody runs, or that was let go, is not running', async context => {
  const { client, own } = makeWorld(context)
  await assert.rejects(client().stop(), isError('JOB_NOT_RUNNING', /job 'shop' is not running in/))
  const lock = await own()
  await lock.setControl('http://127.0.0.1:1')
  await lock.release()
  await assert.rejects(client().checkpoint(), isError('JOB_NOT_RUNNING', /not running/))
})

test('a lock whose process is dead is stale: nobody is asked at its address', async context => {
  const { client, own } = makeWorld(context)
  const lock = await own({ processStart: 'long ago' })
  await lock.setControl('http://127.0.0.1:1')
  await assert.rejects(client().status(), isError('JOB_NOT_RUNNING', /not running/))
})

test('a process that lives but does not answer is unreachable, and where it should be is said', async context => {
  const { client, own } = makeWorld(context)
  const lock = await own()
  await assert.rejects(
    client().stop(),
    isError('CONTROL_UNREACHABLE', new RegExp(`process ${process.pid} on .* no control API`)),
  )
  const silent = createServer(() => undefined)
  await lock.setControl(await open(silent))
  const impatient = client({ timeoutMs: 20, patienceMs: 0 })
  await assert.rejects(impatient.stop(), isError('CONTROL_UNREACHABLE', /does not answer: no answer within 20 ms/))
  silent.close()
  silent.closeAllConnections()
  await assert.rejects(
    client().stop(),
    isError('CONTROL_UNREACHABLE', /127\.0\.0\.1:\d+ does not answer: .*ECONNREFUSED/),
  )
})

test('something else that answers at the address is not taken for the job', async context => {
  const { client, own, serve } = makeWorld(context)
  const lock = await own()
  const other = await serve(new FakeJob('other'))
  await lock.setControl(other.address)
  await assert.rejects(client().stop(), isError('CONTROL_UNREACHABLE', /answers for 'other'/))
  const web = createServer((_, answer) => answer.end('<html>hello</html>'))
  context.after(() => web.close())
  await lock.setControl(await open(web))
  await assert.rejects(client().stop(), isError('CONTROL_UNREACHABLE', /answers 200 with something/))
})

test('a lock leads to this host alone', async context => {
  for (const [identity, control, message] of [
    [
      { host: 'elsewhere' },
      'http://127.0.0.1:1',
      /is run by process \d+ on elsewhere, and can be controlled on that host/,
    ],
    [{}, 'http://evil.example/v1', /names no address of this host: 'http:\/\/evil/],
    [{}, 'http://127.0.0.1:1@evil.example', /names no address of this host/],
  ] as const) {
    const { client, own } = makeWorld(context)
    const lock = await own(identity)
    await lock.setControl(control)
    await assert.rejects(client({ patienceMs: 60_000 }).stop(), isError('CONTROL_UNREACHABLE', message))
  }
})

test('a job that is just starting is waited for', async context => {
  const { client, own, serve } = makeWorld(context)
  const job = new FakeJob('shop')
  const lock = await own()
  const status = client({ patienceMs: 60_000 }).status()
  await lock.setControl((await serve(job)).address)
  assert.equal((await status).job, 'shop')
})

test('so is one that says so itself, however long it takes', async context => {
  const { client, own, serve } = makeWorld(context)
  const job = new FakeJob('shop')
  job.state = 'starting'
  await (await own()).setControl((await serve(job)).address)
  const patient = client({ patienceMs: 20 })
  assert.equal((await patient.status()).state, 'starting')
  const checkpoint = patient.checkpoint()
  // Asked about what it is doing, and then again.
  for (let looks = 0; looks < 3; looks++) await job.whenLookedAt()
  assert.deepEqual(job.calls, [])
  job.state = 'running'
  await job.whenAsked(1)
  job.complete(3)
  assert.deepEqual(await checkpoint, { snapshot: 'chk-3' })
})

test('when another process takes the job over, what was asked for is asked of that one, under the same id', async context => {
  const { job, wire, lock, serve, client } = await running(context, { patienceMs: 60_000 })
  const checkpoint = client.checkpoint()
  await job.whenAsked(1)
  const next = new FakeJob('shop')
  await lock.setControl((await serve(next)).address)
  // As after a kill: nobody hears how it went.
  wire.cut()
  await next.whenAsked(1)
  next.complete(12)
  assert.deepEqual(await checkpoint, { snapshot: 'chk-12' })
})

test('a process that does not know the operation, since the one before it was asked, is asked for it', async context => {
  const { job, wire, serve, client } = await running(context, { patienceMs: 60_000 })
  const next = new FakeJob('shop')
  wire.next = (await serve(next)).address
  const checkpoint = client.checkpoint()
  await next.whenAsked(1)
  next.complete(13)
  assert.deepEqual(await checkpoint, { snapshot: 'chk-13' })
  assert.deepEqual(job.calls, ['checkpoint'])
})

test('an answer that was lost does not make it happen twice', async context => {
  const { job, wire, client } = await running(context, { patienceMs: 60_000 })
  wire.losses = 2
  const checkpoint = client.checkpoint()
  await job.whenAsked(1)
  job.complete(4)
  assert.deepEqual(await checkpoint, { snapshot: 'chk-4' })
  assert.deepEqual([wire.losses, job.calls], [-1, ['checkpoint']])
})

test('a job that is gone before it could be asked how it ended has ended', async context => {
  for (const kind of ['stop', 'cancel'] as const) {
    const { job, wire, lock, client } = await running(context, { patienceMs: 60_000 })
    const ended = client[kind]()
    await job.whenAsked(1)
    await lock.release()
    wire.cut()
    await ended
  }
  const { job, wire, lock, client } = await running(context, { patienceMs: 60_000 })
  const checkpoint = client.checkpoint()
  await job.whenAsked(1)
  await lock.release()
  wire.cut()
  await assert.rejects(checkpoint, isError('JOB_NOT_RUNNING', /not running/))
})

test('the client sends the token; without it, or with another one, it is told so at once', async context => {
  const { client, own } = makeWorld(context)
  const token = 'a-token-of-32-characters-in-all!'
  const job = new FakeJob('shop')
  const server = await ControlServer.listen('shop', 0, { host: '0.0.0.0', token })
  server.attach(job)
  context.after(() => server.close())
  const lock = await own()
  await lock.setControl(server.address)
  const checkpoint = client({ token }).checkpoint()
  await job.whenAsked(1)
  job.complete(5)
  assert.deepEqual(await checkpoint, { snapshot: 'chk-5' })
  for (const other of [undefined, `${token}?`]) {
    await assert.rejects(
      client({ token: other, patienceMs: 60_000 }).stop(),
      isError('UNAUTHORIZED', /^the request has (no|another) token/),
    )
  }
  assert.deepEqual(job.calls, ['checkpoint'])
})

test('an address of another machine is not asked, so no token goes there', async context => {
  const { client, own } = makeWorld(context)
  const lock = await own()
  for (const control of ['http://203.0.113.9:80', 'http://[2001:db8::1]:80', 'http://8.8.8.8:53']) {
    await lock.setControl(control)
    await assert.rejects(
      client({ token: 'secret', patienceMs: 60_000 }).stop(),
      isError('CONTROL_UNREACHABLE', /names no address of this host/),
    )
  }
})
