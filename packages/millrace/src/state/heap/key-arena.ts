/**
 * Encoded keys that do not fit into their rows.
 *
 *   place (int32) = page number << 12 | granule in the page; a granule is 16 bytes, a page 64 KiB
 *
 * A key takes whole granules, and stays where it is. What a removed key leaves is for the next one of as many granules: a vacant place holds
 * 1 + the next one's in its first four bytes. A key of more than ALONE_BYTES has a page of its own. Adding and removing never touch
 * other keys; memory is bounded by the most keys that there were of each size.
 */
const GRANULE_SHIFT = 4
const GRANULE = 1 << GRANULE_SHIFT
const PLACE_SHIFT = 12
const PAGE_GRANULES = 1 << PLACE_SHIFT
const FIRST_GRANULES = 64
/** At most this much is lost at the end of a page. */
const ALONE_BYTES = 1024

const GONE = new Uint8Array(0)

export class KeyArena {
  private readonly pages: Uint8Array[] = []
  /** The page being filled, and how far, in granules. */
  private filling = -1
  private filled = PAGE_GRANULES
  /** By granules: 1 + a vacant place, 0 if there is none. */
  private readonly vacant = new Int32Array(ALONE_BYTES / GRANULE + 1)
  /** Of keys that had a page of their own. */
  private readonly vacantPages: number[] = []

  /** The place of the key. */
  put(key: Uint8Array, length: number): number {
    if (length > ALONE_BYTES) return this.putAlone(key, length)
    const place = this.take(granulesOf(length))
    const bytes = this.bytesOf(place)
    const start = this.startOf(place)
    for (let i = 0; i < length; i++) bytes[start + i] = key[i]
    return place
  }

  remove(place: number, length: number): void {
    if (length > ALONE_BYTES) {
      this.pages[place >>> PLACE_SHIFT] = GONE
      this.vacantPages.push(place >>> PLACE_SHIFT)
      return
    }
    const granules = granulesOf(length)
    writeInt32(this.bytesOf(place), this.startOf(place), this.vacant[granules])
    this.vacant[granules] = place + 1
  }

  bytesOf(place: number): Uint8Array {
    return this.pages[place >>> PLACE_SHIFT]
  }

  startOf(place: number): number {
    return (place & (PAGE_GRANULES - 1)) << GRANULE_SHIFT
  }

  private take(granules: number): number {
    const place = this.vacant[granules] - 1
    if (place < 0) return this.append(granules)
    this.vacant[granules] = readInt32(this.bytesOf(place), this.startOf(place))
    return place
  }

  private append(granules: number): number {
    if (this.filled + granules > PAGE_GRANULES) {
      this.filling = this.pages.length
      this.filled = 0
      this.pages.push(new Uint8Array((this.filling === 0 ? FIRST_GRANULES : PAGE_GRANULES) * GRANULE))
    }
    const page = this.pages[this.filling]
    const end = this.filled + granules
    if (end * GRANULE > page.length) {
      const larger = (this.pages[this.filling] = new Uint8Array(page.length * 2))
      larger.set(page)
    }
    const place = (this.filling << PLACE_SHIFT) | this.filled
    this.filled = end
    return place
  }

  private putAlone(key: Uint8Array, length: number): number {
    const page = this.vacantPages.pop() ?? this.pages.length
    // A copy: the slice of a Buffer would share its memory.
    this.pages[page] = new Uint8Array(key.subarray(0, length))
    return page << PLACE_SHIFT
  }
}

function granulesOf(length: number): number {
  return (length + GRANULE - 1) >>> GRANULE_SHIFT
}

function writeInt32(bytes: Uint8Array, at: number, value: number): void {
  for (let i = 0; i < 4; i++) bytes[at + i] = value >> (8 * i)
}

function readInt32(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
}
