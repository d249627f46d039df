/**
 * The records of a simulated job. Each source record has an id; every stage of the job passes each record on exactly once and writes on
 * it what it saw, so that the rows of a sink tell the effect of every record on every state on its way.
 */
import { murmur3 } from '../../codec/index.ts'
import type { Plan } from './plan.ts'

/**
 * What a stage writes on a record: its number, the record's id and key there, and figures of its own.
 *
 *   count    how many records of the key it has seen, by each of three kinds of state; the sum of their ids
 *   broadcast   how many records of the key it has seen
 *   timers   which flush of the key this is, how many records it had, when it was
 *   window   start of the window, how many records it had; LATE: too late for it
 */
export type Mark = readonly [stage: number, id: number, key: number, ...figures: number[]]

export const LATE = -1

export interface Item {
  readonly id: number
  /** Event time, ms. */
  readonly at: number
  readonly padding: string
  readonly marks: readonly Mark[]
}

/** By source, by split, in reading order. */
export type Input = readonly (readonly (readonly Item[])[])[]

/** Above a page of an exchange, and above two. */
const BIG_BYTES: readonly number[] = [33_000, 70_000]
const STEP_MS = 20

export function makeInput(plan: Plan, seed: number): Input {
  let id = 0
  return plan.sources.map(({ splits }) =>
    splits.map(count => {
      let time = 1_000_000
      return Array.from({ length: count }, (): Item => {
        const random = hashOf(++id, seed)
        time += random % STEP_MS
        const at = time - (plan.outOfOrdernessMs === 0 ? 0 : (random >>> 8) % plan.outOfOrdernessMs)
        const isBig = (random >>> 4) % 10_000 < plan.bigRate * 10_000
        return { id, at, padding: isBig ? 'x'.repeat(BIG_BYTES[random % 2]) : '', marks: [] }
      })
    }),
  )
}

/** Ids of all records when they come to a stage, or behind the last one. */
export function idsAt({ stages }: Plan, input: Input, stage: number): Set<number> {
  const ids = new Set(input.flat(2).map(({ id }) => id))
  return stages
    .slice(0, stage)
    .reduce((at, { kind }) => (kind === 'diamond' ? new Set([...at].flatMap(twinIds)) : at), ids)
}

/** The key of a record at a stage: some keys have many records, most few. */
export function keyAt(stage: number, id: number, keys: number): number {
  const spread = (hashOf(id, stage) % 1000) / 1000
  return Math.floor(spread * spread * keys)
}

/** Nothing of it was lost on its way. */
export function isWhole({ padding }: Item): boolean {
  return padding === '' || BIG_BYTES.includes(padding.length)
}

export function marked(item: Item, mark: Mark): Item {
  return { ...item, marks: [...item.marks, mark] }
}

/** A record of a diamond leaves it twice. */
export function twinIds(id: number): readonly [number, number] {
  return [id * 2, id * 2 + 1]
}

const WORDS = new Uint8Array(8)
const VIEW = new DataView(WORDS.buffer)

function hashOf(a: number, b: number): number {
  VIEW.setInt32(0, a)
  VIEW.setInt32(4, b)
  return murmur3(WORDS, 0, 8) >>> 0
}
