import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError } from '../../base/errors.ts'
import { CollectingOutput, SourceDriver } from '../../testing/connector-context.ts'
import { sourceContract } from '../../testing/source-contract.ts'
import { generator, type GeneratorOptions } from './generator.ts'

const next = (i: number) => ({ id: i })
const ids = (...numbers: number[]) => numbers.map(next)

sourceContract('generator', { make: () => generator({ next, count: 5 }), expected: [ids(0, 1, 2, 3, 4)] })
sourceContract('generator with splits', {
  make: () => generator({ next, count: 8, splits: 3 }),
  expected: [ids(0, 3, 6), ids(1, 4, 7), ids(2, 5)],
})
sourceContract('generator with a rate', {
  make: () => generator({ next, count: 40, rate: 7 }),
  expected: [ids(...Array(40).keys())],
})
sourceContract('an empty generator', { make: () => generator({ next, count: 0, splits: 2 }), expected: [[], []] })

async function openReader(options: Partial<GeneratorOptions<number>>, position?: number, index = 0) {
  const driver = new SourceDriver()
  const wakes: number[] = []
  const startMs = driver.timeMs
  driver.wakeAt = timeMs => void wakes.push(timeMs - startMs)
  const source = generator({ next: i => i, ...options })
  const splits = await source.enumerate(driver)
  const reader = await source.open(splits[index], position, driver)
  const output = new CollectingOutput<number>()
  const readAt = (ms: number, maxRecords = 1_000_000) => {
    driver.timeMs = startMs + ms
    const before = output.records.length
    return { result: reader.read(output, maxRecords), count: output.records.length - before }
  }
  return { reader, output, wakes, readAt }
}

test('a generator without count never ends', async () => {
  assert.equal(generator({ next }).bounded, false)
  const { reader, output } = await openReader({})
  assert.equal(reader.read(output, 1000), 'more')
  assert.equal(output.records.length, 1000)
  assert.deepEqual(reader.progress!(), { done: 1000, total: undefined, unit: 'records' })
})

test('a rate spreads the records over time and asks to be read when the next is due', async () => {
  const { readAt, wakes } = await openReader({ rate: 3 })
  assert.deepEqual(readAt(0), { result: 'more', count: 1 })
  assert.deepEqual(readAt(0), { result: 'caught-up', count: 0 })
  assert.deepEqual(readAt(333), { result: 'caught-up', count: 0 })
  assert.deepEqual(readAt(334), { result: 'more', count: 1 })
  assert.deepEqual(readAt(334), { result: 'caught-up', count: 0 })
  assert.deepEqual(wakes, [334, 334, 667])
})

test('a rate does not drift, however irregularly it is read', async () => {
  const { readAt, output } = await openReader({ rate: 1000 / 7 })
  for (let ms = 0; ms < 70_000; ms += 1 + ((ms * 7919) % 97)) readAt(ms)
  readAt(70_000)
  assert.equal(output.records.length, 10_001)
})

test('a generator that fell behind catches up with at most a second of records', async () => {
  const { readAt } = await openReader({ rate: 100 })
  readAt(0)
  assert.equal(readAt(60_000).count, 101)
  assert.equal(readAt(60_000).count, 0)
  assert.equal(readAt(60_100).count, 10)
})

test('a generator with a rate goes on at that rate after a restart, without a burst', async () => {
  const { readAt, output } = await openReader({ rate: 10 }, 5000)
  assert.equal(readAt(0).count, 1)
  assert.equal(readAt(1000).count, 10)
  assert.equal(output.records[0], 5000)
})

test('splits share the rate and take turns', async () => {
  const due = []
  for (const index of [0, 1, 2, 3]) {
    const { readAt } = await openReader({ rate: 10, splits: 4 }, undefined, index)
    for (let ms = 0; ms < 800; ms++) if (readAt(ms).count > 0) due.push([ms, index])
  }
  assert.deepEqual(
    due.sort((a, b) => a[0] - b[0]),
    [0, 1, 2, 3, 4, 5, 6, 7].map(i => [i * 100, i % 4]),
  )
})

test('the number of splits is that of the first start, as the split says', async () => {
  const driver = new SourceDriver()
  const [, split] = await generator({ next: i => i, count: 10, splits: 3 }).enumerate(driver)
  const reader = await generator({ next: i => i, count: 10, splits: 2 }).open(split, 4, driver)
  const output = new CollectingOutput<number>()
  reader.read(output, 100)
  assert.deepEqual(output.records, [4, 7])
})

test('a position or split that fits no such generator is SNAPSHOT_DAMAGED', async () => {
  const source = generator({ next, count: 10, splits: 2 })
  const open = (detail: object, position: number | string) =>
    source.open({ id: 'split-1', detail: detail as never }, position, new SourceDriver())
  for (const position of [0, 2, -1, 1.5, 'x']) {
    await assert.rejects(open({ index: 1, splits: 2 }, position), error => isMillraceError(error, 'SNAPSHOT_DAMAGED'))
  }
  for (const detail of [{}, { index: 2, splits: 2 }, { index: 0, splits: 0 }, { index: 0, splits: 1e9 }]) {
    await assert.rejects(open(detail, 0), error => isMillraceError(error, 'SNAPSHOT_DAMAGED'))
  }
})

test('options that make no sense are refused when the source is made', () => {
  const bad: object[] = [
    {},
    { next, count: -1 },
    { next, count: 1.5 },
    { next, rate: 0 },
    { next, rate: Infinity },
    { next, splits: 0 },
    { next, splits: 40_000 },
  ]
  for (const options of bad) {
    assert.throws(
      () => generator(options as never),
      error => isMillraceError(error, 'OPTION_INVALID') && error.message.startsWith('generator: '),
    )
  }
})
