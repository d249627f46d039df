/**
 * What of JSON Schema (draft 2020-12) is understood, in one form for all who read it: validation and evolution of schemas.
 *
 * A schema is a list of alternatives, of which a value must fit one. An alternative is a type with the keywords that apply to it, or a
 * list of allowed values (enum, const, null). What cannot be brought into this form is opaque: it is compared as a whole.
 */
import { isDeepStrictEqual } from 'node:util'
import { isJsonObject, type Json, type JsonObject } from '../base/json.ts'

type Keyworded = 'integer' | 'number' | 'string' | 'array' | 'object' | 'opaque'

export type Alternative =
  | { readonly kind: 'any' }
  | { readonly kind: 'values'; readonly values: readonly Json[] }
  | { readonly kind: 'boolean' }
  | {
      readonly [K in Keyworded]: {
        readonly kind: K
        readonly keywords: JsonObject
      }
    }[Keyworded]

/** Keywords that allow and forbid nothing. `default` says what to fill in, `format` what a text means. */
const ANNOTATIONS = new Set([
  '$schema',
  '$id',
  '$comment',
  '$defs',
  'definitions',
  '$anchor',
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
  'format',
  'contentEncoding',
  'contentMediaType',
])
const OF_NUMBERS = new Set(['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'])
const OF_STRINGS = new Set(['minLength', 'maxLength', 'pattern'])
const OF_ARRAYS = new Set(['items', 'prefixItems', 'minItems', 'maxItems', 'uniqueItems'])
const OF_OBJECTS = new Set([
  'properties',
  'required',
  'additionalProperties',
  'propertyNames',
  'patternProperties',
  'minProperties',
  'maxProperties',
])
const OF_TYPES: { readonly [type: string]: ReadonlySet<string> } = {
  integer: OF_NUMBERS,
  number: OF_NUMBERS,
  string: OF_STRINGS,
  array: OF_ARRAYS,
  object: OF_OBJECTS,
}
const APPLYING = new Set([...OF_NUMBERS, ...OF_STRINGS, ...OF_ARRAYS, ...OF_OBJECTS])

/** References are followed so often before a schema counts as one that only refers to itself. */
const MAX_REFERENCES = 32

/** The alternatives of a schema that is part of `root`. */
export function alternativesOf(schema: unknown, root: Json): readonly Alternative[] {
  const keywords = dereferenced(schema, root)
  if (keywords === undefined) return [opaque({ schema: schema as Json })]
  if (keywords === true) return [{ kind: 'any' }]
  if (keywords === false) return []
  const { anyOf, oneOf, ...rest } = keywords
  const branches = anyOf ?? oneOf
  const restrictions = Object.keys(rest).filter(keyword => !ANNOTATIONS.has(keyword))
  if (branches !== undefined) {
    const isUnion = Array.isArray(branches) && restrictions.length === 0 && (anyOf === undefined || oneOf === undefined)
    return isUnion ? branches.flatMap(branch => alternativesOf(branch, root)) : [opaque(keywords)]
  }
  if (restrictions.length === 0) return [{ kind: 'any' }]
  return typedAlternatives(keywords, restrictions)
}

function typedAlternatives(keywords: JsonObject, restrictions: readonly string[]): readonly Alternative[] {
  const { type, enum: allowed, const: only } = keywords
  const types = (Array.isArray(type) ? type : type === undefined ? [] : [type]) as string[]
  const known = new Set(types.flatMap(each => [...(OF_TYPES[each] ?? [])]))
  // Of several types each has its own keywords; what applies to none of them says nothing.
  const isUnderstood = restrictions.every(
    keyword =>
      ['type', 'enum', 'const'].includes(keyword) || known.has(keyword) || (types.length > 0 && APPLYING.has(keyword)),
  )
  if (!isUnderstood || (Object.hasOwn(keywords, 'const') && allowed !== undefined)) return [opaque(keywords)]
  if (Object.hasOwn(keywords, 'const')) return [{ kind: 'values', values: [only] }]
  if (allowed !== undefined)
    return Array.isArray(allowed) ? [{ kind: 'values', values: allowed as Json[] }] : [opaque(keywords)]
  return types.map((each): Alternative => {
    if (each === 'null') return { kind: 'values', values: [null] }
    if (each === 'boolean') return { kind: 'boolean' }
    const applying = OF_TYPES[each]
    if (applying === undefined) return opaque(keywords)
    const entries = Object.entries(keywords).filter(([keyword]) => applying.has(keyword))
    return { kind: each as 'object', keywords: Object.fromEntries(entries) }
  })
}

function opaque(keywords: JsonObject): Alternative {
  const entries = Object.entries(keywords).filter(([keyword]) => !ANNOTATIONS.has(keyword))
  return { kind: 'opaque', keywords: Object.fromEntries(entries) }
}

/** Behind its references, which stay within the document. Undefined: one leads nowhere. */
export function dereferenced(schema: unknown, root: Json): JsonObject | boolean | undefined {
  let found = schema
  for (let i = 0; i < MAX_REFERENCES; i++) {
    if (typeof found === 'boolean') return found
    if (!isJsonObject(found)) return undefined
    const { $ref: reference } = found
    if (typeof reference !== 'string') return found
    found = target(reference, root)
  }
  return undefined
}

/** `#`, or a JSON pointer behind it. */
function target(reference: string, root: Json): unknown {
  if (!reference.startsWith('#')) return undefined
  const steps = decodeURIComponent(reference.slice(1)).split('/').slice(1)
  return steps.reduce<unknown>((at, step) => {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~')
    return typeof at === 'object' && at !== null && Object.hasOwn(at, name) ? (at as JsonObject)[name] : undefined
  }, root)
}

/** Allowed bounds of a number. Integers beyond the safe ones are not told apart from unbounded ones. */
export function boundsOf(kind: 'integer' | 'number', keywords: JsonObject): { least: Bound; most: Bound } {
  const bound = (inclusive: string, exclusive: string, outermost: number): Bound => {
    const [value, open] = [keywords[inclusive], keywords[exclusive]]
    const all: Bound[] = []
    if (typeof value === 'number') all.push({ value, isOpen: false })
    if (typeof open === 'number') all.push({ value: open, isOpen: true })
    const sign = Math.sign(outermost)
    const tightest = all.toSorted((a, b) => sign * (a.value - b.value) || Number(b.isOpen) - Number(a.isOpen))[0]
    const isUnbounded =
      tightest === undefined || (kind === 'integer' && sign * tightest.value >= Number.MAX_SAFE_INTEGER)
    return isUnbounded ? { value: outermost, isOpen: false } : tightest
  }
  return {
    least: bound('minimum', 'exclusiveMinimum', -Infinity),
    most: bound('maximum', 'exclusiveMaximum', Infinity),
  }
}

export interface Bound {
  readonly value: number
  /** The value itself is not allowed. */
  readonly isOpen: boolean
}

/** The schema of an object's properties by name; required ones. */
export function propertiesOf({ properties, required }: JsonObject): {
  readonly properties: JsonObject
  readonly required: ReadonlySet<string>
} {
  return {
    properties: isJsonObject(properties) ? properties : {},
    required: new Set(Array.isArray(required) ? (required as string[]) : []),
  }
}

export function isAmong(value: unknown, values: readonly Json[]): boolean {
  return values.some(each => isDeepStrictEqual(each, value))
}

/** For messages. */
export function nameOf(alternative: Alternative): string {
  switch (alternative.kind) {
    case 'any':
      return 'any value'
    case 'values': {
      const [only, ...more] = alternative.values
      return more.length === 0
        ? JSON.stringify(only)
        : `one of ${alternative.values.map(v => JSON.stringify(v)).join(', ')}`
    }
    case 'opaque':
      return 'something that JSON Schema says in keywords that are compared as a whole'
    case 'integer':
    case 'array':
    case 'object':
      return `an ${alternative.kind}`
    default:
      return `a ${alternative.kind}`
  }
}
