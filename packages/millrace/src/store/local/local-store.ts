/**
 * A job's folder on a disk. Layout and rules of the names are the caller's (DESIGN: snapshots); this file owns their durability:
 *
 * - `create`: temporary file, write…, fsync, link to the name, unlink the temporary, fsync the directory
 * - `publish`: the same in one call; the link decides who was first
 * - `copyFrom`: link to the name, fsync the directory; across file systems as `create`
 * - `replace`: temporary file, write, fsync, rename over the name, fsync the directory
 *
 * A crash leaves the old state, the new one, or the new one with a temporary file beside it (the second name of a hard link).
 */
import type { FileHandle } from 'node:fs/promises'
import { lstat, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { MillraceError } from '../../base/errors.ts'
import { failpoint, type Failpoint } from '../../base/failpoint.ts'
import {
  assertObjectName,
  type MayRemove,
  type ObjectWriter,
  type SnapshotStore,
  type StoredObject,
} from '../contract.ts'
import { copyObject } from '../copy-object.ts'
import { DurableFiles, errnoOf, type FileOperations, targetOfTemporary } from './durable-files.ts'

export class LocalStore implements SnapshotStore {
  readonly location: string
  readonly #files: DurableFiles
  /** Temporary files of `publish` and `replace` calls under way in this object: never swept from under them. */
  readonly #inFlight = new Set<string>()

  /** `operations` replaces the calls that a broken disk would fail; for tests. */
  constructor(path: string, operations?: FileOperations) {
    this.location = path
    this.#files = new DurableFiles(path, operations)
  }

  async create(name: string): Promise<ObjectWriter> {
    assertObjectName(name)
    hit('before-create', name)
    const temporary = await this.#files.openTemporary(name)
    hit('after-create', name)
    return new LocalWriter(this.#files, name, temporary.path, temporary.handle)
  }

  async publish(name: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    assertObjectName(name)
    return this.#withTemporary(name, bytes, async temporary => {
      hit('before-link', name)
      const outcome = await this.#files.link(temporary, name)
      hit('after-link', name)
      // Also when it exists already: whoever made it may have died before this, and the caller takes it for durable.
      await this.#files.syncFolder(dirname(name))
      hit('after-directory-fsync', name)
      return outcome
    })
  }

  async replace(name: string, bytes: Uint8Array): Promise<void> {
    assertObjectName(name)
    await this.#withTemporary(name, bytes, async temporary => {
      await this.#files.rename(temporary, name)
      await this.#files.syncFolder(dirname(name))
    })
  }

  async copyFrom(source: SnapshotStore, from: string, name: string): Promise<void> {
    assertObjectName(name)
    assertObjectName(from)
    const linked = source instanceof LocalStore ? await this.#linkFrom(source, from, name) : 'refused'
    if (linked === 'missing') throw missing(source, from)
    if (linked === 'exists') throw exists(name)
    if (linked === 'refused') return copyObject(source, from, this, name)
    await this.#files.syncFolder(dirname(name))
  }

  /** What is no regular file is not there: a second name of a symbolic link would be a link, too. */
  async #linkFrom(
    source: LocalStore,
    from: string,
    name: string,
  ): Promise<'created' | 'exists' | 'missing' | 'refused'> {
    if ((await source.size(from)) === undefined) return 'missing'
    return this.#files.linkFrom(join(source.location, from), name)
  }

  async append(name: string, bytes: Uint8Array): Promise<void> {
    assertObjectName(name)
    const handle = await this.#files.openLog(name)
    try {
      await this.#files.write(handle, name, bytes)
    } finally {
      await this.#files.close(handle)
    }
  }

  async read(name: string, offset = 0, length = Infinity): Promise<Uint8Array> {
    assertObjectName(name)
    const handle = await this.#files.openToRead(name)
    if (handle === undefined) throw missing(this, name)
    try {
      // What the caller asks for may come from a damaged file: only what is there is allocated.
      const { size } = await handle.stat()
      const bytes = Buffer.allocUnsafeSlow(Math.max(0, Math.min(length, size - offset)))
      let done = 0
      while (done < bytes.length) {
        const { bytesRead } = await handle.read(bytes, done, bytes.length - done, offset + done)
        if (bytesRead === 0) break
        done += bytesRead
      }
      return bytes.subarray(0, done)
    } catch (error) {
      throw this.#files.failure('read', name, error)
    } finally {
      await this.#files.close(handle)
    }
  }

  async size(name: string): Promise<number | undefined> {
    assertObjectName(name)
    if (!(await this.#files.checkFolder(dirname(name)))) return undefined
    return (await this.#stat(name))?.sizeBytes
  }

  async list(folder: string): Promise<StoredObject[]> {
    const names = (await this.#fileNames(folder)).filter(
      name => targetOfTemporary(name) === undefined && isObjectName(name),
    )
    const found = await Promise.all(names.map(name => this.#stat(folder === '' ? name : `${folder}/${name}`)))
    return found.filter(object => object !== undefined).toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  async remove(name: string): Promise<void> {
    assertObjectName(name)
    await this.#files.remove(name)
  }

  async removeTemporary(folder: string, mayRemove: MayRemove): Promise<number> {
    let count = 0
    for (const name of await this.#fileNames(folder)) {
      const path = folder === '' ? name : `${folder}/${name}`
      const target = targetOfTemporary(name)
      if (target === undefined || this.#inFlight.has(path) || !mayRemove(target, name)) continue
      if (await this.#files.remove(path)) count += 1
    }
    return count
  }

  /** Names of the regular files in a folder; a missing one is empty. */
  async #fileNames(folder: string): Promise<string[]> {
    if (folder !== '') assertObjectName(folder)
    if (!(await this.#files.checkFolder(folder))) return []
    try {
      const entries = await readdir(join(this.location, folder), { withFileTypes: true })
      return entries.filter(entry => entry.isFile()).map(entry => entry.name)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return []
      if (errnoOf(error) === 'ENOTDIR')
        throw new MillraceError(
          'STORAGE_INVALID',
          `${join(this.location, folder)} is a file, but must be a folder of the storage`,
        )
      throw this.#files.failure('list', folder, error)
    }
  }

  /** Undefined when it is gone, or is no regular file. */
  async #stat(name: string): Promise<StoredObject | undefined> {
    try {
      const stats = await lstat(join(this.location, name))
      if (!stats.isFile()) return undefined
      return {
        name: name.slice(name.lastIndexOf('/') + 1),
        sizeBytes: stats.size,
        modifiedAtMs: Math.trunc(stats.mtimeMs),
      }
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw this.#files.failure('read', name, error)
    }
  }

  /** Runs `act` with a durable temporary file that holds the bytes, which is gone afterwards. */
  async #withTemporary<T>(name: string, bytes: Uint8Array, act: (temporary: string) => Promise<T>): Promise<T> {
    hit('before-write', name)
    const temporary = await this.#files.openTemporary(name)
    this.#inFlight.add(temporary.path)
    try {
      try {
        await this.#files.write(temporary.handle, name, bytes)
        hit('before-fsync', name)
        await this.#files.sync(temporary.handle, name)
      } finally {
        await this.#files.close(temporary.handle)
      }
      return await act(temporary.path)
    } finally {
      this.#inFlight.delete(temporary.path)
      // What cannot be removed now is swept at the next start; it must not hide how the write itself ended.
      await this.#files.remove(temporary.path).catch(() => false)
    }
  }
}

class LocalWriter implements ObjectWriter {
  readonly #files: DurableFiles
  readonly #name: string
  readonly #temporary: string
  #handle: FileHandle | undefined

  constructor(files: DurableFiles, name: string, temporary: string, handle: FileHandle) {
    this.#files = files
    this.#name = name
    this.#temporary = temporary
    this.#handle = handle
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#files.write(this.#open(), this.#name, bytes)
    } catch (error) {
      await this.abandon()
      throw error
    }
    hit('after-write', this.#name)
  }

  async finish(): Promise<void> {
    const handle = this.#open()
    try {
      hit('before-fsync', this.#name)
      await this.#files.sync(handle, this.#name)
      hit('after-fsync', this.#name)
      this.#handle = undefined
      await this.#files.close(handle)
      hit('before-rename', this.#name)
      if ((await this.#files.link(this.#temporary, this.#name)) === 'exists') {
        throw exists(this.#name)
      }
      hit('after-rename', this.#name)
      await this.#files.remove(this.#temporary)
      await this.#files.syncFolder(dirname(this.#name))
      hit('after-directory-fsync', this.#name)
    } catch (error) {
      await this.abandon()
      throw error
    }
  }

  async abandon(): Promise<void> {
    const handle = this.#handle
    this.#handle = undefined
    if (handle !== undefined) await this.#files.close(handle)
    await this.#files.remove(this.#temporary).catch(() => false)
  }

  #open(): FileHandle {
    if (this.#handle !== undefined) return this.#handle
    throw new MillraceError('STORE_FAILED', `${this.#name} is finished or was given up, and takes no more bytes`, {
      context: { name: this.#name },
    })
  }
}

function missing({ location }: SnapshotStore, name: string): MillraceError {
  return new MillraceError('OBJECT_MISSING', `${join(location, name)} is missing`, { context: { name } })
}

function exists(name: string): MillraceError {
  return new MillraceError('STORE_FAILED', `${name} exists already, and an object is never replaced`, {
    context: { name },
  })
}

function isObjectName(name: string): boolean {
  try {
    assertObjectName(name)
    return true
  } catch {
    return false
  }
}

const SEGMENT_STEPS = [
  'before-create',
  'after-create',
  'after-write',
  'before-fsync',
  'after-fsync',
  'before-rename',
  'after-rename',
  'after-directory-fsync',
] as const
const MANIFEST_STEPS = ['before-write', 'before-fsync', 'before-link', 'after-link', 'after-directory-fsync'] as const
type Step = (typeof SEGMENT_STEPS)[number] | (typeof MANIFEST_STEPS)[number]

/** The failpoint of a step, for segments and manifests. Locks and run records have failpoints around the whole call, in their owners. */
function hit(step: Step, name: string): void {
  const point: Failpoint | undefined = pointOf(step, name)
  if (point !== undefined) failpoint(point)
}

function pointOf(step: Step, name: string): Failpoint | undefined {
  if (name.startsWith('segments/') && includes(SEGMENT_STEPS, step)) return `segment.${step}`
  if (name.startsWith('manifests/') && includes(MANIFEST_STEPS, step)) return `manifest.${step}`
  return undefined
}

function includes<T extends string>(steps: readonly T[], step: string): step is T {
  return (steps as readonly string[]).includes(step)
}
