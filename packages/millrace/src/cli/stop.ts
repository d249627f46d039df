/** `millrace stop JOB`: a final checkpoint of a running job, its output committed, and out. */
import type { Answer } from './answer.ts'
import { control, ended } from './control.ts'
import { folderOf, savepointText } from './savepoint.ts'
import type { StorageFlags } from './storage.ts'

export interface StopFlags extends StorageFlags {
  readonly drain?: boolean
  /** The folder, if one is named. */
  readonly savepoint?: true | string
  readonly label?: string
}

export async function stop(jobOrFile: string, { drain, savepoint, label, ...flags }: StopFlags): Promise<Answer> {
  const wanted =
    savepoint === undefined ? undefined : { label, to: savepoint === true ? undefined : folderOf(savepoint) }
  return control(jobOrFile, flags, `stopping: ${drain ? 'draining, ' : ''}final checkpoint`, async (client, end) => {
    const answer = await client.stop({ drain, savepoint: wanted })
    const outcome = ended(await end())
    if (!answer?.savepoint) return outcome
    return {
      facts: { ...outcome.facts, ...answer.savepoint },
      text: `${outcome.text}; savepoint ${savepointText(answer.savepoint)}`,
    }
  })
}
