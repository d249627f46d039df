/**
 * Whether a value fits a JSON Schema, as far as that is understood (json-schema.ts); what is opaque is taken to fit. A property whose
 * value is undefined counts as missing. Properties that an object's schema does not name are refused even where additionalProperties is
 * left out, as in rows (fixed-schema.ts): there is no place for them. Used where values of unknown or former shape are read, not on the path of records.
 */
import { inspect } from 'node:util'
import { isJsonObject, type Json, type JsonObject } from '../base/json.ts'
import type { Misfit } from './fixed-schema.ts'
import { alternativesOf, boundsOf, isAmong, nameOf, propertiesOf, type Alternative } from './json-schema.ts'

/** Undefined when the value fits. */
export function schemaMisfit(schema: Json, value: unknown): Misfit | undefined {
  return misfitOf(schema, value, '', schema)
}

function misfitOf(schema: unknown, value: unknown, path: string, root: Json): Misfit | undefined {
  const alternatives = alternativesOf(schema, root)
  const misfits: Misfit[] = []
  for (const alternative of alternatives) {
    const misfit = alternativeMisfit(alternative, value, path, root)
    if (misfit === undefined) return undefined
    // Of a text that is too long it matters little that it is no number either.
    if (alternatives.length === 1 || isOfKind(alternative, value)) misfits.push(misfit)
  }
  if (misfits.length === 1) return misfits[0]
  return { path, reason: `${at(path)}${shown(value)} is not ${alternatives.map(nameOf).join(' or ') || 'allowed'}` }
}

function isOfKind({ kind }: Alternative, value: unknown): boolean {
  switch (kind) {
    case 'object':
      return isPlainObject(value)
    case 'array':
      return Array.isArray(value)
    case 'integer':
    case 'number':
      return typeof value === 'number'
    default:
      return typeof value === kind
  }
}

/** Whether the value is one of the alternative, which stands in `root`. */
export function fitsAlternative(alternative: Alternative, value: unknown, root: Json): boolean {
  return alternativeMisfit(alternative, value, '', root) === undefined
}

function alternativeMisfit(alternative: Alternative, value: unknown, path: string, root: Json): Misfit | undefined {
  const wrong = (): Misfit => ({ path, reason: `${at(path)}${shown(value)} is not ${nameOf(alternative)}` })
  const broken = (what: string): Misfit => ({ path, reason: `${at(path)}${shown(value)} ${what}` })
  switch (alternative.kind) {
    case 'any':
    case 'opaque':
      return undefined
    case 'values':
      return isAmong(value, alternative.values) ? undefined : wrong()
    case 'boolean':
      return typeof value === 'boolean' ? undefined : wrong()
    case 'integer':
    case 'number': {
      if (typeof value !== 'number' || !Number.isFinite(value)) return wrong()
      if (alternative.kind === 'integer' && !Number.isInteger(value)) return wrong()
      const { least, most } = boundsOf(alternative.kind, alternative.keywords)
      if (value < least.value || (least.isOpen && value === least.value)) return broken(`is below ${least.value}`)
      if (value > most.value || (most.isOpen && value === most.value)) return broken(`is above ${most.value}`)
      const { multipleOf } = alternative.keywords
      return typeof multipleOf === 'number' && value % multipleOf !== 0
        ? broken(`is no multiple of ${multipleOf}`)
        : undefined
    }
    case 'string':
      return typeof value === 'string' ? stringProblem(alternative.keywords, value, broken) : wrong()
    case 'array':
      return Array.isArray(value) ? arrayMisfit(alternative.keywords, value, path, root) : wrong()
    case 'object':
      return isPlainObject(value) ? objectMisfit(alternative.keywords, value, path, root) : wrong()
  }
}

function stringProblem(
  { minLength, maxLength, pattern }: JsonObject,
  value: string,
  broken: (what: string) => Misfit,
): Misfit | undefined {
  if (typeof minLength === 'number' && value.length < minLength) return broken(`is shorter than ${minLength}`)
  if (typeof maxLength === 'number' && value.length > maxLength) return broken(`is longer than ${maxLength}`)
  if (typeof pattern === 'string' && !new RegExp(pattern, 'u').test(value)) return broken(`does not match ${pattern}`)
  return undefined
}

function arrayMisfit(keywords: JsonObject, value: readonly unknown[], path: string, root: Json): Misfit | undefined {
  const { items, prefixItems, minItems, maxItems } = keywords
  if (typeof minItems === 'number' && value.length < minItems)
    return { path, reason: `${at(path)}has ${value.length} elements, fewer than ${minItems}` }
  if (typeof maxItems === 'number' && value.length > maxItems)
    return { path, reason: `${at(path)}has ${value.length} elements, more than ${maxItems}` }
  const prefix = Array.isArray(prefixItems) ? prefixItems : []
  for (const [index, element] of value.entries()) {
    const schema = index < prefix.length ? prefix[index] : (items ?? true)
    const misfit = misfitOf(schema, element, `${path}[${index}]`, root)
    if (misfit !== undefined) return misfit
  }
  return undefined
}

function objectMisfit(
  keywords: JsonObject,
  value: { readonly [name: string]: unknown },
  path: string,
  root: Json,
): Misfit | undefined {
  const { properties, required } = propertiesOf(keywords)
  const { additionalProperties = false } = keywords
  for (const name of required)
    if (value[name] === undefined)
      return { path: below(path, name), reason: `property '${below(path, name)}' is missing` }
  for (const [name, property] of Object.entries(value)) {
    if (property === undefined) continue
    const isNamed = Object.hasOwn(properties, name)
    if (!isNamed && additionalProperties === false)
      return { path: below(path, name), reason: `property '${below(path, name)}' is not in the schema` }
    const misfit = misfitOf(isNamed ? properties[name] : additionalProperties, property, below(path, name), root)
    if (misfit !== undefined) return misfit
  }
  return undefined
}

export function isPlainObject(value: unknown): value is { readonly [name: string]: unknown } {
  return isJsonObject(value) && [Object.prototype, null].includes(Object.getPrototypeOf(value))
}

export function below(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

function at(path: string): string {
  return path === '' ? '' : `property '${path}': `
}

function shown(value: unknown): string {
  const text = inspect(value, { depth: 1, maxArrayLength: 5, maxStringLength: 60, breakLength: Infinity })
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
