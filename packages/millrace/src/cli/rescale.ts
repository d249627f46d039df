/** `millrace rescale JOB N`: a running job goes on at another parallelism. */
import { MillraceError } from '../base/errors.ts'
import { MAX_PARALLELISM } from '../host/option-table.ts'
import type { Answer } from './answer.ts'
import { control } from './control.ts'
import type { StorageFlags } from './storage.ts'
import { formatElapsed } from './units.ts'

export async function rescale(jobOrFile: string, text: string, flags: StorageFlags): Promise<Answer> {
  const asked = parallelismOf(text)
  return control(jobOrFile, flags, `rescaling to ${asked}`, async client => {
    const result = await client.rescale(asked)
    const { parallelism, snapshot, pauseMs } = result
    return {
      facts: result,
      text: `runs at parallelism ${parallelism}, from checkpoint ${snapshot} on; it paused for ${formatElapsed(pauseMs)}`,
    }
  })
}

/** @throws USAGE */
function parallelismOf(text: string): number {
  const parallelism = Number(text)
  if (/^\d+$/.test(text) && parallelism >= 1 && parallelism <= MAX_PARALLELISM) return parallelism
  throw new MillraceError('USAGE', `'${text}' is not a parallelism: a whole number from 1 to ${MAX_PARALLELISM}`)
}
