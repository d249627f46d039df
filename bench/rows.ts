/**
 * `npm run bench -- rows`: nanoseconds of CPU to write a record into a page and to read it again, for several kinds of records. Each
 * kind has a writer and a reader of its own, as every edge of a job has; all take turns in one isolate.
 */
import { RowReader, RowWriter } from '../packages/millrace/src/codec/index.ts'
import { random } from './arithmetic.ts'
import { median } from './meter.ts'
import { eventOf, type Event } from './nexmark/events.ts'

const COUNT = 1024
const TIMES = 7
const PAGE_BYTES = 32 * 1024

const letters = (n: number) => random(n, 2).toString(36).padStart(7, '0').slice(0, 7)

/** Record `n` of each kind. */
const KINDS: { readonly [kind: string]: (n: number) => unknown } = {
  numbers: n => ({ id: n, count: n * 3, mean: n / 3, time: 1_700_000_000_000 + n }),
  text: n => `w${letters(n)}`,
  pair: n => [`w${letters(n)}`, n],
  bid: n => ({
    auction: n,
    bidder: n * 7,
    price: random(n, 3) >>> 8,
    channel: `channel-${10 + (n % 90)}`,
    url: `https://www.nexmark.com/item.htm?query=1&chan=${100 + (n % 900)}`,
    time: 1_700_000_000_000 + n,
    extra: letters(n).repeat(5).slice(0, 32),
  }),
  nexmark: n => eventOf(n) satisfies Event,
  nested: n => ({ key: letters(n), window: { start: n, end: n + 10 }, sums: [n, n / 2] }),
  wide: n => ({ id: n, name: `${letters(n)} – 東京` }),
  values: n => ({ id: n, tags: ['a', letters(n)], at: new Date(n) }),
  mixed: n =>
    n % 3 === 0 ? { a: n, b: letters(n) } : n % 3 === 1 ? { c: letters(n), d: n } : { a: n, d: n / 2, e: 'e' },
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

export interface RowTimes {
  readonly encodeNs: number
  readonly decodeNs: number
  readonly sizeBytes: number
}

class Edge {
  private readonly records: readonly unknown[]
  private readonly writer = new RowWriter({ hash: true, timestamp: true })
  private readonly reader = new RowReader({ hash: true, timestamp: true })
  private readonly pages = new Uint8Array(1 << 20)
  private readonly ends: number[] = []
  readonly encodeNs: number[] = []
  readonly decodeNs: number[] = []

  constructor(recordOf: (n: number) => unknown) {
    // Strings that were put together are not flat yet, which those of a source are.
    this.records = Array.from({ length: COUNT }, (_, n) => structuredClone(recordOf(n)))
  }

  get sizeBytes(): number {
    return this.ends.at(-1)! / COUNT
  }

  measure(rounds: number): void {
    // The first pages define the layouts, which must not be read twice.
    this.encode()
    this.decode()
    const startedUs = cpuUs()
    for (let round = 0; round < rounds; round++) this.encode()
    const encodedUs = cpuUs()
    for (let round = 0; round < rounds; round++) this.decode()
    this.encodeNs.push(((encodedUs - startedUs) * 1e3) / (rounds * COUNT))
    this.decodeNs.push(((cpuUs() - encodedUs) * 1e3) / (rounds * COUNT))
  }

  private encode(): void {
    const { writer, records, ends } = this
    let end = 0
    ends.length = 0
    const flush = () => {
      const start = end
      end += writer.sizeBytes
      writer.moveTo(this.pages, start)
      ends.push(end)
    }
    for (let n = 0; n < COUNT; n++) {
      writer.add(records[n], n, n)
      if (writer.sizeBytes >= PAGE_BYTES) flush()
    }
    if (writer.count > 0) flush()
  }

  private decode(): void {
    const reader = this.reader
    let start = 0
    let hashes = 0
    for (const end of this.ends) {
      reader.receive(this.pages, start, end)
      for (let left = reader.open(); left > 0; left--) {
        reader.next()
        hashes += reader.hash
      }
      start = end
    }
    if (hashes !== (COUNT * (COUNT - 1)) / 2) throw new Error(`the rows carry hashes with the sum ${hashes}`)
  }
}

/** Medians of seven, each of about so many records of each kind. */
export function benchRows(count: number): { readonly [kind: string]: RowTimes } {
  const rounds = Math.ceil(count / COUNT)
  const edges = Object.entries(KINDS).map(([kind, recordOf]) => ({ kind, edge: new Edge(recordOf) }))
  for (let time = 0; time < TIMES; time++) for (const { edge } of edges) edge.measure(rounds)
  const rounded = (samples: readonly number[]) => Math.round(median(samples) * 10) / 10
  return Object.fromEntries(
    edges.map(({ kind, edge }) => [
      kind,
      { encodeNs: rounded(edge.encodeNs), decodeNs: rounded(edge.decodeNs), sizeBytes: Math.round(edge.sizeBytes) },
    ]),
  )
}
