/** `millrace state diff SNAPSHOT SNAPSHOT [OPERATOR [STATE]]`: how many entries differ in each state, or with --entries which. */
import { type Difference, diffSnapshots, entriesToJson, type SnapshotReader } from '../reading/index.ts'
import type { Answer } from './answer.ts'
import { writeJsonLines } from './json-lines.ts'
import { withSnapshot } from './state-arguments.ts'
import type { StorageFlags } from './storage.ts'
import { formatTable } from './table.ts'
import { formatCount } from './units.ts'

export interface DiffFlags extends StorageFlags {
  readonly entries?: boolean
  /** Say in the exit status whether there is a difference. */
  readonly exitCode?: boolean
}

export interface DiffArguments {
  readonly before: string
  readonly after: string
  readonly operator: string | undefined
  readonly state: string | undefined
}

interface Counts {
  readonly operator: string
  readonly state: string
  added: number
  removed: number
  changed: number
}

const DIFFERENT = 1

/** Undefined: the differences were written as they were found. */
export async function stateDiff(args: DiffArguments, flags: DiffFlags): Promise<Answer | undefined> {
  return withSnapshot(flags, args.before, async before =>
    withSnapshot(flags, args.after, async after => {
      const differences = diffSnapshots(before, after, checkedScope(before, after, args))
      if (flags.entries !== true) return summaryOf(before.name, after.name, await counted(differences), flags)
      const count = await writeJsonLines(entriesToJson(differences))
      process.exitCode = flags.exitCode === true && count > 0 ? DIFFERENT : 0
      return undefined
    }),
  )
}

/** What neither of the two knows is a mistake, not equal. */
function checkedScope(
  before: SnapshotReader,
  after: SnapshotReader,
  { operator, state }: DiffArguments,
): { operator?: string; state?: string } {
  if (operator === undefined) return {}
  const has = (snapshot: SnapshotReader): boolean =>
    snapshot
      .operators()
      .some(each => each.name === operator && (state === undefined || each.states().some(({ name }) => name === state)))
  if (!has(before) && !has(after)) {
    const found = after.operator(operator)
    if (state !== undefined) found.state(state)
  }
  return { operator, ...(state !== undefined && { state }) }
}

async function counted(differences: AsyncIterable<Difference>): Promise<Counts[]> {
  const counts = new Map<string, Counts>()
  for await (const { operator, state, change } of differences) {
    const name = JSON.stringify([operator, state])
    const of = counts.get(name) ?? { operator, state, added: 0, removed: 0, changed: 0 }
    of[change]++
    counts.set(name, of)
  }
  return [...counts.values()]
}

const COLUMNS = [
  { title: 'OPERATOR' },
  { title: 'STATE' },
  { title: 'ADDED', right: true },
  { title: 'REMOVED', right: true },
  { title: 'CHANGED', right: true },
]

function summaryOf(before: string, after: string, states: readonly Counts[], { exitCode = false }: DiffFlags): Answer {
  const isEqual = states.length === 0
  const rows = states.map(({ operator, state, added, removed, changed }) => [
    operator,
    state,
    ...[added, removed, changed].map(formatCount),
  ])
  return {
    json: { before, after, equal: isEqual, states },
    text: isEqual ? '' : formatTable(COLUMNS, rows),
    notes: isEqual ? [`the state of ${before} and ${after} is equal`] : [],
    exitCode: exitCode && !isEqual ? DIFFERENT : 0,
  }
}
