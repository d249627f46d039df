/** What the sources of several splits bring: events of a key that are not in the order of their times, within the watermark. */
import { test } from 'node:test'
import { checkOperator, type Step } from 'millrace/testing'
import { eventOf, type Auction, type Bid, type Person } from './events.ts'
import { newSellers } from './q8.ts'
import { sessions } from './q11.ts'
import { fnv } from '../arithmetic.ts'

function bid(time: number): Step<Bid> {
  return { record: { ...(eventOf(4) as Bid), bidder: 7, time }, timestamp: time }
}

test('q11: a late bid joins two sessions that are open, and those apart are closed each at its end', () =>
  checkOperator({
    flow: sessions,
    steps: [
      bid(80_000),
      bid(1000),
      bid(16_000),
      bid(40_000),
      bid(9000),
      { watermark: 30_000 },
      bid(50_001),
      { watermark: Infinity },
    ],
    emits: [
      [7, 3, 1000, 26_000],
      [7, 1, 40_000, 50_000],
      [7, 1, 50_001, 60_001],
      [7, 1, 80_000, 90_000],
    ],
  }))

test('q11: two bids are of one session up to a gap of 10 s, also when the earlier one comes later', () =>
  checkOperator({
    flow: sessions,
    steps: [bid(20_000), bid(10_000), { watermark: Infinity }],
    emits: [[7, 2, 10_000, 30_000]],
  }))

test('q8: who comes in one window and sells in the next is none, in whatever order that is seen', () => {
  const comes = (id: number, time: number): Step<Person | Auction> => ({
    record: { ...(eventOf(0) as Person), id, name: `person ${id}`, time },
    timestamp: time,
  })
  const sells = (seller: number, time: number): Step<Person | Auction> => ({
    record: { ...(eventOf(1) as Auction), seller, time },
    timestamp: time,
  })
  return checkOperator({
    flow: newSellers,
    steps: [
      sells(7, 10_001),
      comes(7, 5000),
      sells(8, 10_001),
      comes(8, 5000),
      sells(7, 4000),
      sells(7, 6000),
      { watermark: Infinity },
    ],
    emits: [[10_000, 7, fnv('person 7')]],
  })
})
