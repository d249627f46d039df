/** The contract of snapshot stores in memory: for tests, simulations, and `run()` without a storage. Bytes are copied in and out. */
import { MillraceError } from '../../base/errors.ts'
import {
  assertObjectName,
  type MayRemove,
  type ObjectWriter,
  type SnapshotStore,
  type StoredObject,
} from '../contract.ts'
import { copyObject } from '../copy-object.ts'

interface Entry {
  readonly bytes: Uint8Array
  readonly modifiedAtMs: number
}

/** An object in the making. As on a disk, one that is swept away cannot be finished. */
interface Unfinished {
  readonly name: string
  chunks: Uint8Array[]
}

export class MemoryStore implements SnapshotStore {
  readonly location: string
  readonly #now: () => number
  readonly #objects = new Map<string, Entry>()
  readonly #unfinished = new Set<Unfinished>()

  constructor(location: string, now: () => number) {
    this.location = location
    this.#now = now
  }

  get isEmpty(): boolean {
    return this.#objects.size === 0
  }

  async create(name: string): Promise<ObjectWriter> {
    assertObjectName(name)
    const unfinished: Unfinished = { name, chunks: [] }
    this.#unfinished.add(unfinished)
    return {
      write: async bytes => {
        this.#assertUnfinished(unfinished)
        unfinished.chunks.push(bytes.slice())
      },
      finish: async () => {
        this.#assertUnfinished(unfinished)
        this.#unfinished.delete(unfinished)
        if (this.#objects.has(name)) {
          throw new MillraceError('STORE_FAILED', `${name} exists already, and an object is never replaced`, {
            context: { name },
          })
        }
        this.#put(name, concatenate(unfinished.chunks))
      },
      abandon: async () => {
        this.#unfinished.delete(unfinished)
      },
    }
  }

  async publish(name: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    assertObjectName(name)
    if (this.#objects.has(name)) return 'exists'
    this.#put(name, bytes.slice())
    return 'created'
  }

  async replace(name: string, bytes: Uint8Array): Promise<void> {
    assertObjectName(name)
    this.#put(name, bytes.slice())
  }

  async copyFrom(source: SnapshotStore, from: string, name: string): Promise<void> {
    assertObjectName(name)
    assertObjectName(from)
    await copyObject(source, from, this, name)
  }

  async append(name: string, bytes: Uint8Array): Promise<void> {
    assertObjectName(name)
    const before = this.#objects.get(name)?.bytes ?? new Uint8Array()
    this.#put(name, concatenate([before, bytes]))
  }

  async read(name: string, offset = 0, length = Infinity): Promise<Uint8Array> {
    assertObjectName(name)
    const entry = this.#objects.get(name)
    if (entry === undefined)
      throw new MillraceError('OBJECT_MISSING', `${this.location}/${name} is missing`, { context: { name } })
    return entry.bytes.slice(offset, offset + length)
  }

  async size(name: string): Promise<number | undefined> {
    assertObjectName(name)
    return this.#objects.get(name)?.bytes.length
  }

  async list(folder: string): Promise<StoredObject[]> {
    if (folder !== '') assertObjectName(folder)
    const found: StoredObject[] = []
    for (const [path, { bytes, modifiedAtMs }] of this.#objects) {
      const [parent, name] = split(path)
      if (parent === folder) found.push({ name, sizeBytes: bytes.length, modifiedAtMs })
    }
    return found.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  async remove(name: string): Promise<void> {
    assertObjectName(name)
    this.#objects.delete(name)
  }

  async removeTemporary(folder: string, mayRemove: MayRemove): Promise<number> {
    if (folder !== '') assertObjectName(folder)
    const doomed = [...this.#unfinished].filter(unfinished => {
      const [parent, name] = split(unfinished.name)
      return parent === folder && mayRemove(name, name)
    })
    for (const unfinished of doomed) this.#unfinished.delete(unfinished)
    return doomed.length
  }

  #put(name: string, bytes: Uint8Array): void {
    this.#objects.set(name, { bytes, modifiedAtMs: this.#now() })
  }

  #assertUnfinished(unfinished: Unfinished): void {
    if (this.#unfinished.has(unfinished)) return
    const { name } = unfinished
    throw new MillraceError('STORE_FAILED', `${name} is finished or was given up, and takes no more bytes`, {
      context: { name },
    })
  }
}

function split(path: string): [folder: string, name: string] {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? ['', path] : [path.slice(0, slash), path.slice(slash + 1)]
}

function concatenate(chunks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let offset = 0
  for (const chunk of chunks) {
    whole.set(chunk, offset)
    offset += chunk.length
  }
  return whole
}
