/**
 * Schemas whose values take a fixed number of bytes: an object with nothing but required numbers, integers and booleans, or one such
 * value alone. Values of such a schema can live in columns instead of objects (state/heap).
 *
 * JSON Schema is read strictly: a keyword that is not known to say nothing about the value makes the schema one of another kind, so a
 * value is never taken for checked when it was not. In one thing it is read more strictly than the specification: properties that it
 * does not name are refused even where additionalProperties is left out, since there is no place for them. As in JSON, NaN and the
 * infinities are no numbers.
 */
import { inspect } from 'node:util'
import { isJsonObject, type JsonObject } from '../base/json.ts'
import { layOut, type RowLayout } from './fixed-layout.ts'
import { jsonSchemaOf, type Keywords, type Schema } from './standard-schema.ts'

/** Smallest that holds the column's bounds; integers from 2^32 on are f64 too. */
export type Storage = 'bool' | 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f64'

export interface Column {
  /** Name of the property; undefined for a value that is no object. */
  readonly name: string | undefined
  readonly kind: 'boolean' | 'integer' | 'number'
  readonly storage: Storage
  /** Bounds of a number, both allowed. */
  readonly minimum: number
  readonly maximum: number
  /** In words, for messages: `an integer from 0 to 255`. */
  readonly expected: string
}

export interface FixedSchema {
  /** In the order in which JavaScript lists the properties of the values. */
  readonly columns: readonly Column[]
  /** False: the value is that of the only column. */
  readonly isObject: boolean
  /** Of the values as rows of bytes. */
  readonly layout: RowLayout
  /** What of the JSON Schema decides which values are allowed, without its descriptions. */
  readonly json: JsonObject
}

/** Why a value does not fit a schema. */
export interface Misfit {
  /** Name of the property; empty for the value itself. */
  readonly path: string
  readonly reason: string
}

/** They bound the code and the messages that are made of a schema. */
const MAX_COLUMNS = 64
const MAX_NAME_LENGTH = 200

/** Keywords that say nothing about which values are allowed, or are looked at elsewhere. */
const ANNOTATIONS = new Set([
  'type',
  '$schema',
  '$id',
  '$comment',
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
  'format',
])
const BOUNDS = ['minimum', 'exclusiveMinimum', 'maximum', 'exclusiveMaximum'] as const

/** Undefined when the schema's values have no fixed width. */
export function fixedSchemaOf(schema: Schema<unknown>): FixedSchema | undefined {
  return fixedSchemaOfJson(jsonSchemaOf(schema))
}

/** Of the `json` of a schema that was stored, or whatever stands in its place. */
export function fixedSchemaOfJson(json: unknown): FixedSchema | undefined {
  if (!isJsonObject(json)) return undefined
  if (json['type'] === 'object') return objectSchema(json)
  const scalar = columnOf(undefined, json)
  if (scalar === undefined) return undefined
  const columns = [scalar.column]
  return { columns, isObject: false, layout: layOut(columns), json: scalar.json }
}

function objectSchema(json: Keywords): FixedSchema | undefined {
  const { properties, required, additionalProperties, ...rest } = json
  if (!isJsonObject(properties) || !Array.isArray(required) || !onlyAnnotations(rest)) return undefined
  if (additionalProperties !== undefined && additionalProperties !== false) return undefined
  const names = Object.keys(properties)
  if (names.length === 0 || names.length > MAX_COLUMNS) return undefined
  if (new Set(required).size !== names.length || !required.every(name => names.includes(name as string)))
    return undefined
  const columns: Column[] = []
  const described: { [name: string]: JsonObject } = {}
  for (const name of names) {
    const property = columnOf(name, properties[name])
    if (property === undefined || name === '__proto__' || name.length > MAX_NAME_LENGTH) return undefined
    columns.push(property.column)
    described[name] = property.json
  }
  return {
    columns,
    isObject: true,
    layout: layOut(columns),
    json: { type: 'object', properties: described, required: names, additionalProperties: false },
  }
}

function columnOf(name: string | undefined, json: unknown): { column: Column; json: JsonObject } | undefined {
  if (!isJsonObject(json)) return undefined
  const { type: kind, minimum, exclusiveMinimum, maximum, exclusiveMaximum, ...rest } = json
  if (!onlyAnnotations(rest)) return undefined
  const bounds = BOUNDS.filter(bound => json[bound] !== undefined)
  const described = Object.fromEntries(['type', ...bounds].map(keyword => [keyword, json[keyword]]))
  if (kind === 'boolean') {
    const column: Column = { name, kind, storage: 'bool', minimum: 0, maximum: 1, expected: 'true or false' }
    return bounds.length === 0 ? { column, json: described } : undefined
  }
  if (kind !== 'integer' && kind !== 'number') return undefined
  if (!bounds.every(bound => Number.isFinite(json[bound]))) return undefined
  let least = Math.max(-Number.MAX_VALUE, (minimum as number | undefined) ?? -Infinity)
  let most = Math.min(Number.MAX_VALUE, (maximum as number | undefined) ?? Infinity)
  if (exclusiveMinimum !== undefined) least = Math.max(least, nextUp(exclusiveMinimum as number))
  if (exclusiveMaximum !== undefined) most = Math.min(most, -nextUp(-(exclusiveMaximum as number)))
  if (kind === 'integer') {
    least = Math.ceil(least)
    most = Math.floor(most)
  }
  const storage = kind === 'number' ? 'f64' : smallest(least, most)
  const expected = [kind === 'integer' ? 'an integer' : 'a number', ...bounds.map(bound => inWords(bound, json))]
  return {
    column: { name, kind, storage, minimum: least, maximum: most, expected: expected.join(' ') },
    json: described,
  }
}

function onlyAnnotations(keywords: object): boolean {
  return Object.keys(keywords).every(keyword => ANNOTATIONS.has(keyword))
}

const INTEGERS: readonly (readonly [Storage, number, number])[] = [
  ['u8', 0, 0xff],
  ['i8', -0x80, 0x7f],
  ['u16', 0, 0xffff],
  ['i16', -0x8000, 0x7fff],
  ['u32', 0, 0xffff_ffff],
  ['i32', -0x8000_0000, 0x7fff_ffff],
]

function smallest(least: number, most: number): Storage {
  return INTEGERS.find(([, from, to]) => from <= least && most <= to)?.[0] ?? 'f64'
}

const WORDS = { minimum: 'from', exclusiveMinimum: 'above', maximum: 'to', exclusiveMaximum: 'below' } as const

function inWords(bound: (typeof BOUNDS)[number], json: JsonObject): string {
  return `${WORDS[bound]} ${String(json[bound])}`
}

const F64 = new Float64Array(1)
const BITS = new BigInt64Array(F64.buffer)

/** The least number above `n`: what is more than n is from there on. */
function nextUp(n: number): number {
  if (n === 0) return Number.MIN_VALUE
  F64[0] = n
  BITS[0] += n > 0 ? 1n : -1n
  return F64[0]
}

// --------------------------------------------------------------------------------------------------------------- checks

/** Whether a column takes the value. Numbers that are no integers, NaN and infinities fail one of the comparisons. */
export function fits({ kind, minimum, maximum }: Column, value: unknown): value is number | boolean {
  if (typeof value !== 'number') return kind === 'boolean' && typeof value === 'boolean'
  return (
    kind !== 'boolean' && value >= minimum && value <= maximum && (kind === 'number' || Math.floor(value) === value)
  )
}

/** Undefined when the value fits. Of an object only its own enumerable properties count. */
export function misfitOf({ columns, isObject }: FixedSchema, value: unknown): Misfit | undefined {
  if (!isObject) {
    const [column] = columns
    return fits(column, value) ? undefined : { path: '', reason: `${shown(value)} is not ${column.expected}` }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { path: '', reason: `${shown(value)} is not an object of ${columns.map(({ name }) => name).join(', ')}` }
  const properties = value as { readonly [name: string]: unknown }
  for (const column of columns) {
    const name = column.name!
    if (!Object.hasOwn(properties, name)) return { path: name, reason: `property '${name}' is missing` }
    if (!fits(column, properties[name]))
      return { path: name, reason: `property '${name}' is ${shown(properties[name])}, not ${column.expected}` }
  }
  const extra = Object.keys(properties).find(name => columns.every(column => column.name !== name))
  return extra === undefined ? undefined : { path: extra, reason: `property '${extra}' is not in the schema` }
}

function shown(value: unknown): string {
  const text = inspect(value, { depth: 1, maxArrayLength: 5, maxStringLength: 60, breakLength: Infinity })
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
