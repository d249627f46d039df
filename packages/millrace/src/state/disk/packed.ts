/**
 * Many byte strings in one buffer, for the calls of a DiskStore. All numbers are u32, little-endian.
 *
 *     keys     (length | key)*
 *     values   (length, or MISSING | value)*
 *     entries  (key length | key | value length | value)*
 *     batch    as entries; MISSING in place of a value length: the key is deleted
 */
import { assert } from '../../base/assert.ts'
import { ByteWriter } from '../../codec/index.ts'

export const MISSING = 0xffffffff

/** Collects keys, values or operations. Reused: `reset` keeps the buffer. */
export class Packing {
  count = 0
  private readonly writer = new ByteWriter(4096)

  get bytes(): Uint8Array {
    return this.writer.bytes.subarray(0, this.writer.length)
  }

  get length(): number {
    return this.writer.length
  }

  reset(): void {
    this.writer.reset()
    this.count = 0
  }

  /** A key or a value. */
  string(bytes: Uint8Array): void {
    this.add(bytes)
    this.count++
  }

  missing(): void {
    this.writer.u32le(MISSING)
    this.count++
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.add(key)
    this.add(value)
    this.count++
  }

  delete(key: Uint8Array): void {
    this.add(key)
    this.missing()
  }

  private add(bytes: Uint8Array): void {
    this.writer.u32le(bytes.length)
    this.writer.raw(bytes)
  }
}

/** The first key that can come behind one: the same with a zero byte. */
export function keyAfter(key: Uint8Array): Uint8Array {
  const after = new Uint8Array(key.length + 1)
  after.set(key)
  return after
}

/** Walks packed strings: `next` stands before the first, `[start, end)` of `bytes` is the one it stands at. */
export class Unpacking {
  start = 0
  end = 0
  isMissing = false
  readonly bytes: Uint8Array
  private readonly view: DataView

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  get atEnd(): boolean {
    return this.end === this.bytes.length
  }

  next(): void {
    const length = this.view.getUint32(this.end, true)
    this.start = this.end + 4
    this.isMissing = length === MISSING
    this.end = this.isMissing ? this.start : this.start + length
    assert(this.end <= this.bytes.length, 'packed strings are whole')
  }

  /** A view of the string it stands at. */
  get current(): Uint8Array {
    return this.bytes.subarray(this.start, this.end)
  }
}
