/** Streams of records for property tests of pages, and the way through a page. Holds no tests; the name keeps it out of the build. */
import fc from 'fast-check'
import { RowReader, RowWriter, type RowOptions } from './index.ts'
import { anyString } from './key-samples.test.ts'
import { anyTree } from './value-samples.test.ts'

const int32 = fc.oneof(fc.integer(), fc.constantFrom(0, 1, -1, 2 ** 31 - 1, -(2 ** 31)))
const double = fc.oneof(fc.double(), fc.maxSafeInteger(), fc.constantFrom(-0, NaN, 2 ** 31, -(2 ** 31) - 1))
const latin1 = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: fc.nat(255).map(c => String.fromCharCode(c)) }),
  fc.integer({ min: 900, max: 70_000 }).map(size => 'long'.repeat(size / 4)),
)
const cut = fc.nat(80).map(at => '0123456789abcdefghijklmnopqrstuvwxyz'.repeat(4).substring(at, at + 40))

/** What a field may hold throughout a stream: mostly one type, so that there is something to learn, now and then another one. */
const FIELDS: readonly fc.Arbitrary<unknown>[] = [
  int32,
  double,
  fc.boolean(),
  latin1,
  anyString,
  fc.oneof(latin1, cut, anyString),
  fc.oneof({ weight: 20, arbitrary: int32 }, { weight: 1, arbitrary: fc.oneof(double, anyString) }),
  fc.oneof({ weight: 10, arbitrary: latin1 }, { weight: 1, arbitrary: fc.constantFrom(null, undefined, 1n, true) }),
  fc.record({ x: int32, y: latin1 }, { noNullPrototype: true }),
  fc.record({ x: double, inner: fc.record({ z: fc.boolean() }) }),
  fc.tuple(int32, latin1),
  fc.array(fc.oneof(int32, latin1), { maxLength: 10 }),
  anyTree,
]

const NAMES = ['a', 'b', 'total', '0', '12', '', 'constructor', 'toString', '__proto__', 'größe', '\ud83d', '"]\n']

/** Records of one shape. */
const alike: fc.Arbitrary<unknown[]> = fc
  .uniqueArray(fc.record({ name: fc.constantFrom(...NAMES), field: fc.nat(FIELDS.length - 1) }), {
    selector: ({ name }) => name,
    maxLength: 5,
  })
  .chain(columns =>
    fc
      .tuple(
        fc.boolean(),
        fc.array(fc.tuple(...columns.map(({ field }) => FIELDS[field])), { minLength: 1, maxLength: 40 }),
      )
      .map(([array, rows]) =>
        array
          ? rows
          : rows.map(values =>
              objectOf(
                columns.map(({ name }) => name),
                values,
              ),
            ),
      ),
  )

function objectOf(names: readonly string[], values: readonly unknown[]): object {
  const object = {}
  for (const [i, name] of names.entries())
    Object.defineProperty(object, name, { value: values[i], writable: true, enumerable: true, configurable: true })
  return object
}

/** Streams one after another, or their records by turns. */
export const anyRecords: fc.Arbitrary<unknown[]> = fc
  .tuple(
    fc.array(
      fc.oneof(
        { weight: 4, arbitrary: alike },
        { weight: 1, arbitrary: fc.array(fc.oneof(latin1, cut, anyString), { maxLength: 20 }) },
        { weight: 1, arbitrary: fc.array(fc.oneof(int32, double), { maxLength: 20 }) },
        { weight: 1, arbitrary: fc.array(anyTree, { maxLength: 3 }) },
      ),
      { maxLength: 4 },
    ),
    fc.boolean(),
  )
  .map(([streams, byTurns]) => (byTurns ? interleaved(streams) : streams.flat()))

function interleaved(streams: readonly (readonly unknown[])[]): unknown[] {
  const longest = Math.max(0, ...streams.map(stream => stream.length))
  return Array.from({ length: longest }, (_, i) =>
    streams.filter(stream => i < stream.length).map(stream => stream[i]),
  ).flat()
}

export interface Arrived {
  readonly record: any
  readonly hash: number
  readonly timestamp: number
}

/** A writer and a reader, and what went from one to the other. */
export class Edge {
  readonly writer: RowWriter
  readonly reader: RowReader
  readonly arrived: Arrived[] = []

  constructor(options: RowOptions = { hash: true, timestamp: true }) {
    this.writer = new RowWriter(options)
    this.reader = new RowReader(options)
  }

  /** Moves the page and reads it, in parts of `partBytes`. */
  flush(partBytes = 100_000): void {
    const { writer, reader, arrived } = this
    const end = 3 + writer.sizeBytes
    const target = new Uint8Array(end + 5).fill(0xaa)
    writer.moveTo(target, 3)
    if (target.some((byte, at) => (at < 3 || at >= end) && byte !== 0xaa)) throw new Error('written beyond the page')
    for (let at = 3; at < end; at += partBytes) reader.receive(target, at, Math.min(end, at + partBytes))
    for (let left = reader.open(); left > 0; left--) {
      const record = reader.next()
      arrived.push({ record, hash: reader.hash, timestamp: reader.timestamp })
    }
  }

  /** The records as they arrive, in pages of `pageBytes` or more. */
  through(records: readonly unknown[], pageBytes = 4096): any[] {
    const first = this.arrived.length
    for (const [n, record] of records.entries()) {
      this.writer.add(record, n, n / 2)
      if (this.writer.sizeBytes >= pageBytes) this.flush()
    }
    this.flush()
    return this.arrived.slice(first).map(({ record }) => record)
  }
}
