/**
 * What records look like, learned from them: the type of a row is a tree of plain objects and short arrays whose leaves are numbers,
 * booleans, strings, or anything (`value`). Types are plain data; a page carries them to the reader.
 */

export type LeafType = 'int32' | 'float64' | 'boolean' | 'string' | 'value'

export interface TreeType {
  /** Of the properties, in order; null for an array. */
  readonly names: readonly string[] | null
  readonly types: readonly RowType[]
}

export type RowType = LeafType | TreeType

/** Wider records are taken for dictionaries or lists, whose width is data. */
const MAX_LEAVES = 64
export const MAX_ARRAY_LENGTH = 8
/** Each pair of them is compared for every record. */
const MAX_OBJECTS = 8

/** The narrowest type that carries the value exactly, or all but its holes. What it refers to twice is a `value` the second time. */
export function typeOf(value: unknown): RowType {
  return typeWithin(value, { objects: [], leaves: 0 })
}

/** What the tree around a value holds so far. */
interface Surroundings {
  readonly objects: object[]
  leaves: number
}

function typeWithin(value: unknown, around: Surroundings): RowType {
  switch (typeof value) {
    case 'number':
      return isInt32(value) ? 'int32' : 'float64'
    case 'boolean':
      return 'boolean'
    case 'string':
      return 'string'
    case 'object':
      return value === null ? 'value' : treeWithin(value, around)
    default:
      return 'value'
  }
}

function treeWithin(object: object, around: Surroundings): RowType {
  const names = Array.isArray(object) ? null : Object.keys(object)
  if (names === null && (object as unknown[]).length > MAX_ARRAY_LENGTH) return 'value'
  if (names !== null && !isPlain(object, names)) return 'value'
  const values: unknown[] = names === null ? Array.from(object as unknown[]) : Object.values(object)
  if (around.objects.includes(object) || around.objects.length === MAX_OBJECTS) return 'value'
  if (around.leaves + values.length > MAX_LEAVES) return 'value'
  around.objects.push(object)
  around.leaves += values.length
  return { names, types: values.map(value => typeWithin(value, around)) }
}

function isPlain(object: object, names: readonly string[]): boolean {
  // In a literal `__proto__` would name the prototype.
  return Object.getPrototypeOf(object) === Object.prototype && !names.includes('__proto__')
}

/** -0 is none: it would arrive as 0. */
export function isInt32(n: number): boolean {
  return (n | 0) === n && (n !== 0 || 1 / n > 0)
}

/** The narrowest type that carries what either carries. */
export function mergeTypes(a: RowType, b: RowType): RowType {
  if (a === b) return a
  if (typeof a === 'object' && typeof b === 'object' && sameNames(a, b))
    return { names: a.names, types: a.types.map((type, i) => mergeTypes(type, b.types[i])) }
  return isNumber(a) && isNumber(b) ? 'float64' : 'value'
}

function sameNames(a: TreeType, b: TreeType): boolean {
  if (a.types.length !== b.types.length || (a.names === null) !== (b.names === null)) return false
  return a.names === null || a.names.every((name, i) => name === b.names![i])
}

function isNumber(type: RowType): boolean {
  return type === 'int32' || type === 'float64'
}
