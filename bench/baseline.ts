/**
 * The workloads as bare loops over the same text and the same events: no engine, no fault tolerance, one thread. The lower bar that an
 * engine's overhead is read from, and the reference for its checksums: nothing but the generators is shared with the jobs.
 */
import { createReadStream, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { variantOf, type Options } from './args.ts'
import { fnv, RowSum } from './arithmetic.ts'
import { expectedQuery, expectedW1, expectedW3, expectedW4, QUERIES, W3, W4 } from './full-size.ts'
import { Meter, type Result } from './meter.ts'
import { eventOf, type Event, type Person } from './nexmark/events.ts'
import { withDirectory } from './directory.ts'
import { textAndMeter } from './w1/text.ts'
import { skewedKey, uniformKey, valueOf } from './w3/updates.ts'

export async function benchPlain(name: string, options: Options): Promise<Result> {
  if (name === 'w1') return plainW1(options)
  if (name === 'w3') return plainUpdates(name, { ...options, ...sizesOf(W3, options) }, expectedW3(options))
  if (name === 'w4') return plainUpdates(name, { ...options, ...sizesOf(W4, options) }, expectedW4(options))
  return plainQuery(name, options)
}

function sizesOf(full: { keys: number; events: number }, { keys, events }: Options) {
  return { keys: keys ?? full.keys, events: events ?? full.events }
}

function result(name: string, options: Options, events: number, meter: Meter, sum: RowSum, more = {}): Result['line'] {
  return {
    engine: 'plain',
    workload: name,
    variant: variantOf(options),
    parallelism: 1,
    backend: 'none',
    events,
    ...meter.use(events),
    checkpoints: 0,
    ...more,
    checksum: String(sum),
  }
}

/** `take(0)` to `take(events - 1)`. */
function loop(events: number, meter: Meter, take: (n: number) => void): void {
  const quarter = Math.floor(events / 4)
  for (let n = 0; n < quarter; n++) take(n)
  meter.mark(quarter / events)
  for (let n = quarter; n < events; n++) take(n)
  meter.mark(1)
}

// --------------------------------------------------------------------------------------------------------------------- W1

export function plainW1(options: Options, cache?: string): Promise<Result> {
  const { text, meter } = textAndMeter(options.bytes, cache)
  return withDirectory(async out => {
    const counts = new Map<string, number>()
    let tokens = 0
    for (let part = 0; part < 4; part++) {
      const input = createReadStream(join(text.dir, `part-${part}.txt`), { highWaterMark: 1 << 20 })
      for await (const line of createInterface({ input, crlfDelay: Infinity })) {
        for (const word of line.split(' ')) {
          counts.set(word, (counts.get(word) ?? 0) + 1)
          tokens++
        }
        if (tokens % 1000 === 0) meter.mark(tokens / text.tokens)
      }
    }
    meter.mark(1)
    writeFileSync(join(out, 'part-0'), [...counts].map(([word, count]) => `${word} ${count}\n`).join(''))
    const sum = new RowSum()
    for (const [word, count] of counts) sum.add(fnv(word), count)
    return { line: result('w1', options, tokens, meter, sum), expected: expectedW1(text.md5) }
  })
}

// ---------------------------------------------------------------------------------------------------------------- Nexmark

interface Query {
  take(event: Event): void
  end?(): void
}

const PLAIN: { readonly [query: string]: (sum: RowSum) => Query } = { q1, q2, q3, q5, q7, q8, q11 }

function plainQuery(name: string, options: Options): Result {
  const events = options.events ?? QUERIES[name].events
  const meter = new Meter()
  const sum = new RowSum()
  const query = PLAIN[name](sum)
  loop(events, meter, n => query.take(eventOf(n)))
  query.end?.()
  return { line: result(name, options, events, meter, sum), expected: expectedQuery(name, events) }
}

function q1(sum: RowSum): Query {
  return {
    take(event) {
      if (event.kind === 'bid') sum.add(event.auction, event.bidder, Math.floor((event.price * 908) / 1000), event.time)
    },
  }
}

function q2(sum: RowSum): Query {
  return {
    take(event) {
      if (event.kind === 'bid' && event.auction % 123 === 0) sum.add(event.auction, event.price)
    },
  }
}

function q3(sum: RowSum): Query {
  const sellers = new Map<number, Person>()
  const auctions = new Map<number, number[]>()
  const join = ({ name, city, state }: Person, auction: number) => sum.add(fnv(name), fnv(city), fnv(state), auction)
  return {
    take(event) {
      if (event.kind === 'person' && ['OR', 'ID', 'CA'].includes(event.state)) {
        sellers.set(event.id, event)
        for (const auction of auctions.get(event.id) ?? []) join(event, auction)
        auctions.delete(event.id)
      } else if (event.kind === 'auction' && event.category === 10) {
        const seller = sellers.get(event.seller)
        if (seller !== undefined) join(seller, event.id)
        else if (!auctions.get(event.seller)?.push(event.id)) auctions.set(event.seller, [event.id])
      }
    },
  }
}

function q5(sum: RowSum): Query {
  const slideMs = 2000
  /** Bids by auction in each of the newest five slices, the newest last. */
  let slices: Map<number, number>[] = [new Map()]
  let sliceEnd = slideMs
  const fire = () => {
    const bids = new Map<number, number>()
    for (const slice of slices)
      for (const [auction, count] of slice) bids.set(auction, (bids.get(auction) ?? 0) + count)
    const most = Math.max(...bids.values())
    for (const [auction, count] of bids) if (count === most) sum.add(sliceEnd, auction, count)
    sliceEnd += slideMs
    slices = [...slices, new Map()].slice(-5)
  }
  return {
    take(event) {
      while (event.time >= sliceEnd) fire()
      if (event.kind !== 'bid') return
      const slice = slices.at(-1)!
      slice.set(event.auction, (slice.get(event.auction) ?? 0) + 1)
    },
    end() {
      for (let left = 0; left < 5; left++) fire()
    },
  }
}

/** Calls `fire` at each end of a tumbling window of 10 s that an event or the end of all has come to. */
function windowed(fire: (windowEnd: number) => void, take: (event: Event) => void): Query {
  const sizeMs = 10_000
  let windowEnd = sizeMs
  const next = () => {
    fire(windowEnd)
    windowEnd += sizeMs
  }
  return {
    take(event) {
      while (event.time >= windowEnd) next()
      take(event)
    },
    end: next,
  }
}

function q7(sum: RowSum): Query {
  let highest = 0
  let bids: { readonly auction: number; readonly bidder: number }[] = []
  return windowed(
    windowEnd => {
      for (const { auction, bidder } of bids) sum.add(windowEnd, auction, bidder, highest)
      highest = 0
      bids = []
    },
    event => {
      if (event.kind !== 'bid' || event.price < highest) return
      if (event.price > highest) bids = []
      highest = event.price
      bids.push(event)
    },
  )
}

function q8(sum: RowSum): Query {
  const names = new Map<number, string>()
  const sellers = new Set<number>()
  return windowed(
    windowEnd => {
      for (const [id, name] of names) if (sellers.has(id)) sum.add(windowEnd, id, fnv(name))
      names.clear()
      sellers.clear()
    },
    event => {
      if (event.kind === 'person') names.set(event.id, event.name)
      else if (event.kind === 'auction') sellers.add(event.seller)
    },
  )
}

function q11(sum: RowSum): Query {
  const gapMs = 10_000
  const sessions = new Map<number, { bids: number; readonly start: number; last: number }>()
  const close = (bidder: number) => {
    const { bids, start, last } = sessions.get(bidder)!
    sum.add(bidder, bids, start, last + gapMs)
  }
  return {
    take(event) {
      if (event.kind !== 'bid') return
      const { bidder, time } = event
      const session = sessions.get(bidder)
      if (session !== undefined && time - session.last <= gapMs) {
        session.bids++
        session.last = time
        return
      }
      if (session !== undefined) close(bidder)
      sessions.set(bidder, { bids: 1, start: time, last: time })
    },
    end() {
      for (const bidder of sessions.keys()) close(bidder)
    },
  }
}

// ---------------------------------------------------------------------------------------------------------------- W3, W4

/** Keys are small integers, so the whole state is columns: no engine that takes any key can be as fast. */
function plainUpdates(
  name: string,
  options: Options & { readonly keys: number; readonly events: number },
  expected: string | undefined,
): Result {
  const { keys, events, zipf, b } = options
  const meter = new Meter()
  const keyOf = zipf ? skewedKey : uniformKey
  const counts = new Int32Array(keys)
  const sums = new Float64Array(keys)
  const mins = new Int32Array(keys).fill(2 ** 31 - 1)
  const maxs = new Int32Array(keys).fill(-(2 ** 31))
  const lasts = new Uint32Array(keys)
  const pads = new Uint8Array(keys * 76)
  const sum = new RowSum()
  const sumB = new RowSum()
  loop(events, meter, n => {
    const key = keyOf(n, keys)
    const value = valueOf(n)
    const count = ++counts[key]
    sums[key] += value
    if (value < mins[key]) mins[key] = value
    if (value > maxs[key]) maxs[key] = value
    lasts[key] = n
    pads[key * 76 + (n % 76)] = value
    sum.add(key, count)
    if (b) sumB.add(key, count, sums[key], mins[key], maxs[key])
  })
  const more = { keys, ...(b && { checksum_b: String(sumB) }) }
  return { line: result(name, options, events, meter, sum, more), expected }
}
