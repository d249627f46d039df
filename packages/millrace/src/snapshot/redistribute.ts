/**
 * What a subtask takes over of an operator's snapshot, at the parallelism it was made at or another one. Pure: every subtask finds
 * its own share, and together they have everything, each piece once (of a union list: each all of it).
 *
 * At the same parallelism a subtask gets what it had. At another one everything is dealt out anew, one each in turn. Keyed state is
 * not dealt out here: it follows its key group.
 */
import type { Json } from '../base/json.ts'
import type { CarriedCommittable, OperatorSnapshot, SplitSnapshot, Turn } from './manifest-types.ts'

/** Which of how many, now. */
export interface Subtask {
  readonly subtask: number
  readonly parallelism: number
}

export interface SourceShare {
  readonly splits: readonly SplitSnapshot[]
  /** Of all subtasks, with subtask 0; the others begin to count at 0. */
  readonly records: number
  /** Undefined: a fresh one. */
  readonly turn: Turn | undefined
}

export interface SinkShare {
  /** One, or several when there are fewer subtasks than before. */
  readonly states: readonly Json[]
  readonly committables: readonly CarriedCommittable[]
}

/** Undefined: the operator of the snapshot is no source. */
export function shareOfSource({ source, parallelism }: OperatorSnapshot, at: Subtask): SourceShare | undefined {
  if (source === undefined) return undefined
  const records = at.subtask === 0 ? source.records : 0
  if (parallelism === at.parallelism) {
    const own = source.splits.filter(({ subtask }) => subtask === at.subtask)
    return { splits: own.map(withoutSubtask), records, turn: source.turns[at.subtask] }
  }
  // What is still to be read goes first, so that everyone gets as much of it.
  const inOrder = [...source.splits.filter(({ ended }) => !ended), ...source.splits.filter(({ ended }) => ended)]
  return { splits: dealt(inOrder, at).map(withoutSubtask), records, turn: undefined }
}

/** States of subtask k are with k modulo the parallelism, as sinks expect that name their files by subtask. */
export function shareOfSink({ sink }: OperatorSnapshot, at: Subtask): SinkShare | undefined {
  if (sink === undefined) return undefined
  return {
    states: dealt(sink.states, at).filter(state => state !== null),
    committables: dealt(sink.committables, at),
  }
}

/**
 * Elements of operator state by state name. A state whose name begins with `~` is a flag of the engine: at another parallelism it is
 * set if every subtask had set it.
 */
export function shareOfLists(
  { operatorState = {}, parallelism }: OperatorSnapshot,
  at: Subtask,
  isUnion: (state: string) => boolean,
): { readonly [state: string]: readonly string[] } {
  const shareOf = (state: string, subtasks: readonly (readonly string[])[]): readonly string[] => {
    if (isUnion(state)) return subtasks.flat()
    if (parallelism === at.parallelism) return subtasks[at.subtask] ?? []
    if (!state.startsWith('~')) return dealt(subtasks.flat(), at)
    const isSet = subtasks.length === parallelism && subtasks.every(list => list.length > 0)
    return isSet ? subtasks[0] : []
  }
  return Object.fromEntries(Object.entries(operatorState).map(([state, lists]) => [state, shareOf(state, lists)]))
}

/** One each in turn; `before`: how many were dealt already. */
export function dealt<T>(all: readonly T[], { subtask, parallelism }: Subtask, before = 0): T[] {
  return all.filter((_, index) => (before + index) % parallelism === subtask)
}

function withoutSubtask({ id, detail, position, ended }: SplitSnapshot): SplitSnapshot {
  return { id, detail, position, ended }
}
