/**
 * How values that a snapshot holds of a state are read by a job that may describe the state differently now. Pure: the restore plan
 * tells it, and whoever loads the values does it.
 *
 * The version goes first: it is what the state's author says about the values, and only a migration leads from one to the next. Within a
 * version the schemas decide. Values that had no schema are looked at one by one.
 */
import type { Json } from '../base/json.ts'
import { evolveSchema, type Evolution } from './schema-evolution.ts'

/** What values of a state are. */
export interface ValueForm {
  /** JSON Schema; null: none. */
  readonly schema: Json
  /** From 1. */
  readonly version: number
}

/** What a job says of a state's values. */
export interface WantedForm extends ValueForm {
  /** Versions from which there is a migration to the next. */
  readonly migrations: readonly number[]
}

export type ValueReading =
  | { readonly kind: 'same' }
  /** Each value is checked against the schema that it did not have. */
  | { readonly kind: 'checked' }
  | { readonly kind: 'evolved'; readonly evolution: Evolution }
  /** By the migrations of the versions from `from` on. */
  | { readonly kind: 'migrated'; readonly from: number }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] }

export function valueReading(stored: ValueForm, wanted: WantedForm): ValueReading {
  if (stored.version > wanted.version) {
    const reason = `it has version ${stored.version}, and the job knows it up to version ${wanted.version}`
    return { kind: 'refused', reasons: [reason] }
  }
  if (stored.version < wanted.version) {
    const versions = Array.from({ length: wanted.version - stored.version }, (_, i) => stored.version + i)
    const missing = versions.filter(version => !wanted.migrations.includes(version))
    if (missing.length === 0) return { kind: 'migrated', from: stored.version }
    const reason = `it has version ${stored.version} and is version ${wanted.version} now, without a migration from ${missing.join(', ')}`
    return { kind: 'refused', reasons: [reason] }
  }
  if (wanted.schema === null) return { kind: 'same' }
  if (stored.schema === null) return { kind: 'checked' }
  const evolution = evolveSchema(stored.schema, wanted.schema)
  if (evolution.refusals.length > 0) return { kind: 'refused', reasons: evolution.refusals }
  return evolution.changes.length === 0 && evolution.convert === undefined
    ? { kind: 'same' }
    : { kind: 'evolved', evolution }
}
