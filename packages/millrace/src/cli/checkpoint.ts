/** `millrace checkpoint JOB`: one checkpoint of a running job, now. */
import type { Answer } from './answer.ts'
import { control } from './control.ts'
import type { StorageFlags } from './storage.ts'

export async function checkpoint(jobOrFile: string, flags: StorageFlags): Promise<Answer> {
  return control(jobOrFile, flags, 'taking a checkpoint', async client => {
    const { snapshot } = await client.checkpoint()
    return { facts: { snapshot }, text: `checkpoint ${snapshot} complete` }
  })
}
