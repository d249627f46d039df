/** Lines of two files, one result a word: running counts. */
import { count, defineJob, files } from 'millrace'
import { slowed } from '../pace.ts'

export default defineJob(
  'word-counts',
  flow => {
    const { everyMs } = flow.params
    flow
      .source('lines', slowed(files.lines('input/text-*.txt'), { records: 6, everyMs }))
      .flatMap(line => line.match(/\p{L}+/gu) ?? [])
      .keyBy(word => word)
      .aggregate('counts', count())
      .sink('out', files.writeJson('out/counts'))
  },
  { params: { everyMs: 0 } },
)
