/**
 * Files that survive a power cut, and nothing else: write to a temporary name, fsync, give it its name, fsync the directory.
 *
 * - A temporary file is `.tmp-<name>-<pid>-<counter>` beside the file it becomes, always opened exclusively.
 * - Nothing is written after a failed fsync: the kernel may have dropped the dirty pages and report success the next time, so that
 *   nobody can tell what is on the disk. The folder is poisoned until the process ends.
 * - A name is given by `link`, which fails where the name is taken; `rename` would replace. Only `replace` renames.
 */
import { constants } from 'node:fs'
import { link, lstat, mkdir, open, rename, unlink, type FileHandle } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { MillraceError } from '../../base/errors.ts'

/** The two calls that a broken disk fails, so that tests can break it. */
export interface FileOperations {
  write(handle: FileHandle, bytes: Uint8Array): Promise<void>
  sync(handle: FileHandle): Promise<void>
}

const diskOperations: FileOperations = {
  async write(handle, bytes) {
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await handle.write(bytes, done, bytes.length - done)
      done += bytesWritten
    }
  },
  sync: handle => handle.sync(),
}

const TEMPORARY = /^\.tmp-(.+)-\d+-\d+$/
/** Another file system, one without hard links, a file that is not the own one, too many names. */
const LINK_REFUSALS: ReadonlySet<string> = new Set(['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])
let temporaryCount = 0

/** The name that a temporary file was to become; undefined for a file that is none. */
export function targetOfTemporary(name: string): string | undefined {
  return TEMPORARY.exec(name)?.[1]
}

export function errnoOf(error: unknown): string | undefined {
  const code = (error as { readonly code?: unknown } | null)?.code
  return typeof code === 'string' ? code : undefined
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}

export class DurableFiles {
  readonly #root: string
  readonly #operations: FileOperations
  /** Folders, relative to the root, that are known to be directories and durable. */
  readonly #folders = new Set<string>()
  #poison: MillraceError | undefined

  constructor(root: string, operations: FileOperations = diskOperations) {
    this.#root = resolve(root)
    this.#operations = operations
  }

  /** Every write asks first. @throws STORE_POISONED */
  assertWritable(): void {
    if (this.#poison === undefined) return
    const message = `${this.#root} takes no more writes: ${this.#poison.message}`
    throw new MillraceError('STORE_POISONED', message, { cause: this.#poison })
  }

  /** Open a new temporary file for `path`; its folder is made if it is missing. */
  async openTemporary(path: string): Promise<{ readonly handle: FileHandle; readonly path: string }> {
    this.assertWritable()
    await this.#makeFolder(dirname(path))
    const slash = path.lastIndexOf('/') + 1
    for (;;) {
      temporaryCount += 1
      const temporary = `${path.slice(0, slash)}.tmp-${path.slice(slash)}-${process.pid}-${temporaryCount}`
      try {
        return { handle: await open(join(this.#root, temporary), 'wx'), path: temporary }
      } catch (error) {
        // Left by a crashed process that had this pid, or in use by a thread or container that has it too.
        if (errnoOf(error) !== 'EEXIST') throw this.failure('create', temporary, error)
      }
    }
  }

  async openLog(path: string): Promise<FileHandle> {
    this.assertWritable()
    await this.#makeFolder(dirname(path))
    const { O_APPEND, O_CREAT, O_WRONLY, O_NOFOLLOW } = constants
    return this.#attempt('open', path, () =>
      open(join(this.#root, path), O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW, 0o666),
    )
  }

  /** A handle for reading, or undefined when there is no such file. A symbolic link is not followed. */
  async openToRead(path: string): Promise<FileHandle | undefined> {
    if (!(await this.checkFolder(dirname(path)))) return undefined
    try {
      return await open(join(this.#root, path), constants.O_RDONLY | constants.O_NOFOLLOW)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw this.failure('open', path, error)
    }
  }

  async write(handle: FileHandle, path: string, bytes: Uint8Array): Promise<void> {
    this.assertWritable()
    await this.#attempt('write', path, () => this.#operations.write(handle, bytes))
  }

  /** @throws STORE_POISONED when it fails, now and for every later write */
  async sync(handle: FileHandle, path: string): Promise<void> {
    this.assertWritable()
    try {
      await this.#operations.sync(handle)
    } catch (error) {
      const message = `fsync of ${resolve(this.#root, path)} failed (${errnoOf(error) ?? 'unknown error'}), so nobody can tell what is on the disk`
      this.#poison = new MillraceError('STORE_POISONED', message, {
        context: { path, errno: errnoOf(error) },
        cause: error,
      })
      throw this.#poison
    }
  }

  /** Errors are of no use here: what had to be durable is synced already, or has failed already. */
  async close(handle: FileHandle): Promise<void> {
    await handle.close().catch(() => undefined)
  }

  async syncFolder(folder: string): Promise<void> {
    await this.#syncDirectory(join(this.#root, folder))
  }

  /** Give a temporary file its name. `exists`: the name is taken, nothing was changed. */
  async link(temporary: string, path: string): Promise<'created' | 'exists'> {
    this.assertWritable()
    try {
      await link(join(this.#root, temporary), join(this.#root, path))
      return 'created'
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return 'exists'
      // Whoever took the name first may have swept the temporary file of this one, which came too late.
      if (errnoOf(error) === 'ENOENT' && (await isThere(join(this.#root, path)))) return 'exists'
      throw this.failure('link', path, error)
    }
  }

  /**
   * Give a file of another folder a second name in this one. `refused`: these two places cannot share a file, or it has as many names
   * as it may.
   */
  async linkFrom(source: string, path: string): Promise<'created' | 'exists' | 'missing' | 'refused'> {
    this.assertWritable()
    await this.#makeFolder(dirname(path))
    try {
      await link(source, join(this.#root, path))
      return 'created'
    } catch (error) {
      const errno = errnoOf(error) ?? ''
      if (errno === 'EEXIST') return 'exists'
      if (errno === 'ENOENT') return 'missing'
      if (LINK_REFUSALS.has(errno)) return 'refused'
      throw this.failure('link', path, error)
    }
  }

  async rename(temporary: string, path: string): Promise<void> {
    this.assertWritable()
    await this.#attempt('rename', path, () => rename(join(this.#root, temporary), join(this.#root, path)))
  }

  /** Remove a file; one that is missing already is no error. Says whether it was there. */
  async remove(path: string): Promise<boolean> {
    if (!(await this.checkFolder(dirname(path)))) return false
    try {
      await unlink(join(this.#root, path))
      return true
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false
      throw this.failure('remove', path, error)
    }
  }

  /** Whether the folder exists. @throws STORAGE_INVALID when it is a file, or a link that may lead out of the job's folder */
  async checkFolder(folder: string): Promise<boolean> {
    if (this.#folders.has(folder)) return true
    const path = join(this.#root, folder)
    let found
    try {
      found = await lstat(path)
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === 'ENOENT') return false
      if (errno === 'ENOTDIR')
        throw new MillraceError('STORAGE_INVALID', `${path} cannot be a folder: a part of its path is a file`)
      throw this.failure('open', folder, error)
    }
    const isRoot = folder === '.' || folder === ''
    if (found.isSymbolicLink() && !isRoot) {
      throw new MillraceError('STORAGE_INVALID', `${path} is a symbolic link; the folders of a job must be real ones`)
    }
    if (!found.isDirectory() && !found.isSymbolicLink()) {
      throw new MillraceError('STORAGE_INVALID', `${path} is a file, but must be a folder of the storage`)
    }
    return true
  }

  failure(operation: string, path: string, cause: unknown): MillraceError {
    const errno = errnoOf(cause) ?? 'unknown error'
    const full = resolve(this.#root, path)
    return new MillraceError('STORE_FAILED', `could not ${operation} ${full}: ${errno}`, {
      context: { path: full, errno },
      cause,
    })
  }

  async #makeFolder(folder: string): Promise<void> {
    if (this.#folders.has(folder)) return
    const path = join(this.#root, folder)
    if (!(await this.checkFolder(folder))) {
      let first: string | undefined
      try {
        first = await mkdir(path, { recursive: true })
      } catch (error) {
        throw new MillraceError(
          'STORAGE_INVALID',
          `the folder ${path} cannot be made: ${errnoOf(error) ?? 'unknown error'}`,
          { cause: error },
        )
      }
      if (first !== undefined) await this.#syncParents(path, first)
    }
    this.#folders.add(folder)
  }

  /** A new directory is durable once its parent is synced: from the deepest up to the parent of the first one that was made. */
  async #syncParents(deepest: string, first: string): Promise<void> {
    for (let made = deepest; ; made = dirname(made)) {
      await this.#syncDirectory(dirname(made))
      if (made === first || made === dirname(made)) return
    }
  }

  async #syncDirectory(path: string): Promise<void> {
    this.assertWritable()
    // Windows cannot open a directory to sync it; its file systems journal the names.
    if (process.platform === 'win32') return
    const handle = await open(path, 'r').catch((error: unknown) => {
      throw this.failure('open', path, error)
    })
    try {
      await this.sync(handle, path)
    } finally {
      await this.close(handle)
    }
  }

  async #attempt<T>(operation: string, path: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act()
    } catch (error) {
      throw this.failure(operation, path, error)
    }
  }
}
