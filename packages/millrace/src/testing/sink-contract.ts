/**
 * The contract suite of sinks: two-phase commit, seen from outside, with crashes between its steps. Run it in a test file of your
 * connector; it registers tests with node:test.
 *
 * A crash is a writer that is abandoned: nothing more is called on it, and a new one is opened as the engine would after a restart.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '../base/json.ts'
import type { Prepared, RestoredSink, Sink, SinkWriter } from '../connectors/contract.ts'
import { restoredFrom, SinkDriver } from './connector-context.ts'

/** A fresh, empty place to write to. */
export interface SinkFixture<T> {
  /** Each call a sink over the same place, as a restarted job makes it. */
  make(): Sink<T>
  /**
   * What a reader sees now, in order. Called at any moment, so it must fail if a reader could see something incomplete.
   * @param delivered rows that the sink gave to `context.deliver`
   */
  visible(delivered: readonly unknown[]): readonly unknown[] | Promise<readonly unknown[]>
  cleanUp?(): void | Promise<void>
}

export interface SinkContractOptions<T> {
  make(): SinkFixture<T> | Promise<SinkFixture<T>>
  /** The i-th record; all different. */
  record(i: number): T
  /** How a reader sees a record. Default: as it is. */
  seen?(record: T): unknown
  /**
   * - `exactly-once` (default): the whole suite
   * - `at-least-once`: records are visible when their checkpoint is prepared, perhaps earlier, perhaps more than once
   * - `none`: only the calls themselves are tried
   */
  readonly guarantee?: 'exactly-once' | 'at-least-once' | 'none'
  /** A commit may hold records back until a later checkpoint, as long as all are visible after the last one. Default false. */
  readonly lags?: boolean
  /** Records of a large checkpoint. Default 5,000. */
  readonly manyRecords?: number
  /** Of each test. Default 30 s. */
  readonly timeoutMs?: number
}

/**
 * Registers the tests.
 *
 * @example
 * sinkContract('my sink', { make: () => fixture(), record: i => `row ${i}` })
 */
export function sinkContract<T>(name: string, options: SinkContractOptions<T>): void {
  const { guarantee = 'exactly-once', timeoutMs = 30_000, manyRecords = 5000 } = options
  const check = (sentence: string, body: (run: SinkRun<T>) => Promise<void>): void => {
    void test(`${name} ${sentence}`, { timeout: timeoutMs }, async () => {
      const run = new SinkRun(options, await options.make())
      try {
        await body(run)
      } finally {
        await run.cleanUp()
      }
    })
  }

  check('takes records, checkpoints and commits, also without records', async run => {
    await run.start()
    await run.commit(await run.prepare(1))
    run.write(0, 3)
    const prepared = await run.prepare(2)
    assert.deepEqual(prepared, JSON.parse(JSON.stringify(prepared)), 'committables and state are plain JSON')
    await run.commit(prepared)
    await run.commit(await run.prepare(3, true))
  })

  if (guarantee === 'at-least-once') {
    check('has shown every record when its checkpoint is prepared', async run => {
      await run.start()
      run.write(0, 10)
      await run.commit(await run.prepare(1))
      const seen = await run.visible()
      for (let i = 0; i < 10; i++)
        assert.ok(
          seen.some(row => isSame(row, run.row(i))),
          `record ${i} is visible`,
        )
    })
  }
  if (guarantee !== 'exactly-once') return

  check('shows nothing before the commit', async run => {
    await run.start()
    run.write(0, manyRecords)
    assert.deepEqual(await run.visible(), [])
    const prepared = await run.prepare(1, true)
    assert.deepEqual(await run.visible(), [])
    await run.commit(prepared)
    await run.sees(0, manyRecords, 'all')
  })

  check('shows a record once however often its commit is repeated', async run => {
    await run.start()
    run.write(0, 10)
    const prepared = await run.prepare(1, true)
    await run.commit(prepared)
    await run.commit(prepared)
    await run.crashAndRestore(1, prepared)
    await run.commit(prepared)
    await run.commit(prepared)
    await run.sees(0, 10, 'all')
  })

  check('keeps what is written after a barrier for the next checkpoint', async run => {
    await run.start()
    run.write(0, 10)
    const preparing = run.prepare(1)
    run.write(10, 20)
    await run.commit(await preparing)
    await run.sees(0, 10, 'at-most')
    await run.commit(await run.prepare(2, true))
    await run.sees(0, 20, 'all')
  })

  check('shows several checkpoints in the order of their records', async run => {
    await run.start()
    for (let checkpoint = 1; checkpoint <= 5; checkpoint++) {
      run.write((checkpoint - 1) * 4, checkpoint * 4)
      await run.commit(await run.prepare(checkpoint))
      await run.sees(0, checkpoint * 4, 'at-most')
    }
    await run.commit(await run.prepare(6, true))
    await run.sees(0, 20, 'all')
  })

  check('loses nothing of a checkpoint that was aborted', async run => {
    await run.start()
    run.write(0, 5)
    const aborted = await run.prepare(1)
    run.write(5, 9)
    const completed = await run.prepare(2, true)
    await run.commit({ committables: [...aborted.committables, ...completed.committables] })
    await run.sees(0, 9, 'all')
  })

  check('commits after a crash what was prepared before it', async run => {
    await run.start()
    run.write(0, 7)
    const prepared = await run.prepare(1)
    await run.crashAndRestore(1, prepared)
    await run.commit(prepared)
    run.write(7, 12)
    await run.commit(await run.prepare(2, true))
    await run.sees(0, 12, 'all')
  })

  check('commits again after a crash between the commit and its acknowledgement', async run => {
    await run.start()
    run.write(0, 7)
    const prepared = await run.prepare(1)
    await run.commit(prepared)
    await run.crashAndRestore(1, prepared)
    await run.commit(prepared)
    run.write(7, 12)
    await run.commit(await run.prepare(2, true))
    await run.sees(0, 12, 'all')
  })

  check('never shows what was written after the last checkpoint before a crash', async run => {
    await run.start()
    run.write(0, 6)
    const prepared = await run.prepare(1)
    await run.commit(prepared)
    run.write(6, 6 + manyRecords)
    await run.crashAndRestore(1, { ...prepared, committables: [] })
    run.write(6, 10)
    await run.commit(await run.prepare(2, true))
    await run.sees(0, 10, 'all')
  })

  check('never shows what was prepared for a checkpoint that a crash prevented', async run => {
    await run.start()
    run.write(0, 6)
    const first = await run.prepare(1)
    await run.commit(first)
    run.write(6, 10)
    await run.prepare(2)
    await run.crashAndRestore(1, { ...first, committables: [] })
    run.write(6, 9)
    await run.commit(await run.prepare(3, true))
    await run.sees(0, 9, 'all')
  })

  check('is exact over many crashes at every step', async run => {
    await run.start()
    let written = 0
    let last: Prepared = { committables: [] }
    for (let checkpoint = 1; checkpoint <= 12; checkpoint++) {
      const from = written
      written += 1 + (checkpoint % 3)
      run.write(from, written)
      if (checkpoint % 4 === 1) {
        await run.crashAndRestore(checkpoint - 1, { ...last, committables: [] })
        run.write(from, written)
      }
      last = await run.prepare(checkpoint)
      if (checkpoint % 4 === 2) await run.crashAndRestore(checkpoint, last)
      await run.commit(last)
      if (checkpoint % 4 === 3) {
        await run.crashAndRestore(checkpoint, last)
        await run.commit(last)
      }
      await run.sees(0, written, 'at-most')
    }
    await run.commit(await run.prepare(13, true))
    await run.sees(0, written, 'all')
  })

  check('hides what an abandoned past committed, if it says that it retracts', async run => {
    if (!run.retracts) return
    await run.start()
    run.write(0, 5)
    const first = await run.prepare(1)
    await run.commit(first)
    run.write(5, 9)
    await run.commit(await run.prepare(2, true))
    await run.crashAndRestore(1, { ...first, committables: [] })
    await run.sees(0, 5, 'at-most')
    run.write(5, 7)
    await run.commit(await run.prepare(3, true))
    await run.sees(0, 7, 'all')
  })
}

/** One place, and the attempts that write to it one after the other. */
class SinkRun<T> {
  private readonly options: SinkContractOptions<T>
  private readonly fixture: SinkFixture<T>
  private readonly driver = new SinkDriver()
  private readonly abandoned: SinkWriter<T>[] = []
  private writer: SinkWriter<T> | undefined
  readonly retracts: boolean

  constructor(options: SinkContractOptions<T>, fixture: SinkFixture<T>) {
    this.options = options
    this.fixture = fixture
    this.retracts = fixture.make().retracts
  }

  start(): Promise<void> {
    return this.open(restoredFrom(this.driver.runId, undefined))
  }

  /** @param snapshot what the restored manifest holds of this sink */
  crashAndRestore(checkpointId: number, snapshot: Prepared): Promise<void> {
    if (this.writer !== undefined) this.abandoned.push(this.writer)
    const states = snapshot.state === undefined ? [] : [snapshot.state]
    if (checkpointId === 0) return this.start()
    return this.open(restoredFrom(this.driver.runId, checkpointId, { states, committables: snapshot.committables }))
  }

  write(from: number, to: number): void {
    for (let i = from; i < to; i++) this.present().write(this.options.record(i), i)
  }

  async prepare(checkpointId: number, last = false): Promise<Prepared> {
    return asJson(await this.present().prepareCommit(checkpointId, last))
  }

  async commit(prepared: { readonly committables: readonly Json[] }): Promise<void> {
    await this.present().commit(prepared.committables)
  }

  async visible(): Promise<readonly unknown[]> {
    return this.fixture.visible([...this.driver.delivered.values()].flat())
  }

  row(i: number): unknown {
    const record = this.options.record(i)
    return this.options.seen === undefined ? record : this.options.seen(record)
  }

  /** `at-most`: a sink that lags may show a beginning of them. */
  async sees(from: number, to: number, how: 'all' | 'at-most'): Promise<void> {
    const expected = Array.from({ length: to - from }, (_, index) => this.row(from + index))
    const seen = await this.visible()
    const lagging = how === 'at-most' && this.options.lags === true
    assert.deepEqual(seen, lagging ? expected.slice(0, seen.length) : expected)
  }

  async cleanUp(): Promise<void> {
    for (const writer of [...this.abandoned, ...(this.writer === undefined ? [] : [this.writer])]) await writer.close()
    await this.fixture.cleanUp?.()
  }

  private async open(restored: RestoredSink): Promise<void> {
    this.writer = await this.fixture.make().open(this.driver.context(), restored)
  }

  private present(): SinkWriter<T> {
    assert.ok(this.writer !== undefined, 'the writer was opened')
    return this.writer
  }
}

function isSame(a: unknown, b: unknown): boolean {
  try {
    assert.deepEqual(a, b)
    return true
  } catch {
    return false
  }
}

function asJson<V>(value: V): V {
  return JSON.parse(JSON.stringify(value))
}
