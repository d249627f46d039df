/** `millrace savepoint JOB`: a checkpoint of a running job, pinned, and written to a folder of its own if one is named. */
import { resolve } from 'node:path'
import type { Result } from '../control/endpoints.ts'
import type { Answer } from './answer.ts'
import { control } from './control.ts'
import type { StorageFlags } from './storage.ts'

export interface SavepointFlags extends StorageFlags {
  readonly to?: string
  readonly label?: string
}

export async function savepoint(jobOrFile: string, { to, label, ...flags }: SavepointFlags): Promise<Answer> {
  return control(jobOrFile, flags, 'taking a savepoint', async client => {
    const made = await client.savepoint({ label, to: folderOf(to) })
    return { facts: made, text: `savepoint ${savepointText(made)}` }
  })
}

/** Of the command's working directory, not the job's. */
export function folderOf(to: string | undefined): string | undefined {
  return to === undefined ? undefined : resolve(to)
}

export function savepointText({ savepoint: name, path }: Result<'savepoint'>): string {
  return path === null ? name : `${name}, also in ${path}`
}
