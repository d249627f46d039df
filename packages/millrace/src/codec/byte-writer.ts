/**
 * A growable run of bytes that everything in `codec/` writes into. Fields are plain so that encoders may write `bytes` directly
 * after an `ensure`; whoever does so takes `bytes` anew after every call that may grow it.
 *
 * Fixed-width numbers are little-endian unless the name says `be`. A varint is LEB128: 7 bits a byte, the lowest first, the high bit
 * says that another byte follows. An ordered f64 is the big-endian bit pattern with the sign bit flipped, or with all bits flipped
 * when it was negative, so that bytes compare like the numbers.
 */
import { Buffer } from 'node:buffer'

const f64 = new Float64Array(1)
const words = new Uint32Array(f64.buffer)
const LOW = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1
const HIGH = 1 - LOW

export class ByteWriter {
  /** Holds `length` written bytes and room to spare; replaced when it grows. */
  bytes: Uint8Array
  length: number

  constructor(initial = 1024) {
    this.bytes = Buffer.allocUnsafeSlow(initial)
    this.length = 0
  }

  reset(): void {
    this.length = 0
  }

  /** Makes room for `extra` more bytes. */
  ensure(extra: number): void {
    if (this.length + extra > this.bytes.length) this.grow(extra)
  }

  private grow(extra: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(64, this.bytes.length * 2, this.length + extra))
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
  }

  u8(n: number): void {
    if (this.length + 1 > this.bytes.length) this.grow(1)
    this.bytes[this.length++] = n
  }

  u16be(n: number): void {
    if (this.length + 2 > this.bytes.length) this.grow(2)
    const bytes = this.bytes
    const at = this.length
    bytes[at] = n >>> 8
    bytes[at + 1] = n
    this.length = at + 2
  }

  u32le(n: number): void {
    if (this.length + 4 > this.bytes.length) this.grow(4)
    const bytes = this.bytes
    const at = this.length
    bytes[at] = n
    bytes[at + 1] = n >>> 8
    bytes[at + 2] = n >>> 16
    bytes[at + 3] = n >>> 24
    this.length = at + 4
  }

  u32be(n: number): void {
    if (this.length + 4 > this.bytes.length) this.grow(4)
    const bytes = this.bytes
    const at = this.length
    bytes[at] = n >>> 24
    bytes[at + 1] = n >>> 16
    bytes[at + 2] = n >>> 8
    bytes[at + 3] = n
    this.length = at + 4
  }

  /** A safe integer from 0 up. */
  u64le(n: number): void {
    const high = Math.floor(n / 0x1_0000_0000)
    this.u32le(n - high * 0x1_0000_0000)
    this.u32le(high)
  }

  /** A safe integer from 0 up. */
  uvarint(n: number): void {
    if (this.length + 8 > this.bytes.length) this.grow(8)
    const bytes = this.bytes
    let at = this.length
    if (n > 0x7fff_ffff) {
      // Four bytes take the low 28 bits, so that what is left fits into 32-bit arithmetic.
      const low = n & 0x0fff_ffff
      bytes[at++] = low | 0x80
      bytes[at++] = (low >>> 7) | 0x80
      bytes[at++] = (low >>> 14) | 0x80
      bytes[at++] = (low >>> 21) | 0x80
      n = (n - low) / 0x1000_0000
    }
    while (n > 0x7f) {
      bytes[at++] = n | 0x80
      n >>>= 7
    }
    bytes[at++] = n
    this.length = at
  }

  f64le(n: number): void {
    f64[0] = n
    this.u32le(words[LOW])
    this.u32le(words[HIGH])
  }

  /** NaN sorts by its bits, and -0 just below 0. */
  orderedF64(n: number): void {
    f64[0] = n
    const high = words[HIGH]
    const flip = high >>> 31 === 1
    this.u32be(flip ? ~high : high ^ 0x8000_0000)
    this.u32be(flip ? ~words[LOW] : words[LOW])
  }

  raw(bytes: Uint8Array, start = 0, end: number = bytes.length): void {
    const size = end - start
    if (this.length + size > this.bytes.length) this.grow(size)
    this.bytes.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), this.length)
    this.length += size
  }

  /** What was written, without a copy: valid until the next write or reset. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }

  /** What was written, in memory of its own. */
  copy(): Uint8Array {
    return new Uint8Array(this.view())
  }
}
