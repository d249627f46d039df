/**
 * The contract suite of disk stores: random programs run on a store and on a plain map, and every answer must be the map's. Beside them
 * stands what a random program comes by too seldom: large values, the longest keys, batches that are cut off.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type DiskStore, type DiskView, KEY_BYTES_MAX, Packing, Unpacking } from '../state/index.ts'

/** Bytes as text of one character each: compares as the bytes do. */
type Bytes = string

type Operation = readonly [key: Bytes, value: Bytes | undefined]

type Command =
  | { readonly do: 'write'; readonly operations: readonly Operation[] }
  | { readonly do: 'deleteRange'; readonly from: Bytes; readonly to: Bytes }
  | { readonly do: 'get' | 'multiGet'; readonly keys: readonly Bytes[] }
  | Scan
  | { readonly do: 'open' | 'close' }

interface Scan {
  readonly do: 'scan'
  readonly from: Bytes
  readonly to: Bytes
  readonly maxBytes: number
  readonly down: boolean
}

/** Batches to be loaded, and what is written in between. */
interface Filling {
  readonly loaded: readonly (readonly Operation[])[]
  readonly written: readonly Operation[]
}

export interface DiskStoreContractOptions {
  readonly runs?: number
}

/** Registers the suite with node:test. `make` opens an empty store, which the suite closes. */
export function diskStoreContract(name: string, make: () => DiskStore, options: DiskStoreContractOptions = {}): void {
  const withStore = (work: (store: DiskStore) => void) => {
    const store = make()
    try {
      work(store)
    } finally {
      store.close()
    }
  }
  const verify = (sentence: string, work: (store: DiskStore) => void) => {
    test(`${name}: ${sentence}`, () => withStore(work))
  }

  test(`${name}: a store answers as a sorted map does, a view as the map of the moment it was opened`, () => {
    fc.assert(
      fc.property(filling(), fc.array(command(), { maxLength: 60, size: 'max' }), (filling, commands) => {
        withStore(store => new Program(store).run(filling, commands))
      }),
      { numRuns: options.runs ?? 100 },
    )
  })

  verify('values of megabytes, and the longest keys, come back as they are', store => {
    const keys = ['a', 'b', 'c'].map(first => first + 'k'.repeat(KEY_BYTES_MAX - 1))
    const values = [1, 1 << 20, 5 << 20].map((length, i) => String.fromCharCode(i).repeat(length))
    const entries = keys.map((key, i) => [key, values[i]] as const)
    store.write(batchOf(entries))
    entries.forEach(([key, value]) => assert.ok(textOf(store.get(bytesOf(key))!) === value))
    assert.deepEqual(valuesOf(store.multiGet(keysOf(keys), 3)), values)
    assert.deepEqual(entriesOf(store.scan(bytesOf(''), bytesOf('d'), 1 << 30)), entries)
    assert.equal(entriesOf(store.scan(bytesOf(''), bytesOf('d'), 1)).length, 1)
  })

  verify('many entries that were loaded in pieces are all there, and can be overwritten and deleted', store => {
    const entries = Array.from({ length: 20_000 }, (_, n) => [String(n).padStart(8, '0'), `value ${n}`] as const)
    for (let at = 0; at < entries.length; at += 1000) store.load(batchOf(entries.slice(at, at + 1000)))
    store.endLoad()
    assert.deepEqual(allOf(store, 4096), entries)
    store.write(batchOf(entries.map(([key], n) => [key, n % 2 === 0 ? 'new' : undefined] as const)))
    assert.deepEqual(
      allOf(store, 4096),
      entries.filter((_, n) => n % 2 === 0).map(([key]) => [key, 'new']),
    )
  })

  verify('a batch, or a list of keys, that is cut off is refused wherever the cut is', store => {
    const batch = batchOf([
      ['key', 'value'],
      ['another key', ''],
      ['a third', undefined],
    ])
    // A batch may end behind an operation.
    const ends = [0, 16, 35, batch.length]
    for (let length = 0; length < batch.length; length++) {
      if (!ends.includes(length)) assert.throws(() => store.write(batch.slice(0, length)), `${length} bytes`)
    }
    const keys = keysOf(['key', 'another key'])
    for (let length = 0; length < keys.length; length++) {
      assert.throws(() => store.multiGet(keys.slice(0, length), 2), `${length} bytes`)
    }
    assert.throws(() => store.multiGet(keys, 1))
    assert.throws(() => store.multiGet(keys, 3))
  })

  verify('what is on disk and in memory is counted', store => {
    for (let n = 0; n < 100; n++) store.write(batchOf([[String(n), 'x'.repeat(1000)]]))
    const { memoryBytes, diskBytes } = store.usage()
    assert.ok(Number.isSafeInteger(memoryBytes) && Number.isSafeInteger(diskBytes))
    assert.ok(memoryBytes + diskBytes > 100 * 1000, `${memoryBytes} bytes in memory, ${diskBytes} on disk`)
  })
}

/** A store, the map it should equal, and views with the maps they should equal. */
class Program {
  private readonly store: DiskStore
  private readonly model = new Map<Bytes, Bytes>()
  private readonly views: { readonly view: DiskView; readonly model: ReadonlyMap<Bytes, Bytes> }[] = []
  /** What was answered belongs to whoever asked: it stays as it was. */
  private readonly answers: { readonly answer: Uint8Array; readonly text: Bytes }[] = []

  constructor(store: DiskStore) {
    this.store = store
  }

  run({ loaded, written }: Filling, commands: readonly Command[]): void {
    loaded.forEach((operations, i) => {
      this.change(operations, batch => this.store.load(batch))
      if (i < written.length) this.change([written[i]], batch => this.store.write(batch))
    })
    this.store.endLoad()
    for (const command of commands) this.apply(command)
    const everything = { do: 'scan', from: '', to: '\xff'.repeat(400), maxBytes: 1 << 20, down: false } as const
    this.apply(everything)
    for (const { answer, text } of this.answers) assert.ok(textOf(answer) === text, 'an answer was changed')
    assert.deepEqual(allOf(this.store, 50), between(this.model, '', everything.to))
  }

  private apply(command: Command): void {
    const { store, model, views } = this
    switch (command.do) {
      case 'write':
        return this.change(command.operations, batch => store.write(batch))
      case 'deleteRange':
        for (const [key] of between(model, command.from, command.to)) model.delete(key)
        return store.deleteRange(bytesOf(command.from), bytesOf(command.to))
      case 'get':
        for (const key of command.keys) {
          const value = store.get(bytesOf(key))
          assert.equal(value && this.answered(value), model.get(key))
        }
        return
      case 'multiGet': {
        const { keys } = command
        for (const [source, expected] of this.sources()) {
          const packed = keysOf(keys)
          const values = source.multiGet(packed, keys.length)
          packed.fill(0)
          this.answered(values)
          assert.deepEqual(
            valuesOf(values),
            keys.map(key => expected.get(key)),
          )
        }
        return
      }
      case 'scan':
        for (const [source, expected] of this.sources()) {
          if (command.down && source !== store) continue
          this.scan(source, expected, command)
        }
        return
      case 'open':
        if (views.length < 3) views.push({ view: store.view(), model: new Map(model) })
        return
      case 'close':
        return views.shift()?.view.close()
    }
  }

  private scan(source: DiskStore | DiskView, expected: ReadonlyMap<Bytes, Bytes>, command: Scan): void {
    const { from, to, maxBytes, down } = command
    const entries = between(expected, from, to)
    if (down) entries.reverse()
    const piece = source.scan(bytesOf(from), bytesOf(to), maxBytes, down)
    this.answered(piece)
    assert.deepEqual(entriesOf(piece), firstOf(entries, maxBytes))
  }

  /** The caller may use the buffer of a batch for something else afterwards. */
  private change(operations: readonly Operation[], write: (batch: Uint8Array) => void): void {
    for (const [key, value] of operations) {
      if (value === undefined) this.model.delete(key)
      else this.model.set(key, value)
    }
    const batch = batchOf(operations)
    write(batch)
    batch.fill(0)
  }

  private sources(): (readonly [DiskView, ReadonlyMap<Bytes, Bytes>])[] {
    return [[this.store, this.model], ...this.views.map(({ view, model }) => [view, model] as const)]
  }

  private answered(answer: Uint8Array): Bytes {
    const text = textOf(answer)
    this.answers.push({ answer, text })
    return text
  }
}

// ------------------------------------------------------------------------------------------------------------- programs

function filling(): fc.Arbitrary<Filling> {
  const sorted = fc.uniqueArray(key('ab'), { maxLength: 30 }).map(keys => keys.sort())
  return fc
    .record({ keys: sorted, pieceLength: fc.integer({ min: 1, max: 10 }), written: fc.array(put(key('c'))) })
    .map(({ keys, pieceLength, written }) => ({
      loaded: Array.from({ length: Math.ceil(keys.length / pieceLength) }, (_, i) =>
        keys.slice(i * pieceLength, (i + 1) * pieceLength).map(key => [key, `${key}!`] as const),
      ),
      written,
    }))
}

function command(): fc.Arbitrary<Command> {
  const keys = fc.array(key(), { maxLength: 12 })
  return fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ do: fc.constant('write'), operations: fc.array(operation(), { maxLength: 20 }) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('deleteRange'), from: key(), to: key() }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('get', 'multiGet'), keys }) },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('scan'),
        from: key(),
        to: key(),
        maxBytes: fc.constantFrom(1, 40, 1000, 1 << 20),
        down: fc.boolean(),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('open', 'close') }) },
  ) as fc.Arbitrary<Command>
}

/** Few different ones, with beginnings in common; the longest are longer than what stores keep of a key in one piece. */
function key(first = ''): fc.Arbitrary<Bytes> {
  const rest = fc.tuple(
    fc.constantFrom('', '', '', 'long '.repeat(60)),
    fc.string({ unit: fc.constantFrom('\0', '\x01', 'a', 'b', '\x80', '\xff'), maxLength: 4 }),
  )
  const start = first === '' ? fc.constantFrom('', '', 'a', 'b', 'c') : fc.constantFrom(...first)
  return fc.tuple(start, rest).map(([start, [long, end]]) => start + long + end)
}

function operation(): fc.Arbitrary<Operation> {
  return fc.oneof(
    { weight: 3, arbitrary: put(key()) },
    { weight: 1, arbitrary: key().map(key => [key, undefined] as const) },
  )
}

function put(keys: fc.Arbitrary<Bytes>): fc.Arbitrary<Operation> {
  const value = fc.oneof(fc.string({ unit: fc.constantFrom('\0', 'v', '\xff') }), fc.constant('w'.repeat(5000)))
  return fc.tuple(keys, value)
}

// ---------------------------------------------------------------------------------------------------- packing and text

function bytesOf(text: Bytes): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'))
}

function textOf(bytes: Uint8Array): Bytes {
  return Buffer.from(bytes).toString('latin1')
}

function batchOf(operations: readonly Operation[]): Uint8Array {
  const packing = new Packing()
  for (const [key, value] of operations) {
    if (value === undefined) packing.delete(bytesOf(key))
    else packing.put(bytesOf(key), bytesOf(value))
  }
  return new Uint8Array(packing.bytes)
}

function keysOf(keys: readonly Bytes[]): Uint8Array {
  const packing = new Packing()
  for (const key of keys) packing.string(bytesOf(key))
  return new Uint8Array(packing.bytes)
}

function valuesOf(packed: Uint8Array): (Bytes | undefined)[] {
  const values: (Bytes | undefined)[] = []
  for (const value = new Unpacking(packed); !value.atEnd;) {
    value.next()
    values.push(value.isMissing ? undefined : textOf(value.current))
  }
  return values
}

function entriesOf(packed: Uint8Array): [key: Bytes, value: Bytes][] {
  const strings = valuesOf(packed) as Bytes[]
  return strings.flatMap((key, i) => (i % 2 === 0 ? [[key, strings[i + 1]]] : []))
}

/** Piece by piece, as a caller reads a range that is larger than it wants to hold. */
function allOf(store: DiskStore, maxBytes: number): [key: Bytes, value: Bytes][] {
  const all: [Bytes, Bytes][] = []
  for (let from = ''; ;) {
    const piece = store.scan(bytesOf(from), bytesOf('\xff'.repeat(400)), maxBytes)
    all.push(...entriesOf(piece))
    if (piece.length < maxBytes) return all
    from = `${all.at(-1)![0]}\0`
  }
}

function between(map: ReadonlyMap<Bytes, Bytes>, from: Bytes, to: Bytes): [Bytes, Bytes][] {
  const entries = [...map].filter(([key]) => from <= key && key < to)
  return entries.sort(([a], [b]) => (a < b ? -1 : 1))
}

/** Up to the one with which the piece has its size. */
function firstOf(entries: readonly [Bytes, Bytes][], maxBytes: number): [Bytes, Bytes][] {
  let bytes = 0
  const last = entries.findIndex(([key, value]) => (bytes += 8 + key.length + value.length) >= maxBytes)
  return last < 0 ? [...entries] : entries.slice(0, last + 1)
}
