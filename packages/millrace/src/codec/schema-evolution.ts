/**
 * Whether values of one JSON Schema can be read under another, and how. Pure, and decided from the two schemas alone: that no value of
 * the old one is outside the new one is either shown here or the change is refused.
 *
 * Allowed: what only lets more through (bounds, integer to number, a longer enum, another alternative, required to optional, a keyword
 * fewer); properties removed, whose values are dropped; properties added that are optional, or have a default, which is filled in; and an
 * optional property that must be there now and may be null. The order of properties means nothing.
 *
 * JSON Schema's keywords are a conjunction. A keyword that is not known may therefore stay as it is or go; one that comes or changes is
 * refused. References may be circular: a pair of schemas that is being compared already is taken to be fine, and what it converts to is
 * found when the outer comparison is done.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Json, JsonObject } from '../base/json.ts'
import {
  alternativesOf,
  boundsOf,
  dereferenced,
  isAmong,
  nameOf,
  propertiesOf,
  type Alternative,
  type Bound,
} from './json-schema.ts'
import { below, fitsAlternative, isPlainObject } from './schema-check.ts'

/** From a value of the old schema to one of the new. It never changes the one it is given. */
export type Convert = (value: unknown) => unknown

export interface Evolution {
  /** What is different, in words that begin with the path. Empty: nothing that matters. */
  readonly changes: readonly string[]
  /** Why it cannot be; empty: it can. */
  readonly refusals: readonly string[]
  /** Undefined: every value stays as it is. */
  readonly convert: Convert | undefined
}

export function evolveSchema(before: Json, after: Json): Evolution {
  const comparison = new Comparison(before, after)
  const convert = comparison.schemas(before, after, '')
  return { changes: [...comparison.changes], refusals: [...comparison.refusals], convert }
}

type OfType<K extends Alternative['kind']> = Extract<Alternative, { readonly kind: K }>

interface Trial {
  readonly changes: ReadonlySet<string>
  readonly refusals: ReadonlySet<string>
  readonly convert: Convert | undefined
}

interface Pending {
  isUsed: boolean
  /** Known once a first comparison has shown that there is something to convert. */
  convert: Convert | undefined
}

/** Schemas beyond these are refused, before they exhaust the stack, or the patience: unions of unions multiply. */
const MAX_DEPTH = 64
const MAX_COMPARISONS = 100_000

class Comparison {
  changes = new Set<string>()
  refusals = new Set<string>()
  private readonly before: Json
  private readonly after: Json
  /** Comparisons under way, by old and new schema behind their references. */
  private readonly pending = new Map<unknown, Map<unknown, Pending>>()
  private depth = 0
  private comparisons = 0

  constructor(before: Json, after: Json) {
    this.before = before
    this.after = after
  }

  schemas(before: unknown, after: unknown, path: string): Convert | undefined {
    const from = dereferenced(before, this.before)
    const to = dereferenced(after, this.after)
    const known = this.pending.get(from)?.get(to)
    if (known !== undefined) {
      known.isUsed = true
      const { convert } = known
      return convert === undefined ? undefined : value => known.convert!(value)
    }
    if (this.depth === MAX_DEPTH || ++this.comparisons > MAX_COMPARISONS)
      return this.refuse(path, 'is nested too deeply, or in too many ways, to be compared')
    this.depth++
    const pending: Pending = { isUsed: false, convert: undefined }
    const inner = this.pending.get(from) ?? new Map<unknown, Pending>()
    this.pending.set(from, inner.set(to, pending))
    const compare = () => this.unions(alternativesOf(before, this.before), alternativesOf(after, this.after), path)
    let convert = compare()
    if (convert !== undefined && pending.isUsed) {
      pending.convert = convert
      convert = pending.convert = compare()
    }
    inner.delete(to)
    this.depth--
    return convert
  }

  private unions(before: readonly Alternative[], after: readonly Alternative[], path: string): Convert | undefined {
    const added = after.filter(to => !before.some(from => from.kind === to.kind))
    const converts = before.map(from => this.intoAny(from, after, path))
    if (before.length > 0 && added.length > 0 && before.some(from => after.some(to => from.kind === to.kind)))
      this.changes.add(worded(path, `may also be ${added.map(nameOf).join(' or ')}`))
    if (converts.every(convert => convert === undefined)) return undefined
    if (before.length === 1) return converts[0]
    return value => {
      const index = before.findIndex(from => fitsAlternative(from, value, this.before))
      return index === -1 ? value : (converts[index]?.(value) ?? value)
    }
  }

  /** Into the alternative that takes it as it is, else the first one that takes it. */
  private intoAny(from: Alternative, after: readonly Alternative[], path: string): Convert | undefined {
    const candidates = after.toSorted((a, b) => Number(b.kind === from.kind) - Number(a.kind === from.kind))
    const outcomes = candidates.map(to => this.trial(() => this.into(from, to, path)))
    const accepted = outcomes.filter(({ refusals }) => refusals.size === 0)
    const chosen = accepted.find(({ changes }) => changes.size === 0) ?? accepted[0]
    if (chosen !== undefined) {
      for (const change of chosen.changes) this.changes.add(change)
      return chosen.convert
    }
    const likely = outcomes.filter((_, index) => candidates[index].kind === from.kind)
    if (likely.length === 1) for (const refusal of likely[0].refusals) this.refusals.add(refusal)
    else this.refuse(path, `was ${nameOf(from)} and is ${after.map(nameOf).join(' or ') || 'nothing'} now`)
    return undefined
  }

  private trial(compare: () => Convert | undefined): Trial {
    const { changes, refusals } = this
    this.changes = new Set()
    this.refusals = new Set()
    const convert = compare()
    const outcome = { changes: this.changes, refusals: this.refusals, convert }
    this.changes = changes
    this.refusals = refusals
    return outcome
  }

  private into(from: Alternative, to: Alternative, path: string): Convert | undefined {
    if (to.kind === 'any') {
      if (from.kind !== 'any') this.changes.add(worded(path, `was ${nameOf(from)} and may be anything now`))
      return undefined
    }
    if (from.kind === 'values') return this.values(from, to, path)
    if (from.kind === 'integer' && to.kind === 'number') {
      this.changes.add(worded(path, 'was an integer and is a number now'))
      this.numbers(from, to, path)
      return undefined
    }
    if (from.kind !== to.kind) {
      this.refuse(path, `was ${nameOf(from)} and is ${nameOf(to)} now`)
      return undefined
    }
    switch (from.kind) {
      case 'boolean':
        return undefined
      case 'opaque':
        if (!isDeepStrictEqual(from, to))
          this.refuse(path, 'is described by keywords that changed and that cannot be compared')
        return undefined
      case 'integer':
      case 'number':
        this.numbers(from, to as OfType<'number'>, path)
        return undefined
      case 'string':
        this.atMost(from.keywords, (to as OfType<'string'>).keywords, ['minLength'], ['maxLength'], path)
        this.otherKeywords(from.keywords, (to as OfType<'string'>).keywords, new Set(['minLength', 'maxLength']), path)
        return undefined
      case 'array':
        return this.arrays(from.keywords, (to as OfType<'array'>).keywords, path)
      case 'object':
        return this.objects(from.keywords, (to as OfType<'object'>).keywords, path)
    }
  }

  private values({ values }: OfType<'values'>, to: Alternative, path: string): undefined {
    const gone = values.filter(value => !fitsAlternative(to, value, this.after) || to.kind === 'opaque')
    if (gone.length > 0)
      return this.refuse(
        path,
        `was ${nameOf({ kind: 'values', values })} and is ${nameOf(to)} now, without ${gone.map(value => JSON.stringify(value)).join(', ')}`,
      )
    if (to.kind !== 'values')
      this.changes.add(worded(path, `was ${nameOf({ kind: 'values', values })} and is ${nameOf(to)} now`))
    else {
      const added = to.values.filter(value => !isAmong(value, values))
      if (added.length > 0)
        this.changes.add(worded(path, `may also be ${added.map(value => JSON.stringify(value)).join(', ')}`))
    }
    return undefined
  }

  private numbers(from: OfType<'integer' | 'number'>, to: OfType<'integer' | 'number'>, path: string): void {
    const [a, b] = [boundsOf(from.kind, from.keywords), boundsOf(to.kind, to.keywords)]
    this.bound(a.least, b.least, b.least.value > a.least.value, 'least', path)
    this.bound(a.most, b.most, b.most.value < a.most.value, 'most', path)
    const [factor, now] = [from.keywords['multipleOf'], to.keywords['multipleOf']]
    if (typeof now === 'number' && !(typeof factor === 'number' && factor % now === 0))
      this.refuse(path, `must be a multiple of ${now} now`)
  }

  private bound(before: Bound, after: Bound, isNarrower: boolean, which: 'least' | 'most', path: string): void {
    const isSame = before.value === after.value
    const text = `${which} was ${boundText(before)} and is ${boundText(after)} now`
    if (isNarrower || (isSame && after.isOpen && !before.isOpen)) this.refuse(path, `its ${text}`)
    else if (!isSame || before.isOpen !== after.isOpen) this.changes.add(worded(path, `its ${text}`))
  }

  /** Limits that are numbers, of which the new one may not be narrower. */
  private atMost(
    from: JsonObject,
    to: JsonObject,
    lower: readonly string[],
    upper: readonly string[],
    path: string,
  ): void {
    for (const keyword of [...lower, ...upper]) {
      const outermost = lower.includes(keyword) ? 0 : Infinity
      const [before, after] = [from[keyword] ?? outermost, to[keyword] ?? outermost] as [number, number]
      if (before === after) continue
      const text = `its ${keyword} was ${before} and is ${after} now`
      if (lower.includes(keyword) ? after > before : after < before) this.refuse(path, text)
      else this.changes.add(worded(path, text))
    }
  }

  private otherKeywords(from: JsonObject, to: JsonObject, known: ReadonlySet<string>, path: string): void {
    for (const keyword of new Set([...Object.keys(from), ...Object.keys(to)])) {
      if (known.has(keyword) || isDeepStrictEqual(from[keyword], to[keyword])) continue
      if (Object.hasOwn(to, keyword))
        this.refuse(path, `${keyword} is new or changed, and not every old value may fit it`)
      else this.changes.add(worded(path, `${keyword} is gone`))
    }
  }

  private arrays(from: JsonObject, to: JsonObject, path: string): Convert | undefined {
    this.atMost(from, to, ['minItems'], ['maxItems'], path)
    this.otherKeywords(from, to, new Set(['minItems', 'maxItems', 'items', 'prefixItems']), path)
    const [before, after] = [tupleOf(from), tupleOf(to)]
    const length = Math.max(before.prefix.length, after.prefix.length)
    const elements = Array.from({ length }, (_, index) =>
      this.schemas(before.prefix[index] ?? before.rest, after.prefix[index] ?? after.rest, `${path}[${index}]`),
    )
    const rest = this.schemas(before.rest, after.rest, `${path}[]`)
    if (rest === undefined && elements.every(convert => convert === undefined)) return undefined
    return value =>
      Array.isArray(value)
        ? value.map((element, index) => ((index < length ? elements[index] : rest) ?? same)(element))
        : value
  }

  private objects(from: JsonObject, to: JsonObject, path: string): Convert | undefined {
    const [before, after] = [propertiesOf(from), propertiesOf(to)]
    this.atMost(from, to, ['minProperties'], ['maxProperties'], path)
    const compared = [
      'properties',
      'required',
      'additionalProperties',
      'propertyNames',
      'minProperties',
      'maxProperties',
    ]
    this.otherKeywords(from, to, new Set(compared), path)
    const change: ObjectChange = { converts: new Map(), removed: new Set(), filled: new Map(), others: undefined }
    for (const [name, schema] of Object.entries(before.properties)) {
      const place = below(path, name)
      if (Object.hasOwn(after.properties, name)) {
        const convert = this.schemas(schema, after.properties[name], place)
        if (convert !== undefined) change.converts.set(name, convert)
      } else if (isOpen(to)) {
        const convert = this.schemas(schema, to['additionalProperties'], place)
        if (convert !== undefined) change.converts.set(name, convert)
      } else {
        this.changes.add(worded(place, 'is removed'))
        change.removed.add(name)
      }
    }
    for (const [name, schema] of Object.entries(after.properties))
      this.presence(name, schema, { from, before, isRequired: after.required.has(name) }, change, below(path, name))
    change.others = this.otherProperties(from, to, path)
    return convertObject(change)
  }

  /** What becomes of a property of the new schema that an old value may not have. */
  private presence(
    name: string,
    schema: unknown,
    { from, before, isRequired }: OldObject & { readonly isRequired: boolean },
    change: ObjectChange,
    place: string,
  ): void {
    const old = before.properties[name]
    if (old !== undefined && (before.required.has(name) || defaultOf(old) !== undefined)) {
      if (before.required.has(name) && !isRequired && defaultOf(schema) === undefined)
        this.changes.add(worded(place, 'is optional now'))
      return
    }
    if (old === undefined && isOpen(from)) {
      const convert = this.schemas(from['additionalProperties'], schema, place)
      if (convert !== undefined) change.converts.set(name, convert)
    }
    const what = old === undefined ? 'is added' : 'was optional'
    const fallback = defaultOf(schema)
    if (fallback !== undefined) {
      change.filled.set(name, fallback)
      this.changes.add(worded(place, `${what}, its default ${JSON.stringify(fallback)} is filled in`))
    } else if (!isRequired) {
      if (old === undefined) this.changes.add(worded(place, `${what}, and optional`))
    } else if (alternativesOf(schema, this.after).some(to => fitsAlternative(to, null, this.after))) {
      change.filled.set(name, null)
      this.changes.add(worded(place, `${what}, null is filled in`))
    } else this.refuse(place, `${what}, is required now and has no default`)
  }

  private otherProperties(from: JsonObject, to: JsonObject, path: string): Convert | undefined {
    const [before, after] = [from['additionalProperties'], to['additionalProperties']]
    if (isOpen(to)) {
      if (isOpen(from)) return this.schemas(before, after, below(path, '*'))
      this.changes.add(worded(path, 'may have other properties now'))
    } else if (isOpen(from) && !(before === true && after === undefined))
      this.refuse(path, 'could have other properties, and has no place for them now')
    const [names, now] = [from['propertyNames'] ?? ANY_NAME, to['propertyNames'] ?? ANY_NAME]
    this.schemas(names, now, below(path, '(name)'))
    return undefined
  }

  private refuse(path: string, reason: string): undefined {
    this.refusals.add(worded(path, reason))
    return undefined
  }
}

const ANY_NAME = { type: 'string' }

interface OldObject {
  readonly from: JsonObject
  readonly before: ReturnType<typeof propertiesOf>
}

interface ObjectChange {
  readonly converts: Map<string, Convert>
  readonly removed: Set<string>
  readonly filled: Map<string, Json>
  /** Of properties that neither schema names. */
  others: Convert | undefined
}

function convertObject({ converts, removed, filled, others }: ObjectChange): Convert | undefined {
  if (converts.size === 0 && removed.size === 0 && filled.size === 0 && others === undefined) return undefined
  return value => {
    if (!isPlainObject(value)) return value
    const result: { [name: string]: unknown } = {}
    for (const [name, property] of Object.entries(value)) {
      if (removed.has(name) || property === undefined) continue
      define(result, name, (converts.get(name) ?? others ?? same)(property))
    }
    for (const [name, fallback] of filled)
      if (!Object.hasOwn(result, name)) define(result, name, structuredClone(fallback))
    return result
  }
}

/** Names come from a snapshot: `__proto__` is a property as any other. */
function define(object: object, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true })
}

/** It says what its other properties are, as a record does. Where it does not say, it has none. */
function isOpen({ additionalProperties }: JsonObject): boolean {
  return additionalProperties !== undefined && additionalProperties !== false
}

function tupleOf({ items, prefixItems }: JsonObject): { readonly prefix: readonly Json[]; readonly rest: Json } {
  return { prefix: Array.isArray(prefixItems) ? (prefixItems as Json[]) : [], rest: items ?? true }
}

function defaultOf(schema: unknown): Json | undefined {
  return typeof schema === 'object' && schema !== null ? (schema as JsonObject)['default'] : undefined
}

const same: Convert = value => value

function worded(path: string, text: string): string {
  return path === '' ? `the value ${text}` : `${path} ${text}`
}

function boundText({ value, isOpen: open }: Bound): string {
  return `${open ? 'beyond ' : ''}${Math.abs(value) === Infinity ? 'unlimited' : value}`
}
