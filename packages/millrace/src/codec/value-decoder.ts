/**
 * Reads one value in the form of value-format.ts. The bytes come from a disk: what does not fit the form is SNAPSHOT_DAMAGED, nothing
 * is allocated for a size that the remaining bytes cannot hold, and nothing read is ever run as code.
 */
import { damaged, ByteReader } from './byte-reader.ts'
import { makeShape, ShapesByRun, type Shape } from './shape.ts'
import {
  ERROR_TYPES,
  HAS_CAUSE,
  HAS_MESSAGE,
  HAS_STACK,
  MAX_DEPTH,
  TAG_ARRAY,
  TAG_BIGINT,
  TAG_BIGINT_64,
  TAG_BOXED,
  TAG_BUFFER,
  TAG_DATE,
  TAG_ERROR,
  TAG_FALSE,
  TAG_HOLES,
  TAG_MAP,
  TAG_NULL,
  TAG_OBJECT,
  TAG_OBJECT_AGAIN,
  TAG_REFERENCE,
  TAG_REGEXP,
  TAG_SET,
  TAG_TRUE,
  TAG_UNDEFINED,
  TAG_VIEW,
  VIEW_TYPES,
} from './value-format.ts'
import { readBigint, readNumber, readText } from './value-scalar.ts'

const shapes = new ShapesByRun()
const MAX_ARRAY_LENGTH = 2 ** 32 - 1
/** Longer tables of a value are not kept for the next one. */
const MAX_KEPT = 64
/** V8 turns an array into a table of its elements instead of growing it by more than this. */
const MAX_GROWTH = 1024

export class ValueDecoder {
  private reader: ByteReader = new ByteReader()
  private depth = 0
  /** The objects of the value by number, and its shapes. The arrays are kept from value to value, so they have counts of their own. */
  private objects: (object | undefined)[] = []
  private objectCount = 0
  private valueShapes: (Shape | undefined)[] = []
  private shapeCount = 0

  decode(reader: ByteReader): unknown {
    this.reader = reader
    try {
      return this.read(reader.u8())
    } finally {
      this.forget()
    }
  }

  /** Replaces the first `partCount` parts by what `encodeParts` of the encoder wrote; owners as there. */
  decodeParts(
    reader: ByteReader,
    owners: readonly object[],
    ownerCount: number,
    parts: unknown[],
    partCount: number,
  ): void {
    this.reader = reader
    try {
      for (let i = 0; i < ownerCount; i++) this.met(owners[i])
      for (let i = 0; i < partCount; i++) parts[i] = this.read(reader.u8())
    } finally {
      this.forget()
    }
  }

  private forget(): void {
    this.depth = 0
    if (this.objectCount > MAX_KEPT) this.objects = []
    else for (let i = 0; i < this.objectCount; i++) this.objects[i] = undefined
    if (this.shapeCount > MAX_KEPT) this.valueShapes = []
    this.objectCount = 0
    this.shapeCount = 0
  }

  private read(tag: number): unknown {
    const scalar = readNumber(this.reader, tag) ?? readText(this.reader, tag)
    if (scalar !== undefined) return scalar
    switch (tag) {
      case TAG_UNDEFINED:
        return undefined
      case TAG_NULL:
        return null
      case TAG_FALSE:
        return false
      case TAG_TRUE:
        return true
      case TAG_BIGINT_64:
      case TAG_BIGINT:
        return readBigint(this.reader, tag)
      case TAG_REFERENCE:
        return this.readReference()
      default:
        return this.readObject(tag)
    }
  }

  private readReference(): object {
    const number = this.reader.uvarint()
    const object = this.objects[number]
    if (object === undefined) throw this.nonsense(`a reference to object ${number} of ${this.objectCount}`)
    return object
  }

  private readObject(tag: number): object {
    if (this.depth === MAX_DEPTH) throw this.nonsense(`more than ${MAX_DEPTH} objects inside each other`)
    this.depth++
    const object = this.readKind(tag)
    this.depth--
    return object
  }

  private readKind(tag: number): object {
    switch (tag) {
      case TAG_OBJECT:
        return this.readPlain(this.readShape())
      case TAG_OBJECT_AGAIN:
        return this.readPlain(this.knownShape())
      case TAG_ARRAY:
        return this.readArray()
      case TAG_MAP:
        return this.readMap()
      case TAG_SET:
        return this.readSet()
      case TAG_DATE:
        return this.met(new Date(this.reader.f64le()))
      case TAG_REGEXP:
        return this.readRegExp()
      case TAG_BOXED:
        return this.readBoxed()
      case TAG_BUFFER:
        return this.met(this.reader.copy(this.reader.uvarint()).buffer)
      case TAG_VIEW:
        return this.readView()
      case TAG_ERROR:
        return this.readError()
      default:
        throw this.nonsense(`the unknown tag ${tag}`)
    }
  }

  /** Gives the object its number. To be called before anything inside it is read. */
  private met<T extends object>(object: T): T {
    this.objects[this.objectCount++] = object
    return object
  }

  private nonsense(what: string): Error {
    return damaged(`the encoded value has ${what} before byte ${this.reader.offset}`)
  }

  // ------------------------------------------------------------------------------------------------------------- objects

  private readPlain(shape: Shape): object {
    const object: { [name: string]: unknown } = {}
    this.objects[this.objectCount++] = object
    const { names, unsafe } = shape
    for (let i = 0; i < names.length; i++) {
      const value = this.read(this.reader.u8())
      if (unsafe)
        Object.defineProperty(object, names[i], { value, writable: true, enumerable: true, configurable: true })
      else object[names[i]] = value
    }
    return object
  }

  private knownShape(): Shape {
    const index = this.reader.uvarint()
    if (index >= this.shapeCount) throw this.nonsense(`shape ${index} of ${this.shapeCount}`)
    return this.valueShapes[index]!
  }

  private readShape(): Shape {
    const reader = this.reader
    const size = reader.uvarint()
    const start = reader.offset
    reader.skip(size)
    const shape = shapes.find(reader.bytes, start, size) ?? addShape(reader.bytes, start, reader.offset)
    this.valueShapes[this.shapeCount++] = shape
    return shape
  }

  private readArray(): unknown[] {
    const size = this.reader.uvarint()
    if (size > MAX_ARRAY_LENGTH) throw this.nonsense(`an array of ${size} elements`)
    const array: unknown[] = this.met([])
    let next = 0
    while (next < size) {
      const tag = this.reader.u8()
      if (tag === TAG_HOLES) {
        const holes = this.reader.uvarint()
        if (holes === 0 || holes > size - next) throw this.nonsense(`${holes} holes in an array of ${size}`)
        next += holes
        if (next === size) setLength(array, size)
      } else {
        array[next++] = this.read(tag)
      }
    }
    return array
  }

  private readMap(): Map<unknown, unknown> {
    const map = this.met(new Map<unknown, unknown>())
    const count = this.reader.uvarint()
    for (let i = 0; i < count; i++) {
      const key = this.read(this.reader.u8())
      map.set(key, this.read(this.reader.u8()))
    }
    return map
  }

  private readSet(): Set<unknown> {
    const set = this.met(new Set<unknown>())
    const count = this.reader.uvarint()
    for (let i = 0; i < count; i++) set.add(this.read(this.reader.u8()))
    return set
  }

  // ------------------------------------------------------------------------------------------------------------ built-ins

  private text(): string {
    const text = readText(this.reader, this.reader.u8())
    if (text === undefined) throw this.nonsense('something else than a string')
    return text
  }

  private readRegExp(): RegExp {
    const source = this.text()
    const flags = this.text()
    try {
      return this.met(new RegExp(source, flags))
    } catch {
      throw this.nonsense('a RegExp that is not one')
    }
  }

  private readBoxed(): object {
    const number = this.objectCount++
    const primitive = this.read(this.reader.u8())
    if (primitive === null || primitive === undefined || typeof primitive === 'object')
      throw this.nonsense('a boxed value that is no primitive')
    return (this.objects[number] = Object(primitive) as object)
  }

  private readView(): ArrayBufferView {
    const number = this.objectCount++
    const kind = this.reader.u8()
    const type = VIEW_TYPES[kind]
    if (type === undefined) throw this.nonsense(`a view of the unknown kind ${kind}`)
    const buffer = this.read(this.reader.u8())
    const elementBytes = (type as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1
    if (!(buffer instanceof ArrayBuffer) || buffer.byteLength % elementBytes !== 0)
      throw this.nonsense('a view of something else than its bytes')
    const view = new type(buffer)
    this.objects[number] = view
    return view
  }

  private readError(): Error {
    const kind = this.reader.u8()
    const type = ERROR_TYPES[kind]
    if (type === undefined) throw this.nonsense(`an error of the unknown kind ${kind}`)
    const error = this.met(new type())
    const parts = this.reader.u8()
    if (parts & HAS_MESSAGE) define(error, 'message', this.text())
    define(error, 'stack', parts & HAS_STACK ? this.text() : undefined)
    if (parts & HAS_CAUSE) define(error, 'cause', this.read(this.reader.u8()))
    return error
  }
}

/** As the constructors of errors do: not enumerable. */
function define(error: Error, name: string, value: unknown): void {
  Object.defineProperty(error, name, { value, writable: true, enumerable: false, configurable: true })
}

/** Sets the length without giving memory to the holes. */
function setLength(array: unknown[], length: number): void {
  if (length - array.length > MAX_GROWTH) {
    // An element far beyond the end makes V8 keep the array as a table; it stays one when the element goes.
    array[length - 1] = undefined
    Reflect.deleteProperty(array, length - 1)
  }
  array.length = length
}

function addShape(bytes: Uint8Array, start: number, end: number): Shape {
  const reader = new ByteReader(bytes, start, end)
  const count = reader.uvarint()
  const names: string[] = []
  while (names.length < count) {
    const name = readText(reader, reader.u8())
    if (name === undefined) throw damaged(`a property name before byte ${reader.offset} is not a string`)
    names.push(internalized(name))
  }
  if (reader.remaining() > 0)
    throw damaged(`the property names before byte ${end} end too early, at byte ${reader.offset}`)
  const shape = makeShape(names, new Uint8Array(bytes.subarray(start, end)))
  shapes.add(shape)
  return shape
}

/** The same name in the one copy that V8 keeps of every property name: stores with any other copy look it up each time. */
function internalized(name: string): string {
  return Object.keys({ [name]: 0 })[0]
}
