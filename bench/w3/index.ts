/** W3: large keyed state. One run, and how long a new process takes to its first row from the run's last checkpoint before the end. */
import { splitsOf, stateOf, type Options } from '../args.ts'
import { totalOf } from '../checksum-sink.ts'
import { expectedW3, W3 } from '../full-size.ts'
import { Meter, type Result } from '../meter.ts'
import { runWorkload } from '../run.ts'
import { withDirectory } from '../directory.ts'
import { runChild } from './process.ts'

const INTERVAL_MS = 5000
/** The newest checkpoint is of the end, from where no row comes; the one before is restored. */
const KEPT = { retain: 2, onFinish: 'retain' } as const

export async function benchW3(options: Options): Promise<Result> {
  const { zipf, b, keys = W3.keys, events = W3.events } = options
  const workload = {
    name: 'w3',
    module: new URL('./job.ts', import.meta.url).href,
    params: { keys, events, zipf, b },
    events,
    intervalMs: INTERVAL_MS,
    checkpointing: KEPT,
  }
  return withDirectory(async storage => {
    const { handle, checkpoints, line } = await runWorkload(workload, options, storage, new Meter())
    const { checksum, maxPauseMs } = totalOf(handle.rows('rows'))
    const from = checkpoints.at(-2)?.id
    const restored =
      from !== undefined &&
      (await runChild(
        {
          storage,
          parallelism: options.parallelism,
          ...stateOf(options),
          checkpointing: { ...KEPT, interval: '1h' },
          params: { ...workload.params, splits: splitsOf(options) },
          from: `chk-${from}`,
        },
        ({ firstRowMs }) => firstRowMs !== undefined,
      ))
    return {
      line: line(checksum, {
        keys,
        max_pause_ms: Math.round(maxPauseMs),
        ...(restored && { restore_to_first_output_ms: restored.firstRowMs! }),
        ...(b && { checksum_b: totalOf(handle.rows('rows-b')).checksum }),
      }),
      expected: expectedW3(options),
    }
  })
}
