/**
 * Values of state as JSON, and back. JSON's own values are themselves; what JSON lacks is an object with one member whose name begins
 * with `$`, the same everywhere: in keys on the command line, in `state get` and `scan`, in what is exported and edited.
 *
 *     {"$undefined":true}  {"$bigint":"123"}  {"$number":"NaN" | "Infinity" | "-Infinity" | "-0"}
 *     {"$date":"2026-01-31T12:00:00.000Z" | null}  {"$map":[[key,value],…]}  {"$set":[value,…]}
 *     {"$bytes":"base64"}                       Uint8Array
 *     {"$view":["Float64Array","base64"]}       other typed arrays, DataView, ArrayBuffer; numbers little-endian
 *     {"$regexp":["source","flags"]}  {"$error":{"name":…,"message":…,"stack":…}}  {"$boxed":value}
 *     {"$object":{…}}                           an object of which a property's name begins with `$`
 *     {"$ref":"/a/0"}                           the object that stands at that JSON Pointer from the value's root: cycles, shared parts
 *
 * What is written comes back equal, except that an error keeps only its name, message and stack.
 */
import { Buffer } from 'node:buffer'
import { types } from 'node:util'
import { MillraceError } from '../base/errors.ts'
import { isJsonObject, type Json } from '../base/json.ts'

// ------------------------------------------------------------------------------------------------------------------ to JSON

/** Any value that state can hold. */
export function valueToJson(value: unknown): Json {
  return toJson(value, '', new Map())
}

function toJson(value: unknown, path: string, seen: Map<object, string>): Json {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      return numberToJson(value)
    case 'bigint':
      return { $bigint: String(value) }
    case 'object':
      return value === null ? null : objectToJson(value, path, seen)
    default:
      return { $undefined: true }
  }
}

function numberToJson(value: number): Json {
  if (Object.is(value, -0)) return { $number: '-0' }
  return Number.isFinite(value) ? value : { $number: String(value) }
}

function objectToJson(value: object, path: string, seen: Map<object, string>): Json {
  const first = seen.get(value)
  if (first !== undefined) return { $ref: first }
  seen.set(value, path)
  const inside = (part: unknown, ...steps: (string | number)[]): Json =>
    toJson(part, path + steps.map(step => `/${escapeStep(String(step))}`).join(''), seen)
  if (Array.isArray(value)) return Array.from(value, (element, i) => inside(element, i))
  if (types.isMap(value)) {
    return { $map: [...value].map(([key, held], i) => [inside(key, '$map', i, 0), inside(held, '$map', i, 1)]) }
  }
  if (types.isSet(value)) return { $set: [...value].map((element, i) => inside(element, '$set', i)) }
  if (types.isDate(value)) return { $date: Number.isNaN(value.getTime()) ? null : value.toISOString() }
  if (types.isRegExp(value)) return { $regexp: [value.source, value.flags] }
  if (types.isNativeError(value)) return errorToJson(value)
  if (types.isBoxedPrimitive(value)) return { $boxed: inside(value.valueOf(), '$boxed') }
  if (types.isUint8Array(value)) return { $bytes: base64Of(value) }
  if (ArrayBuffer.isView(value)) return { $view: [viewName(value), base64Of(value)] }
  if (types.isArrayBuffer(value)) return { $view: ['ArrayBuffer', base64Of(new Uint8Array(value))] }
  const names = Object.keys(value)
  const isPlain = !names.some(name => name.startsWith('$'))
  const steps = isPlain ? [] : ['$object']
  const object = objectOf(names.map(name => [name, inside((value as Record<string, unknown>)[name], ...steps, name)]))
  return isPlain ? (object as Json) : { $object: object as Json }
}

function errorToJson({ name, message, stack }: Error): Json {
  return { $error: { name, message, ...(stack !== undefined && { stack }) } }
}

function viewName(view: ArrayBufferView): string {
  return types.isDataView(view) ? 'DataView' : (view as { [Symbol.toStringTag]?: string })[Symbol.toStringTag]!
}

function base64Of({ buffer, byteOffset, byteLength }: ArrayBufferView): string {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength).toString('base64')
}

/** RFC 6901. */
function escapeStep(step: string): string {
  return step.replaceAll('~', '~0').replaceAll('/', '~1')
}

/** `__proto__` is a property like any other. */
function objectOf(entries: readonly (readonly [string, unknown])[]): object {
  return Object.fromEntries(entries)
}

// ---------------------------------------------------------------------------------------------------------------- from JSON

/** The value that `valueToJson` wrote so. `what`: whose text it is, for messages. @throws USAGE for a form that is none of the above */
export function valueFromJson(json: Json, what: string): unknown {
  return new Revival(what).revive(json, '')
}

const VIEWS: { readonly [name: string]: (bytes: ArrayBuffer) => unknown } = {
  ArrayBuffer: bytes => bytes,
  DataView: bytes => new DataView(bytes),
  Int8Array: bytes => new Int8Array(bytes),
  Uint8ClampedArray: bytes => new Uint8ClampedArray(bytes),
  Int16Array: bytes => new Int16Array(bytes),
  Uint16Array: bytes => new Uint16Array(bytes),
  Int32Array: bytes => new Int32Array(bytes),
  Uint32Array: bytes => new Uint32Array(bytes),
  Float32Array: bytes => new Float32Array(bytes),
  Float64Array: bytes => new Float64Array(bytes),
  BigInt64Array: bytes => new BigInt64Array(bytes),
  BigUint64Array: bytes => new BigUint64Array(bytes),
}

const NUMBERS: { readonly [text: string]: number } = { NaN, Infinity, '-Infinity': -Infinity, '-0': -0 }

class Revival {
  private readonly what: string
  private readonly objects = new Map<string, object>()

  constructor(what: string) {
    this.what = what
  }

  revive(json: Json, path: string): unknown {
    if (typeof json !== 'object' || json === null) return json
    if (Array.isArray(json)) return this.fill(path, [] as unknown[], array => this.elements(json, path, array))
    const object = json as { readonly [name: string]: Json }
    const names = Object.keys(object)
    const tag = names.find(name => name.startsWith('$'))
    if (tag === undefined) return this.properties(object, path, path)
    if (names.length !== 1) throw this.bad(path, `'${tag}' stands beside other properties`)
    return this.tagged(tag, object[tag], path)
  }

  private tagged(tag: string, json: Json, path: string): unknown {
    const inner = `${path}/${tag}`
    switch (tag) {
      case '$undefined':
        return undefined
      case '$bigint':
        if (typeof json !== 'string' || !/^-?\d+$/.test(json)) throw this.bad(path, '$bigint takes digits in quotes')
        return BigInt(json)
      case '$number':
        if (typeof json !== 'string' || !Object.hasOwn(NUMBERS, json))
          throw this.bad(path, '$number takes NaN, Infinity, -Infinity or -0 in quotes')
        return NUMBERS[json]
      case '$date':
        if (json !== null && (typeof json !== 'string' || Number.isNaN(Date.parse(json))))
          throw this.bad(path, '$date takes an ISO 8601 time in quotes, or null')
        return this.keep(path, new Date(json === null ? NaN : json))
      case '$map':
        return this.fill(path, new Map(), map => this.pairs(json, inner, map))
      case '$set':
        return this.fill(path, new Set(), set => {
          for (const [i, element] of this.list(json, path, tag).entries())
            set.add(this.revive(element, `${inner}/${i}`))
        })
      case '$bytes':
        return this.keep(path, new Uint8Array(this.bytes(json, path)))
      case '$view':
        return this.view(json, path)
      case '$regexp':
        return this.regexp(json, path)
      case '$error':
        return this.error(json, path)
      case '$boxed':
        return this.keep(path, Object(this.revive(json, inner)) as object)
      case '$object':
        if (!isJsonObject(json)) throw this.bad(path, '$object takes an object')
        return this.properties(json, path, inner)
      case '$ref': {
        const found = typeof json === 'string' ? this.objects.get(json) : undefined
        if (found === undefined) throw this.bad(path, '$ref names no object that stands before it')
        return found
      }
      default:
        throw this.bad(
          path,
          `'${tag.slice(0, 40)}' is not known; an object with such a property is written {"$object":{…}}`,
        )
    }
  }

  /** The object is known by its path before what it holds, which may refer to it. */
  private fill<T extends object>(path: string, object: T, fill: (object: T) => void): T {
    this.objects.set(path, object)
    fill(object)
    return object
  }

  private keep<T extends object>(path: string, object: T): T {
    return this.fill(path, object, () => undefined)
  }

  private elements(json: readonly Json[], path: string, into: unknown[]): void {
    for (const [i, element] of json.entries()) into.push(this.revive(element, `${path}/${i}`))
  }

  private properties(json: { readonly [name: string]: Json }, path: string, inner: string): object {
    return this.fill(path, {}, object => {
      for (const [name, held] of Object.entries(json)) {
        const value = this.revive(held, `${inner}/${escapeStep(name)}`)
        Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true })
      }
    })
  }

  private pairs(json: Json, path: string, map: Map<unknown, unknown>): void {
    for (const [i, pair] of this.list(json, path, '$map').entries()) {
      if (!Array.isArray(pair) || pair.length !== 2) throw this.bad(path, '$map takes a list of [key, value]')
      map.set(this.revive(pair[0], `${path}/${i}/0`), this.revive(pair[1], `${path}/${i}/1`))
    }
  }

  private view(json: Json, path: string): unknown {
    const [name, bytes] = Array.isArray(json) ? (json as readonly Json[]) : []
    if (typeof name !== 'string' || !Object.hasOwn(VIEWS, name))
      throw this.bad(path, '$view takes the name of a typed array and base64')
    try {
      return this.keep(path, VIEWS[name](this.bytes(bytes, path)) as object)
    } catch (cause) {
      if (cause instanceof MillraceError) throw cause
      throw this.bad(path, `the bytes are no ${name}`)
    }
  }

  private regexp(json: Json, path: string): RegExp {
    const [source, flags] = Array.isArray(json) ? (json as readonly Json[]) : []
    try {
      if (typeof source === 'string' && typeof flags === 'string') return this.keep(path, new RegExp(source, flags))
    } catch {
      // Told below.
    }
    throw this.bad(path, '$regexp takes [source, flags]')
  }

  private error(json: Json, path: string): Error {
    const { name, message, stack } = isJsonObject(json) ? json : {}
    if (typeof name !== 'string' || typeof message !== 'string')
      throw this.bad(path, '$error takes a name and a message')
    const error = this.keep(path, new Error(message))
    error.name = name
    error.stack = typeof stack === 'string' ? stack : `${name}: ${message}`
    return error
  }

  private bytes(json: Json | undefined, path: string): ArrayBuffer {
    if (typeof json !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(json))
      throw this.bad(path, 'bytes are base64 in quotes')
    return new Uint8Array(Buffer.from(json, 'base64')).buffer
  }

  private list(json: Json, path: string, tag: string): readonly Json[] {
    if (!Array.isArray(json)) throw this.bad(path, `${tag} takes a list`)
    return json as readonly Json[]
  }

  private bad(path: string, problem: string): MillraceError {
    const where = path === '' ? '' : ` at ${path.slice(0, 100)}`
    return new MillraceError('USAGE', `${this.what} is no value${where}: ${problem}`, {
      hint: 'docs/state.md lists how values that JSON lacks are written.',
    })
  }
}
