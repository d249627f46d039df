/**
 * A ring of pages between one writing and one reading slot, in memory that both share. It is the channel of an exchange: pages arrive
 * whole and in order, and a slow reader stops the writer, since there are only so many pages: a power of two.
 *
 *   control  i32 published at 0, i32 taken at 64      counts that wrap; a cache line each, since each has one writer
 *   page     header of 32 bytes, body of up to BODY_BYTES
 *   header   i32 flags | i32 body size | f64 watermark | f64 barrier | 8 bytes unused
 *
 * A page too large for the ring comes in parts, all but the last flagged MORE; watermark and barrier count with the last. Each side
 * wakes the other when that one may be waiting for it. It stores its own count first and looks at the other's afterwards: done the
 * other way round, both could see the old state and sleep.
 */

export const PAGE_BYTES = 32 * 1024
export const HEADER_BYTES = 32
export const BODY_BYTES = PAGE_BYTES - HEADER_BYTES
const CONTROL_BYTES = 128

export const MORE = 1
export const IDLE = 2

/** No checkpoint has this id. */
export const NO_BARRIER = -1

export function ringBytes(pages: number): number {
  return CONTROL_BYTES + pages * PAGE_BYTES
}

const PUBLISHED = 0
const TAKEN = 16

/** Where a ring lies. */
export interface RingPlace {
  readonly memory: SharedArrayBuffer
  /** A multiple of 8. */
  readonly offset: number
  readonly pages: number
}

/** Views of one ring: words of 4 and 8 bytes from its first page on. */
class RingMemory {
  readonly control: Int32Array
  readonly bytes: Uint8Array
  readonly words: Int32Array
  readonly doubles: Float64Array

  constructor({ memory, offset, pages }: RingPlace) {
    const first = offset + CONTROL_BYTES
    const size = pages * PAGE_BYTES
    this.control = new Int32Array(memory, offset, CONTROL_BYTES / 4)
    this.bytes = new Uint8Array(memory, first, size)
    this.words = new Int32Array(memory, first, size / 4)
    this.doubles = new Float64Array(memory, first, size / 8)
  }
}

export class RingWriter {
  private readonly memory: RingMemory
  private readonly pages: number
  private readonly wakeReader: () => void
  private published = 0

  constructor(place: RingPlace, wakeReader: () => void) {
    this.memory = new RingMemory(place)
    this.pages = place.pages
    this.wakeReader = wakeReader
  }

  get freePages(): number {
    return this.pages - ((this.published - Atomics.load(this.memory.control, TAKEN)) | 0)
  }

  /** The bytes to write the next page's body into, from `bodyOffset`. Only while a page is free. */
  get bytes(): Uint8Array {
    return this.memory.bytes
  }

  get bodyOffset(): number {
    return (this.published & (this.pages - 1)) * PAGE_BYTES + HEADER_BYTES
  }

  /** The body is written: the reader may have it. */
  publish(flags: number, bodySize: number, watermark: number, barrier: number): void {
    const { words, doubles, control } = this.memory
    const page = (this.published & (this.pages - 1)) * PAGE_BYTES
    words[page / 4] = flags
    words[page / 4 + 1] = bodySize
    doubles[page / 8 + 1] = watermark
    doubles[page / 8 + 2] = barrier
    const before = this.published
    this.published = (before + 1) | 0
    Atomics.store(control, PUBLISHED, this.published)
    if (Atomics.load(control, TAKEN) === before) this.wakeReader()
  }
}

export class RingReader {
  /** Header of the page that `hasPage` found. */
  flags = 0
  bodySize = 0
  watermark = 0
  barrier = NO_BARRIER
  private readonly memory: RingMemory
  private readonly pages: number
  private readonly wakeWriter: () => void
  private taken = 0

  constructor(place: RingPlace, wakeWriter: () => void) {
    this.memory = new RingMemory(place)
    this.pages = place.pages
    this.wakeWriter = wakeWriter
  }

  /** Whether there is a page; if so its header is read. */
  hasPage(): boolean {
    const { control, words, doubles } = this.memory
    if (Atomics.load(control, PUBLISHED) === this.taken) return false
    const page = (this.taken & (this.pages - 1)) * PAGE_BYTES
    this.flags = words[page / 4]
    this.bodySize = words[page / 4 + 1]
    this.watermark = doubles[page / 8 + 1]
    this.barrier = doubles[page / 8 + 2]
    return true
  }

  get bytes(): Uint8Array {
    return this.memory.bytes
  }

  get bodyOffset(): number {
    return (this.taken & (this.pages - 1)) * PAGE_BYTES + HEADER_BYTES
  }

  /** The page is copied: the writer may have its place. */
  take(): void {
    const { control } = this.memory
    const before = this.taken
    this.taken = (before + 1) | 0
    Atomics.store(control, TAKEN, this.taken)
    if (((Atomics.load(control, PUBLISHED) - before) | 0) === this.pages) this.wakeWriter()
  }
}
