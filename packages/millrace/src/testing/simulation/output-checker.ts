/**
 * What a finished job must have put out, worked out from its input without the engine: every record exactly once at every sink, and
 * marks of every stage that fit together over all records, so that the effect of each on each state was exactly once too.
 */
import { idsAt, keyAt, LATE, type Input, type Item, type Mark } from './items.ts'
import type { Plan, SinkPlan, StagePlan } from './plan.ts'

/** What is wrong with the rows of a sink, in the order in which readers see them; undefined: nothing. */
export function problemOf(plan: Plan, input: Input, sink: SinkPlan, rows: readonly Item[]): string | undefined {
  return (
    wrongIds(idsAt(plan, input, plan.stages.length), rows) ??
    wrongMarks(plan, input, rows) ??
    wrongOrder(plan, sink, rows)
  )
}

function wrongIds(expected: ReadonlySet<number>, rows: readonly Item[]): string | undefined {
  const seen = new Set<number>()
  for (const { id } of rows) {
    if (seen.has(id)) return `record ${id} is there twice`
    if (!expected.has(id)) return `record ${id} was never read`
    seen.add(id)
  }
  const missing = [...expected].filter(id => !seen.has(id))
  return missing.length === 0
    ? undefined
    : `${missing.length} records are missing, such as ${missing.slice(0, 5).join()}`
}

function wrongMarks(plan: Plan, input: Input, rows: readonly Item[]): string | undefined {
  const stages = [...plan.stages.entries()].filter(([, { kind }]) =>
    ['count', 'broadcast', 'timers', 'window'].includes(kind),
  )
  for (const row of rows) {
    if (row.marks.length !== stages.length) return `record ${row.id} has ${row.marks.length} marks`
  }
  for (const [place, [number, stage]] of stages.entries()) {
    const problem = wrongStage(stage, number, distinct(rows.map(({ marks }) => marks[place])), plan)
    if (problem !== undefined) return `stage ${number} (${stage.kind}): ${problem}`
  }
  return plan.isTimed ? wrongTimes(plan, input, rows) : undefined
}

/** Twins of a diamond share the marks of the stages before it. */
function distinct(marks: readonly Mark[]): Mark[] {
  return [...new Map(marks.map(mark => [JSON.stringify(mark), mark])).values()]
}

function wrongStage(stage: StagePlan, number: number, marks: readonly Mark[], plan: Plan): string | undefined {
  if (new Set(marks.map(([, id]) => id)).size !== marks.length) return 'a record has passed it in two ways'
  const wrong = marks.find(([at, id, key]) => at !== number || key !== keyAt(number, id, stage.keys))
  if (wrong !== undefined) return `a mark does not belong: ${wrong.join()}`
  for (const [key, own] of Map.groupBy(marks, ([, , of]) => of)) {
    // After a restart an idle split is waited for again, and what was too late before may make a window anew.
    if (stage.kind === 'window' && plan.idleAfterMs !== undefined) continue
    const problem = problemOfKey(stage, own)
    if (problem !== undefined) return `key ${key}: ${problem}`
  }
  return undefined
}

function problemOfKey(stage: StagePlan, marks: readonly Mark[]): string | undefined {
  if (stage.kind === 'count') return wrongCounts(marks) ?? wrongSums(marks)
  return stage.kind === 'broadcast' ? wrongCounts(marks) : wrongGroups(stage, marks)
}

function wrongCounts(marks: readonly Mark[]): string | undefined {
  const counts = marks.map(([, , , count]) => count).toSorted((a, b) => a - b)
  return counts.some((count, index) => count !== index + 1) ? `its counts are ${counts.join()}` : undefined
}

/** The other kinds of state, of marks whose counts are right. */
function wrongSums(marks: readonly Mark[]): string | undefined {
  let sum = 0
  for (const [, id, , count, inMap, inTable, sumThere] of marks.toSorted((a, b) => a[3] - b[3])) {
    sum += id
    if (inMap !== count) return `the map state has ${inMap} records, the value state ${count}`
    if (inTable !== count) return `the aggregating state has ${inTable} records, the value state ${count}`
    if (sumThere !== sum) return `the sum of ids is ${sumThere} instead of ${sum} at record ${count}`
  }
  return undefined
}

/** Flushes of a key, or its windows. */
function wrongGroups({ kind }: StagePlan, marks: readonly Mark[]): string | undefined {
  const groups = Map.groupBy(
    marks.filter(([, , , group]) => group !== LATE),
    ([, , , group]) => group,
  )
  for (const [group, own] of groups) {
    const size = own[0][4]
    if (own.some(mark => mark[4] !== size || mark[5] !== own[0][5])) return `group ${group} was made in two ways`
    if (own.length !== size) return `group ${group} had ${size} records, of which ${own.length} are there`
  }
  if (kind === 'window') return undefined
  const numbers = [...groups.keys()].toSorted((a, b) => a - b)
  return numbers.some((number, index) => number !== index + 1) ? `flushes are ${numbers.join()}` : undefined
}

/** Event times: in the right window, at the right timer, and nothing late unless a split may have been idle. */
function wrongTimes(plan: Plan, input: Input, rows: readonly Item[]): string | undefined {
  const times = new Map(input.flat(2).map(({ id, at }) => [id, at]))
  const depth = plan.stages.filter(({ kind }) => kind === 'diamond').length
  for (const { id, marks } of rows) {
    let at = times.get(id >> depth)!
    for (const [stage, , , group, , time] of marks) {
      const { kind, size } = plan.stages[stage]
      if (group === LATE) {
        if (plan.idleAfterMs === undefined) return `record ${id} was too late for stage ${stage}`
        break
      }
      if (kind === 'window') {
        const start = Math.floor(at / size) * size
        if (group !== start) return `record ${id} of ${at} was in the window of ${group} at stage ${stage}`
        at = start + size - 1
      } else if (kind === 'timers') {
        at = time
      }
    }
  }
  return undefined
}

/** Records of a key stay in order from one subtask on, unless they are spread over several again. */
function wrongOrder({ stages }: Plan, { parallelism = 1 }: SinkPlan, rows: readonly Item[]): string | undefined {
  if (stages.at(-1)!.kind !== 'count' || parallelism !== 1) return undefined
  const counts = new Map<number, number>()
  for (const { id, marks } of rows) {
    const [, , key, count] = marks.at(-1)!
    if (count <= (counts.get(key) ?? 0))
      return `record ${id} of key ${key} with count ${count} comes after ${counts.get(key)}`
    counts.set(key, count)
  }
  return undefined
}
