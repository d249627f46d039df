/**
 * Savepoints in folders of their own, written from the snapshots of a job while it goes on. A folder is taken exclusively before anything
 * is asked of the job; when it cannot be written, what is in it goes away again, so that the same command may be repeated.
 */
import { mkdir, open, readdir, rm, rmdir } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { messageOf, MillraceError, namedError } from '../base/errors.ts'
import type { Manifest } from '../snapshot/manifest-types.ts'
import { MANIFESTS, SEGMENTS } from '../snapshot/object-names.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import { writeSelfContained } from '../snapshot/self-contained.ts'
import type { SnapshotStore } from '../store/contract.ts'
import { LocalStore } from '../store/local/index.ts'

export interface SavepointFoldersOptions {
  readonly store: SnapshotStore
  readonly compression: 'zstd' | 'none'
  /** Lets the event loop run. */
  yield(): Promise<void>
}

/** A folder that is taken: exactly one of the two is to be called. */
export interface SavepointFolder {
  /** Absolute. */
  readonly path: string
  /** @throws SNAPSHOT_DAMAGED, STORE_FAILED, JOB_NOT_RUNNING; then the folder is as it was */
  write(savepoint: Manifest, onProgress?: (fraction: number) => void): Promise<void>
  /** Nothing is to be written. */
  release(): Promise<void>
}

export interface FolderProgress {
  /** Absolute. */
  readonly path: string
  /** How much is written, 0 to 1. */
  readonly fraction: number
}

export class SavepointFolders {
  private readonly options: SavepointFoldersOptions
  private readonly fractions = new Map<string, number>()
  private readonly writing = new Set<Promise<void>>()
  private isGivenUp = false

  constructor(options: SavepointFoldersOptions) {
    this.options = options
  }

  /** Relative paths are those of this process. @throws SAVEPOINT_FOLDER */
  async take(path: string): Promise<SavepointFolder> {
    const folder = resolve(path)
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(path)) throw unusable(path, 'is no folder on a disk')
    const { location } = this.options.store
    if (isAbsolute(location) && isWithin(folder, dirname(location)))
      throw unusable(folder, `lies in the storage, where every folder is a job's`)
    const made = await makeEmpty(folder)
    const release = (): Promise<void> => clear(folder, made !== undefined)
    const write = (savepoint: Manifest, onProgress?: (fraction: number) => void): Promise<void> =>
      this.write(folder, savepoint, fraction => {
        this.fractions.set(folder, fraction)
        onProgress?.(fraction)
      }).catch(async (error: unknown) => {
        await release()
        throw this.stillThere(savepoint, error)
      })
    return {
      path: folder,
      release,
      write: (savepoint, onProgress) => this.track(folder, write(savepoint, onProgress)),
    }
  }

  /** It was published in the job's folder before the copy began. */
  private stillThere({ kind, id }: Manifest, cause: unknown): MillraceError {
    const { code, message, hint, context } = namedError(cause)
    const kept = `savepoint ${formatSnapshotId(kind, id)} itself was taken, and stays in ${this.options.store.location}`
    return new MillraceError(code, `${message}; ${kept}`, { context, cause, ...(hint !== undefined && { hint }) })
  }

  /** Of those that are being written. */
  get progress(): readonly FolderProgress[] {
    return [...this.fractions].map(([path, fraction]) => ({ path, fraction }))
  }

  /** Resolves when none is being written. `giveUp`: those that are, fail. */
  async settle(giveUp: boolean): Promise<void> {
    this.isGivenUp ||= giveUp
    await Promise.allSettled(this.writing)
  }

  private track(folder: string, done: Promise<void>): Promise<void> {
    this.writing.add(done)
    this.fractions.set(folder, 0)
    const forget = (): void => {
      this.writing.delete(done)
      this.fractions.delete(folder)
    }
    done.then(forget, forget)
    return done
  }

  private async write(folder: string, manifest: Manifest, onProgress: (fraction: number) => void): Promise<void> {
    const { store, compression } = this.options
    await writeSelfContained({
      source: store,
      manifest,
      target: new LocalStore(folder),
      compression,
      onProgress,
      pause: async () => {
        if (this.isGivenUp)
          throw new MillraceError('JOB_NOT_RUNNING', `the job has ended; ${folder} was not written to its end`)
        await this.options.yield()
      },
    })
    onProgress(1)
  }
}

/**
 * Makes the folder, if it is not there, and in it the one that segments go to: whoever makes that has taken it. Returns the topmost
 * folder that was made.
 */
async function makeEmpty(folder: string): Promise<string | undefined> {
  try {
    const made = await mkdir(folder, { recursive: true })
    if ((await readdir(folder)).length > 0) throw unusable(folder, 'is not empty')
    await mkdir(join(folder, SEGMENTS))
    if (made !== undefined) await syncNames(folder, made)
    return made
  } catch (error) {
    if (error instanceof MillraceError) throw error
    throw unusable(folder, `cannot be made: ${messageOf(error)}`, error)
  }
}

/** Of the folders that were made, from the deepest to the first. What is in the deepest is the store's. */
async function syncNames(deepest: string, first: string): Promise<void> {
  if (process.platform === 'win32') return
  for (let made = deepest; ; made = dirname(made)) {
    const parent = await open(dirname(made), 'r')
    try {
      await parent.sync()
    } finally {
      await parent.close()
    }
    if (made === first) return
  }
}

/** What stands in the way of that is less important than why it is cleared. Without its manifest it is no savepoint. */
async function clear(folder: string, isOwn: boolean): Promise<void> {
  for (const name of [MANIFESTS, SEGMENTS]) {
    await rm(join(folder, name), { recursive: true, force: true }).catch(() => undefined)
  }
  if (isOwn) await rmdir(folder).catch(() => undefined)
}

function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path)
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

function unusable(path: string, why: string, cause?: unknown): MillraceError {
  return new MillraceError('SAVEPOINT_FOLDER', `a savepoint cannot be written to ${path}: it ${why}`, {
    context: { path },
    cause,
  })
}
