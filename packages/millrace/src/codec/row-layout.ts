/** Where the leaves of a type lie in a row. Both ways of reading and writing rows go by it, and number leaves and objects in preorder. */
import type { RowOptions } from './row-format.ts'
import type { LeafType, RowType } from './row-type.ts'

export interface RowLayout {
  readonly type: RowType
  /** Of a row; even. */
  readonly words: number
  /** Of each leaf: its word in the row; of a value its number among the row's values. */
  readonly places: readonly number[]
  readonly leaves: readonly LeafType[]
  readonly hasText: boolean
}

/** Doubles follow the first two words, words follow doubles; the tag and the first of the words share the space before them. */
export function layOut(type: RowType, options: RowOptions): RowLayout {
  const leaves: LeafType[] = []
  addLeaves(type, leaves)
  const doubles = leaves.filter(leaf => leaf === 'float64').length + (options.timestamp ? 1 : 0)
  let nextDouble = options.timestamp ? 4 : 2
  let wordCount = options.hash ? 1 : 0
  let valueCount = 0
  const wordPlace = () => (wordCount++ === 0 ? 1 : 2 * doubles + wordCount)
  const places = leaves.map(leaf => {
    if (leaf === 'value') return valueCount++
    if (leaf !== 'float64') return wordPlace()
    nextDouble += 2
    return nextDouble - 2
  })
  const used = 2 + 2 * doubles + Math.max(0, wordCount - 1)
  return { type, words: used + (used % 2), places, leaves, hasText: leaves.includes('string') }
}

function addLeaves(type: RowType, leaves: LeafType[]): void {
  if (typeof type !== 'object') leaves.push(type)
  else for (const inner of type.types) addLeaves(inner, leaves)
}
