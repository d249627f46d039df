/** What is different about the values and keys of a state that a job takes over, in words, and whether it can be. Pure. */
import type { Json } from '../base/json.ts'
import { evolveSchema, valueReading, type ValueReading, type WantedForm } from '../codec/index.ts'
import type { StoredForm } from './manifest-types.ts'

export interface FormChange {
  readonly refusals: readonly string[]
  readonly changes: readonly string[]
  readonly converts: boolean
}

const SAME: FormChange = { refusals: [], changes: [], converts: false }

/** `wanted` undefined: of a state of the engine's own. `keys`: of the operator's, for state that has some. */
export function formChange(
  before: StoredForm,
  wanted: WantedForm | undefined,
  { refusals, changes }: FormChange = SAME,
): FormChange {
  const values = wanted === undefined ? SAME : valueChange(valueReading({ version: 1, ...before }, wanted), wanted)
  return {
    refusals: [...refusals, ...values.refusals],
    changes: [...changes, ...values.changes],
    converts: values.converts,
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
      }
    case 'evolved': {
      const { changes, convert } = reading.evolution
      return { refusals: [], changes, converts: convert !== undefined }
    }
    case 'migrated':
      return { refusals: [], changes: [`migrated from version ${reading.from} to ${version}`], converts: true }
    case 'refused':
      return { refusals: reading.reasons, changes: [], converts: false }
  }
}

/** Keys are bytes by which they are found: a schema may come, go or let more through, but not make others of them. */
export function keyChange(before: Json = null, after: Json = null): FormChange {
  if (after === null) return SAME
  if (before === null)
    return { ...SAME, changes: ['its keys had no schema, and are checked against the new one when they are loaded'] }
  const { refusals, changes, convert } = evolveSchema(before, after)
  const all = convert === undefined ? refusals : [...refusals, 'would have to be converted']
  const worded = (texts: readonly string[]) => texts.map(text => `its keys: ${text}`)
  return { refusals: worded(all), changes: worded(changes), converts: false }
}
