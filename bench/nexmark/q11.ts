/** q11: bids per bidder and session; a session ends when nothing was bid for more than 10 s. One timer per session, moved lazily. */
import { defineJob, type, value } from 'millrace'
import { checksum } from '../checksum-sink.ts'
import { events, isBid, OPTIONS, timed } from './flow.ts'

const GAP_MS = 10_000

interface Session {
  readonly bids: number
  readonly start: number
  readonly last: number
}

function rowOf(bidder: number, { bids, start, last }: Session): readonly number[] {
  return [bidder, bids, start, last + GAP_MS]
}

export default defineJob(
  'q11',
  flow =>
    timed(events(flow).filter(isBid))
      .keyBy(bid => bid.bidder)
      .process('sessions', {
        emits: type<readonly number[]>(),
        state: { session: value<Session>() },
        onRecord({ time }, ctx) {
          const { key, state, timers } = ctx
          let session = state.session.get()
          if (session === undefined) timers.onEventTime(time + GAP_MS)
          else if (time - session.last > GAP_MS) {
            // The record that moves the watermark past the session's end comes before the timer.
            ctx.emit(rowOf(key, session))
            session = undefined
          }
          const { bids, start } = session ?? { bids: 0, start: time }
          state.session.set({ bids: bids + 1, start, last: time })
        },
        onTimer(time, ctx) {
          const { key, state, timers } = ctx
          const session = state.session.get()!
          if (session.last + GAP_MS > time) return timers.onEventTime(session.last + GAP_MS)
          ctx.emit(rowOf(key, session))
          state.session.clear()
        },
      })
      .sink('rows', checksum()),
  OPTIONS,
)
