/** `millrace stop JOB`: a final checkpoint of a running job, its output committed, and out. */
import type { Answer } from './answer.ts'
import { control, ended } from './control.ts'
import type { StorageFlags } from './storage.ts'

export async function stop(jobOrFile: string, flags: StorageFlags): Promise<Answer> {
  return control(jobOrFile, flags, 'stopping: final checkpoint', async (client, end) => {
    await client.stop()
    return ended(await end())
  })
}
