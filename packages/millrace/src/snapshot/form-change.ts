/** What is different about the values and keys of a state that a job takes over, in words, and whether it can be. Pure. */
import type { Json } from '../base/json.ts'
import { evolveSchema, valueReading, type ValueReading, type WantedForm } from '../codec/index.ts'
import type { StoredForm } from './manifest-types.ts'

/**
 * What is looked at one by one before it is known whether a state can be taken over: keys and values of the snapshot as they are loaded,
 * against a schema that they did not have; keys of the first records, against the types of those of the snapshot.
 */
export type Check = 'keys' | 'values' | 'new-keys'

export interface FormChange {
  readonly refusals: readonly string[]
  readonly changes: readonly string[]
  readonly converts: boolean
  readonly checks: readonly Check[]
}

const SAME: FormChange = { refusals: [], changes: [], converts: false, checks: [] }

/** `wanted` undefined: of a state of the engine's own. `keys`: of the operator's, for state that has some. */
export function formChange(
  before: StoredForm,
  wanted: WantedForm | undefined,
  { refusals, changes, checks }: FormChange = SAME,
): FormChange {
  const values = wanted === undefined ? SAME : valueChange(valueReading({ version: 1, ...before }, wanted), wanted)
  return {
    refusals: [...refusals, ...values.refusals],
    changes: [...changes, ...values.changes],
    converts: values.converts,
    checks: [...checks, ...values.checks],
  }
}

function valueChange(reading: ValueReading, { version }: WantedForm): FormChange {
  switch (reading.kind) {
    case 'same':
      return SAME
    case 'checked':
      return {
        ...SAME,
        changes: ['its values had no schema, and are checked against the new one when they are loaded'],
        checks: ['values'],
      }
    case 'evolved': {
      const { changes, convert } = reading.evolution
      return { ...SAME, changes, converts: convert !== undefined }
    }
    case 'migrated':
      return { ...SAME, changes: [`migrated from version ${reading.from} to ${version}`], converts: true }
    case 'refused':
      return { ...SAME, refusals: reading.reasons }
  }
}

/** What is known of the keys of an operator: their schema, and the code of the function that makes them. */
export interface KeyFacts {
  readonly keySchema?: Json | undefined
  readonly keyCode?: string | undefined
}

/** Whether nothing says that the keys of a job are those of its snapshot: no schema, and another function. */
export function mayBeOtherKeys(before: KeyFacts, after: KeyFacts): boolean {
  const { keySchema = null, keyCode } = before
  return keySchema === null && (after.keySchema ?? null) === null && keyCode !== undefined && keyCode !== after.keyCode
}

/** Keys are bytes by which they are found: a schema may come, go or let more through, but not make others of them. */
export function keyChange(before: Json = null, after: Json = null): FormChange {
  if (after === null) return SAME
  if (before === null)
    return {
      ...SAME,
      changes: ['its keys had no schema, and are checked against the new one when they are loaded'],
      checks: ['keys'],
    }
  const { refusals, changes, convert } = evolveSchema(before, after)
  const all = convert === undefined ? refusals : [...refusals, 'would have to be converted']
  const worded = (texts: readonly string[]) => texts.map(text => `its keys: ${text}`)
  return { ...SAME, refusals: worded(all), changes: worded(changes) }
}
