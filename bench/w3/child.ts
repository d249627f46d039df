/**
 * One process of the state job that may be killed: `node bench/w3/child.ts '{"storage": …}'` prints a line of JSON for each complete
 * checkpoint, for each report of its sink, and at the end its checksum.
 */
import { enableCompileCache } from 'node:module'
import type { RunOptions } from 'millrace'
import { totalOf, type Report } from '../checksum-sink.ts'

export type ChildOptions = Pick<
  RunOptions,
  'storage' | 'state' | 'stateBackend' | 'parallelism' | 'checkpointing' | 'params' | 'from'
>

export type FromChild =
  | { readonly type: 'checkpoint'; readonly id: number; readonly bytes: number }
  | ({ readonly type: 'rows' } & Report)
  | { readonly type: 'finished'; readonly checksum: string }

function tell(message: FromChild): void {
  console.log(JSON.stringify(message))
}

if (import.meta.main) {
  // As the command does.
  enableCompileCache()
  const { run } = await import('millrace')
  const { default: job } = await import('./job.ts')
  const options = JSON.parse(process.argv[2]) as ChildOptions
  const handle = await run<any>(job, {
    ...options,
    params: { ...options.params, reports: true },
    module: new URL('./job.ts', import.meta.url).href,
    onEvent: event => {
      if (event.type === 'checkpoint' && event.outcome.outcome === 'complete')
        tell({ type: 'checkpoint', id: event.outcome.id, bytes: event.outcome.totalBytes })
      else if (event.type === 'log' && event.level === 'info' && event.message.startsWith('{'))
        tell({ type: 'rows', ...(JSON.parse(event.message) as Report) })
    },
  })
  await handle.finished
  tell({ type: 'finished', checksum: totalOf(handle.rows('rows')).checksum })
}
