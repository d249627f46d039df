/** A count per key: every key once as fast as it goes, then one key a millisecond, so that the job runs on with its state as large. */
import { blackhole, count, defineJob } from 'millrace'
import type { Source } from 'millrace/connector'

function thenSlowly(keys: number): Source<number> {
  return {
    type: 'bench.thenSlowly',
    bounded: false,
    enumerate: async () => [{ id: 'only', detail: null }],
    async open(_split, position, context) {
      let next = Number(position ?? 0)
      return {
        read(output, maxRecords) {
          if (next < keys) {
            const end = Math.min(keys, next + maxRecords)
            while (next < end) output.record(next++)
            return 'more'
          }
          output.record(next++ % keys)
          context.wakeAt(context.now() + 1)
          return 'blocked'
        },
        position: () => next,
        close: async () => undefined,
      }
    },
  }
}

export default defineJob(
  'savepoint',
  flow => {
    flow
      .source('keys', thenSlowly(flow.params.keys))
      .keyBy(key => key)
      .aggregate('counts', count())
      .sink('out', blackhole())
  },
  { params: { keys: 1_000_000 } },
)
