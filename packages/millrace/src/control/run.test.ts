/** `run()` of a program with a control API. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { isMillraceError } from '../base/errors.ts'
import { blackhole, defineJob, generator } from '../index.ts'
import { readLockRecord } from '../snapshot/lock-record.ts'
import { memoryStorage } from '../store/memory/index.ts'
import { JobClient } from './client.ts'
import { run } from './index.ts'

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
