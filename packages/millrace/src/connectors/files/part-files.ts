/**
 * What happens to files of an output directory between a sink's writer and its readers: a pending file becomes a part, a part of an
 * abandoned past is moved aside, a leftover goes. A part is never replaced, and never changed once it is visible.
 *
 * A part appears by a hard link, then the pending name goes: `link` refuses to replace a file, which `rename` would do silently, and
 * a crash between the two leaves both names on one inode, which the next commit recognises. The directory is synced between the two,
 * so that no power failure can leave neither.
 */
import {
  accessSync,
  closeSync,
  constants,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
  type Stats,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { MillraceError } from '../../base/errors.ts'
import { failpoint } from '../../base/failpoint.ts'
import { errnoOf, sinkFailed } from './file-errors.ts'

export const SUPERSEDED = '.superseded'
const COPY_BLOCK_BYTES = 1024 * 1024
/** File systems without hard links say one of these. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

/**
 * What was found and done. `linked`: the pending name is still there. `done`: the part is there. `gone`: neither file is there, so
 * the part was committed and has been taken by a reader since.
 */
export type Publication = 'linked' | 'done' | 'gone'

/**
 * Makes a pending file visible as a part. Idempotent.
 * @throws SINK_CONFLICT when another file has the part's name
 */
export function publishPart(dir: string, pending: string, part: string, link: typeof linkSync = linkSync): Publication {
  const from = join(dir, pending)
  const to = join(dir, part)
  const source = statOf(from)
  const target = statOf(to)
  if (source === undefined) return target === undefined ? 'gone' : 'done'
  if (target !== undefined) {
    if (target.ino === source.ino && target.dev === source.dev) return 'linked'
    throw conflict(to)
  }
  failpoint('sink.before-commit-link')
  const publication = linkOrRename(from, to, link)
  failpoint('sink.after-commit-link')
  return publication
}

function linkOrRename(from: string, to: string, link: typeof linkSync): Publication {
  try {
    link(from, to)
    return 'linked'
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') throw conflict(to)
    if (!NO_LINKS.has(errnoOf(error) ?? '')) throw sinkFailed(to, 'could not be made visible', error)
  }
  try {
    renameSync(from, to)
    return 'done'
  } catch (error) {
    throw sinkFailed(to, 'could not be made visible', error)
  }
}

/** Removes a name that may be gone already. */
export function removeName(dir: string, name: string): void {
  const path = join(dir, name)
  try {
    unlinkSync(path)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw sinkFailed(path, 'could not be removed', error)
  }
}

/** Moves parts to `.superseded/` under a name that is free there. */
export function supersede(dir: string, parts: readonly string[]): void {
  const aside = join(dir, SUPERSEDED)
  try {
    mkdirSync(aside, { recursive: true })
    for (const part of parts) {
      let name = part
      for (let suffix = 2; statOf(join(aside, name)) !== undefined; suffix++) name = `${part}.${suffix}`
      moveIfThere(join(dir, part), join(aside, name))
    }
    syncDirectorySync(aside)
    syncDirectorySync(dir)
  } catch (error) {
    throw sinkFailed(dir, 'has parts of an abandoned past, which could not be moved aside', error)
  }
}

/** Files in `.superseded/`. */
export function supersededIn(dir: string): readonly string[] {
  try {
    return readdirSync(join(dir, SUPERSEDED))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw sinkFailed(join(dir, SUPERSEDED), 'cannot be read', error)
  }
}

/** Moves files of `.superseded/` back. None of these names is there. */
export function reinstate(dir: string, parts: readonly string[]): void {
  const aside = join(dir, SUPERSEDED)
  try {
    for (const part of parts) moveIfThere(join(aside, part), join(dir, part))
    syncDirectorySync(dir)
    syncDirectorySync(aside)
  } catch (error) {
    throw sinkFailed(dir, 'lacks parts that had been moved aside, which could not be moved back', error)
  }
}

/** A reader may take a part at any moment. */
function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}

/** Writes the first `length` bytes of `from` to the new file `temporary`, makes them durable, and puts them in the place of `to`. */
export function copyBeginning(dir: string, from: string, length: number, temporary: string, to: string): void {
  const path = join(dir, to)
  try {
    const source = openSync(join(dir, from), 'r')
    const target = openSync(join(dir, temporary), 'wx')
    const block = Buffer.allocUnsafe(Math.min(COPY_BLOCK_BYTES, Math.max(1, length)))
    for (let at = 0; at < length;) {
      const size = readSync(source, block, 0, Math.min(block.length, length - at), at)
      if (size === 0) throw new Error(`${from} ends at byte ${at}`)
      for (let written = 0; written < size;) written += writeSync(target, block, written, size - written, at + written)
      at += size
    }
    fsyncSync(target)
    closeSync(target)
    closeSync(source)
    renameSync(join(dir, temporary), path)
    syncDirectorySync(dir)
  } catch (error) {
    throw sinkFailed(path, 'could not be recovered from the part it became', error)
  }
}

/** Makes the directory and everything above it that is missing, durably, and checks that it can be written to. */
export function makeDirectory(dir: string): void {
  try {
    if (statSync(dir, { throwIfNoEntry: false })?.isDirectory() === false) throw notADirectory(dir)
    const first = mkdirSync(dir, { recursive: true })
    if (first !== undefined) {
      let made = dir
      for (; made !== first; made = dirname(made)) syncDirectorySync(dirname(made))
      syncDirectorySync(dirname(first))
    }
    accessSync(dir, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    throw sinkFailed(dir, 'cannot be used as a directory', error)
  }
}

export async function syncDirectory(dir: string): Promise<void> {
  try {
    const handle = await open(dir, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw sinkFailed(dir, 'could not be synced to the disk', error)
  }
}

function syncDirectorySync(dir: string): void {
  const descriptor = openSync(dir, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

export function statOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false })
}

function notADirectory(dir: string): MillraceError {
  return new MillraceError(
    'SINK_FAILED',
    `the output directory ${dir} is a file. Name a directory, or move the file away`,
    { context: { path: dir } },
  )
}

function conflict(path: string): MillraceError {
  return new MillraceError(
    'SINK_CONFLICT',
    `the output part ${path} exists already with other contents. Give each job its own output directory, and move that file away`,
    { context: { path } },
  )
}
