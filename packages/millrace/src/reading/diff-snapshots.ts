/**
 * What differs between two snapshots, state by state, matched by the names of operator and state. Both are walked in the order of
 * their keys, so memory is bounded whatever their size. Snapshots of one job know their states by the same ids, in the same order:
 * they are read once; where ids are in another order, as after a fork, once per state.
 *
 * Two values are the same when they are equal, however they are encoded. When an entry was last touched is no difference, nor is
 * the place of a timer in the order of registration, nor with which subtask an element of an operator list is.
 */
import { isDeepStrictEqual } from 'node:util'
import { MillraceError } from '../base/errors.ts'
import { KEY_PREFIX_BYTES } from '../snapshot/segment-format.ts'
import type { BlockCursor } from '../snapshot/segment-cursor.ts'
import { compareEntryKeys } from '../snapshot/segment-key.ts'
import { valueToJson } from './json-value.ts'
import type { SnapshotReader } from './snapshot-reader.ts'
import type { EntryIdentity, StateEntry } from './state-entry.ts'
import { KeyedStateReader, type StateReader } from './state-reader.ts'

export interface Difference extends EntryIdentity {
  readonly operator: string
  readonly state: string
  readonly change: 'added' | 'removed' | 'changed'
  /** Unless it was added. */
  readonly before?: unknown
  /** Unless it was removed. */
  readonly after?: unknown
}

/** Which states. */
export interface DiffScope {
  readonly operator?: string
  readonly state?: string
}

/** A state by name in both snapshots; undefined where one has none, or one of another kind. */
interface Pair {
  readonly before: StateReader | undefined
  readonly after: StateReader | undefined
}

/** @throws USAGE for snapshots of a different max parallelism; what reading throws */
export async function* diffSnapshots(
  before: SnapshotReader,
  after: SnapshotReader,
  scope: DiffScope = {},
): AsyncGenerator<Difference, void, undefined> {
  const keyed: KeyedPair[] = []
  for (const pair of pairsOf(statesIn(before, scope), statesIn(after, scope))) {
    if (pair.before instanceof KeyedStateReader && pair.after instanceof KeyedStateReader) {
      keyed.push({ before: pair.before, after: pair.after })
    } else yield* diffWhole(pair)
  }
  if (keyed.length === 0) return
  checkKeyGroups(before, after)
  for (const pass of passesOf(keyed)) yield* diffPass(pass, before, after)
}

function statesIn(snapshot: SnapshotReader, { operator, state }: DiffScope): StateReader[] {
  return snapshot
    .operators()
    .filter(({ name }) => operator === undefined || name === operator)
    .flatMap(each => each.states())
    .filter(({ name }) => state === undefined || name === state)
}

function pairsOf(before: readonly StateReader[], after: readonly StateReader[]): Pair[] {
  const twin = (of: StateReader, all: readonly StateReader[]): StateReader | undefined =>
    all.find(({ operator, name, kind }) => operator === of.operator && name === of.name && kind === of.kind)
  return [
    ...before.map(state => ({ before: state, after: twin(state, after) })),
    ...after.flatMap(state => (twin(state, before) === undefined ? [{ before: undefined, after: state }] : [])),
  ]
}

function checkKeyGroups(
  { manifest: a, name: before }: SnapshotReader,
  { manifest: b, name: after }: SnapshotReader,
): void {
  if (a.maxParallelism === b.maxParallelism) return
  throw new MillraceError(
    'USAGE',
    `${before} has ${a.maxParallelism} key groups and ${after} has ${b.maxParallelism}: their entries are in different orders and cannot be compared in one walk`,
    { hint: 'Compare snapshots from the same side of the change of maxParallelism.' },
  )
}

// ------------------------------------------------------------------------------------------------------------ keyed state

interface KeyedPair {
  readonly before: KeyedStateReader
  readonly after: KeyedStateReader
}

function passesOf(pairs: readonly KeyedPair[]): KeyedPair[][] {
  const sorted = pairs.toSorted((a, b) => a.before.info.id - b.before.info.id)
  const isSameOrder = sorted.every(({ after }, i) => i === 0 || sorted[i - 1].after.info.id < after.info.id)
  return isSameOrder ? [sorted] : sorted.map(pair => [pair])
}

/** Of the states of one pass: its place in the order that both sides have, by state id. */
type Ranks = ReadonlyMap<number, number>

async function* diffPass(
  pairs: readonly KeyedPair[],
  before: SnapshotReader,
  after: SnapshotReader,
): AsyncGenerator<Difference, void, undefined> {
  const beforeRanks: Ranks = new Map(pairs.map((pair, rank) => [pair.before.info.id, rank]))
  const afterRanks: Ranks = new Map(pairs.map((pair, rank) => [pair.after.info.id, rank]))
  const olds = before.segments.walk({ stateIds: new Set(beforeRanks.keys()) })
  const news = after.segments.walk({ stateIds: new Set(afterRanks.keys()) })
  try {
    let [old, young] = await Promise.all([next(olds), next(news)])
    while (old !== undefined || young !== undefined) {
      const order = orderOf(old, beforeRanks, young, afterRanks)
      if (order < 0) {
        yield oneSided(pairs[beforeRanks.get(old!.stateId)!].before, 'removed', old!)
        old = await next(olds)
      } else if (order > 0) {
        yield oneSided(pairs[afterRanks.get(young!.stateId)!].after, 'added', young!)
        young = await next(news)
      } else {
        const changed = changeOf(pairs[beforeRanks.get(old!.stateId)!], old!, young!)
        if (changed !== undefined) yield changed
        old = await next(olds)
        young = await next(news)
      }
    }
  } finally {
    await olds.return()
    await news.return()
  }
}

async function next(walk: AsyncGenerator<BlockCursor, void, undefined>): Promise<BlockCursor | undefined> {
  return (await walk.next()).value ?? undefined
}

/** By key group, state, key and what stands behind it; the end comes after everything. */
function orderOf(old: BlockCursor | undefined, olds: Ranks, young: BlockCursor | undefined, news: Ranks): number {
  if (old === undefined) return 1
  if (young === undefined) return -1
  const groups = compareEntryKeys(
    old.bytes,
    old.keyStart,
    old.keyStart + 2,
    young.bytes,
    young.keyStart,
    young.keyStart + 2,
  )
  if (groups !== 0) return groups
  const ranks = olds.get(old.stateId)! - news.get(young.stateId)!
  if (ranks !== 0) return ranks
  const [start, youngStart] = [old.keyStart + KEY_PREFIX_BYTES, young.keyStart + KEY_PREFIX_BYTES]
  return compareEntryKeys(old.bytes, start, old.keyEnd, young.bytes, youngStart, young.keyEnd)
}

function oneSided(state: KeyedStateReader, change: 'added' | 'removed', cursor: BlockCursor): Difference {
  return differenceOf(state, change, state.decoder.entry(cursor))
}

function changeOf({ before, after }: KeyedPair, old: BlockCursor, young: BlockCursor): Difference | undefined {
  if (before.decoder.kind === 'timers' || (hasSameLayout({ before, after }) && sameBytes(old, young))) return undefined
  const values = { before: before.decoder.value(old), after: after.decoder.value(young) }
  if (isDeepStrictEqual(values.before, values.after)) return undefined
  return { operator: after.operator, state: after.name, change: 'changed', ...after.decoder.identity(young), ...values }
}

/** The same bytes mean the same value unless they are rows of two schemas. */
function hasSameLayout({ before, after }: KeyedPair): boolean {
  return before.decoder.schema?.layout.signature === after.decoder.schema?.layout.signature
}

function sameBytes(a: BlockCursor, b: BlockCursor): boolean {
  return compareEntryKeys(a.bytes, a.valueStart, a.valueEnd, b.bytes, b.valueStart, b.valueEnd) === 0
}

function differenceOf({ operator, name }: StateReader, change: 'added' | 'removed', entry: StateEntry): Difference {
  const { value, lastTouchMs: _, ...identity } = entry
  return { operator, state: name, change, ...identity, ...(change === 'added' ? { after: value } : { before: value }) }
}

// -------------------------------------------------------------------------------- state of one side, and what a manifest holds

async function* diffWhole({ before, after }: Pair): AsyncGenerator<Difference, void, undefined> {
  if (before === undefined || after === undefined) {
    for await (const entry of before?.entries() ?? []) yield differenceOf(before!, 'removed', entry)
    for await (const entry of after?.entries() ?? []) yield differenceOf(after!, 'added', entry)
    return
  }
  const olds = await byMeaning(before)
  const news = await byMeaning(after)
  for (const meaning of new Set([...olds.keys(), ...news.keys()])) {
    const [old = [], young = []] = [olds.get(meaning), news.get(meaning)]
    const common = Math.min(old.length, young.length)
    for (let i = 0; i < common; i++) {
      const [{ value: was }, { value: is, ...identity }] = [old[i], young[i]]
      if (isDeepStrictEqual(was, is)) continue
      yield { operator: after.operator, state: after.name, change: 'changed', ...identity, before: was, after: is }
    }
    for (const entry of old.slice(common)) yield differenceOf(before, 'removed', entry)
    for (const entry of young.slice(common)) yield differenceOf(after, 'added', entry)
  }
}

/** Entries of broadcast state by their key, of an operator list by their value. */
async function byMeaning(state: StateReader): Promise<Map<string, StateEntry[]>> {
  const found = new Map<string, StateEntry[]>()
  for await (const entry of state.entries()) {
    const meaning = JSON.stringify(valueToJson(entry.key ?? entry.value))
    const alike = found.get(meaning)
    if (alike === undefined) found.set(meaning, [entry])
    else alike.push(entry)
  }
  return found
}
