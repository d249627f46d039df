/**
 * q11: bids per bidder and session; a session ends when nothing was bid for more than 10 s. One timer per session, moved lazily.
 *
 * Bids of several splits come out of order, so a bidder may have more than one open session, and a bid may join two. Nearly always
 * there is one: the others are kept apart, and only looked at when `others` of the first says that there are any.
 */
import { defineJob, list, type, value, type Stream } from 'millrace'
import { checksum } from '../checksum-sink.ts'
import type { Bid } from './events.ts'
import { events, isBid, OPTIONS, timed } from './flow.ts'

const GAP_MS = 10_000

interface Session {
  readonly bids: number
  readonly start: number
  readonly last: number
}

interface FirstSession extends Session {
  /** How many further sessions the bidder has. */
  readonly others: number
}

function rowOf(bidder: number, { bids, start, last }: Session): readonly number[] {
  return [bidder, bids, start, last + GAP_MS]
}

function touch(a: Session, b: Session): boolean {
  return a.start - b.last <= GAP_MS && b.start - a.last <= GAP_MS
}

function joined(a: Session, b: Session): Session {
  return { bids: a.bids + b.bids, start: Math.min(a.start, b.start), last: Math.max(a.last, b.last) }
}

export function sessions(bids: Stream<Bid>): Stream<readonly number[]> {
  return bids
    .keyBy(bid => bid.bidder)
    .process('sessions', {
      emits: type<readonly number[]>(),
      state: { first: value<FirstSession>(), others: list<Session>() },
      onRecord({ time }, { state, timers }) {
        const first = state.first.get()
        if (first === undefined) {
          timers.onEventTime(time + GAP_MS)
          state.first.set({ bids: 1, start: time, last: time, others: 0 })
          return
        }
        const { bids, start, last, others } = first
        if (others === 0 && time - last <= GAP_MS && start - time <= GAP_MS) {
          state.first.set({ bids: bids + 1, start: Math.min(start, time), last: Math.max(last, time), others })
          return
        }
        const bid = { bids: 1, start: time, last: time }
        const open = [first, ...state.others.get()]
        const session = open.filter(session => touch(session, bid)).reduce(joined, bid)
        const rest = open.filter(session => !touch(session, bid))
        timers.onEventTime(session.last + GAP_MS)
        state.first.set({ ...session, others: rest.length })
        state.others.set(rest)
      },
      onTimer(time, ctx) {
        const { key, state, timers } = ctx
        const first = state.first.get()
        if (first === undefined) return
        const open = first.others === 0 ? [first] : [first, ...state.others.get()]
        const still = open.filter(session => session.last + GAP_MS > time)
        for (const session of still) timers.onEventTime(session.last + GAP_MS)
        if (still.length === open.length) return
        for (const session of open) if (!still.includes(session)) ctx.emit(rowOf(key, session))
        if (first.others > 0) state.others.set(still.slice(1))
        if (still.length === 0) state.first.clear()
        else state.first.set({ ...still[0], others: still.length - 1 })
      },
    })
}

export default defineJob('q11', flow => sessions(timed(events(flow).filter(isBid))).sink('rows', checksum()), OPTIONS)
