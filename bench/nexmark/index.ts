/**
 * `node bench/nexmark/index.ts [QUERY…] [--events N] [--runs N] [--interval MS]`: Nexmark queries on Millrace, exactly-once with a
 * checkpoint every second, each run in a process of its own. A line of JSON per run, as WORKLOADS.md describes it.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

/** How many events a run has by default, and the checksum that every engine gets for so many. */
export const QUERIES: { readonly [query: string]: { readonly events: number; readonly checksum: string } } = {
  q1: { events: 20_000_000, checksum: '7860d68e0e975ed7-18400000' },
  q2: { events: 20_000_000, checksum: '85d5903fe0476e00-152510' },
  q3: { events: 20_000_000, checksum: '1cdc3a5cbbedc427-118122' },
  q5: { events: 5_000_000, checksum: 'bbe77c1380c9af2b-262' },
  q7: { events: 5_000_000, checksum: '5df1e1b66edd56f6-50' },
  q8: { events: 20_000_000, checksum: '756b993a450cf811-168140' },
  q11: { events: 5_000_000, checksum: '9bda905fb37a2892-99918' },
}

export interface NexmarkResult {
  readonly workload: string
  readonly events: number
  readonly checkpoints: number
  readonly checksum: string
  readonly steady_events_per_cpu_s?: number
}

export function benchNexmark(query: string, events: number, intervalMs: number): NexmarkResult {
  const storage = mkdtempSync(join(tmpdir(), 'millrace-nexmark-'))
  try {
    const args = [join(import.meta.dirname, 'millrace.ts'), query, events, storage, intervalMs].map(String)
    return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as NexmarkResult
  } finally {
    rmSync(storage, { recursive: true, force: true })
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values, positionals } = parseArgs({
    options: { events: { type: 'string' }, runs: { type: 'string' }, interval: { type: 'string' } },
    allowPositionals: true,
  })
  const unknown = positionals.filter(query => !(query in QUERIES))
  if (unknown.length > 0) {
    console.error(`no query ${unknown.join(', ')}; there are ${Object.keys(QUERIES).join(', ')}`)
    process.exit(2)
  }
  for (const query of positionals.length === 0 ? Object.keys(QUERIES) : positionals) {
    const known = QUERIES[query]
    const events = Number(values.events ?? known.events)
    for (let run = 0; run < Number(values.runs ?? 1); run++) {
      const result = benchNexmark(query, events, Number(values.interval ?? 1000))
      console.log(JSON.stringify(result))
      if (events === known.events && result.checksum !== known.checksum) {
        console.error(`${query}: the checksum is ${result.checksum}, but must be ${known.checksum}`)
        process.exitCode = 1
      }
    }
  }
}
