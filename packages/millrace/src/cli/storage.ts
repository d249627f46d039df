/** Finding what a command is about: the storage, a job in it, a snapshot of a job. Reads only. */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isMillraceError, MillraceError } from '../base/errors.ts'
import { closest } from '../host/closest.ts'
import { placeOfPath, type SnapshotPlace } from '../reading/index.ts'
import { labelMistaken } from '../snapshot/catalogue.ts'
import { isSnapshotName, parseSnapshotRef } from '../snapshot/snapshot-id.ts'
import type { Storage } from '../store/contract.ts'
import { localStorage } from '../store/local/index.ts'
import { commandOption } from './config.ts'

export const DEFAULT_STORAGE = '.millrace'

export interface StorageFlags {
  readonly storage?: string
}

/** --storage, else MILLRACE_STORAGE, else millrace.config.ts, else the default. Other options are not looked at. */
export async function openStorage({ storage }: StorageFlags): Promise<Storage> {
  return localStorage(storage ?? (await commandOption('storage')) ?? DEFAULT_STORAGE)
}

/** The job of that name, or the one that a job file defines. @throws JOB_NOT_FOUND, JOB_MODULE_INVALID, STORAGE_INVALID */
export async function findJob(storage: Storage, text: string): Promise<string> {
  const jobs = await storage.jobs()
  if (jobs.includes(text)) return text
  const name = isFile(text) ? await nameOfJobFile(text) : text
  if (jobs.includes(name)) return name
  throw new MillraceError(
    'JOB_NOT_FOUND',
    `the storage ${storage.location} has no job '${name}'; ${listed(name, jobs)}`,
    {
      context: { storage: storage.location, job: name, jobs },
    },
  )
}

function listed(name: string, jobs: readonly string[]): string {
  const meant = closest(name, jobs)
  const have = jobs.length === 0 ? 'it has none' : `it has ${jobs.join(', ')}`
  return meant === undefined ? have : `${have}; did you mean '${meant}'?`
}

async function nameOfJobFile(file: string): Promise<string> {
  const { importJob } = await import('../host/job-module.ts')
  return (await importJob(pathToFileURL(resolve(file)).href)).name
}

export function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}

/** What SNAPSHOT means: a name in the storage, or a path. @throws SNAPSHOT_NOT_FOUND, JOB_NOT_FOUND, STORAGE_INVALID */
export async function locateSnapshot(flags: StorageFlags, text: string): Promise<SnapshotPlace> {
  const storage = await openStorage(flags)
  if (!isSnapshotName(text)) {
    return placeOfPath(text).catch(async (error: unknown) => {
      const isNowhere = isMillraceError(error, 'SNAPSHOT_NOT_FOUND')
      throw (isNowhere ? await labelMistaken(text, storage, await storage.jobs()) : undefined) ?? error
    })
  }
  const ref = parseSnapshotRef(text) as SnapshotPlace['ref']
  const job = ref.job === undefined ? await onlyJob(storage, text) : await findJob(storage, ref.job)
  return { store: storage.job(job), job, ref }
}

async function onlyJob(storage: Storage, text: string): Promise<string> {
  const jobs = await storage.jobs()
  if (jobs.length === 1) return jobs[0]
  if (jobs.length === 0)
    throw new MillraceError(
      'SNAPSHOT_NOT_FOUND',
      `the storage ${storage.location} has no jobs, so no snapshot '${text}'`,
    )
  throw new MillraceError(
    'SNAPSHOT_NOT_FOUND',
    `'${text}' does not say of which job; the storage ${storage.location} has ${jobs.join(', ')}`,
    {
      context: { jobs },
      hint: `Say ${jobs[0]}/${text}, for example.`,
    },
  )
}
