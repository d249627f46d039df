/** Two sources of different lengths in one stream, several splits, and operator state. */
import { count, defineJob, files, generator, list, type } from 'millrace'
import { slowed } from '../pace.ts'

export default defineJob(
  'joined-sources',
  flow => {
    const { everyMs } = flow.params
    const lines = flow.source('lines', slowed(files.lines('input/text-1.txt'), { records: 24, everyMs }))
    const ticks = flow.source(
      'ticks',
      slowed(generator({ count: 5000, splits: 3, next: i => `tick ${i % 97}` }), { records: 24, everyMs }),
    )
    lines
      .union(ticks)
      .process('number', {
        emits: type<{ readonly i: number; readonly text: string }>(),
        state: { seen: list<number>() },
        onRecord(text, ctx) {
          const i = ([...ctx.state.seen.get()].at(-1) ?? 0) + 1
          ctx.state.seen.set([i])
          ctx.emit({ i, text })
        },
      })
      .keyBy(record => record.text.length)
      .aggregate('by-length', count())
      .map(({ key, value }) => `${key} ${value}`)
      .sink('out', files.writeLines('out/lengths'))
  },
  { params: { everyMs: 0 } },
)
