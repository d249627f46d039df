/** Compressed input, a reduce, CSV output. */
import { defineJob, files } from 'millrace'
import { slowed } from '../pace.ts'

type Event = { readonly user: string; readonly n: number; readonly text: string }

export default defineJob(
  'gzip-events',
  (flow) => {
    const { dir, everyMs } = flow.params
    flow
      .source('events', slowed(files.json<Event>(`${dir}/input/events-*.ndjson.gz`), { records: 24, everyMs }))
      .keyBy((event) => event.user)
      .reduce('latest', (a, b) => ({ user: b.user, n: a.n + b.n, text: a.text < b.text ? b.text : a.text }))
      .sink('out', files.writeCsv<Event>(`${dir}/out/latest`, { header: false }))
  },
  { params: { dir: '.', everyMs: 0 } },
)
