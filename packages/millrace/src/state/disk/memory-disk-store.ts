/** A DiskStore in memory, for tests and simulated worlds. It is simple, not fast. */
import { assert } from '../../base/assert.ts'
import type { DiskStore, DiskUsage, DiskView } from './disk-store.ts'
import { Packing, Unpacking } from './packed.ts'

export class MemoryDiskStore implements DiskStore {
  readonly kind = 'memory'
  private readonly content: Content
  private readonly views = new Set<Content>()

  constructor() {
    this.content = new Content(new Map())
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.content.entries.get(nameOf(key))
  }

  multiGet(keys: Uint8Array, count: number): Uint8Array {
    return this.content.multiGet(keys, count)
  }

  write(batch: Uint8Array): void {
    const operations = new Unpacking(batch)
    while (!operations.atEnd) {
      operations.next()
      const name = nameOf(operations.current)
      operations.next()
      if (operations.isMissing) this.content.entries.delete(name)
      else this.content.entries.set(name, new Uint8Array(operations.current))
    }
    this.content.sorted = undefined
  }

  load(batch: Uint8Array): void {
    this.write(batch)
  }

  endLoad(): void {}

  deleteRange(from: Uint8Array, to: Uint8Array): void {
    for (const name of this.content.names(from, to)) this.content.entries.delete(name)
    this.content.sorted = undefined
  }

  scan(from: Uint8Array, to: Uint8Array, maxBytes: number, descending = false): Uint8Array {
    return this.content.scan(from, to, maxBytes, descending)
  }

  view(): DiskView {
    const content = new Content(new Map(this.content.entries))
    this.views.add(content)
    return {
      multiGet: (keys, count) => content.multiGet(keys, count),
      scan: (from, to, maxBytes) => content.scan(from, to, maxBytes, false),
      close: () => void this.views.delete(content),
    }
  }

  /** Views that are open. */
  get openViews(): number {
    return this.views.size
  }

  usage(): DiskUsage {
    let memoryBytes = 0
    for (const [name, value] of this.content.entries) memoryBytes += name.length + value.length
    return { memoryBytes, diskBytes: 0 }
  }

  close(): void {
    this.views.clear()
    this.content.entries.clear()
  }
}

/** Entries by key, as text whose characters are the bytes: in the order of the bytes. */
class Content {
  readonly entries: Map<string, Uint8Array>
  sorted: string[] | undefined

  constructor(entries: Map<string, Uint8Array>) {
    this.entries = entries
  }

  names(from: Uint8Array, to: Uint8Array): string[] {
    const [first, end] = [nameOf(from), nameOf(to)]
    this.sorted ??= [...this.entries.keys()].sort((a, b) => (a < b ? -1 : 1))
    return this.sorted.filter(name => name >= first && name < end)
  }

  multiGet(keys: Uint8Array, count: number): Uint8Array {
    const wanted = new Unpacking(keys)
    const values = new Packing()
    for (let i = 0; i < count; i++) {
      wanted.next()
      const value = this.entries.get(nameOf(wanted.current))
      if (value === undefined) values.missing()
      else values.string(value)
    }
    assert(wanted.atEnd, 'there are as many keys as were announced')
    return new Uint8Array(values.bytes)
  }

  scan(from: Uint8Array, to: Uint8Array, maxBytes: number, descending: boolean): Uint8Array {
    const names = this.names(from, to)
    const found = new Packing()
    for (const name of descending ? names.reverse() : names) {
      found.put(Buffer.from(name, 'latin1'), this.entries.get(name)!)
      if (found.length >= maxBytes) break
    }
    return new Uint8Array(found.bytes)
  }
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
}
