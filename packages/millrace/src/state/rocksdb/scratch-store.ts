/** A DiskStore in a directory of its own, which goes when it is closed. Its failures say which directory it is, and what to do. */
import { rmSync } from 'node:fs'
import { isMillraceError, messageOf, MillraceError } from '../../base/errors.ts'
import type { DiskStore, DiskUsage, DiskView } from '../disk/disk-store.ts'

export class ScratchStore implements DiskStore {
  private readonly directory: string
  private readonly store: DiskStore

  /** @throws DISK_STORE_FAILED, as all of its methods */
  constructor(directory: string, open: () => DiskStore) {
    this.directory = directory
    try {
      this.store = named(directory, open)
    } catch (error) {
      this.removeDirectory()
      throw error
    }
  }

  get kind(): DiskStore['kind'] {
    return this.store.kind
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return named(this.directory, () => this.store.get(key))
  }

  multiGet(keys: Uint8Array, count: number): Uint8Array {
    return named(this.directory, () => this.store.multiGet(keys, count))
  }

  write(batch: Uint8Array): void {
    named(this.directory, () => this.store.write(batch))
  }

  load(batch: Uint8Array): void {
    named(this.directory, () => this.store.load(batch))
  }

  endLoad(): void {
    named(this.directory, () => this.store.endLoad())
  }

  deleteRange(from: Uint8Array, to: Uint8Array): void {
    named(this.directory, () => this.store.deleteRange(from, to))
  }

  scan(from: Uint8Array, to: Uint8Array, maxBytes: number, descending?: boolean): Uint8Array {
    return named(this.directory, () => this.store.scan(from, to, maxBytes, descending))
  }

  view(): DiskView {
    const { directory } = this
    const view = named(directory, () => this.store.view())
    return {
      multiGet: (keys, count) => named(directory, () => view.multiGet(keys, count)),
      scan: (from, to, maxBytes) => named(directory, () => view.scan(from, to, maxBytes)),
      close: () => named(directory, () => view.close()),
    }
  }

  usage(): DiskUsage {
    return named(this.directory, () => this.store.usage())
  }

  close(): void {
    named(this.directory, () => this.store.close())
    this.removeDirectory()
  }

  /** What cannot be removed is in nobody's way. */
  private removeDirectory(): void {
    try {
      rmSync(this.directory, { recursive: true, force: true })
    } catch {}
  }
}

function named<T>(directory: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    if (isMillraceError(cause)) throw cause
    throw failureOf(directory, cause)
  }
}

/** What RocksDB and SQLite say of a full disk, of files that are damaged, and of files that another process holds. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/no space|disk is full|disk quota/i, 'make room there, or name another disk with state.rocksdb.directory'],
  [
    /corrupt|malformed|not a database|bad block|checksum/i,
    'its files are damaged; the job rebuilds them from its latest checkpoint when it starts again',
  ],
  [/lock|locked/i, 'another process uses the directory; each needs one of its own'],
]
const OTHERWISE = 'the job rebuilds it from its latest checkpoint when it starts again'

function failureOf(directory: string, cause: unknown): MillraceError {
  const found = messageOf(cause)
  const [, advice] = ADVICE.find(([pattern]) => pattern.test(found)) ?? [undefined, OTHERWISE]
  return new MillraceError('DISK_STORE_FAILED', `the working state in ${directory} failed: ${found}; ${advice}`, {
    context: { directory },
    cause,
  })
}
