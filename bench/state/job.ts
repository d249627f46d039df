/**
 * A million keys (or `params.keys`), each with an aggregate of four numbers that every update changes; every update emits a row. The
 * sink drops the rows and says on stdout when the first one of the process came.
 */
import { defineJob, generator, type, value } from 'millrace'
import type { Sink } from 'millrace/connector'
import { random } from '../arithmetic.ts'

interface Aggregate {
  readonly count: number
  readonly sum: number
  readonly min: number
  readonly max: number
}

export interface Row {
  readonly key: number
  readonly count: number
}

function firstRowSink(): Sink<Row> {
  let seen = false
  return {
    type: 'first-row',
    retracts: true,
    open: async () => ({
      write() {
        if (seen) return
        seen = true
        console.log(`FIRST ${Date.now()}`)
      },
      prepareCommit: async () => ({ committables: [] }),
      commit: async () => undefined,
      close: async () => undefined,
    }),
  }
}

export default defineJob(
  'state',
  flow => {
    const { keys, records } = flow.params
    flow
      .source(
        'updates',
        generator({ count: records, next: n => ({ key: random(n, 1) % keys, value: random(n, 2) % 1000 }) }),
      )
      .keyBy(update => update.key)
      .process('aggregate', {
        emits: type<Row>(),
        state: { aggregate: value<Aggregate>() },
        onRecord(update, ctx) {
          const v = update.value
          const before = ctx.state.aggregate.get()
          const after =
            before === undefined
              ? { count: 1, sum: v, min: v, max: v }
              : {
                  count: before.count + 1,
                  sum: before.sum + v,
                  min: Math.min(before.min, v),
                  max: Math.max(before.max, v),
                }
          ctx.state.aggregate.set(after)
          ctx.emit({ key: ctx.key, count: after.count })
        },
      })
      .sink('out', firstRowSink())
  },
  { params: { keys: 1_000_000, records: 5_000_000 } },
)
