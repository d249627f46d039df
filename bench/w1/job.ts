/** W1: how often each word occurs, emitted once per word at the end of input. */
import { count, defineJob, files, global } from 'millrace'

export default defineJob(
  'w1',
  flow => {
    flow
      .source('lines', files.lines(`${flow.params.text}/part-*.txt`))
      .flatMap(line => line.split(' '))
      .keyBy(word => word)
      .window(global())
      .aggregate('counts', count())
      .map(({ key, value }) => `${key} ${value}`)
      .sink('out', files.writeLines(flow.params.out))
  },
  { params: { text: 'text', out: 'out' } },
)
