/** `millrace cancel JOB`: a running job ends without a checkpoint. */
import type { Answer } from './answer.ts'
import { control, ended } from './control.ts'
import type { StorageFlags } from './storage.ts'

export async function cancel(jobOrFile: string, flags: StorageFlags): Promise<Answer> {
  return control(jobOrFile, flags, 'cancelling', async (client, end) => {
    await client.cancel()
    return ended(await end())
  })
}
