/** What the commands about a running job have in common: finding it, waiting with something to look at, and how it ended. */
import { JobClient } from '../control/client.ts'
import { isErrorCode, MillraceError } from '../base/errors.ts'
import { readRuns, type RunEnd } from '../snapshot/run-record.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import type { Answer } from './answer.ts'
import { StatusLine } from './status-line.ts'
import { commandToken } from './config.ts'
import { findJob, openStorage, type StorageFlags } from './storage.ts'
import { formatElapsed } from './units.ts'

const REDRAW_EVERY_MS = 200

/** `facts` and `text` are of what came out. */
export interface Outcome {
  readonly facts: object
  readonly text: string
}

/**
 * @param doing for the line that is shown meanwhile, on a terminal
 * @param act is given how the last run of the job ended, to be asked once it has
 */
export async function control(
  jobOrFile: string,
  flags: StorageFlags,
  doing: string,
  act: (client: JobClient, end: () => Promise<RunEnd>) => Promise<Outcome>,
): Promise<Answer> {
  const storage = await openStorage(flags)
  const job = await findJob(storage, jobOrFile)
  const store = storage.job(job)
  const startedMs = Date.now()
  const line = new StatusLine()
  const show = (): void => line.show(`${job}: ${doing}… ${formatElapsed(Date.now() - startedMs)}`)
  const redrawing = setInterval(show, REDRAW_EVERY_MS)
  try {
    const end = async (): Promise<RunEnd> => endOf(job, (await readRuns(store, job)).at(-1)?.end)
    const { facts, text } = await act(new JobClient(job, store, { token: await commandToken() }), end)
    const tookMs = Date.now() - startedMs
    return { json: { storage: storage.location, job, ...facts, tookMs }, text: `${job}: ${text}\n` }
  } finally {
    clearInterval(redrawing)
    line.clear()
  }
}

/** @throws what the job failed with; CONTROL_UNREACHABLE when it died without a word */
function endOf(job: string, end: RunEnd | MillraceError | undefined): RunEnd {
  if (end instanceof MillraceError) throw end
  if (end === undefined) {
    throw new MillraceError('CONTROL_UNREACHABLE', `the process that ran '${job}' died before the job had ended`, {
      hint: 'Run the job again: it goes on from its newest checkpoint.',
    })
  }
  if (end.end !== 'failed') return end
  const { code, message } = end.error ?? { code: 'INTERNAL', message: 'the job failed' }
  throw new MillraceError(isErrorCode(code) ? code : 'INTERNAL', message)
}

/** How the job has ended, which may be otherwise than was asked for. */
export function ended({ end, lastCheckpointId, retained }: RunEnd): Outcome {
  const snapshot = lastCheckpointId > 0 && retained ? formatSnapshotId('checkpoint', lastCheckpointId) : undefined
  return { facts: { outcome: end, snapshot: snapshot ?? null }, text: textOf(end, snapshot) }
}

function textOf(end: RunEnd['end'], snapshot: string | undefined): string {
  if (end === 'finished') return 'finished'
  const next = snapshot === undefined ? 'it has no checkpoint' : `${snapshot} is its newest checkpoint`
  return end === 'stopped' && snapshot !== undefined
    ? `stopped at ${snapshot}; run it again to go on`
    : `${end}; ${next}`
}
