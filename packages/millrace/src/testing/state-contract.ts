/**
 * The contract suite of state backends: random programs run on a backend and on a naive model; snapshots are taken at random points
 * and written slice by slice while the program goes on; what a snapshot restores must equal the model as it was at its barrier.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteReader, compareKeys, fixedSchemaOf } from '../codec/index.ts'
import type {
  AggregatingState,
  Aggregator,
  EntryConsumer,
  FixedAggregator,
  Key,
  KeyedStates,
  ListState,
  MapState,
  ReducingState,
  StateBackend,
  TimerStore,
  ValueState,
  WindowStore,
} from '../state/index.ts'
import { type MakeBackend, stateTtlContract } from './state-ttl-contract.ts'

const KEYS: readonly Key[] = [
  'a',
  'a key that is longer than thirteen characters',
  'ключ',
  1,
  -1.5,
  12345678901234567890n,
  true,
  ['a', 1],
  ['a', [2, 'b']],
]
const SUBS: readonly Key[] = ['x', 'y', 7, ['t', 1]]
const TIMES = [10, 20, 30, 40, Infinity]

const KEY_COMMANDS = [
  'set',
  'mutate',
  'clear',
  'typedSet',
  'typedMutate',
  'typedRefuse',
  'typedClear',
  'reduce',
  'unreduce',
  'listAdd',
  'listSet',
  'listClear',
  'count',
  'collect',
  'uncount',
] as const

/** A value of a schema whose values have a fixed width. */
interface Seat {
  row: number
  price: number
  taken: boolean
}

const SEAT = {
  type: 'object',
  properties: {
    row: { type: 'integer', minimum: -128, maximum: 127 },
    price: { type: 'number' },
    taken: { type: 'boolean' },
  },
  required: ['row', 'price', 'taken'],
}

const HIGHEST = { type: 'integer' }

const WRITERS = new Map([
  [9, fixedSchemaOf(SEAT)!],
  [10, fixedSchemaOf(HIGHEST)!],
])

type Command =
  | {
      readonly do: (typeof KEY_COMMANDS)[number]
      readonly key: number
      readonly n: number
    }
  | {
      readonly do: 'mapSet' | 'mapDelete' | 'mapMutate' | 'timer' | 'untimer' | 'window' | 'cellWindow' | 'unwindow'
      readonly key: number
      readonly sub: number
      readonly n: number
    }
  | { readonly do: 'fire'; readonly time: number }
  | { readonly do: 'freeze'; readonly full: boolean }
  | { readonly do: 'slice'; readonly n: number }
  | { readonly do: 'publish' | 'abandon' | 'restart' }

/** Everything the backend should hold, as plain data. */
interface Model {
  values: Map<number, { n: number[] }>
  seats: Map<number, Seat>
  highest: Map<number, number>
  lists: Map<number, { n: number }[]>
  maps: Map<number, Map<number, { n: number }>>
  counts: Map<number, number>
  collected: Map<number, number[]>
  /** In the order of registration. */
  timers: { key: number; time: number }[]
  windows: Map<string, number>
  cellWindows: Map<string, number[]>
}

interface Handles {
  states: KeyedStates
  value: ValueState<{ n: number[] }>
  seat: ValueState<Seat>
  highest: ReducingState<number>
  list: ListState<{ n: number }>
  map: MapState<Key, { n: number }>
  count: AggregatingState<number, number>
  collect: AggregatingState<number, number[]>
  timers: TimerStore
  windows: WindowStore
  cellWindows: WindowStore
}

export interface StateContractOptions {
  readonly count: FixedAggregator<unknown, number>
  readonly collect: Aggregator<number, any, number[]>
  readonly runs?: number
}

/** Registers the suite with node:test, with what is said of time to live. `makeOver` builds an empty backend over a clock. */
export function stateContract(name: string, makeOver: MakeBackend, options: StateContractOptions): void {
  const make = (maxParallelism: number) => makeOver(maxParallelism, { nowMs: 0 })
  stateTtlContract(name, makeOver, (options.runs ?? 400) / 4)
  const handlesOf = (backend: StateBackend): Handles => {
    const states = backend.keyedStates('operator')
    return {
      states,
      value: states.state(1, 'value', { kind: 'value', options: {} }) as never,
      list: states.state(2, 'list', { kind: 'list', options: {} }) as never,
      map: states.state(3, 'map', { kind: 'map', options: {} }) as never,
      count: states.state(4, 'count', { kind: 'aggregating', options: {}, aggregator: options.count }) as never,
      collect: states.state(5, 'collect', { kind: 'aggregating', options: {}, aggregator: options.collect }) as never,
      timers: states.timers(6),
      windows: states.windows(7, options.count),
      cellWindows: states.windows(8, options.collect),
      seat: states.state(9, 'seat', { kind: 'value', options: { schema: SEAT } }) as never,
      highest: states.state(10, 'highest', {
        kind: 'reducing',
        options: { schema: HIGHEST },
        reduce: Math.max,
      }) as never,
    }
  }

  test(`${name}: a snapshot restores the state of its barrier, whatever happens while it is written`, () => {
    fc.assert(
      fc.property(
        fc.array(command(), { maxLength: 200, size: 'max' }),
        fc.integer({ min: 1, max: 5 }),
        (commands, maxParallelism) => {
          new Program(() => make(maxParallelism), handlesOf).run(commands)
        },
      ),
      { numRuns: options.runs ?? 400 },
    )
  })

  test(`${name}: entries come out in ascending order, each key once, tombstones only over a base`, () => {
    fc.assert(
      fc.property(fc.array(command(), { maxLength: 120, size: 'max' }), commands => {
        const program = new Program(() => make(3), handlesOf)
        program.checkOrder = true
        program.run(commands)
      }),
      { numRuns: (options.runs ?? 400) / 4 },
    )
  })

  test(`${name}: a snapshot restores under another max parallelism`, () => {
    fc.assert(
      fc.property(
        fc.array(command(), { maxLength: 100, size: 'max' }),
        fc.integer({ min: 1, max: 64 }),
        (commands, other) => {
          const program = new Program(() => make(4), handlesOf)
          program.run(commands)
          program.makeRestored = () => make(other)
          program.run([{ do: 'freeze', full: false }, { do: 'slice', n: 10_000 }, { do: 'publish' }, { do: 'restart' }])
        },
      ),
      { numRuns: (options.runs ?? 400) / 4 },
    )
  })
}

function command(): fc.Arbitrary<Command> {
  const key = fc.nat(KEYS.length - 1)
  const sub = fc.nat(SUBS.length - 1)
  const n = fc.nat(9)
  return fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constantFrom(...KEY_COMMANDS),
        key,
        n,
      }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constantFrom('mapSet', 'mapDelete', 'mapMutate', 'timer', 'untimer', 'window', 'cellWindow', 'unwindow'),
        key,
        sub,
        n,
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('fire'), time: fc.constantFrom(...TIMES) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('freeze'), full: fc.boolean() }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('slice'), n: fc.integer({ min: 1, max: 8 }) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('publish', 'publish', 'abandon') }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('restart') }) },
  ) as fc.Arbitrary<Command>
}

interface Entry {
  readonly op: number
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly touch: number
}

class Program {
  checkOrder = false
  makeRestored: () => StateBackend
  private readonly handlesOf: (backend: StateBackend) => Handles
  private backend: StateBackend
  private handles: Handles
  private model: Model = emptyModel()
  private nextId = 1
  private base: number | undefined
  /** Published entries by hex key: what a merge of all segments holds. */
  private store = new Map<string, Entry>()
  private published: { id: number; model: Model } | undefined
  private pending: { id: number; model: Model; full: boolean; entries: Entry[]; done: boolean } | undefined

  constructor(make: () => StateBackend, handlesOf: (backend: StateBackend) => Handles) {
    this.makeRestored = make
    this.handlesOf = handlesOf
    this.backend = make()
    this.handles = handlesOf(this.backend)
  }

  run(commands: readonly Command[]): void {
    for (const next of commands) this.apply(next)
    this.compare()
  }

  private apply(command: Command): void {
    const { handles: h, model: m } = this
    if ('key' in command) h.states.keys.bind(KEYS[command.key])
    switch (command.do) {
      case 'set':
        h.value.set({ n: [command.n] })
        return void m.values.set(command.key, { n: [command.n] })
      case 'mutate': {
        const value = h.value.get()
        assert.deepEqual(value, m.values.get(command.key))
        if (value === undefined) return
        value.n.push(command.n)
        h.value.set(value)
        return void m.values.get(command.key)!.n.push(command.n)
      }
      case 'clear':
        h.value.clear()
        return void m.values.delete(command.key)
      case 'typedSet':
        h.seat.set(seatOf(command.n))
        return void m.seats.set(command.key, seatOf(command.n))
      case 'typedMutate': {
        const seat = h.seat.get()
        assert.deepEqual(seat, m.seats.get(command.key))
        if (seat === undefined) return
        seat.price += command.n
        h.seat.set(seat)
        return void (m.seats.get(command.key)!.price += command.n)
      }
      case 'typedRefuse': {
        const refused = { ...seatOf(command.n), row: 128 }
        assert.throws(() => h.seat.set(refused), { code: 'STATE_VALUE_INVALID' })
        return assert.deepEqual(h.seat.get(), m.seats.get(command.key))
      }
      case 'typedClear':
        h.seat.clear()
        return void m.seats.delete(command.key)
      case 'reduce':
        h.highest.add(command.n)
        return void m.highest.set(command.key, Math.max(command.n, m.highest.get(command.key) ?? 0))
      case 'unreduce':
        h.highest.clear()
        return void m.highest.delete(command.key)
      case 'listAdd':
        h.list.add({ n: command.n })
        return void m.lists.set(command.key, [...(m.lists.get(command.key) ?? []), { n: command.n }])
      case 'listSet':
        h.list.set([{ n: command.n }, { n: 0 }])
        return void m.lists.set(command.key, [{ n: command.n }, { n: 0 }])
      case 'listClear':
        h.list.clear()
        return void m.lists.delete(command.key)
      case 'count':
        h.count.add(command.n)
        return void m.counts.set(command.key, (m.counts.get(command.key) ?? 0) + 1)
      case 'uncount':
        h.count.clear()
        return void m.counts.delete(command.key)
      case 'collect':
        h.collect.add(command.n)
        return void m.collected.set(command.key, [...(m.collected.get(command.key) ?? []), command.n])
      case 'mapSet': {
        h.map.set(SUBS[command.sub], { n: command.n })
        const entries = m.maps.get(command.key) ?? new Map<number, { n: number }>()
        m.maps.set(command.key, entries.set(command.sub, { n: command.n }))
        return
      }
      case 'mapMutate': {
        const value = h.map.get(SUBS[command.sub])
        assert.deepEqual(value, m.maps.get(command.key)?.get(command.sub))
        if (value === undefined) return
        value.n += 100
        h.map.set(SUBS[command.sub], value)
        m.maps.get(command.key)!.get(command.sub)!.n += 100
        return
      }
      case 'mapDelete':
        h.map.delete(SUBS[command.sub])
        return void m.maps.get(command.key)?.delete(command.sub)
      case 'timer': {
        const time = TIMES[command.n % TIMES.length]
        h.timers.register(time)
        if (!m.timers.some(timer => timer.key === command.key && timer.time === time))
          m.timers.push({ key: command.key, time })
        return
      }
      case 'untimer': {
        const time = TIMES[command.n % TIMES.length]
        h.timers.delete(time)
        m.timers = m.timers.filter(timer => timer.key !== command.key || timer.time !== time)
        return
      }
      case 'window': {
        const at = `${command.key}/${command.sub}`
        assert.equal(h.windows.add(command.sub * 10, command.n), !m.windows.has(at))
        return void m.windows.set(at, (m.windows.get(at) ?? 0) + 1)
      }
      case 'cellWindow': {
        const at = `${command.key}/${command.sub}`
        assert.equal(h.cellWindows.add(command.sub * 10, command.n), !m.cellWindows.has(at))
        return void m.cellWindows.set(at, [...(m.cellWindows.get(at) ?? []), command.n])
      }
      case 'unwindow': {
        const at = `${command.key}/${command.sub}`
        if (command.n % 2 === 0) h.windows.clear(command.sub * 10)
        else h.cellWindows.clear(command.sub * 10)
        return void (command.n % 2 === 0 ? m.windows : m.cellWindows).delete(at)
      }
      case 'fire':
        return assert.deepEqual(this.fire(h, command.time), this.fireModel(m, command.time))
      case 'freeze':
        return this.freeze(command.full)
      case 'slice':
        for (let i = 0; i < command.n; i++) this.slice()
        return
      case 'publish':
        return this.publish()
      case 'abandon':
        if (this.pending !== undefined && !this.pending.done) this.backend.abandoned()
        this.pending = undefined
        return
      case 'restart':
        return this.restart()
    }
  }

  private fire(h: Handles, upTo: number): { key: Key; time: number }[] {
    const fired: { key: Key; time: number }[] = []
    for (let time = h.timers.pop(upTo); time !== undefined; time = h.timers.pop(upTo))
      fired.push({ key: h.states.keys.key, time })
    return fired
  }

  private fireModel(m: Model, upTo: number): { key: Key; time: number }[] {
    const due = m.timers.filter(timer => timer.time <= upTo).sort((a, b) => (a.time === b.time ? 0 : a.time - b.time))
    m.timers = m.timers.filter(timer => timer.time > upTo)
    return due.map(({ key, time }) => ({ key: KEYS[key], time }))
  }

  private freeze(full: boolean): void {
    if (this.pending !== undefined) return
    full ||= this.base === undefined
    const id = this.nextId++
    this.backend.freeze({ checkpointId: id, baseCheckpointId: this.base, full })
    this.pending = { id, full, model: structuredClone(this.model), entries: [], done: false }
  }

  private slice(): void {
    const pending = this.pending
    if (pending === undefined || pending.done) return
    const consumer: EntryConsumer = {
      add(op, key, keyStart, keyEnd, value, valueStart, valueEnd, touch) {
        pending.entries.push({
          op,
          key: copyOf(key, keyStart, keyEnd),
          value: copyOf(value, valueStart, valueEnd),
          touch,
        })
      },
    }
    pending.done = this.backend.collect(consumer, 3)
  }

  private publish(): void {
    const pending = this.pending
    if (pending === undefined) return
    while (!pending.done) this.slice()
    if (this.checkOrder) {
      for (let i = 1; i < pending.entries.length; i++) {
        assert.ok(Buffer.compare(pending.entries[i - 1].key, pending.entries[i].key) < 0, 'ascending')
      }
      if (pending.full) assert.ok(pending.entries.every(entry => entry.op !== 1))
    }
    if (pending.full) this.store.clear()
    for (const entry of pending.entries) {
      const at = Buffer.from(entry.key).toString('hex')
      if (entry.op === 1) this.store.delete(at)
      else this.store.set(at, entry)
    }
    this.backend.published(pending.id)
    this.base = pending.id
    this.published = { id: pending.id, model: pending.model }
    this.pending = undefined
  }

  private restart(): void {
    if (this.pending !== undefined && !this.pending.done) this.backend.abandoned()
    this.pending = undefined
    this.backend = this.makeRestored()
    this.handles = this.handlesOf(this.backend)
    this.model = this.published === undefined ? emptyModel() : structuredClone(this.published.model)
    if (this.published !== undefined) {
      this.backend.restoreBegin(this.published.id, WRITERS)
      for (const hex of [...this.store.keys()].sort()) {
        const { key, value, touch } = this.store.get(hex)!
        const reader = new ByteReader(key, 4, key.length)
        this.backend.restore((key[2] << 8) | key[3], reader, new ByteReader(value, 0, value.length), touch)
      }
      this.backend.restoreEnd()
    }
    this.compare()
  }

  /** Everything but timers, which only firing shows. */
  private compare(): void {
    const { handles: h, model: m } = this
    KEYS.forEach((key, index) => {
      h.states.keys.bind(key)
      assert.deepEqual(h.value.get(), m.values.get(index))
      assert.deepEqual(h.seat.get(), m.seats.get(index))
      assert.equal(h.highest.get(), m.highest.get(index))
      assert.deepEqual([...h.list.get()], m.lists.get(index) ?? [])
      const entries = [...(m.maps.get(index) ?? [])].map(([sub, value]) => [SUBS[sub], value] as [Key, { n: number }])
      assert.deepEqual(
        [...h.map.entries()],
        entries.sort(([a], [b]) => compareKeys(a, b)),
      )
      assert.equal(h.count.get(), m.counts.get(index) ?? 0)
      assert.deepEqual(h.collect.get(), m.collected.get(index) ?? [])
      SUBS.forEach((_, sub) => {
        const at = `${index}/${sub}`
        assert.equal(h.windows.has(sub * 10), m.windows.has(at))
        if (m.windows.has(at)) assert.equal(h.windows.result(sub * 10), m.windows.get(at))
        assert.equal(h.cellWindows.has(sub * 10), m.cellWindows.has(at))
        if (m.cellWindows.has(at)) assert.deepEqual(h.cellWindows.result(sub * 10), m.cellWindows.get(at))
      })
    })
  }
}

function seatOf(n: number): Seat {
  return { row: n - 5, price: n / 4, taken: n % 2 === 0 }
}

function emptyModel(): Model {
  return {
    values: new Map(),
    seats: new Map(),
    highest: new Map(),
    lists: new Map(),
    maps: new Map(),
    counts: new Map(),
    collected: new Map(),
    timers: [],
    windows: new Map(),
    cellWindows: new Map(),
  }
}

function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.subarray(start, end))
}
