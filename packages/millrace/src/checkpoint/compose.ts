/**
 * From what slots contribute to what a manifest says. Slot i holds subtask i of every operator, so a list by slot is a list by
 * subtask. Pure; snapshot/redistribute.ts is the way back, at any parallelism.
 */
import { assert } from '../base/assert.ts'
import type {
  Manifest,
  OperatorSnapshot,
  SinkSnapshot,
  SourceSnapshot,
  SubtaskSink,
  SubtaskSnapshot,
  SubtaskSource,
} from '../snapshot/manifest-types.ts'
import type { SlotSnapshot } from './mail.ts'

/** What is known of an operator without asking its subtasks. */
export type OperatorHead = Pick<
  OperatorSnapshot,
  'name' | 'kind' | 'inputs' | 'parallelism' | 'states' | 'keySchema' | 'keyCode' | 'forms'
>

/** In watermarks, the one split of event time that comes after operators with state. No source has an empty name. */
export const SHARED_SPLIT = ':'

export function composeOperators(heads: readonly OperatorHead[], parts: readonly SlotSnapshot[]): OperatorSnapshot[] {
  const byName = parts.map(part => new Map(part.operators.map(operator => [operator.name, operator])))
  return heads.map(head => ({ ...head, ...composeOperator(head, byName) }))
}

function composeOperator(
  { name, parallelism }: OperatorHead,
  slots: readonly ReadonlyMap<string, SubtaskSnapshot>[],
): Pick<OperatorSnapshot, 'watermark' | 'source' | 'sink' | 'operatorState' | 'broadcastState'> {
  const subtasks = slots.flatMap(operators => operators.get(name) ?? [])
  if (subtasks.length === 0) return {}
  assert(
    slots.every((operators, slot) => operators.has(name) === slot < parallelism),
    `operator '${name}' has one subtask in each of its slots`,
  )
  const sources = subtasks.map(({ source }) => source).filter(source => source !== undefined)
  const sinks = subtasks.map(({ sink }) => sink).filter(sink => sink !== undefined)
  const states = subtasks.map(({ operatorState }) => operatorState).filter(lists => lists !== undefined)
  const { broadcastState } = subtasks[0]
  const watermark = Math.min(...subtasks.map(subtask => subtask.watermark ?? -Infinity))
  return {
    ...(watermark !== -Infinity && { watermark }),
    ...(sources.length > 0 && { source: composeSource(sources) }),
    ...(sinks.length > 0 && { sink: composeSink(sinks) }),
    ...(states.length > 0 && { operatorState: composeLists(states) }),
    ...(broadcastState !== undefined && { broadcastState }),
  }
}

/** Splits are listed in the order in which they were dealt out, as far as their number says it. */
function composeSource(subtasks: readonly SubtaskSource[]): SourceSnapshot {
  const longest = subtasks.reduce((length, { splits }) => Math.max(length, splits.length), 0)
  const splits: SourceSnapshot['splits'][number][] = []
  for (let index = 0; index < longest; index++) {
    for (const [subtask, own] of subtasks.entries()) {
      if (index < own.splits.length) splits.push({ ...own.splits[index], subtask })
    }
  }
  const records = subtasks.reduce((sum, own) => sum + own.records, 0)
  return { splits, records, turns: subtasks.map(({ turn }) => turn) }
}

function composeSink(subtasks: readonly SubtaskSink[]): SinkSnapshot {
  const { type, retracts } = subtasks[0]
  const states = subtasks.map(({ state }) => state ?? null)
  return {
    type,
    retracts,
    states: states.every(state => state === null) ? [] : states,
    committables: subtasks.flatMap(({ committables }) => committables),
  }
}

function composeLists(
  subtasks: readonly NonNullable<SubtaskSnapshot['operatorState']>[],
): OperatorSnapshot['operatorState'] {
  const names = new Set(subtasks.flatMap(states => Object.keys(states)))
  return Object.fromEntries([...names].map(name => [name, subtasks.map(states => states[name] ?? [])]))
}

/**
 * Every split is one subtask's, except the shared one, which every slot has: the snapshot is as far as the slowest, and nowhere yet
 * while one of them has seen no record.
 */
export function composeWatermarks(parts: readonly Pick<SlotSnapshot, 'watermarks'>[]): Manifest['watermarks'] {
  const byTransformation = Map.groupBy(
    parts.flatMap(({ watermarks }) => Object.entries(watermarks)),
    ([transformation]) => transformation,
  )
  return Object.fromEntries(
    [...byTransformation].map(([id, found]) => [id, composeSplits(found.map(([, splits]) => splits))]),
  )
}

type Splits = Manifest['watermarks'][string]

function composeSplits(slots: readonly Splits[]): Splits {
  const own = slots.flatMap(splits => Object.entries(splits).filter(([split]) => split !== SHARED_SPLIT))
  const shared = slots.map(splits => splits[SHARED_SPLIT] ?? -Infinity)
  const slowest = shared.reduce((lowest, time) => Math.min(lowest, time), Infinity)
  return Object.fromEntries(slowest === -Infinity ? own : [...own, [SHARED_SPLIT, slowest]])
}
