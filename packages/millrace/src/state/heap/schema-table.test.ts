import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as z from 'zod'
import {
  ByteReader,
  ByteWriter,
  decodeStateValue,
  encodeValue,
  fixedSchemaOf,
  type FixedSchema,
} from '../../codec/index.ts'
import type { Key, ReducingState, StateOptions, ValueState } from '../index.ts'
import { HeapBackend } from './heap-backend.ts'

interface Position {
  readonly shares: number
  readonly price: number
  readonly open: boolean
}

const POSITION = z.object({ shares: z.int32(), price: z.number(), open: z.boolean() })
const VALUE = 1
const REDUCING = 2

interface Entry {
  readonly op: number
  readonly key: string
  /** Encoded, in hex. */
  readonly value: string
}

/** What a merge of published segments holds, by key, and the schema of its rows. */
interface Stored {
  readonly entries: ReadonlyMap<string, Entry>
  readonly writer: FixedSchema | undefined
}

/** A backend with a value and a reducing state: typed with the schema, cells without. */
class Side {
  readonly backend: HeapBackend
  private readonly states
  readonly value: ValueState<Position>
  readonly largest: ReducingState<Position>
  private readonly published = new Map<string, Entry>()
  private readonly schema: FixedSchema | undefined
  private entries: Entry[] = []
  private done = false

  constructor(maxParallelism: number, schema?: StateOptions<Position>['schema'], stored?: Stored, id = 0) {
    this.backend = new HeapBackend(maxParallelism, { nowMs: 0 })
    this.states = this.backend.keyedStates('trades')
    this.schema = schema && fixedSchemaOf(schema)
    const options = schema === undefined ? {} : { schema }
    this.value = this.states.state(VALUE, 'position', { kind: 'value', options }) as ValueState<Position>
    const reduce = (a: Position, b: Position) => (b.shares > a.shares ? b : a)
    const reducing = { kind: 'reducing', options, reduce } as const
    this.largest = this.states.state(REDUCING, 'largest', reducing) as ReducingState<Position>
    if (stored === undefined) return
    this.published = new Map(stored.entries)
    const writers = stored.writer === undefined ? [] : [VALUE, REDUCING].map(each => [each, stored.writer!] as const)
    this.backend.restoreBegin(id, new Map(writers))
    for (const { key, value } of stored.entries.values()) {
      const bytes = Buffer.from(key, 'hex')
      this.backend.restore(
        bytes.readUInt16BE(2),
        new ByteReader(bytes, 4),
        new ByteReader(Buffer.from(value, 'hex')),
        0,
      )
    }
    this.backend.restoreEnd()
  }

  bind(key: Key): void {
    this.states.keys.bind(key)
  }

  freeze(checkpointId: number, baseCheckpointId: number | undefined, full: boolean): void {
    this.backend.freeze({ checkpointId, baseCheckpointId, full })
    this.entries = []
    this.done = false
  }

  slice(max: number): boolean {
    const hex = (bytes: Uint8Array, start: number, end: number) =>
      Buffer.from(bytes.subarray(start, end)).toString('hex')
    this.done ||= this.backend.collect(
      {
        add: (op, key, keyStart, keyEnd, value, valueStart, valueEnd) =>
          this.entries.push({ op, key: hex(key, keyStart, keyEnd), value: hex(value, valueStart, valueEnd) }),
      },
      max,
    )
    return this.done
  }

  publish(checkpointId: number, full: boolean): Entry[] {
    while (!this.slice(100));
    this.backend.published(checkpointId)
    if (full) this.published.clear()
    for (const entry of this.entries) {
      if (entry.op === 1) this.published.delete(entry.key)
      else this.published.set(entry.key, entry)
    }
    return this.entries
  }

  get stored(): Stored {
    return { entries: this.published, writer: this.schema }
  }

  /** What of the entries another kind of table writes too. */
  plain(entries: readonly Entry[]): unknown[] {
    return entries.map(({ op, key, value }) => {
      if (op === 1) return { op, key }
      return { op, key, value: decodeStateValue(new ByteReader(Buffer.from(value, 'hex')), this.schema) }
    })
  }

  abandon(): void {
    if (!this.done) this.backend.abandoned()
  }
}

const KEYS: readonly Key[] = [
  'a',
  'a key that does not fit into a row',
  'ключ',
  1,
  -1.5,
  2n ** 70n,
  true,
  ['a', 1],
  '',
  'b',
  'c',
  'd',
]

const position: fc.Arbitrary<Position> = fc.record(
  {
    shares: fc.oneof(fc.integer(), fc.integer({ min: 0, max: 3 })),
    price: fc.double({ noNaN: true, noDefaultInfinity: true }),
    open: fc.boolean(),
  },
  { noNullPrototype: true },
)

type Step =
  | { readonly do: 'set' | 'add'; readonly key: Key; readonly position: Position }
  | { readonly do: 'change' | 'clear' | 'clearLargest'; readonly key: Key }
  | { readonly do: 'freeze'; readonly full: boolean }
  | { readonly do: 'slice'; readonly max: number }
  | { readonly do: 'publish' | 'abandon' }
  | { readonly do: 'restart'; readonly maxParallelism: number }

const key = fc.constantFrom(...KEYS)
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('set', 'add'), key, position }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('change', 'clear', 'clearLargest'), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('freeze'), full: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('slice'), max: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('publish', 'publish', 'abandon') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart'), maxParallelism: fc.integer({ min: 1, max: 6 }) }) },
) as fc.Arbitrary<Step>

test('typed rows do what cells do, write the same values, and each restores the snapshots of the other', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150, size: 'max' }), fc.integer({ min: 1, max: 6 }), (steps, groups) => {
      let sides = [new Side(groups, POSITION), new Side(groups)]
      let [nextId, base]: [number, number | undefined] = [1, undefined]
      let pending: { id: number; full: boolean } | undefined
      const both = <T>(act: (side: Side) => T) => {
        const [typed, cells] = sides.map(act)
        assert.deepEqual(typed, cells)
      }
      for (const next of [...steps, { do: 'freeze', full: false }, { do: 'publish' }] as Step[]) {
        if ('key' in next) for (const side of sides) side.bind(next.key)
        if (next.do === 'set') both(side => side.value.set(next.position))
        else if (next.do === 'add') both(side => (side.largest.add(next.position), side.largest.get()))
        else if (next.do === 'change') {
          both(side => {
            const before = side.value.get()
            if (before !== undefined) side.value.set({ ...before, shares: ~before.shares, open: !before.open })
            return before
          })
        } else if (next.do === 'clear') both(side => side.value.clear())
        else if (next.do === 'clearLargest') both(side => side.largest.clear())
        else if (next.do === 'freeze' && pending === undefined) {
          const { id, full } = (pending = { id: nextId++, full: next.full || base === undefined })
          both(side => side.freeze(id, base, full))
        } else if (next.do === 'slice' && pending !== undefined) for (const side of sides) side.slice(next.max)
        else if (next.do === 'publish' && pending !== undefined) {
          const { id, full } = pending
          both(side => side.plain(side.publish(id, full)))
          base = id
          pending = undefined
        } else if (next.do === 'abandon' && pending !== undefined) {
          both(side => side.abandon())
          pending = undefined
        } else if (next.do === 'restart' && base !== undefined) {
          const [typed, cells] = sides
          // Key groups are computed anew from the keys.
          sides = [new Side(groups, POSITION, cells.stored, base), new Side(groups, undefined, typed.stored, base)]
          both(side => [...side.backend.entryCounts()])
          pending = undefined
          // The rows of a snapshot are not mixed with values that describe themselves under another schema: the next one is full.
          base = undefined
        }
      }
      for (const each of KEYS) {
        for (const side of sides) side.bind(each)
        both(side => [side.value.get(), side.largest.get()])
      }
    }),
    { numRuns: 300 },
  )
})

test('100,000 keys in few key groups are found, changed, removed, and restored under another max parallelism', () => {
  const side = new Side(2, POSITION)
  const count = 100_000
  const nameOf = (i: number) => (i % 10 === 0 ? `a longer key, number ${i}` : `key-${i}`)
  const valueOf = (i: number) => ({ shares: i, price: i / 8, open: i % 3 === 0 })
  for (let i = 0; i < count; i++) {
    side.bind(nameOf(i))
    side.value.set(valueOf(i))
  }
  side.freeze(1, undefined, true)
  for (let i = 0; i < count; i += 4) {
    side.bind(nameOf(i))
    if (i % 8 === 0) side.value.clear()
    else side.value.set(valueOf(-i))
    if (i % 1000 === 0) side.slice(400)
  }
  assert.equal(side.publish(1, true).length, count)
  side.freeze(2, 1, false)
  assert.equal(side.publish(2, false).length, count / 4)
  const after = new Side(3, POSITION, side.stored, 2)
  assert.equal(after.backend.entryCounts().get(VALUE), count - count / 8)
  for (let i = 0; i < count; i++) {
    const changed = i % 8 === 0 ? undefined : valueOf(i % 4 === 0 ? -i : i)
    for (const each of [side, after]) {
      each.bind(nameOf(i))
      const found = each.value.get()
      if (found?.shares !== changed?.shares || found?.price !== changed?.price || found?.open !== changed?.open)
        assert.deepEqual(found, changed, nameOf(i))
    }
  }
})

test('a value that does not fit is refused with state and property, and nothing changes', () => {
  const side = new Side(4, POSITION)
  side.bind('k')
  const refused = {
    code: 'STATE_VALUE_INVALID',
    message: /state 'position'.*property 'shares' is 1\.5, not an integer/,
  }
  assert.throws(() => side.value.set({ shares: 1.5, price: 1, open: true }), refused)
  assert.equal(side.value.get(), undefined)
  assert.equal(side.backend.entryCounts().get(VALUE), 0)
  const good = { shares: 1, price: 2, open: true }
  side.value.set(good)
  assert.throws(() => side.value.set({ ...good, price: 3, shares: 2 ** 31 }), { code: refused.code })
  assert.throws(() => side.value.set({ ...good, price: 3, note: 'x' } as never), {
    message: /'note' is not in the schema/,
  })
  assert.deepEqual(side.value.get(), good)
  side.freeze(1, undefined, true)
  assert.equal(side.publish(1, true).length, 1)
  assert.throws(() => side.value.set({} as never), { context: { state: 'position', path: 'shares' } })
  side.freeze(2, 1, false)
  assert.deepEqual(side.publish(2, false), [])
})

test('rows restore into a schema with more bounds, other storages, other properties, or none', () => {
  const before = new Side(4, POSITION)
  before.bind('k')
  before.value.set({ shares: 300, price: 1, open: true })
  before.freeze(1, undefined, true)
  before.publish(1, true)
  const after = (schema?: StateOptions<Position>['schema']) => {
    const side = new Side(4, schema, before.stored, 1)
    side.bind('k')
    return side.value.get()
  }
  const [price, open] = [z.number(), z.boolean()]
  for (const shares of [
    z.int32(),
    z
      .int32()
      .min(0)
      .max(2 ** 20),
    z.int().min(0).max(300),
    z.int(),
    z.number(),
  ])
    assert.deepEqual(after(z.object({ open, shares, price })), { shares: 300, price: 1, open: true })
  assert.deepEqual(after(), { shares: 300, price: 1, open: true })
  for (const shares of [z.int32().max(299), z.int32().min(301), z.int().min(0).max(255)]) {
    assert.throws(() => after(z.object({ shares, price, open })), {
      code: 'STATE_INCOMPATIBLE',
      message: /property 'shares' is 300/,
    })
  }
  assert.throws(() => after(z.object({ shares: z.int32(), price, open, note: z.boolean() }) as never), {
    code: 'STATE_INCOMPATIBLE',
    message: /property 'note' is missing/,
  })
  assert.throws(() => new Side(4, undefined, { ...before.stored, writer: undefined }, 1), { code: 'SNAPSHOT_DAMAGED' })
})

test('what is got is a new object, and what was set may be changed afterwards', () => {
  const side = new Side(4, POSITION)
  side.bind('k')
  const given = { open: false, price: 2, shares: 1 }
  side.value.set(given)
  given.price = 7
  const got = side.value.get() as { price: number }
  got.price = 8
  assert.deepEqual(side.value.get(), { shares: 1, price: 2, open: false })
  assert.deepEqual(Object.keys(side.value.get()!), ['shares', 'price', 'open'])
})

test('a default is a new object each time too', () => {
  const states = new HeapBackend(4, { nowMs: 0 }).keyedStates('op')
  const options = { schema: z.object({ n: z.int() }), default: { n: 0 } }
  const state = states.state(1, 'n', { kind: 'value', options }) as ValueState<{ n: number }>
  states.keys.bind('a')
  state.get()!.n = 5
  assert.deepEqual(state.get(), { n: 0 })
  const bare = states.state(2, 'bare', {
    kind: 'value',
    options: { schema: z.boolean(), default: true },
  }) as ValueState<boolean>
  assert.equal(bare.get(), true)
  bare.set(false)
  assert.equal(bare.get(), false)
})

test('a snapshot whose value does not fit is refused with operator, state, key and property', () => {
  const before = new Side(4)
  before.bind(['tuple', 7])
  before.value.set({ shares: 2 ** 40, price: 1, open: true })
  before.freeze(1, undefined, true)
  before.publish(1, true)
  assert.throws(() => new Side(4, POSITION, before.stored, 1), {
    code: 'STATE_INCOMPATIBLE',
    message: /state 'position' of 'trades' under key \["tuple", 7\].*property 'shares' is 1099511627776/,
    context: { operator: 'trades', state: 'position', key: '["tuple", 7]', path: 'shares' },
  })
  const wider = z.object({ open: z.boolean(), price: z.number(), shares: z.int() })
  const after = new Side(4, wider, before.stored, 1)
  after.bind(['tuple', 7])
  assert.deepEqual(after.value.get(), { open: true, price: 1, shares: 2 ** 40 })
})

test('damaged bytes of a value are SNAPSHOT_DAMAGED, not a misfit', () => {
  const out = new ByteWriter()
  encodeValue({ shares: 1, price: 0.1, open: true }, out)
  for (let end = 0; end < out.length; end++) {
    const entry = { op: 0, key: '0000000108610000', value: Buffer.from(out.view().subarray(0, end)).toString('hex') }
    assert.throws(() => new Side(1, POSITION, { entries: new Map([['k', entry]]), writer: undefined }, 1), {
      code: 'SNAPSHOT_DAMAGED',
    })
  }
})

test('with a time to live, and with a schema that is not of a fixed width, any value is taken', () => {
  const states = new HeapBackend(4, { nowMs: 0 }).keyedStates('op')
  states.keys.bind('k')
  const odd = { shares: 'many' }
  for (const [id, options] of [{ schema: POSITION, ttl: '1h' }, { schema: z.object({ a: z.string() }) }].entries()) {
    const state = states.state(id, 'odd', { kind: 'value', options } as never) as ValueState<object>
    state.set(odd)
    assert.equal(state.get(), odd)
  }
})
