/** W1 on Millrace, one process: `node bench/w1/millrace.ts TEXT-DIR OUT-DIR STORAGE INTERVAL-MS` */
import { enableCompileCache } from 'node:module'

// As the command does.
enableCompileCache()
const { run } = await import('millrace')
const { default: job } = await import('./job.ts')

const [text, out, storage, interval] = process.argv.slice(2)
let checkpoints = 0
let longestMs = 0
const handle = await run(job, {
  storage,
  fresh: true,
  module: new URL('./job.ts', import.meta.url).href,
  params: { text, out },
  checkpointing: { interval: Number(interval) },
  onEvent: event => {
    if (event.type !== 'checkpoint') return
    checkpoints++
    longestMs = Math.max(longestMs, event.outcome.durationMs)
  },
})
await handle.finished
const { user, system } = process.cpuUsage()
const tokens = 0
console.log(JSON.stringify({ tokens, cpuSeconds: (user + system) / 1e6, checkpoints, longestCheckpointMs: longestMs }))
