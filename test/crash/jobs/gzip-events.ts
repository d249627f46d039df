/** Compressed input, a reduce, CSV output. */
import { defineJob, files } from 'millrace'
import { slowed } from '../pace.ts'

type Event = { readonly user: string; readonly n: number; readonly text: string }

export default defineJob(
  'gzip-events',
  flow => {
    const { everyMs } = flow.params
    flow
      .source('events', slowed(files.json<Event>('input/events-*.ndjson.gz'), { records: 24, everyMs }))
      .keyBy(event => event.user)
      .reduce('latest', (a, b) => ({ user: b.user, n: a.n + b.n, text: a.text < b.text ? b.text : a.text }))
      .sink('out', files.writeCsv<Event>('out/latest', { header: false }))
  },
  { params: { everyMs: 0 } },
)
