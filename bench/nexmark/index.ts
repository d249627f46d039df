/** A Nexmark query. */
import type { Options } from '../args.ts'
import { totalOf } from '../checksum-sink.ts'
import { expectedQuery, QUERIES } from '../full-size.ts'
import { Meter, type Result } from '../meter.ts'
import { runWorkload } from '../run.ts'
import { withDirectory } from '../directory.ts'

const INTERVAL_MS = 1000

export async function benchQuery(query: string, options: Options): Promise<Result> {
  const events = options.events ?? QUERIES[query].events
  const workload = {
    name: query,
    module: new URL(`./${query}.ts`, import.meta.url).href,
    params: { events },
    events,
    intervalMs: INTERVAL_MS,
  }
  return withDirectory(async storage => {
    const { handle, line } = await runWorkload(workload, options, storage, new Meter())
    const { checksum } = totalOf(handle.rows('rows'))
    return { line: line(checksum), expected: expectedQuery(query, events) }
  })
}
