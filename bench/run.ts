/** A workload's job on Millrace, in this process, exactly-once on the local disk, measured. */
import { run, type JobDefinition, type JobHandle, type RunOptions } from 'millrace'
import { intervalOf, splitsOf, stateOf, variantOf, type Options } from './args.ts'
import { median, Meter, type Line } from './meter.ts'

export interface Workload {
  readonly name: string
  /** URL of the module that exports the job. */
  readonly module: string
  readonly params: NonNullable<RunOptions['params']>
  readonly events: number
  readonly intervalMs: number
  /** Default: one checkpoint is kept, and none when the job has finished. */
  readonly checkpointing?: RunOptions['checkpointing']
}

type Checkpoint = Extract<Parameters<NonNullable<RunOptions['onEvent']>>[0], { type: 'checkpoint' }>['outcome']

export interface Finished {
  readonly handle: JobHandle
  /** The complete ones. */
  readonly checkpoints: readonly Checkpoint[]
  /** The run's line, given its checksum and whatever else the workload measures. */
  readonly line: (checksum: string, more?: { readonly [name: string]: number | string }) => Line
}

export async function runWorkload(
  workload: Workload,
  options: Options,
  storage: string,
  meter: Meter,
): Promise<Finished> {
  const { module, params, events } = workload
  const { default: job } = (await import(module)) as { default: JobDefinition<any> }
  const checkpoints: Checkpoint[] = []
  const handle = await run(job, {
    storage,
    fresh: true,
    module,
    params: { ...params, splits: splitsOf(options) },
    parallelism: options.parallelism,
    ...stateOf(options),
    checkpointing: { retain: 1, ...workload.checkpointing, interval: intervalOf(options, workload.intervalMs) },
    onEvent: event => {
      if (event.type === 'progress') {
        const [{ fraction }] = event.progress.sources
        meter.mark(fraction!)
      } else if (event.type === 'checkpoint' && event.outcome.outcome === 'complete') checkpoints.push(event.outcome)
    },
  })
  await handle.finished
  const use = meter.use(events)
  const durationsMs = checkpoints.map(checkpoint => checkpoint.durationMs)
  const last = checkpoints.at(-1)!
  const line: Finished['line'] = (checksum, more = {}) => ({
    engine: 'millrace',
    workload: workload.name,
    variant: variantOf(options),
    parallelism: options.parallelism,
    backend: options.backend,
    events,
    ...use,
    checkpoints: checkpoints.length,
    checkpoint_ms_median: median(durationsMs),
    checkpoint_ms_max: Math.max(...durationsMs),
    checkpoint_bytes: last.newBytes,
    state_bytes: last.totalBytes,
    ...more,
    checksum,
  })
  return { handle, checkpoints, line }
}
