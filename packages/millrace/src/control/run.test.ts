/** `run()` of a program with a control API. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { isMillraceError } from '../base/errors.ts'
import { blackhole, defineJob, generator, type, value } from '../index.ts'
import { readLockRecord } from '../snapshot/lock-record.ts'
import { memoryStorage } from '../store/memory/index.ts'
import { startOptionsOf, type JobEvent } from '../host/index.ts'
import type { Storage } from '../store/contract.ts'
import { FaultyStore } from '../testing/faulty-store.ts'
import { JobClient } from './client.ts'
import { run } from './index.ts'
import { startControlled } from './run.ts'

const job = defineJob('numbers', flow => {
  flow.source('in', generator({ next: i => i, rate: 1000 })).sink('out', blackhole())
})

/** Somebody who listens on a port of loopback. */
async function listener(): Promise<{ readonly port: number; leave(): Promise<void> }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { port, leave: async () => void (await once(server.close(), 'close')) }
}

async function freePort(): Promise<number> {
  const { port, leave } = await listener()
  await leave()
  return port
}

test('with a port the job can be controlled from elsewhere for as long as it runs', async () => {
  const storage = memoryStorage()
  const store = storage.job('numbers')
  const port = await freePort()
  const handle = await run(job, { storage, port })
  assert.equal((await readLockRecord(store, 1)).control, `http://127.0.0.1:${port}`)
  const client = new JobClient('numbers', store)
  assert.equal((await client.status()).state, 'running')
  assert.deepEqual(await client.checkpoint(), { snapshot: 'chk-1' })
  await client.stop()
  assert.equal(await handle.finished, 'stopped')
  await assert.rejects(client.status(), error => isMillraceError(error, 'JOB_NOT_RUNNING'))
})

test('without a port nothing listens', async () => {
  const storage = memoryStorage()
  const handle = await run(job, { storage })
  assert.equal((await readLockRecord(storage.job('numbers'), 1)).control, undefined)
  await handle.cancel()
})

test('a port that is taken keeps the job from starting, and nothing was done', async () => {
  const storage = memoryStorage()
  const { port, leave } = await listener()
  await assert.rejects(run(job, { storage, port }), error => isMillraceError(error, 'PORT_TAKEN'))
  assert.deepEqual(await storage.jobs(), [])
  await leave()
})

test('a job that cannot start gives its port back', async () => {
  const storage = memoryStorage()
  const port = await freePort()
  await assert.rejects(run(job, { storage, port, from: 'chk-9' }), error =>
    isMillraceError(error, 'SNAPSHOT_NOT_FOUND'),
  )
  const handle = await run(job, { storage, port })
  await handle.cancel()
})

/** What /metrics says of each series, without the label that all have, once `isEnough` of one of them. */
async function scrapedUntil(port: number, series: string, isEnough: (value: number) => boolean) {
  for (;;) {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    const values = new Map(
      [...text.matchAll(/^(\w+\{.*?),?job_name="\w+"\} (\S+)$/gm)].map(([, name, n]) => [`${name}}`, Number(n)]),
    )
    if (isEnough(values.get(series) ?? 0)) return (name: string): number => values.get(name) ?? NaN
  }
}

test('what operators do, and what they count themselves, is in the metrics of the running job', async context => {
  const job = defineJob('measured', flow => {
    flow
      .source('in', generator({ next: i => i, rate: 100_000 }))
      .eventTime(i => i)
      .keyBy(i => i % 7)
      .process('sum', {
        emits: type<number>(),
        state: { total: value<number>({ default: 0 }) },
        onRecord(i, ctx) {
          ctx.state.total.set(ctx.state.total.get() + i)
          ctx.metrics.counter('seen').add()
          ctx.metrics.gauge('last').set(i)
          ctx.metrics.histogram('value', [10, 100]).observe(i)
          if (i % 2 === 0) ctx.emit(i)
        },
      })
      .sink('out', blackhole())
  })
  const port = await freePort()
  const handle = await run(job, { port })
  context.after(() => handle.cancel())
  await handle.checkpoint()
  const seen = await scrapedUntil(port, 'millrace_operator_counter_total{operator="sum",name="seen"}', n => n > 1000)
  const of = (operator: string): string => `{operator="${operator}"}`
  const taken = seen(`millrace_operator_records_in_total${of('sum')}`)
  const sent = seen(`millrace_operator_records_out_total${of('sum')}`)
  assert.equal(taken, seen('millrace_operator_counter_total{operator="sum",name="seen"}'))
  assert.equal(taken, seen(`millrace_operator_records_out_total${of('in')}`))
  assert.equal(sent, Math.ceil(taken / 2))
  assert.equal(sent, seen(`millrace_operator_records_in_total${of('out')}`))
  assert.equal(seen('millrace_operator_gauge{operator="sum",name="last",slot="0"}'), taken - 1)
  assert.equal(seen('millrace_operator_histogram_bucket{operator="sum",name="value",le="10"}'), 11)
  assert.equal(seen('millrace_state_entries{operator="sum",state="total"}'), 7)
  assert.ok(Math.abs(seen(`millrace_operator_watermark_seconds${of('sum')}`) * 1000 - taken) <= 2)
  assert.equal(seen('millrace_checkpoints_completed_total{}'), 1)
  assert.equal(seen('millrace_checkpoint_duration_seconds_count{}'), 1)
  assert.ok(seen('millrace_restorable_age_seconds{}') >= 0)
  assert.ok(seen('millrace_slot_seconds_total{slot="0",state="busy"}') > 0)
})

/** Reads of segments take long, and then wait for `mayGoOn`. */
class SlowStore extends FaultyStore {
  mayGoOn: Promise<unknown> = Promise.resolve()

  override async read(name: string, offset?: number, length?: number): Promise<Uint8Array> {
    if (name.startsWith('segments/')) {
      await pause(110)
      await this.mayGoOn
    }
    return super.read(name, offset, length)
  }
}

test('a job that loads a large snapshot says how far it is, and is found by others before it runs', async () => {
  const keys = 30_000
  const job = defineJob('large', flow => {
    flow
      .source('in', generator({ count: 10 * keys, next: i => i }))
      .keyBy(i => i % keys)
      .process('texts', {
        state: { text: value<string>() },
        onRecord: (i, { state }) => state.text.set(String(i).repeat(50)),
      })
      .sink('out', blackhole())
  })
  const storage = memoryStorage()
  const checkpointing = { onFinish: 'retain', compression: 'none' } as const
  const first = await run(job, { storage, checkpointing })
  assert.equal(await first.finished, 'finished')

  const store = new SlowStore(storage.job('large'))
  const slow: Storage = { ...storage, location: storage.location, job: () => store, jobs: () => storage.jobs() }
  const events: JobEvent[] = []
  const seen = Promise.withResolvers<Awaited<ReturnType<JobClient['status']>>>()
  const client = new JobClient('large', storage.job('large'))
  const options = startOptionsOf(job, { storage: slow, from: 'latest', checkpointing })
  const handle = await startControlled({
    ...options,
    onEvent(event) {
      events.push(event)
      if (event.type !== 'restoring') return
      store.mayGoOn = seen.promise
      client.status().then(seen.resolve, seen.reject)
    },
  })
  const { state, restoring } = await seen.promise
  assert.equal(state, 'starting')
  assert.match(restoring!.snapshot, /^chk-\d+$/)
  assert.ok(restoring!.readBytes > 0 && restoring!.readBytes < restoring!.totalBytes, JSON.stringify(restoring))
  assert.ok(restoring!.totalBytes > keys * 200)
  assert.equal(events.find(({ type }) => type === 'restoring' || type === 'started')!.type, 'restoring')
  await handle.cancel()
})
