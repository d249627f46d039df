/** The memory of a page between its two ends: one buffer, seen as words, doubles and bytes. */
import { INITIAL_PAGE_BYTES } from './row-format.ts'

export class RowMemory {
  /** The views are replaced together when the memory grows. */
  i32: Int32Array
  f64: Float64Array
  protected bytes: Uint8Array

  constructor() {
    const memory = new ArrayBuffer(INITIAL_PAGE_BYTES)
    this.i32 = new Int32Array(memory)
    this.f64 = new Float64Array(memory)
    this.bytes = new Uint8Array(memory)
  }

  /** Other memory, with the first `keptBytes` of this one. */
  protected useMemory(sizeBytes: number, keptBytes: number): void {
    const memory = new ArrayBuffer(sizeBytes)
    this.i32 = new Int32Array(memory)
    this.f64 = new Float64Array(memory)
    const bytes = new Uint8Array(memory)
    bytes.set(this.bytes.subarray(0, keptBytes))
    this.bytes = bytes
  }
}
