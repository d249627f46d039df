/** An operator of a snapshot: its states, the positions of a source, what a sink has not committed yet. */
import type { StateReader } from '../reading/index.ts'
import type { KeyedStateInfo, OperatorSnapshot } from '../snapshot/manifest-types.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import type { Answer } from './answer.ts'
import type { StateCount } from './state-count.ts'
import { formatTable, oneLine } from './table.ts'
import { formatBytes, formatCount, formatNumberOf } from './units.ts'

/** `snapshot`: its name. `counts`: by id of each of the operator's states. */
export function describeOperator(
  snapshot: string,
  operator: OperatorSnapshot,
  counts: ReadonlyMap<number, StateCount>,
): Answer {
  const states = operator.states.map(state => ({ ...state, ...totalOf(counts.get(state.id)!) }))
  const { inputs = [] } = operator
  const from = inputs.length === 0 ? '' : `, reads from ${inputs.map(oneLine).join(', ')}`
  const parts = [
    `${snapshot}, operator '${oneLine(operator.name)}' (${oneLine(operator.kind)}), parallelism ${operator.parallelism}${from}\n`,
    ...(states.length === 0 ? [] : [formatTable(STATE_COLUMNS, states.map(stateRow))]),
    ...operatorStateText(operator),
    ...broadcastStateText(operator),
    ...sourceText(operator),
    ...sinkText(operator),
  ]
  return {
    json: { snapshot, operator: { ...operator, states } },
    text: parts.join('\n'),
  }
}

interface StateTotal {
  readonly entries: number
  readonly keyBytes: number
  readonly valueBytes: number
  readonly keyGroups: number
}

function totalOf({ entries, keyBytes, valueBytes, keyGroups }: StateCount): StateTotal {
  return { entries, keyBytes, valueBytes, keyGroups: keyGroups.size }
}

const STATE_COLUMNS = [
  { title: 'STATE' },
  { title: 'ID', right: true },
  { title: 'KIND' },
  { title: 'ENTRIES', right: true },
  { title: 'KEY GROUPS', right: true },
  { title: 'KEYS', right: true },
  { title: 'VALUES', right: true },
  { title: 'SCHEMA' },
]

function stateRow({
  name,
  id,
  kind,
  schema,
  entries,
  keyGroups,
  keyBytes,
  valueBytes,
}: KeyedStateInfo & StateTotal): string[] {
  const described = schema === null ? 'self-describing' : JSON.stringify(schema)
  return [
    name,
    String(id),
    kind,
    formatCount(entries),
    formatCount(keyGroups),
    formatBytes(keyBytes),
    formatBytes(valueBytes),
    described,
  ]
}

function operatorStateText({ operatorState = {} }: OperatorSnapshot): string[] {
  const rows = Object.entries(operatorState).map(([state, lists]) => [
    state,
    lists.map(list => formatCount(list.length)).join(', '),
  ])
  return rows.length === 0 ? [] : [formatTable([{ title: 'STATE (not keyed)' }, { title: 'VALUES PER SUBTASK' }], rows)]
}

function broadcastStateText({ broadcastState = {} }: OperatorSnapshot): string[] {
  const rows = Object.entries(broadcastState).map(([state, entries]) => [state, formatCount(entries.length)])
  return rows.length === 0
    ? []
    : [formatTable([{ title: 'STATE (broadcast)' }, { title: 'ENTRIES', right: true }], rows)]
}

const SPLIT_COLUMNS = [
  { title: 'SPLIT' },
  { title: 'SUBTASK', right: true },
  { title: 'POSITION' },
  { title: 'DETAIL' },
  { title: '' },
]

function sourceText({ source }: OperatorSnapshot): string[] {
  if (source === undefined) return []
  const rows = source.splits.map(({ id, subtask, position, detail, ended }) => [
    id,
    String(subtask),
    JSON.stringify(position),
    JSON.stringify(detail),
    ended ? 'ended' : '',
  ])
  return [
    `${formatNumberOf(source.records, 'record')} read since the fresh start\n`,
    ...(rows.length === 0 ? [] : [formatTable(SPLIT_COLUMNS, rows)]),
  ]
}

function sinkText({ sink }: OperatorSnapshot): string[] {
  if (sink === undefined) return []
  const rows = sink.committables.map(({ checkpoint, value }) => [
    formatSnapshotId('checkpoint', checkpoint),
    JSON.stringify(value),
  ])
  const head = `${sink.type} sink; ${formatNumberOf(sink.committables.length, 'committable')} whose commit was not acknowledged yet\n`
  return [
    head,
    ...(rows.length === 0 ? [] : [formatTable([{ title: 'PREPARED FOR' }, { title: 'COMMITTABLE' }], rows)]),
  ]
}

/** One keyed state, by key group. */
export function describeState(snapshot: string, operator: string, state: KeyedStateInfo, count: StateCount): Answer {
  const keyGroups = [...count.keyGroups].map(([keyGroup, { entries, bytes }]) => ({ keyGroup, entries, bytes }))
  const rows = keyGroups.map(({ keyGroup, entries, bytes }) => [
    String(keyGroup),
    formatCount(entries),
    formatBytes(bytes),
  ])
  const columns = [
    { title: 'KEY GROUP', right: true },
    { title: 'ENTRIES', right: true },
    { title: 'SIZE', right: true },
  ]
  const parts = [
    `${snapshot}, operator '${oneLine(operator)}'\n`,
    formatTable(STATE_COLUMNS, [stateRow({ ...state, ...totalOf(count) })]),
    ...(rows.length === 0 ? [] : [formatTable(columns, rows)]),
  ]
  return {
    json: {
      snapshot,
      operator,
      state: { ...state, ...totalOf(count), keyGroups },
    },
    text: parts.join('\n'),
  }
}

/** State that stands in the manifest: an operator list by subtask, or broadcast state. */
export async function describeUnkeyed(snapshot: string, state: StateReader): Promise<Answer> {
  const counts = new Map<number | undefined, number>()
  for await (const { subtask } of state.entries()) counts.set(subtask, (counts.get(subtask) ?? 0) + 1)
  const entries = [...counts.values()].reduce((sum, count) => sum + count, 0)
  const subtasks = [...counts].flatMap(([subtask, count]) =>
    subtask === undefined ? [] : [{ subtask, entries: count }],
  )
  const columns = [
    { title: 'SUBTASK', right: true },
    { title: 'ENTRIES', right: true },
  ]
  const head = `${snapshot}, operator '${oneLine(state.operator)}', ${state.kind} '${oneLine(state.name)}': ${formatNumberOf(entries, 'value')}\n`
  const rows = subtasks.map(({ subtask, entries: count }) => [String(subtask), formatCount(count)])
  return {
    json: { snapshot, operator: state.operator, state: { name: state.name, kind: state.kind, entries, subtasks } },
    text: rows.length === 0 ? head : `${head}\n${formatTable(columns, rows)}`,
  }
}
