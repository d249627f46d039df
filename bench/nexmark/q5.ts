/**
 * q5: the auctions with the most bids of the last 10 s, every 2 s. Bids are counted once, in slices of 2 s; a window adds up five.
 */
import { defineJob, count, map, tumbling, type } from 'millrace'
import { checksum } from '../checksum-sink.ts'
import { events, isBid, OPTIONS, timed } from './flow.ts'

const SLIDE_MS = 2000
const SLICES = 5

interface SliceOfWindow {
  readonly windowEnd: number
  readonly auction: number
  readonly bids: number
}

/** The windows that a slice is part of. */
function windowsOf(sliceEnd: number, auction: number, bids: number): SliceOfWindow[] {
  const slices: SliceOfWindow[] = []
  for (let i = 0; i < SLICES; i++) slices.push({ windowEnd: sliceEnd + i * SLIDE_MS, auction, bids })
  return slices
}

export default defineJob(
  'q5',
  flow =>
    timed(events(flow).filter(isBid))
      .keyBy(bid => bid.auction)
      .window(tumbling(SLIDE_MS))
      .aggregate('slices', count())
      .flatMap(({ key, window, value }) => windowsOf(window.end, key, value))
      .keyBy(slice => slice.windowEnd)
      .process('hottest', {
        emits: type<readonly number[]>(),
        state: { bids: map<number, number>() },
        onRecord({ auction, bids }, { key, state, timers }) {
          state.bids.set(auction, (state.bids.get(auction) ?? 0) + bids)
          timers.onEventTime(key - 1)
        },
        onTimer(_, ctx) {
          const { key, state } = ctx
          let most = 0
          let hottest: number[] = []
          for (const [auction, bids] of state.bids.entries()) {
            if (bids < most) continue
            if (bids > most) hottest = []
            most = bids
            hottest.push(auction)
          }
          for (const auction of hottest) ctx.emit([key, auction, most])
          state.bids.clear()
        },
      })
      .sink('rows', checksum()),
  OPTIONS,
)
