/** W4: recovery. The state job of W3 is killed in the middle and started again; what it comes to must be what an unbroken run comes to. */
import { intervalOf, splitsOf, type Options } from '../args.ts'
import { expectedW4, W4 } from '../full-size.ts'
import type { Result } from '../meter.ts'
import { withDirectory } from '../directory.ts'
import { runChild } from '../w3/process.ts'

const INTERVAL_MS = 2000
const CHECKPOINTS = 2
const SHARE = 0.4

export async function benchW4(options: Options): Promise<Result> {
  const { parallelism, keys = W4.keys, events = W4.events } = options
  return withDirectory(async storage => {
    const child = {
      storage,
      parallelism,
      checkpointing: { interval: intervalOf(options, INTERVAL_MS) },
      params: { keys, events, splits: splitsOf(options) },
    }
    const killed = await runChild(
      child,
      ({ checkpoints, rows }) => checkpoints >= CHECKPOINTS && rows >= SHARE * events,
    )
    let caughtUpMs: number | undefined
    const restarted = await runChild(child, ({ rows, sinceStartMs }) => {
      if (rows >= killed.rows) caughtUpMs ??= sinceStartMs
      return false
    })
    if (restarted.firstRowMs === undefined)
      throw new Error('the job had finished when it was killed; give it more --events')
    const line = {
      engine: 'millrace',
      workload: 'w4',
      parallelism,
      backend: 'heap',
      events,
      keys,
      killed_at_rows: killed.rows,
      checkpoints: killed.checkpoints,
      state_bytes: killed.stateBytes,
      restart_to_first_output_ms: restarted.firstRowMs,
      restart_to_caught_up_ms: caughtUpMs,
      checksum: restarted.checksum!,
    } as const
    return { line, expected: expectedW4(options) }
  })
}
