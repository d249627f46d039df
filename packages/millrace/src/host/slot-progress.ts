/** The progress of all slots as one. */
import type { SlotProgress, SourceProgress } from '../checkpoint/mail.ts'

export function sumProgress(slots: readonly SlotProgress[]): SlotProgress {
  return {
    sources: sumSources(slots.flatMap(({ sources }) => sources)),
    entries: slots.reduce((sum, { entries }) => sum + entries, 0),
    counters: sumCounters(slots.map(({ counters }) => counters)),
    longestStepMs: Math.max(...slots.map(({ longestStepMs }) => longestStepMs)),
    longestSnapshotStepMs: Math.max(...slots.map(({ longestSnapshotStepMs }) => longestSnapshotStepMs)),
  }
}

/** A subtask without splits says nothing about how much is read. */
function sumSources(subtasks: readonly SourceProgress[]): SourceProgress[] {
  return [...Map.groupBy(subtasks, ({ source }) => source)].map(([source, own]) => {
    const fractions = own.flatMap(({ fraction }) => fraction ?? [])
    return {
      source,
      records: own.reduce((sum, { records }) => sum + records, 0),
      fraction: fractions.length === 0 ? undefined : fractions.reduce((sum, each) => sum + each, 0) / fractions.length,
    }
  })
}

function sumCounters(slots: readonly SlotProgress['counters'][]): SlotProgress['counters'] {
  const sum: { [operator: string]: { [name: string]: number } } = {}
  for (const [operator, counters] of slots.flatMap(slot => Object.entries(slot))) {
    const into = (sum[operator] ??= {})
    for (const [name, value] of Object.entries(counters)) into[name] = (into[name] ?? 0) + value
  }
  return sum
}
