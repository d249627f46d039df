/**
 * Checked access to the fields of a JSON object that was read from a file. Whatever is missing, of another type or out of range is
 * SNAPSHOT_DAMAGED with file and field; nothing is coerced.
 */
import { isJsonObject, type Json, type JsonObject } from '../base/json.ts'
import { LARGEST_NUMBER } from './object-names.ts'
import { damaged } from './sealed-json.ts'

const TEXT_LENGTH_LIMIT = 10_000

export class Fields {
  readonly #object: JsonObject
  readonly #file: string
  readonly #path: string

  constructor(object: JsonObject, file: string, path = '') {
    this.#object = object
    this.#file = file
    this.#path = path
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#object, name)
  }

  names(): string[] {
    return Object.keys(this.#object)
  }

  integer(name: string, min = 0, max = LARGEST_NUMBER): number {
    const value = this.json(name)
    if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return value as number
    return this.fail(name, `an integer from ${min} to ${max}`)
  }

  number(name: string, min: number): number {
    const value = this.json(name)
    return typeof value === 'number' && value >= min ? value : this.fail(name, `a number from ${min}`)
  }

  text(name: string, minLength = 1): string {
    const value = this.json(name)
    if (typeof value === 'string' && value.length >= minLength && value.length <= TEXT_LENGTH_LIMIT) return value
    return this.fail(name, `a text of ${minLength} to ${TEXT_LENGTH_LIMIT} characters`)
  }

  optionalText(name: string): string | null {
    return this.json(name) === null ? null : this.text(name)
  }

  boolean(name: string): boolean {
    const value = this.json(name)
    return typeof value === 'boolean' ? value : this.fail(name, 'true or false')
  }

  oneOf<T extends string>(name: string, choices: readonly T[]): T {
    const value = this.json(name)
    return choices.find(choice => choice === value) ?? this.fail(name, `one of ${choices.join(', ')}`)
  }

  object(name: string): Fields {
    const value = this.json(name)
    return isJsonObject(value) ? new Fields(value, this.#file, this.pathOf(name)) : this.fail(name, 'an object')
  }

  list(name: string): readonly Json[] {
    const value = this.json(name)
    return Array.isArray(value) ? (value as readonly Json[]) : this.fail(name, 'a list')
  }

  objects(name: string): Fields[] {
    return this.list(name).map((value, i) =>
      isJsonObject(value)
        ? new Fields(value, this.#file, `${this.pathOf(name)}[${i}]`)
        : this.fail(`${name}[${i}]`, 'an object'),
    )
  }

  /** Any value, null too, but it must be there. */
  json(name: string): Json {
    return this.has(name) ? this.#object[name]! : this.fail(name, 'given')
  }

  fail(name: string, expected: string): never {
    const found = this.has(name) ? shown(this.#object[name]) : 'missing'
    throw damaged(this.#file, `is wrong at ${this.pathOf(name)}: expected ${expected}, found ${found}`)
  }

  pathOf(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`
  }
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length <= 60 ? text : `${text.slice(0, 60)}…`
}
