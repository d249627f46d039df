/** q2: bids on some of the auctions. */
import { defineJob } from 'millrace'
import { checksum } from '../checksum-sink.ts'
import { events, isBid, OPTIONS } from './flow.ts'

export default defineJob(
  'q2',
  flow =>
    events(flow)
      .filter(isBid)
      .filter(bid => bid.auction % 123 === 0)
      .map(({ auction, price }) => [auction, price])
      .sink('rows', checksum()),
  OPTIONS,
)
