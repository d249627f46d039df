/** q8: persons who came and began to sell within the same 10 s, once per person and window. */
import { defineJob, map, type, type Stream } from 'millrace'
import { fnv } from '../arithmetic.ts'
import { checksum } from '../checksum-sink.ts'
import type { Auction, Event, Person } from './events.ts'
import { events, isBid, OPTIONS, personIn, timed, windowEndOf } from './flow.ts'

const SIZE_MS = 10_000

function isNotBid(event: Event): event is Person | Auction {
  return !isBid(event)
}

interface Seen {
  readonly name: string | undefined
  readonly sells: boolean
}

export function newSellers(stream: Stream<Person | Auction>): Stream<readonly number[]> {
  return stream.keyBy(personIn).process('new-sellers', {
    emits: type<readonly number[]>(),
    // By window's end: events of the next window may come before the last of this one.
    state: { seen: map<number, Seen>() },
    onRecord(event, ctx) {
      const { key, state, timers } = ctx
      const windowEnd = windowEndOf(event.time, SIZE_MS)
      const before = state.seen.get(windowEnd)
      if (before === undefined) timers.onEventTime(windowEnd - 1)
      const name = event.kind === 'person' ? event.name : before?.name
      const sells = event.kind === 'auction' || (before?.sells ?? false)
      if (before !== undefined && name === before.name && sells === before.sells) return
      state.seen.set(windowEnd, { name, sells })
      if (name !== undefined && sells) ctx.emit([windowEnd, key, fnv(name)])
    },
    onTimer(time, { state }) {
      state.seen.delete(time + 1)
    },
  })
}

export default defineJob(
  'q8',
  flow => newSellers(timed(events(flow).filter(isNotBid))).sink('rows', checksum()),
  OPTIONS,
)
