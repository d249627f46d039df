import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError } from '../../base/errors.ts'
import type { Json } from '../../base/json.ts'
import { restoredFrom, SinkDriver } from '../../testing/connector-context.ts'
import { sinkContract } from '../../testing/sink-contract.ts'
import { memory } from './memory.ts'

sinkContract<unknown>('memory', {
  make: () => ({ make: () => memory(), visible: delivered => delivered }),
  record: i => ({ id: i, big: BigInt(i), at: new Date(i), tags: new Set([i]) }),
})

async function open(driver: SinkDriver) {
  return memory().open(driver.context(), restoredFrom(driver.runId, undefined))
}

test('a committable is delivered once by a writer, under an id that names run, subtask and checkpoint', async () => {
  const driver = new SinkDriver()
  const calls: string[] = []
  const writer = await memory().open(
    driver.context({ deliver: id => void calls.push(id) }),
    restoredFrom(driver.runId, undefined),
  )
  writer.write('a', 0)
  const { committables } = await writer.prepareCommit(7, false)
  await writer.commit(committables)
  await writer.commit(committables)
  assert.deepEqual(calls, ['0a1b2c3d-0-7'])
})

test('a record is taken as it is when it is written', async () => {
  const driver = new SinkDriver()
  const writer = await open(driver)
  const record = { n: 1 }
  writer.write(record, 0)
  record.n = 2
  await writer.commit((await writer.prepareCommit(1, true)).committables)
  assert.deepEqual([...driver.delivered.values()], [[{ n: 1 }]])
})

test('a committable that is none is SNAPSHOT_DAMAGED', async () => {
  const writer = await open(new SinkDriver())
  writer.write('a', 0)
  const [good] = (await writer.prepareCommit(1, true)).committables as { id: string; count: number; rows: string }[]
  const bad: Json[] = [
    null,
    {},
    { ...good, count: 2 },
    { ...good, count: 0 },
    { ...good, rows: 'AAAA' },
    { ...good, count: 1e15 },
  ]
  for (const committable of bad) {
    await assert.rejects(
      writer.commit([committable]),
      error => isMillraceError(error, 'SNAPSHOT_DAMAGED'),
      JSON.stringify(committable),
    )
  }
})

test('a record that cannot be stored is refused when it is written', async () => {
  const writer = await open(new SinkDriver())
  assert.throws(
    () => writer.write({ f() {} }, 0),
    error => isMillraceError(error, 'VALUE_UNSUPPORTED'),
  )
})
