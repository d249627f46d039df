/** The progress of all slots as one. */
import { addDistributions } from '../base/distribution.ts'
import type {
  ByName,
  ChainReading,
  OperatorReading,
  SlotProgress,
  SlotTimes,
  SourceProgress,
} from '../checkpoint/mail.ts'

/** Of a job whose slots have not reported yet. */
export const NO_PROGRESS: SlotProgress = {
  sources: [],
  operators: [],
  entries: 0,
  stateEntries: {},
  counters: {},
  gauges: {},
  histograms: {},
  times: { busyMs: 0, idleMs: 0, backpressuredMs: 0 },
  chains: [],
  longestStepMs: 0,
  longestSnapshotStepMs: 0,
}

export function sumProgress(slots: readonly SlotProgress[]): SlotProgress {
  return {
    sources: sumSources(slots.flatMap(({ sources }) => sources)),
    operators: sumOperators(slots.flatMap(({ operators }) => operators)),
    entries: slots.reduce((sum, { entries }) => sum + entries, 0),
    stateEntries: merge(
      slots.map(({ stateEntries }) => stateEntries),
      add,
    ),
    counters: merge(
      slots.map(({ counters }) => counters),
      add,
    ),
    gauges: merge(
      slots.map(({ gauges }) => gauges),
      add,
    ),
    histograms: merge(
      slots.map(({ histograms }) => histograms),
      addDistributions,
    ),
    times: sumTimes(slots.map(({ times }) => times)),
    chains: sumChains(slots.flatMap(({ chains }) => chains)),
    longestStepMs: Math.max(...slots.map(({ longestStepMs }) => longestStepMs)),
    longestSnapshotStepMs: Math.max(...slots.map(({ longestSnapshotStepMs }) => longestSnapshotStepMs)),
  }
}

/** A subtask without splits says nothing about how much is read. */
function sumSources(subtasks: readonly SourceProgress[]): SourceProgress[] {
  return [...Map.groupBy(subtasks, ({ source }) => source)].map(([source, own]) => {
    const fractions = own.flatMap(({ fraction }) => fraction ?? [])
    const pending = own.flatMap(each => each.pending ?? [])
    return {
      source,
      records: own.reduce((sum, { records }) => sum + records, 0),
      pending:
        pending.length === 0
          ? undefined
          : { count: pending.reduce((sum, { count }) => sum + count, 0), unit: pending[0].unit },
      fraction: fractions.length === 0 ? undefined : fractions.reduce((sum, each) => sum + each, 0) / fractions.length,
    }
  })
}

/** Event time is complete where it is in every subtask. */
function sumOperators(subtasks: readonly OperatorReading[]): OperatorReading[] {
  return [...Map.groupBy(subtasks, ({ operator }) => operator)].map(([operator, own]) => ({
    operator,
    recordsIn: own.reduce((sum, { recordsIn }) => sum + recordsIn, 0),
    recordsOut: own.reduce((sum, { recordsOut }) => sum + recordsOut, 0),
    watermark: own.reduce<number | undefined>((lowest, { watermark }) => {
      return lowest === undefined || watermark === undefined ? undefined : Math.min(lowest, watermark)
    }, Infinity),
  }))
}

/** Where the subtasks of an operator are few, its chain has fewer operators in the other slots. */
function sumChains(subtasks: readonly ChainReading[]): ChainReading[] {
  return [...Map.groupBy(subtasks, ({ chain }) => chain)].map(([chain, own]) => ({
    chain,
    operators: [...new Set(own.flatMap(({ operators }) => operators))],
    ...sumTimes(own),
  }))
}

function sumTimes(slots: readonly SlotTimes[]): SlotTimes {
  return slots.reduce(
    (sum, slot) => ({
      busyMs: sum.busyMs + slot.busyMs,
      idleMs: sum.idleMs + slot.idleMs,
      backpressuredMs: sum.backpressuredMs + slot.backpressuredMs,
    }),
    NO_PROGRESS.times,
  )
}

function merge<Value>(slots: readonly ByName<Value>[], together: (a: Value, b: Value) => Value): ByName<Value> {
  const merged: { [operator: string]: { [name: string]: Value } } = {}
  for (const [operator, values] of slots.flatMap(slot => Object.entries(slot))) {
    const into = (merged[operator] ??= {})
    for (const [name, value] of Object.entries(values)) into[name] = name in into ? together(into[name], value) : value
  }
  return merged
}

function add(a: number, b: number): number {
  return a + b
}
