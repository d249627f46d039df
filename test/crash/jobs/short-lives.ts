/** Keys that come, live for a while and go: tombstones, and merges that drop them. */
import { defineJob, files, generator, map, type, value } from 'millrace'
import { slowed } from '../pace.ts'

const KEY_SPAN = 700
const visits = generator({
  count: 12_000,
  next: i => ({ id: Math.floor(i / 3) - (i % 3 === 2 ? 0 : (i * 7) % KEY_SPAN), i }),
})

export default defineJob(
  'short-lives',
  flow => {
    const { everyMs } = flow.params
    flow
      .source('visits', slowed(visits, { records: 48, everyMs }))
      .keyBy(visit => visit.id)
      .process('lives', {
        emits: type<{ readonly id: number; readonly visits: number; readonly last: number; readonly parts: string }>(),
        state: { visits: value({ default: 0 }), parts: map<number, number>(), name: value<string>() },
        onRecord({ i }, ctx) {
          const { visits, parts, name } = ctx.state
          const n = visits.get() + 1
          parts.set(i % 4, i)
          if (n % 2 === 0) parts.delete((i + 1) % 4)
          if (n < 3) {
            visits.set(n)
            name.set(`life ${ctx.key} ${'x'.repeat(i % 40)}`)
            return
          }
          ctx.emit({ id: ctx.key, visits: n, last: i, parts: [...parts.entries()].join(' ') + name.get()! })
          visits.clear()
          parts.clear()
          name.clear()
        },
      })
      .sink('out', files.writeJson('out/lives'))
  },
  { params: { everyMs: 0 }, checkpointing: { compression: 'none', onFinish: 'retain', retain: 2 } },
)
