/**
 * Where a slot keeps working files: one directory a slot and attempt, below one that all jobs of the machine may share.
 *
 *     <base>/millrace-state-XXXXXX/owner.json     which process and thread made it
 *                                 /…              files of the store
 *
 * Nothing in it outlives its slot: it is removed when the slot is closed, when its thread has ended in another way, and, where the whole
 * process died, by the next that makes one in the same base. Of a process that cannot be judged from here, in another container say, it stays.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { threadId } from 'node:worker_threads'
import { messageOf, MillraceError } from '../base/errors.ts'
import type { ProcessIdentity } from '../snapshot/lock-record.ts'
import { currentProcess, isProcessAlive, sharePids } from './process-identity.ts'

const PREFIX = 'millrace-state-'
/** Not to be seen by others before it says whose it is. */
const UNNAMED_PREFIX = '.millrace-state-'
const OWNER_FILE = 'owner.json'

interface Owner extends ProcessIdentity {
  readonly thread: number
}

/** Makes a new one, and removes what dead processes left. @throws DISK_STORE_FAILED */
export function makeScratchDirectory(base: string): string {
  try {
    mkdirSync(base, { recursive: true })
    removeScratch(base, owner => isDead(owner))
    const unnamed = mkdtempSync(join(base, UNNAMED_PREFIX))
    writeFileSync(join(unnamed, OWNER_FILE), JSON.stringify({ ...currentProcess(), thread: threadId } satisfies Owner))
    const directory = join(base, PREFIX + basename(unnamed).slice(UNNAMED_PREFIX.length))
    renameSync(unnamed, directory)
    return directory
  } catch (cause) {
    throw new MillraceError(
      'DISK_STORE_FAILED',
      `no directory for working state can be made in ${base}: ${messageOf(cause)}; name another place with state.rocksdb.directory`,
      { context: { directory: base }, cause },
    )
  }
}

/** Removes what a thread of this process left that has ended. */
export function removeScratchOfThread(base: string, thread: number): void {
  const me = currentProcess()
  removeScratch(
    base,
    owner =>
      owner.pid === me.pid && sharePids(owner, me) && owner.processStart === me.processStart && owner.thread === thread,
  )
}

function isDead(owner: Owner): boolean {
  return sharePids(owner, currentProcess()) && !isProcessAlive(owner)
}

/** Others may be removing the same, and what belongs to another user stays: whatever cannot be removed is left. */
function removeScratch(base: string, isGone: (owner: Owner) => boolean): void {
  for (const name of namesIn(base)) {
    if (!name.startsWith(PREFIX)) continue
    const directory = join(base, name)
    try {
      if (isGone(JSON.parse(readFileSync(join(directory, OWNER_FILE), 'utf8')) as Owner)) {
        rmSync(directory, { recursive: true, force: true })
      }
    } catch {}
  }
}

function namesIn(base: string): string[] {
  try {
    return readdirSync(base)
  } catch {
    return []
  }
}
