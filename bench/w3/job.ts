/** W3 and W4: an aggregate of 100 bytes per key; every update changes it and emits a row. With `b` a second checksum takes in more of it. */
import { defineJob, generator, type } from 'millrace'
import { checksum } from '../checksum-sink.ts'
import { aggregate, emptyAggregate, update } from './aggregate.ts'
import { skewedKey, uniformKey, valueOf } from './updates.ts'

export default defineJob(
  'state',
  flow => {
    const { keys, events: count, splits, zipf, b, reports } = flow.params
    const keyOf = zipf ? skewedKey : uniformKey
    const rows = flow
      .source('updates', generator({ count, splits, next: n => ({ n, key: keyOf(n, keys), value: valueOf(n) }) }))
      .keyBy(update => update.key)
      .process('aggregate', {
        emits: type<readonly number[]>(),
        state: { aggregate: aggregate() },
        onRecord({ n, value }, ctx) {
          const { key, state } = ctx
          const now = state.aggregate.get() ?? emptyAggregate()
          update(now, n, value)
          state.aggregate.set(now)
          ctx.emit(b ? [key, now.count, now.sum, now.min, now.max] : [key, now.count])
        },
      })
    if (b) rows.sink('rows-b', checksum())
    const counts = b ? rows.map(([key, count]) => [key, count]) : rows
    counts.sink('rows', checksum({ reports }))
  },
  { params: { keys: 10_000_000, events: 20_000_000, splits: 1, zipf: false, b: false, reports: false } },
)
