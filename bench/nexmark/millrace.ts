/** One query in one process: `node bench/nexmark/millrace.ts QUERY EVENTS STORAGE INTERVAL-MS`; prints the line of JSON of WORKLOADS.md. */
import { enableCompileCache } from 'node:module'

// As the command does.
enableCompileCache()
const { run } = await import('millrace')

interface Mark {
  readonly atMs: number
  readonly cpuMs: number
  readonly events: number
}

const [query, count, storage, interval] = process.argv.slice(2)
const module = new URL(`./${query}.ts`, import.meta.url).href
const { default: job } = (await import(module)) as typeof import('./q1.ts')
const events = Number(count)
const checkpointMs: number[] = []
let newBytes = 0
let stateBytes = 0
let quarter: Mark | undefined
let end: Mark | undefined

const handle = await run(job, {
  storage,
  fresh: true,
  module,
  params: { events },
  checkpointing: { interval: Number(interval), retain: 1 },
  onEvent: event => {
    if (event.type === 'progress') {
      const [{ records }] = event.progress.sources
      // The last report of the source's life: nothing more is read.
      if (end === undefined || records > end.events) end = mark(records)
      if (quarter === undefined && records >= events / 4) quarter = end
    } else if (event.type === 'checkpoint' && event.outcome.outcome === 'complete') {
      checkpointMs.push(event.outcome.durationMs)
      newBytes = event.outcome.newBytes
      stateBytes = event.outcome.totalBytes
    }
  },
})
await handle.finished
const [checksum] = handle.rows('rows')
const { cpuMs, atMs } = mark(events)
const steady = quarter === undefined || end === undefined || end.events === quarter.events ? undefined : [quarter, end]
const round = (value: number) => Math.round(value * 1000) / 1000

console.log(
  JSON.stringify({
    engine: 'millrace',
    workload: query,
    parallelism: 1,
    backend: 'heap',
    events,
    wall_s: round(atMs / 1000),
    cpu_s: round(cpuMs / 1000),
    events_per_s: Math.round((events / atMs) * 1000),
    events_per_cpu_s: Math.round((events / cpuMs) * 1000),
    steady_events_per_s: steady && rate(steady, 'atMs'),
    steady_events_per_cpu_s: steady && rate(steady, 'cpuMs'),
    peak_rss_mb: Math.round(process.resourceUsage().maxRSS / 1024),
    checkpoints: checkpointMs.length,
    checkpoint_ms_median: checkpointMs.toSorted((a, b) => a - b)[checkpointMs.length >> 1],
    checkpoint_ms_max: Math.max(...checkpointMs),
    checkpoint_bytes: newBytes,
    state_bytes: stateBytes,
    checksum,
  }),
)

function mark(events: number): Mark {
  const { user, system } = process.cpuUsage()
  return { atMs: performance.now(), cpuMs: (user + system) / 1000, events }
}

function rate([from, to]: readonly Mark[], of: 'atMs' | 'cpuMs'): number {
  return Math.round(((to.events - from.events) / (to[of] - from[of])) * 1000)
}
