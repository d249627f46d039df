/** A sink that keeps nothing of its rows but their checksum, exactly-once: it is part of every snapshot, and delivered at the end. */
import type { Json, Sink, SinkContext } from 'millrace/connector'
import { RowSum } from './arithmetic.ts'

/** Fields as 32-bit integers; texts go in as `fnv`. `handle.rows(name)` is then `[checksum]`. */
export function checksum(): Sink<readonly number[]> {
  return {
    type: 'checksum',
    retracts: true,
    open: async (context, { states }) => writer(context, states),
  }
}

function writer(context: SinkContext, states: readonly Json[]) {
  const sum = new RowSum()
  for (const state of states) sum.merge(state)
  return {
    write: (row: readonly number[]) => sum.addRow(row),
    prepareCommit: async (checkpointId: number, last: boolean) => ({
      committables: last ? [{ id: `checksum-${checkpointId}`, checksum: String(sum) }] : [],
      state: sum.toJson(),
    }),
    commit: async (committables: readonly Json[]) => {
      for (const { id, checksum } of committables as { id: string; checksum: string }[]) context.deliver(id, [checksum])
    },
    close: async () => undefined,
  }
}
