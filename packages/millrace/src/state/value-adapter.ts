/**
 * Values of a snapshot on their way into a state that is described differently now: converted, migrated, or checked, one by one, as they
 * are loaded. The snapshot is not changed; the next checkpoint holds everything in the new form.
 */
import { MillraceError, messageOf } from '../base/errors.ts'
import { describeKey, schemaMisfit, valueReading, type Key, type ValueForm, type WantedForm } from '../codec/index.ts'
import type { AnyDeclaration } from './declarations.ts'
import { enforcedSchema } from './enforced-schema.ts'

/**
 * The value as the state takes it. `key` is undefined in state without keys.
 * @throws STATE_INCOMPATIBLE when there is none; it names operator, state and key
 */
export type Adapt = (value: unknown, key: Key | undefined) => unknown

export interface StateName {
  readonly operator: string
  readonly state: string
}

/** Undefined: values stay as they are. @throws STATE_INCOMPATIBLE for what a restore plan refuses */
export function valueAdapter(
  name: StateName,
  stored: ValueForm,
  declaration: AnyDeclaration,
  wanted: WantedForm,
): Adapt | undefined {
  const reading = valueReading(stored, wanted)
  switch (reading.kind) {
    case 'same':
      return undefined
    case 'checked':
      // Rows are checked where they are made.
      return enforcedSchema(declaration) === undefined ? (value, key) => checked(name, wanted, value, key) : undefined
    case 'evolved': {
      const { convert } = reading.evolution
      return convert && (value => convert(value))
    }
    case 'migrated':
      return migration(name, reading.from, declaration, wanted)
    case 'refused':
      throw incompatible(name, undefined, reading.reasons.join('; '))
  }
}

function migration(name: StateName, from: number, { options }: AnyDeclaration, wanted: WantedForm): Adapt {
  const versions = Array.from({ length: wanted.version - from }, (_, i) => from + i)
  return (value, key) => {
    let migrated = value
    for (const version of versions) {
      try {
        migrated = options.migrate![version](migrated)
      } catch (error) {
        throw incompatible(name, key, `the migration from version ${version} threw: ${messageOf(error)}`, error)
      }
      if (migrated === undefined)
        throw incompatible(name, key, `the migration from version ${version} returned undefined`)
    }
    return wanted.schema === null ? migrated : checked(name, wanted, migrated, key)
  }
}

function checked(name: StateName, { schema }: WantedForm, value: unknown, key: Key | undefined): unknown {
  const misfit = schemaMisfit(schema, value)
  if (misfit === undefined) return value
  throw incompatible(name, key, `it does not fit the state's schema: ${misfit.reason}`)
}

function incompatible(
  { operator, state }: StateName,
  key: Key | undefined,
  reason: string,
  cause?: unknown,
): MillraceError {
  const under = key === undefined ? '' : ` under key ${describeKey(key)}`
  return new MillraceError(
    'STATE_INCOMPATIBLE',
    `the snapshot's value of state '${state}' of '${operator}'${under} cannot be read: ${reason}`,
    {
      context: { operator, state, ...(key !== undefined && { key: describeKey(key) }) },
      ...(cause !== undefined && { cause }),
    },
  )
}
