/** q8: persons who came and began to sell within the same 10 s, once per person and window. */
import { defineJob, type, value } from 'millrace'
import { fnv } from '../arithmetic.ts'
import { checksum } from '../checksum-sink.ts'
import type { Auction, Event, Person } from './events.ts'
import { events, isBid, OPTIONS, personIn, timed, windowEndOf } from './flow.ts'

const SIZE_MS = 10_000

function isNotBid(event: Event): event is Person | Auction {
  return !isBid(event)
}

interface Seen {
  readonly windowEnd: number
  readonly name: string | undefined
  readonly sells: boolean
}

export default defineJob(
  'q8',
  flow =>
    timed(events(flow).filter(isNotBid))
      .keyBy(personIn)
      .process('new-sellers', {
        emits: type<readonly number[]>(),
        state: { seen: value<Seen>() },
        onRecord(event, ctx) {
          const { key, state, timers } = ctx
          const windowEnd = windowEndOf(event.time, SIZE_MS)
          const seen = state.seen.get()
          // What was seen in an earlier window counts no more, also when its timer is still to come.
          const before = seen?.windowEnd === windowEnd ? seen : { windowEnd, name: undefined, sells: false }
          if (before !== seen) timers.onEventTime(windowEnd - 1)
          const name = event.kind === 'person' ? event.name : before.name
          const sells = event.kind === 'auction' || before.sells
          if (before === seen && name === before.name && sells === before.sells) return
          state.seen.set({ windowEnd, name, sells })
          if (name !== undefined && sells) ctx.emit([windowEnd, key, fnv(name)])
        },
        onTimer(time, { state }) {
          if (state.seen.get()!.windowEnd === time + 1) state.seen.clear()
        },
      })
      .sink('rows', checksum()),
  OPTIONS,
)
