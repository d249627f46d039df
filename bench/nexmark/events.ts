/**
 * Nexmark's events: persons, auctions and bids of an auction house, 1 : 3 : 46, computed from their number alone. 10,000 events are a
 * second of event time, in order. A function of `n`, so that a source can be restored at any event.
 */
import { logUniform, mix32, random } from '../arithmetic.ts'

export interface Person {
  readonly kind: 'person'
  readonly id: number
  readonly name: string
  readonly email: string
  readonly creditCard: string
  readonly city: string
  readonly state: string
  readonly time: number
  readonly extra: string
}

export interface Auction {
  readonly kind: 'auction'
  readonly id: number
  readonly itemName: string
  readonly description: string
  readonly initialBid: number
  readonly reserve: number
  readonly category: number
  readonly seller: number
  readonly time: number
  readonly expires: number
  readonly extra: string
}

export interface Bid {
  readonly kind: 'bid'
  readonly auction: number
  readonly bidder: number
  readonly price: number
  readonly channel: string
  readonly url: string
  readonly time: number
  readonly extra: string
}

export type Event = Person | Auction | Bid

/** Events of an epoch: one person, three auctions, the rest are bids. */
const EPOCH = 50
const AUCTIONS = 3
const EVENTS_PER_MS = 10
const FIRST_ID = 1000
/** Bids and auctions look at this many of the newest persons, bids at so many auctions; one of each hundred is hot. */
const ACTIVE_PERSONS = 1000
const ACTIVE_AUCTIONS = 100
const HOT = 100
/** Sellers may be this much newer than the newest person: they will exist later. */
const AHEAD = 10
const OCTAVES = 20

const CITIES = [
  'Phoenix',
  'Los Angeles',
  'San Francisco',
  'Boise',
  'Portland',
  'Bend',
  'Redmond',
  'Seattle',
  'Kent',
  'Cheyenne',
]
const STATES = ['AZ', 'CA', 'ID', 'OR', 'WA', 'WY']
const CHANNELS = Array.from({ length: 1024 }, (_, k) => `channel-${k}`)
const URLS = Array.from({ length: 1024 }, (_, k) => `https://www.nexmark.com/item.htm?query=1&channel_id=${k}`)
const EXTRAS = Array.from({ length: 64 }, (_, i) =>
  Array.from({ length: 32 }, (_, j) => String.fromCharCode(97 + ((mix32(i * 64 + j) >>> 0) % 26))).join(''),
)

export function eventOf(n: number): Event {
  const epoch = Math.floor(n / EPOCH)
  const at = n % EPOCH
  const time = Math.floor(n / EVENTS_PER_MS)
  if (at === 0) return personOf(n, FIRST_ID + epoch, time)
  if (at <= AUCTIONS) return auctionOf(n, FIRST_ID + AUCTIONS * epoch + at - 1, FIRST_ID + epoch, time)
  return bidOf(n, FIRST_ID + AUCTIONS * epoch + AUCTIONS - 1, FIRST_ID + epoch, time)
}

function personOf(n: number, id: number, time: number): Person {
  return {
    kind: 'person',
    id,
    name: `person-${id % 5000}`,
    email: `p${id}@example.com`,
    creditCard: String(id).padStart(16, '0'),
    city: CITIES[random(n, 11) % CITIES.length],
    state: STATES[random(n, 12) % STATES.length],
    time,
    extra: EXTRAS[random(n, 13) % EXTRAS.length],
  }
}

function auctionOf(n: number, id: number, lastPerson: number, time: number): Auction {
  const initialBid = amount(n, 22)
  const oldest = Math.max(FIRST_ID, lastPerson - ACTIVE_PERSONS + 1)
  return {
    kind: 'auction',
    id,
    itemName: `item-${id % 1000}`,
    description: EXTRAS[random(n, 21) % EXTRAS.length],
    initialBid,
    reserve: initialBid + logUniform(random(n, 24), random(n, 25), OCTAVES),
    category: 10 + (random(n, 26) % 5),
    seller:
      random(n, 27) % 4 === 0
        ? oldest + (random(n, 28) % (Math.min(lastPerson - FIRST_ID + 1, ACTIVE_PERSONS) + AHEAD))
        : hottest(lastPerson),
    time,
    expires: time + 1 + (random(n, 29) % 20_000),
    extra: EXTRAS[random(n, 30) % EXTRAS.length],
  }
}

function bidOf(n: number, lastAuction: number, lastPerson: number, time: number): Bid {
  const oldestAuction = Math.max(FIRST_ID, lastAuction - ACTIVE_AUCTIONS + 1)
  const oldestPerson = Math.max(FIRST_ID, lastPerson - ACTIVE_PERSONS + 1)
  const channel = random(n, 37) % CHANNELS.length
  return {
    kind: 'bid',
    auction:
      random(n, 31) % 2 === 0
        ? oldestAuction + (random(n, 32) % Math.min(lastAuction - FIRST_ID + 1, ACTIVE_AUCTIONS))
        : hottest(lastAuction),
    bidder:
      random(n, 33) % 4 === 0
        ? oldestPerson + (random(n, 34) % Math.min(lastPerson - FIRST_ID + 1, ACTIVE_PERSONS))
        : Math.min(lastPerson, Math.floor(lastPerson / HOT) * HOT + 1),
    price: amount(n, 35),
    channel: CHANNELS[channel],
    url: URLS[channel],
    time,
    extra: EXTRAS[random(n, 38) % EXTRAS.length],
  }
}

function hottest(last: number): number {
  return Math.max(FIRST_ID, Math.floor(last / HOT) * HOT)
}

function amount(n: number, salt: number): number {
  return logUniform(random(n, salt), random(n, salt + 1), OCTAVES) * 100
}
