/**
 * Reads what ByteWriter wrote, from `offset` up to `end` of `bytes`. Bytes come from a disk, so every read checks the bounds: past the
 * end it throws SNAPSHOT_DAMAGED and never reads a neighbour's bytes. Nothing is allocated before it is known to be there.
 */
import { Buffer } from 'node:buffer'
import { MillraceError } from '../base/errors.ts'

const f64 = new Float64Array(1)
const words = new Uint32Array(f64.buffer)
const LOW = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1
const HIGH = 1 - LOW

export class ByteReader {
  bytes: Uint8Array
  /** The next byte to read. */
  offset: number
  /** One past the last byte that may be read. */
  end: number

  constructor(bytes: Uint8Array = new Uint8Array(0), offset = 0, end: number = bytes.length) {
    this.bytes = bytes
    this.offset = offset
    this.end = end
  }

  reset(bytes: Uint8Array, offset = 0, end: number = bytes.length): void {
    this.bytes = bytes
    this.offset = offset
    this.end = end
  }

  remaining(): number {
    return this.end - this.offset
  }

  /** Throws SNAPSHOT_DAMAGED unless `size` more bytes are there. */
  need(size: number): void {
    if (size > this.end - this.offset) this.endsTooEarly(size)
  }

  private endsTooEarly(size: number): never {
    throw damaged(
      `the encoded data ends too early at byte ${this.end}: ${size} bytes were expected from byte ${this.offset}`,
    )
  }

  u8(): number {
    if (this.offset >= this.end) this.endsTooEarly(1)
    return this.bytes[this.offset++]
  }

  u16be(): number {
    this.need(2)
    const at = this.offset
    this.offset = at + 2
    return (this.bytes[at] << 8) | this.bytes[at + 1]
  }

  u32le(): number {
    this.need(4)
    const bytes = this.bytes
    const at = this.offset
    this.offset = at + 4
    return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
  }

  u32be(): number {
    this.need(4)
    const bytes = this.bytes
    const at = this.offset
    this.offset = at + 4
    return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0
  }

  /** Refuses what is not a safe integer. */
  u64le(): number {
    const low = this.u32le()
    const high = this.u32le()
    if (high > 0x1f_ffff) throw damaged(`the integer at byte ${this.offset - 8} is larger than 2^53 - 1`)
    return high * 0x1_0000_0000 + low
  }

  /** Refuses what is not a safe integer. */
  uvarint(): number {
    let byte = this.u8()
    if (byte < 0x80) return byte
    let value = byte & 0x7f
    let scale = 128
    for (let position = 1; position < 8; position++) {
      byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break
        return value
      }
      scale *= 128
    }
    throw damaged(`the integer that ends at byte ${this.offset} is larger than 2^53 - 1`)
  }

  f64le(): number {
    const low = this.u32le()
    words[HIGH] = this.u32le()
    words[LOW] = low
    return f64[0]
  }

  orderedF64(): number {
    const high = this.u32be()
    const low = this.u32be()
    const flipped = high >>> 31 === 0
    words[HIGH] = flipped ? ~high : high ^ 0x8000_0000
    words[LOW] = flipped ? ~low : low
    return f64[0]
  }

  skip(size: number): void {
    this.need(size)
    this.offset += size
  }

  /** The next `size` bytes, without a copy. */
  raw(size: number): Uint8Array {
    this.need(size)
    const at = this.offset
    this.offset = at + size
    return this.bytes.subarray(at, at + size)
  }

  /** The next `size` bytes, in memory of their own. */
  copy(size: number): Uint8Array {
    return new Uint8Array(this.raw(size))
  }
}

/** SNAPSHOT_DAMAGED, for bytes that were read and make no sense. */
export function damaged(fact: string): MillraceError {
  return new MillraceError('SNAPSHOT_DAMAGED', `${fact}. Run millrace fsck to see what else is damaged.`)
}

/** The bytes as a Buffer, for its string methods, without a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
