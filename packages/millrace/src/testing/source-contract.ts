/**
 * The contract suite of sources: what every implementation of `Source` must do for the engine to be exactly-once. Run it in a test
 * file of your connector; it registers tests with node:test.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '../base/json.ts'
import type { Source, Split } from '../connectors/contract.ts'
import { CollectingOutput, SourceDriver } from './connector-context.ts'

export interface SourceContractOptions<T> {
  /** The source under test: each call one over the same data. The data must not change between calls. */
  make(): Source<T> | Promise<Source<T>>
  /** Its records: a list per split, in the order of `enumerate`. An unbounded source: those up to `caught-up`. */
  readonly expected: readonly (readonly T[])[]
  /** Resuming is tried after so many prefixes of each split, spread evenly; its beginning and end are always among them. Default 40. */
  readonly maxResumes?: number
  /** Of each test. Default 30 s. */
  readonly timeoutMs?: number
}

/**
 * Registers the tests.
 *
 * @example
 * sourceContract('my source', { make: () => mySource(fixture), expected: [['a', 'b', 'c']] })
 */
export function sourceContract<T>(name: string, options: SourceContractOptions<T>): void {
  const { make, expected, maxResumes = 40, timeoutMs = 30_000 } = options
  const check = (sentence: string, body: () => Promise<void>): void => {
    void test(`${name} ${sentence}`, { timeout: timeoutMs }, body)
  }

  check('lists one split for each list of expected records, with unique ids and plain JSON', async () => {
    const splits = await splitsOf(await make())
    assert.equal(splits.length, expected.length)
    assert.equal(new Set(splits.map(split => split.id)).size, splits.length, 'split ids are unique')
    assert.deepEqual(asJson(splits), splits)
    assert.deepEqual(await splitsOf(await make()), splits, 'listing again gives the same')
  })

  check('hands out exactly the expected records', async () => {
    await eachSplit(await make(), expected, async (source, split, records) => {
      const whole = await readFrom(source, split, undefined, Infinity, 1000)
      assert.deepEqual(whole.records, records)
    })
  })

  check('hands out at most maxRecords in a call', async () => {
    await eachSplit(await make(), expected, async (source, split, records) => {
      for (const step of [1, 3]) {
        const counts: number[] = []
        const read = await readFrom(source, split, undefined, Infinity, step, count => counts.push(count))
        assert.deepEqual(read.records, records)
        assert.ok(Math.max(0, ...counts) <= step, `a call for ${step} records handed out ${Math.max(...counts)}`)
      }
    })
  })

  check('goes on after any record with exactly the rest', async () => {
    await eachSplit(await make(), expected, async (source, split, records) => {
      for (const prefix of prefixes(records.length, maxResumes)) {
        const first = await readFrom(source, split, undefined, prefix, 7)
        assert.deepEqual(first.records, records.slice(0, prefix))
        const rest = await readFrom(await make(), split, first.position, Infinity, 5)
        assert.deepEqual(
          rest.records,
          records.slice(prefix),
          `resumed after ${prefix} records at ${JSON.stringify(first.position)}`,
        )
      }
    })
  })

  check('goes on from a position reached by resuming', async () => {
    await eachSplit(await make(), expected, async (source, split, records) => {
      let position: Json | undefined
      const read: T[] = []
      const step = Math.max(1, Math.ceil(records.length / 10))
      for (let turn = 0; turn <= 11 && read.length < records.length; turn++) {
        const part = await readFrom(source, split, position, step, 2)
        read.push(...part.records)
        position = part.position
      }
      assert.deepEqual(read, records)
    })
  })

  check('has the same position before and after a look at it', async () => {
    await eachSplit(await make(), expected, async (source, split, records) => {
      const driver = new SourceDriver()
      const reader = await source.open(split, undefined, driver)
      const output = new CollectingOutput<T>()
      await driver.read(reader, output, Math.ceil(records.length / 2), 10)
      const position = asJson(reader.position())
      assert.deepEqual(reader.position(), position)
      await driver.read(reader, output, Infinity, 10)
      assert.deepEqual(output.records, records, 'reading goes on as if nobody had looked')
      await reader.close()
    })
  })

  check('stays at its end', async () => {
    await eachSplit(await make(), expected, async (source, split, records) => {
      const driver = new SourceDriver()
      const reader = await source.open(split, undefined, driver)
      const output = new CollectingOutput<T>()
      const result = await driver.read(reader, output, Infinity, 100)
      assert.equal(result, source.bounded ? 'end' : result)
      if (result === 'end') assert.equal(reader.read(output, 100), 'end')
      assert.equal(output.records.length, records.length)
      const position = asJson(reader.position())
      await reader.close()
      const again = await readFrom(await make(), split, position, Infinity, 100)
      assert.deepEqual(again.records, [])
    })
  })

  check('never goes back in its progress', async () => {
    await eachSplit(await make(), expected, async (source, split) => {
      const driver = new SourceDriver()
      const reader = await source.open(split, undefined, driver)
      const output = new CollectingOutput<T>()
      const done: number[] = []
      await driver.read(reader, output, Infinity, 3, () => {
        const progress = reader.progress?.()
        if (progress === undefined) return
        done.push(progress.done)
        assert.ok(
          progress.total === undefined || progress.done <= progress.total,
          `${progress.done} of ${progress.total}`,
        )
      })
      assert.deepEqual(
        done,
        done.toSorted((a, b) => a - b),
      )
      await reader.close()
    })
  })

  check('can be closed before anything is read', async () => {
    await eachSplit(await make(), expected, async (source, split) => {
      const reader = await source.open(split, undefined, new SourceDriver())
      await reader.close()
    })
  })
}

async function splitsOf(source: Source<unknown>): Promise<readonly Split[]> {
  return source.enumerate(new SourceDriver())
}

async function eachSplit<T>(
  source: Source<T>,
  expected: readonly (readonly T[])[],
  body: (source: Source<T>, split: Split, records: readonly T[]) => Promise<void>,
): Promise<void> {
  const splits = await splitsOf(source)
  assert.equal(splits.length, expected.length)
  for (const [index, split] of splits.entries()) await body(source, asJson(split), expected[index])
}

async function readFrom<T>(
  source: Source<T>,
  split: Split,
  position: Json | undefined,
  wanted: number,
  step: number,
  onRead?: (count: number) => void,
): Promise<{ records: T[]; position: Json }> {
  const driver = new SourceDriver()
  const reader = await source.open(split, position, driver)
  const output = new CollectingOutput<T>()
  await driver.read(reader, output, wanted, step, onRead)
  const reached = asJson(reader.position())
  await reader.close()
  return { records: output.records, position: reached }
}

/** 0, the length, and others evenly between them. */
function prefixes(length: number, most: number): number[] {
  const count = Math.min(length, Math.max(1, most - 1))
  return [
    ...new Set(
      Array.from({ length: count + 1 }, (_, index) => (count === 0 ? 0 : Math.round((index * length) / count))),
    ),
  ]
}

/** As it comes back from a manifest. */
function asJson<V>(value: V): V {
  return JSON.parse(JSON.stringify(value))
}
