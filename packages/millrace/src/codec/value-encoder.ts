/**
 * Writes one value in the form of value-format.ts. An encoder keeps the objects it has met, so that a cycle or a shared reference is
 * written as the number of the object; for the few objects of a common value a short array is searched, a Map only beyond that.
 */
import { MillraceError } from '../base/errors.ts'
import { ByteWriter } from './byte-writer.ts'
import { makeShape, ShapesByName, type Shape } from './shape.ts'
import { kindOf, unbox } from './value-kind.ts'
import {
  ERROR_TYPES,
  HAS_CAUSE,
  HAS_MESSAGE,
  HAS_STACK,
  MAX_DEPTH,
  MAX_VALUE_BYTES,
  TAG_ARRAY,
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
import { valueTooLarge, writeBigint, writeNumber, writeText } from './value-scalar.ts'

type PlainObject = { readonly [name: string]: unknown }

const shapes = new ShapesByName()
const shapeWriter = new ByteWriter(256)

/** Stamps tell the values apart, also when a getter encodes another value in the middle of one. */
let lastStamp = 0

/** Objects that are searched one by one before a Map is worth its allocation. */
const MAX_SEARCHED = 12

export class ValueEncoder {
  private out: ByteWriter = shapeWriter
  private limit = 0
  private stamp = 0
  private shapeCount = 0
  private readonly met: (object | undefined)[] = []
  private metCount = 0
  private metNumbers: Map<object, number> | undefined
  /** How many objects contain what is being written, and under which name or index each holds the next: for the message of an error. */
  private depth = 0
  private readonly path: (string | number)[] = []

  /** On an error nothing is appended. */
  encode(value: unknown, out: ByteWriter): void {
    const start = this.begin(out)
    try {
      this.write(value)
      if (out.length > this.limit) throw valueTooLarge()
    } catch (error) {
      out.length = start
      throw error
    } finally {
      this.forget()
    }
  }

  /**
   * Appends the first `partCount` of the parts as if they were one value, of which the reader has the first `ownerCount` owners
   * already. No owner may stand there twice. On an error nothing is appended.
   */
  encodeParts(
    owners: readonly object[],
    ownerCount: number,
    parts: readonly unknown[],
    partCount: number,
    out: ByteWriter,
  ): void {
    const start = this.begin(out)
    try {
      for (let i = 0; i < ownerCount; i++) this.number(owners[i])
      for (let i = 0; i < partCount; i++) this.write(parts[i])
      if (out.length > this.limit) throw valueTooLarge()
    } catch (error) {
      out.length = start
      throw error
    } finally {
      this.forget()
    }
  }

  private begin(out: ByteWriter): number {
    this.out = out
    this.limit = out.length + MAX_VALUE_BYTES
    this.stamp = ++lastStamp
    return out.length
  }

  private forget(): void {
    // A loop: `fill` takes 20 ns for a single element.
    for (let i = 0; i < this.metCount && i < MAX_SEARCHED; i++) this.met[i] = undefined
    this.metCount = 0
    this.metNumbers = undefined
    this.shapeCount = 0
    this.depth = 0
  }

  private write(value: unknown): void {
    switch (typeof value) {
      case 'number':
        writeNumber(value, this.out)
        break
      case 'string':
        writeText(value, this.out)
        break
      case 'boolean':
        this.out.u8(value ? TAG_TRUE : TAG_FALSE)
        break
      case 'undefined':
        this.out.u8(TAG_UNDEFINED)
        break
      case 'bigint':
        writeBigint(value, this.out)
        break
      case 'object':
        if (value === null) this.out.u8(TAG_NULL)
        else if (!this.writeReference(value)) this.writeObject(value)
        break
      default:
        throw this.unsupported(`a ${typeof value}`)
    }
  }

  /** Writes a reference if the object was met before; otherwise gives it the next number. */
  private writeReference(object: object): boolean {
    const number = this.metNumbers === undefined ? this.search(object) : (this.metNumbers.get(object) ?? -1)
    if (number >= 0) {
      this.out.u8(TAG_REFERENCE)
      this.out.uvarint(number)
      return true
    }
    this.number(object)
    return false
  }

  private number(object: object): void {
    if (this.metCount < MAX_SEARCHED) this.met[this.metCount] = object
    else this.numbers().set(object, this.metCount)
    this.metCount++
  }

  private search(object: object): number {
    for (let i = 0; i < this.metCount; i++) if (this.met[i] === object) return i
    return -1
  }

  private numbers(): Map<object, number> {
    if (this.metNumbers === undefined) {
      this.metNumbers = new Map()
      for (let i = 0; i < this.metCount; i++) this.metNumbers.set(this.met[i]!, i)
    }
    return this.metNumbers
  }

  private writeObject(object: object): void {
    const kind = kindOf(object)
    if (kind === 'unsupported')
      throw this.unsupported(`a ${object.constructor?.name ?? 'built-in object with hidden state'}`)
    if (this.depth === MAX_DEPTH) throw this.unsupported(`more than ${MAX_DEPTH} objects inside each other`)
    if (this.out.length > this.limit) throw valueTooLarge()
    this.depth++
    switch (kind) {
      case 'plain':
        this.writePlain(object as PlainObject)
        break
      case 'instance':
        // The copy inherits nothing, which is what `find` of the shapes needs.
        this.writePlain({ ...object })
        break
      case 'array':
        this.writeArray(object as unknown[])
        break
      case 'map':
        this.writeMap(object as Map<unknown, unknown>)
        break
      case 'set':
        this.writeSet(object as Set<unknown>)
        break
      case 'date':
        this.out.u8(TAG_DATE)
        this.out.f64le(Date.prototype.getTime.call(object))
        break
      case 'regexp':
        this.out.u8(TAG_REGEXP)
        writeText((object as RegExp).source, this.out)
        writeText((object as RegExp).flags, this.out)
        break
      case 'boxed':
        this.out.u8(TAG_BOXED)
        this.write(unbox(object))
        break
      case 'buffer':
        this.writeBuffer(new Uint8Array(object as ArrayBuffer))
        break
      case 'view':
        this.writeView(object as ArrayBufferView)
        break
      case 'error':
        this.writeError(object as Error)
    }
    this.depth--
  }

  // ------------------------------------------------------------------------------------------------------------- objects

  private writePlain(object: PlainObject): void {
    const shape = shapes.find(object) ?? addShape(Object.keys(object))
    this.writeShape(shape)
    const names = shape.names
    for (let i = 0; i < names.length; i++) {
      const value = object[names[i]]
      if (typeof value === 'number') {
        writeNumber(value, this.out)
      } else if (typeof value === 'string') {
        writeText(value, this.out)
      } else {
        this.path[this.depth] = names[i]!
        this.write(value)
      }
    }
  }

  private writeShape(shape: Shape): void {
    const out = this.out
    if (shape.stamp === this.stamp) {
      out.u8(TAG_OBJECT_AGAIN)
      out.uvarint(shape.index)
      return
    }
    shape.stamp = this.stamp
    shape.index = this.shapeCount++
    out.u8(TAG_OBJECT)
    out.uvarint(shape.run.length)
    out.raw(shape.run)
  }

  /** What stands under an index or is an entry of a collection; `step` is its place in the path. */
  private writeElement(step: number, value: unknown): void {
    if (typeof value === 'number') {
      writeNumber(value, this.out)
      return
    }
    this.path[this.depth] = step
    this.write(value)
    if (this.out.length > this.limit) throw valueTooLarge()
  }

  private writeArray(array: readonly unknown[]): void {
    const size = array.length
    this.out.u8(TAG_ARRAY)
    this.out.uvarint(size)
    if (size > MAX_LOOKED_THROUGH && isSparse(array)) {
      this.writeSparse(array)
      return
    }
    let holes = 0
    for (let i = 0; i < size; i++) {
      const value = array[i]
      if (value === undefined && !Object.hasOwn(array, i)) {
        holes++
        continue
      }
      if (holes > 0) this.writeHoles(holes)
      holes = 0
      this.writeElement(i, value)
    }
    if (holes > 0) this.writeHoles(holes)
  }

  /** Goes from element to element instead of from index to index. */
  private writeSparse(array: readonly unknown[]): void {
    let next = 0
    for (const name of Object.keys(array)) {
      const index = Number(name)
      if (!isIndex(index, name)) break
      if (index > next) this.writeHoles(index - next)
      this.writeElement(index, array[index])
      next = index + 1
    }
    if (array.length > next) this.writeHoles(array.length - next)
  }

  private writeHoles(count: number): void {
    this.out.u8(TAG_HOLES)
    this.out.uvarint(count)
  }

  private writeMap(map: Map<unknown, unknown>): void {
    // Copied first, as structured clone does: a getter inside may change the map.
    const entries = Array.from(Map.prototype.entries.call(map))
    this.out.u8(TAG_MAP)
    this.out.uvarint(entries.length)
    for (let i = 0; i < entries.length; i++) {
      this.writeElement(i, entries[i][0])
      this.writeElement(i, entries[i][1])
    }
  }

  private writeSet(set: Set<unknown>): void {
    const values = Array.from(Set.prototype.values.call(set))
    this.out.u8(TAG_SET)
    this.out.uvarint(values.length)
    for (let i = 0; i < values.length; i++) this.writeElement(i, values[i])
  }

  private writeBuffer(bytes: Uint8Array): void {
    if (this.out.length + bytes.length > this.limit) throw valueTooLarge()
    this.out.u8(TAG_BUFFER)
    this.out.uvarint(bytes.length)
    this.out.raw(bytes)
  }

  /**
   * A view of a whole buffer shares it with the value's other views of it. A view of a part carries that part alone: a Buffer of Node
   * is a few bytes of a pool of 8 KiB that are strangers' data.
   */
  private writeView(view: ArrayBufferView): void {
    this.out.u8(TAG_VIEW)
    this.out.u8(VIEW_TYPES.findIndex(type => view instanceof type))
    if (view.byteLength === view.buffer.byteLength) {
      this.write(view.buffer)
      return
    }
    this.metCount++
    this.writeBuffer(new Uint8Array(view.buffer, view.byteOffset, view.byteLength))
  }

  private writeError(error: Error): void {
    const named = ERROR_TYPES.findIndex(type => type.name === error.name)
    const message = Object.getOwnPropertyDescriptor(error, 'message')
    const stack = error.stack
    const cause = Object.getOwnPropertyDescriptor(error, 'cause')
    this.out.u8(TAG_ERROR)
    this.out.u8(Math.max(0, named))
    this.out.u8((message ? HAS_MESSAGE : 0) | (typeof stack === 'string' ? HAS_STACK : 0) | (cause ? HAS_CAUSE : 0))
    // The message of an error may have been set to anything.
    // oxlint-disable-next-line typescript/no-unnecessary-type-conversion
    if (message !== undefined) writeText(String(error.message), this.out)
    if (typeof stack === 'string') writeText(stack, this.out)
    if (cause !== undefined) {
      this.path[this.depth] = 'cause'
      this.write(error.cause)
    }
  }

  private unsupported(what: string): MillraceError {
    const path = `value${this.path
      .slice(1, this.depth + 1)
      .map(showStep)
      .join('')}`
    const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path
    return new MillraceError('VALUE_UNSUPPORTED', `${shown} is ${what}, which cannot be stored; store plain data`, {
      context: { path: shown },
    })
  }
}

function showStep(step: string | number): string {
  if (typeof step === 'number') return `[${step}]`
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`
}

function addShape(names: readonly string[]): Shape {
  const shape = shapeOf(names)
  shapes.add(shape)
  return shape
}

export function shapeOf(names: readonly string[]): Shape {
  shapeWriter.reset()
  shapeWriter.uvarint(names.length)
  for (const name of names) writeText(name, shapeWriter)
  return makeShape(names, shapeWriter.copy())
}

/** A longer array is first sampled, since looking at each of four thousand million indices takes a minute. */
const MAX_LOOKED_THROUGH = 10_000
const SAMPLES = 64

function isSparse(array: readonly unknown[]): boolean {
  const step = Math.floor(array.length / SAMPLES)
  let holes = 0
  for (let i = 0; i < SAMPLES; i++) if (!Object.hasOwn(array, i * step)) holes++
  return holes > SAMPLES / 2
}

function isIndex(index: number, name: string): boolean {
  return index < 2 ** 32 - 1 && String(index) === name
}
