/** Attempts of a golden job in this process, its slots in threads: quick. A cancelled attempt leaves what a killed one leaves. */
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { run, type JobHandle, type JobOutcome } from 'millrace'
import type { AttemptReport, GoldenAttempt, GoldenJob } from './golden.ts'

/** An attempt that takes longer hangs; the slowest takes a few seconds on a busy machine. */
const ATTEMPT_MS = 60_000

/** What a slot has in memory of its state on disk: less than any of the jobs has. */
const FEW_CELLS_BYTES = 4096

export async function runInProcess(job: GoldenJob, dir: string, attempt: GoldenAttempt): Promise<AttemptReport> {
  const {
    parallelism,
    maxParallelism,
    stateBackend = 'heap',
    everyMs,
    intervalMs,
    end,
    afterCheckpoints,
    delayMs,
  } = attempt
  let restored: boolean | undefined
  let completed = 0
  const reached = Promise.withResolvers<void>()
  const handle = await run(job.definition, {
    module: job.file,
    storage: join(dir, 'store'),
    parallelism,
    ...(maxParallelism !== undefined && { maxParallelism }),
    stateBackend,
    state: { rocksdb: { cacheBytes: parallelism * FEW_CELLS_BYTES } },
    params: { dir, everyMs },
    checkpointing: { interval: intervalMs },
    restart: { strategy: 'none' },
    onEvent(event) {
      if (event.type === 'started') restored = event.decision.kind === 'restore'
      if (event.type !== 'checkpoint' || event.outcome.outcome !== 'complete') return
      completed++
      if (completed === afterCheckpoints) reached.resolve()
    },
  })
  const interrupted = async () => {
    if (end === 'complete') return handle.finished
    if (afterCheckpoints > 0) await Promise.race([reached.promise, handle.finished])
    await setTimeout(delayMs)
    await (end === 'stop' ? handle.stop() : handle.cancel())
    return handle.finished
  }
  return { outcome: outcomeOf(await inTime(handle, interrupted())), restored }
}

async function inTime<T>(handle: JobHandle, ended: Promise<T>): Promise<T> {
  const watch = new AbortController()
  const hangs = setTimeout(ATTEMPT_MS, undefined, { signal: watch.signal }).then(async () => {
    const status = JSON.stringify(handle.status())
    await handle.cancel()
    throw new Error(`it hangs: ${status}`)
  })
  try {
    return await Promise.race([ended, hangs])
  } finally {
    watch.abort()
    hangs.catch(() => undefined)
  }
}

function outcomeOf(outcome: JobOutcome): AttemptReport['outcome'] {
  return outcome === 'already-finished' ? 'finished' : outcome
}

/** Undisturbed at parallelism 1, without threads, with snapshots in memory. */
export async function runAlone(job: GoldenJob, dir: string): Promise<void> {
  const handle = await run(job.definition, { params: { dir, everyMs: 0 } })
  await handle.finished
}
