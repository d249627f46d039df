/**
 * Rows written and read by walking the type of their layout, for hosts that forbid code generation. What row-code.ts generates does the
 * same; the tests run with both.
 */
import type { FilledPage } from './row-filled-page.ts'
import { MAX_CHUNK_LENGTH, MAX_ROW_TEXT } from './row-format.ts'
import type { RowLayout } from './row-layout.ts'
import type { ReceivedPage } from './row-received-page.ts'
import { isInt32, type LeafType, type RowType } from './row-type.ts'
import { hasNames } from './shape.ts'

/** What the walk through a record has found. */
interface Found {
  readonly leaves: unknown[]
  readonly objects: object[]
}

export function encodeByWalk(
  layout: RowLayout,
  page: FilledPage,
  record: unknown,
  tag: number,
  hash: number,
  timestamp: number,
): boolean {
  const found: Found = { leaves: [], objects: [] }
  if (!fits(layout.type, record, found) || !addValues(layout, page, found)) return false
  const at = page.addRow(tag, layout.words, hash, timestamp)
  for (const [i, leaf] of layout.leaves.entries()) writeLeaf(page, leaf, at + layout.places[i], found.leaves[i])
  if (page.text.length > MAX_CHUNK_LENGTH) page.endChunk()
  return true
}

function fits(type: RowType, value: unknown, found: Found): boolean {
  if (typeof type !== 'object') {
    found.leaves.push(value)
    return leafFits(type, value)
  }
  if (typeof value !== 'object' || value === null || found.objects.includes(value)) return false
  found.objects.push(value)
  if (type.names === null) {
    const { types } = type
    if (!Array.isArray(value) || value.length !== types.length) return false
    return types.every((inner, i) => i in value && fits(inner, value[i], found))
  }
  if (Object.getPrototypeOf(value) !== Object.prototype || !hasNames(value, type.names)) return false
  return type.names.every((name, i) => fits(type.types[i], (value as { [name: string]: unknown })[name], found))
}

function leafFits(type: LeafType, value: unknown): boolean {
  if (type === 'value') return true
  if (type === 'string') return typeof value === 'string' && value.length <= MAX_ROW_TEXT
  if (type === 'boolean') return typeof value === 'boolean'
  return typeof value === 'number' && (type === 'float64' || isInt32(value))
}

function addValues(layout: RowLayout, page: FilledPage, found: Found): boolean {
  const values = found.leaves.filter((_, i) => layout.leaves[i] === 'value')
  if (values.length === 0) return true
  for (const [i, object] of found.objects.entries()) page.owners[i] = object
  for (const [i, value] of values.entries()) page.parts[i] = value
  return page.addParts(found.objects.length, values.length)
}

function writeLeaf(page: FilledPage, type: LeafType, place: number, value: unknown): void {
  switch (type) {
    case 'int32':
      page.i32[place] = value as number
      break
    case 'boolean':
      page.i32[place] = value === true ? 1 : 0
      break
    case 'float64':
      page.f64[place >> 1] = value as number
      break
    case 'string':
      page.i32[place] = (value as string).length
      page.text += value as string
      break
    case 'value':
  }
}

// ---------------------------------------------------------------------------------------------------------------- decoding

/** Gives an object or array the part that belongs there. */
type Place = (part: unknown) => void

interface Made {
  leaf: number
  readonly objects: object[]
  readonly places: Place[]
}

export function decodeByWalk(layout: RowLayout, page: ReceivedPage, at: number): unknown {
  if (layout.hasText && page.textAt === page.text.length) page.nextText()
  const made: Made = { leaf: 0, objects: [], places: [] }
  let record: unknown
  make(layout, layout.type, page, at, made, part => (record = part))
  if (made.places.length > 0) {
    for (const [i, object] of made.objects.entries()) page.owners[i] = object
    page.takeParts(made.objects.length, made.places.length)
    for (const [i, place] of made.places.entries()) place(page.parts[i])
  }
  return record
}

function make(layout: RowLayout, type: RowType, page: ReceivedPage, at: number, made: Made, place: Place): void {
  if (typeof type !== 'object') {
    if (type === 'value') {
      made.places.push(place)
      // The property takes its place among the others.
      place(undefined)
    } else place(readLeaf(page, type, at + layout.places[made.leaf]))
    made.leaf++
    return
  }
  const object: { [name: string | number]: unknown } = type.names === null ? ([] as never) : {}
  made.objects.push(object)
  for (const [i, inner] of type.types.entries()) {
    const name = type.names === null ? i : type.names[i]
    make(layout, inner, page, at, made, part => (object[name] = part))
  }
  place(object)
}

function readLeaf(page: ReceivedPage, type: Exclude<LeafType, 'value'>, place: number): unknown {
  if (type === 'int32') return page.i32[place]
  if (type === 'float64') return page.f64[place >> 1]
  if (type === 'boolean') return page.i32[place] === 1
  const start = page.textAt
  page.textAt += page.i32[place]
  return page.text.substring(start, page.textAt)
}
