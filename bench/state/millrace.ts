/** One process: `node bench/state/millrace.ts STORAGE INTERVAL-MS KEYS RECORDS [fresh]`; a JSON line when it has finished. */
import { enableCompileCache } from 'node:module'

// As the command does.
enableCompileCache()
const { run } = await import('millrace')
const { default: job } = await import('./job.ts')

const [storage, interval, keys, records, fresh] = process.argv.slice(2)
let checkpoints = 0
let checkpointMs = 0
let newBytes = 0
let longestStepMs = 0
let longestSnapshotStepMs = 0
const handle = await run(job, {
  storage,
  fresh: fresh === 'fresh',
  module: new URL('./job.ts', import.meta.url).href,
  params: { keys: Number(keys), records: Number(records) },
  checkpointing: { interval: Number(interval) },
  onEvent: event => {
    if (event.type === 'progress') {
      longestStepMs = Math.max(longestStepMs, event.progress.longestStepMs)
      longestSnapshotStepMs = Math.max(longestSnapshotStepMs, event.progress.longestSnapshotStepMs)
    } else if (event.type === 'checkpoint') {
      checkpoints++
      checkpointMs = Math.max(checkpointMs, event.outcome.durationMs)
      newBytes = event.outcome.newBytes
      console.log(`CHECKPOINT ${event.outcome.id} ${event.outcome.outcome}`)
    } else if (event.type === 'started') console.log(`STARTED ${event.decision.kind} ${event.tookMs}`)
  },
})
await handle.finished
const { user, system } = process.cpuUsage()
console.log(
  JSON.stringify({
    cpuSeconds: (user + system) / 1e6,
    checkpoints,
    checkpointMs,
    newBytes,
    longestStepMs,
    longestSnapshotStepMs,
  }),
)
