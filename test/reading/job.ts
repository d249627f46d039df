/** A job with every kind of state, over records that are given one list at a time, run into a storage on a disk and stopped there. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import {
  aggregating,
  broadcast,
  collect,
  count,
  defineJob,
  list,
  map,
  memory,
  reducing,
  run,
  sum,
  tumbling,
  value,
  type JobDefinition,
  type Source,
} from 'millrace'

export interface Reading {
  readonly user: string
  readonly amount: number
  readonly at: number
}

/** Hands out the records, then waits for ever; a restart goes on where it was. */
function waiting<T>(records: readonly T[]): Source<T> {
  return {
    type: 'waiting',
    bounded: false,
    enumerate: async () => [{ id: 'only', detail: null }],
    open: async (_split, position) => {
      let next = (position as number | undefined) ?? 0
      return {
        read(output, maxRecords) {
          const end = Math.min(records.length, next + maxRecords)
          for (; next < end; next++) output.record(records[next])
          return next < records.length ? 'more' : 'blocked'
        },
        position: () => next,
        close: async () => undefined,
      }
    },
  }
}

const TOTAL = {
  type: 'object',
  properties: { count: { type: 'integer', minimum: 0, maximum: 65535 }, sum: { type: 'number' } },
  required: ['count', 'sum'],
  additionalProperties: false,
} as const

/** `extra`: an operator more, before all others, so that their states get other ids. */
export function everyState(readings: readonly Reading[], { extra = false } = {}): JobDefinition<any> {
  return defineJob('every', flow => {
    const rules = flow.source(
      'rules',
      waiting([
        { id: 'a', limit: 1 },
        { id: 'b', limit: 2n },
      ]),
    )
    const all = flow.source('readings', waiting(readings))
    if (extra) {
      all
        .keyBy(({ user }) => user)
        .aggregate('extra', count())
        .sink('more', memory())
    }
    all
      .keyBy(({ user }) => user)
      .connect(rules.broadcast())
      .process('users', {
        state: {
          last: value<Reading & { seen: Date }>(),
          total: value<{ count: number; sum: number }>({ schema: TOTAL as any }),
          amounts: list<number>(),
          byAmount: map<number, string>(),
          most: reducing<number>((a, b) => Math.max(a, b)),
          count: aggregating(count()),
          fresh: value<number>({ ttl: '1h' }),
          stale: value<number>({ ttl: 1 }),
        },
        broadcastState: { limits: broadcast<string, unknown>() },
        onRecord(reading, { state, timers }) {
          const { amount, at } = reading
          state.last.set({ ...reading, seen: new Date(at) })
          const { count: n, sum: before } = state.total.get() ?? { count: 0, sum: 0 }
          state.total.set({ count: n + 1, sum: before + amount })
          state.amounts.add(amount)
          state.byAmount.set(amount, `at ${at}`)
          state.most.add(amount)
          state.count.add(amount)
          state.fresh.set(amount)
          state.stale.set(amount)
          timers.onProcessingTime(9_000_000_000_000 + at)
        },
        onBroadcast({ id, limit }, { broadcastState }) {
          broadcastState.limits.set(id, { limit })
        },
        onTimer() {},
      })
      .sink('none', memory())
    all
      .eventTime(({ at }) => at)
      .keyBy(({ user, amount }) => [user, amount % 2])
      .window(tumbling(1000))
      .aggregate(
        'windows',
        sum(({ amount }: Reading) => amount),
      )
      .sink('sums', memory())
    all
      .keyBy(({ amount }) => BigInt(amount))
      .aggregate('collected', collect())
      .sink('rest', memory())
    all
      .process('amounts', {
        state: { seen: list<number>() },
        onRecord({ amount }, ctx) {
          ctx.state.seen.add(amount)
          ctx.emit(amount)
        },
      })
      .sink('out', memory())
  })
}

export const READINGS: readonly Reading[] = [
  { user: 'ada', amount: 1, at: 100 },
  { user: 'bob', amount: 2, at: 200 },
  { user: 'ada', amount: 3, at: 300 },
  { user: 'adam', amount: 4, at: 400 },
]

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-reading-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Runs the job until all of `readings` have come through, and stops it with a final checkpoint. */
export async function runUntilRead(
  job: JobDefinition<any>,
  storage: string,
  expected: number,
  options: { maxParallelism?: number } = {},
): Promise<void> {
  const enough = Promise.withResolvers<void>()
  let look = (): void => undefined
  const handle = await run(job, {
    storage,
    ...options,
    checkpointing: { interval: 5, retain: 10 },
    onEvent: () => look(),
  })
  look = () => {
    if (handle.rows('out').length >= expected) enough.resolve()
  }
  look()
  await Promise.race([enough.promise, handle.finished])
  await handle.stop()
  await handle.finished
}
