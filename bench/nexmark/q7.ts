/** q7: the bids with the highest price of every 10 s. */
import { defineJob, type, value } from 'millrace'
import { checksum } from '../checksum-sink.ts'
import { events, isBid, OPTIONS, timed, windowEndOf } from './flow.ts'

const SIZE_MS = 10_000

interface Highest {
  readonly price: number
  readonly bids: readonly { readonly auction: number; readonly bidder: number }[]
}

export default defineJob(
  'q7',
  flow =>
    timed(events(flow).filter(isBid))
      .keyBy(bid => windowEndOf(bid.time, SIZE_MS))
      .process('highest', {
        emits: type<readonly number[]>(),
        state: { highest: value<Highest>() },
        onRecord({ auction, bidder, price }, { key, state, timers }) {
          const before = state.highest.get()
          if (before === undefined) timers.onEventTime(key - 1)
          else if (price < before.price) return
          const equals = before?.price === price ? before.bids : []
          state.highest.set({ price, bids: [...equals, { auction, bidder }] })
        },
        onTimer(_, ctx) {
          const { key, state } = ctx
          const { price, bids } = state.highest.get()!
          for (const { auction, bidder } of bids) ctx.emit([key, auction, bidder, price])
          state.highest.clear()
        },
      })
      .sink('rows', checksum()),
  OPTIONS,
)
