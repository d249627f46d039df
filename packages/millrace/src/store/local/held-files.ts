/**
 * Files of a job's folder that are held open: they can be read to their end whatever happens to their names meanwhile. A running job
 * sweeps what its retention drops; whoever reads a snapshot without the job's lock holds its files first. Either all are held, and the
 * snapshot is whole until `close`, or one is gone already, which is told at once. Nothing is written, nothing outlives the process.
 */
import type { FileHandle } from 'node:fs/promises'
import { MillraceError } from '../../base/errors.ts'
import { assertObjectName, type ReadableStore } from '../contract.ts'
import { DurableFiles } from './durable-files.ts'

interface HeldFile {
  readonly handle: FileHandle
  readonly sizeBytes: number
}

export class HeldFiles implements ReadableStore {
  readonly location: string
  readonly #files: DurableFiles
  readonly #held: ReadonlyMap<string, HeldFile>
  #isClosed = false

  constructor(location: string, files: DurableFiles, held: ReadonlyMap<string, HeldFile>) {
    this.location = location
    this.#files = files
    this.#held = held
  }

  async read(name: string, offset = 0, length = Infinity): Promise<Uint8Array> {
    const file = this.#held.get(name)
    if (file === undefined) throw missing(this.location, name)
    if (this.#isClosed)
      throw new MillraceError('STORE_FAILED', `${name} in ${this.location} was closed before it was read`)
    const bytes = Buffer.allocUnsafeSlow(Math.max(0, Math.min(length, file.sizeBytes - offset)))
    try {
      let done = 0
      while (done < bytes.length) {
        const { bytesRead } = await file.handle.read(bytes, done, bytes.length - done, offset + done)
        if (bytesRead === 0) break
        done += bytesRead
      }
      return bytes.subarray(0, done)
    } catch (error) {
      throw this.#files.failure('read', name, error)
    }
  }

  async size(name: string): Promise<number | undefined> {
    return this.#held.get(name)?.sizeBytes
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#held.values()].map(({ handle }) => this.#files.close(handle)))
  }
}

/** Holds all of them or none. `folder`: the job's. @throws OBJECT_MISSING, STORE_FAILED */
export async function holdFiles(folder: string, names: readonly string[]): Promise<HeldFiles> {
  const files = new DurableFiles(folder)
  const held = new Map<string, HeldFile>()
  try {
    for (const name of names) {
      assertObjectName(name)
      const handle = await files.openToRead(name)
      if (handle === undefined) throw missing(folder, name)
      held.set(name, { handle, sizeBytes: 0 })
      held.set(name, { handle, sizeBytes: (await handle.stat()).size })
    }
  } catch (error) {
    await Promise.all([...held.values()].map(({ handle }) => files.close(handle)))
    throw error
  }
  return new HeldFiles(folder, files, held)
}

function missing(folder: string, name: string): MillraceError {
  return new MillraceError('OBJECT_MISSING', `${name} is missing in ${folder}`, { context: { file: name } })
}
