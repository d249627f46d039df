/**
 * Schemas that users bring: anything that follows Standard Schema or Standard JSON Schema (https://standardschema.dev; zod, valibot,
 * arktype), or a plain JSON Schema. Only what all of the engine needs of one is here: its type, and its JSON Schema.
 */
import type { JsonObject } from '../base/json.ts'

/** The part of a Standard Schema that carries its output type. */
export interface Typed<T> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly types?: { readonly input: unknown; readonly output: T } | undefined
  }
}

/** A JSON Schema as data. The type of the values is for its author to say. */
export type JsonSchema = (Keywords | object) & { readonly '~standard'?: undefined }

export type Schema<T> = Typed<T> | JsonSchema

/** A JSON Schema, as its keywords. */
export interface Keywords {
  readonly [keyword: string]: unknown
}

/** What Standard JSON Schema adds; `output` throws what it cannot represent, and for targets it does not know. */
interface JsonSchemaSource {
  readonly jsonSchema?: { readonly output?: (options: { readonly target: string }) => unknown }
}

/** In the order of preference. What is read of a schema means the same in both. */
const TARGETS = ['draft-2020-12', 'draft-07']

export function isSchema(value: unknown): value is Schema<unknown> {
  if (typeof value === 'function') return '~standard' in value
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Of the values that the schema lets through. Undefined: it has none, as one with dates or transformations. */
export function jsonSchemaOf(schema: Schema<unknown>): Keywords | undefined {
  const standard = schema['~standard'] as JsonSchemaSource | undefined
  if (standard === undefined) return schema as Keywords
  const output = standard.jsonSchema?.output
  if (output === undefined) return undefined
  for (const target of TARGETS) {
    try {
      const json = output({ target })
      if (isSchema(json)) return json as Keywords
    } catch {
      // Says only that this target cannot be had.
    }
  }
  return undefined
}

/** The same as JSON that may be stored. Undefined also for a plain JSON Schema that JSON cannot hold. */
export function storableSchemaOf(schema: Schema<unknown>): JsonObject | undefined {
  const described = jsonSchemaOf(schema)
  if (described === undefined) return undefined
  try {
    const { $schema: _, ...json } = JSON.parse(JSON.stringify(described)) as JsonObject
    return json
  } catch {
    return undefined
  }
}
