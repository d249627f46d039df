/** q1: every bid's price in another currency. */
import { defineJob } from 'millrace'
import { checksum } from '../checksum-sink.ts'
import { events, isBid, OPTIONS } from './flow.ts'

export default defineJob(
  'q1',
  flow =>
    events(flow)
      .filter(isBid)
      .map(({ auction, bidder, price, time }) => [auction, bidder, Math.floor((price * 908) / 1000), time])
      .sink('rows', checksum()),
  OPTIONS,
)
