/**
 * The part of the contract suite of state backends that is about time to live. Random programs run on a backend and on a naive model, in
 * both time domains: entries come to be touched, time passes, what is expired is swept, snapshots are taken and restored. Whatever is read
 * must be what the model holds; nothing else is promised of entries that are expired but that a round has not removed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteReader, compareKeys } from '../codec/index.ts'
import type {
  EntryConsumer,
  Key,
  KeyedStates,
  ListState,
  MapState,
  ReducingState,
  StateBackend,
  TtlOptions,
  ValueState,
} from '../state/index.ts'
import { NO_TOUCH } from '../time/index.ts'

export type MakeBackend = (maxParallelism: number, clock: { readonly nowMs: number }) => StateBackend

const TTL_MS = 10
const KEYS: readonly Key[] = ['a', 'b', ['c', 1]]
const SUBS: readonly Key[] = ['x', 7]
const VALUE = 1
const LIST = 2
const MAP = 3
const REDUCING = 4

type Time = 'event' | 'processing'

interface Entry {
  readonly op: number
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly touch: number
}

const PUT = 0
const TOMBSTONE = 1
const PUT_WITH_TOUCH = 2

/** A backend with one operator, and time that a test lets pass. */
class Rig {
  readonly backend: StateBackend
  readonly states: KeyedStates
  readonly value: ValueState<number>
  readonly list: ListState<number>
  readonly map: MapState<Key, number>
  readonly sum: ReducingState<number>
  private readonly clock: { nowMs: number }
  private readonly record = { timestamp: NaN }

  constructor(make: MakeBackend, ttl: TtlOptions | undefined, nowMs = 0) {
    this.clock = { nowMs }
    this.backend = make(4, this.clock)
    this.states = this.backend.keyedStates('operator', this.record)
    const options = ttl === undefined ? {} : { ttl }
    this.value = this.states.state(VALUE, 'value', { kind: 'value', options }) as never
    this.list = this.states.state(LIST, 'list', { kind: 'list', options }) as never
    this.map = this.states.state(MAP, 'map', { kind: 'map', options }) as never
    const reduce = (a: number, b: number) => a + b
    this.sum = this.states.state(REDUCING, 'sum', { kind: 'reducing', options, reduce }) as never
  }

  /** A record of the key comes. */
  at(key: Key, timestamp = NaN): this {
    this.record.timestamp = timestamp
    this.states.keys.bind(key)
    return this
  }

  /** Time has come to be this: by the clock, and the watermark. */
  pass(toMs: number): this {
    this.clock.nowMs = toMs
    this.states.eventClock.advance(toMs)
    return this
  }

  sweep(): this {
    this.record.timestamp = NaN
    while (!this.backend.sweepExpired(3));
    return this
  }

  get entries(): number {
    return [...this.backend.entryCounts().values()].reduce((sum, count) => sum + count, 0)
  }

  snapshot(checkpointId: number, baseCheckpointId?: number): Entry[] {
    const entries: Entry[] = []
    this.backend.freeze({ checkpointId, baseCheckpointId, full: baseCheckpointId === undefined })
    while (!this.backend.collect(into(entries), 10));
    this.backend.published(checkpointId)
    return entries
  }

  /** Newer entries win, tombstones hide. */
  restore(...oldestFirst: readonly (readonly Entry[])[]): this {
    const store = new Map<string, Entry>()
    for (const entry of oldestFirst.flat()) keep(store, entry)
    load(this.backend, store, 1)
    return this
  }
}

function into(entries: Entry[]): EntryConsumer {
  return {
    add(op, key, keyStart, keyEnd, value, valueStart, valueEnd, touch) {
      const copy = (bytes: Uint8Array, start: number, end: number) => new Uint8Array(bytes.subarray(start, end))
      entries.push({ op, key: copy(key, keyStart, keyEnd), value: copy(value, valueStart, valueEnd), touch })
    },
  }
}

function keep(store: Map<string, Entry>, entry: Entry): void {
  const at = Buffer.from(entry.key).toString('hex')
  if (entry.op === TOMBSTONE) store.delete(at)
  else store.set(at, entry)
}

function load(backend: StateBackend, store: ReadonlyMap<string, Entry>, checkpointId: number): void {
  backend.restoreBegin(checkpointId, new Map())
  for (const at of [...store.keys()].sort()) {
    const { op, key, value, touch } = store.get(at)!
    backend.restore(
      (key[2] << 8) | key[3],
      new ByteReader(key, 4),
      new ByteReader(value),
      op === PUT_WITH_TOUCH ? touch : NO_TOUCH,
    )
  }
  backend.restoreEnd()
}

/** Registers the suite with node:test. `make` builds an empty backend over the given clock. */
export function stateTtlContract(name: string, make: MakeBackend, runs = 200): void {
  for (const time of ['processing', 'event'] as const) {
    const ttl = (more: Partial<TtlOptions> = {}): TtlOptions => ({ ttl: TTL_MS, time, ...more })
    const rig = (options?: TtlOptions, nowMs?: number) => new Rig(make, options, nowMs)

    test(`${name}, ttl in ${time} time: what is read is what has not expired, whatever comes between`, () => {
      fc.assert(
        fc.property(fc.array(command(), { maxLength: 80, size: 'max' }), fc.boolean(), (commands, onRead) => {
          new Program(make, time, onRead).run(commands)
        }),
        { numRuns: runs },
      )
    })

    test(`${name}, ttl in ${time} time: what nobody touches is removed piece by piece, and stays away after a restore`, () => {
      const states = rig(ttl())
      for (let i = 0; i < 100; i++) {
        states.at(i, 0).value.set(i)
        states.list.add(i)
        states.map.set('x', i)
      }
      states.at(0, 0).list.set(Array.from({ length: 100 }, (_, i) => i))
      const before = states.snapshot(1)
      states.pass(5)
      states.at(7, 5).value.set(70)
      states.list.add(71)
      assert.equal(states.entries, 400)
      states.pass(10)
      // A round may have begun anywhere, so the second one at the latest sees all.
      assert.equal(states.backend.sweepExpired(50), false)
      assert.ok(states.entries > 300, `a slice is bounded: ${states.entries} left`)
      states.sweep().sweep()
      assert.equal(states.entries, 2)
      assert.equal(states.at(7, 10).value.get(), 70)
      assert.deepEqual([...states.list.get()], [71])
      states.list.add(72)
      assert.deepEqual([...states.at(7, 10).list.get()], [71, 72])
      const delta = states.snapshot(2, 1)
      assert.equal(delta.filter(({ op }) => op === TOMBSTONE).length, 398)
      assert.equal(rig(ttl({ ttl: '1d' })).restore(before, delta).entries, 3)
    })

    test(`${name}, ttl in ${time} time: a snapshot holds what had not expired at its barrier, whatever is removed while it is written`, () => {
      const states = rig(ttl())
      states.at('k', 0)
      for (let i = 0; i < 20; i++) states.list.add(i)
      states.pass(5).at('k', 5)
      for (let i = 20; i < 40; i++) states.list.add(i)
      states.pass(9)
      const entries: Entry[] = []
      states.backend.freeze({ checkpointId: 1, baseCheckpointId: undefined, full: true })
      for (let slice = 0; slice < 2; slice++) states.backend.collect(into(entries), 8)
      states.pass(10)
      for (let slice = 0; slice < 100; slice++) states.backend.sweepExpired(10)
      assert.equal([...states.at('k', 10).list.get()].length, 20)
      while (!states.backend.collect(into(entries), 8));
      const restored = rig(ttl()).pass(9).restore(entries)
      assert.deepEqual(
        [...restored.at('k', 9).list.get()],
        Array.from({ length: 40 }, (_, i) => i),
      )
    })

    test(`${name}, ttl in ${time} time: invariant 12: an entry found expired is a tombstone, and entries store their last touch`, () => {
      const states = rig(ttl(), 1)
      states.at('k', 1).value.set(1)
      const [put] = states.snapshot(1)
      assert.equal(put.op, PUT_WITH_TOUCH)
      assert.equal(put.touch, time === 'event' ? 2 ** 47 + 1 : 1)
      states.pass(11)
      assert.equal(states.at('k', 11).value.get(), undefined)
      assert.deepEqual(
        states.snapshot(2, 1).map(({ op }) => op),
        [TOMBSTONE],
      )
    })

    test(`${name}, ttl in ${time} time: what had no ttl counts from the restore, and a ttl that is gone is forgotten`, () => {
      const before = rig(undefined)
      before.at('k').value.set(1)
      const entries = before.snapshot(1)
      const states = rig(ttl()).pass(1000).restore(entries)
      assert.equal(states.pass(1009).at('k', 1000).value.get(), 1)
      const touched = states.snapshot(2)
      assert.equal(states.pass(1010).at('k', 1000).value.get(), undefined)
      assert.equal(rig(undefined).pass(5000).restore(touched).at('k').value.get(), 1)
    })

    test(`${name}, ttl in ${time} time: a ttl that is changed applies to what was written before`, () => {
      const first = rig(ttl(), 1)
      first.at('k', 1).value.set(1)
      first.pass(6).at('l', 6).value.set(2)
      const entries = first.snapshot(1)
      const shorter = rig(ttl({ ttl: 5 }))
        .pass(8)
        .restore(entries)
      assert.equal(shorter.entries, 1)
      assert.equal(shorter.at('l', 8).value.get(), 2)
      const longer = rig(ttl({ ttl: 20 }))
        .pass(20)
        .restore(entries)
      assert.equal(longer.at('k', 20).value.get(), 1)
      assert.equal(longer.pass(21).at('k', 21).value.get(), undefined)
    })
  }

  test(`${name}, ttl in event time: it goes by the watermark, not by a record; a late record does not shorten a life`, () => {
    const states = new Rig(make, { ttl: TTL_MS, time: 'event' })
    states.at('k', 100).value.set(1)
    assert.equal(states.at('k', 1_000_000).value.get(), 1)
    states.pass(105).at('k', 50).value.set(2)
    assert.equal(states.pass(109).at('k', 109).value.get(), 2)
    assert.equal(states.pass(110).at('k', 110).value.get(), undefined)
    states.at('k', 100).value.set(3)
    assert.equal(states.value.get(), undefined, 'it was too late to be kept')
    states.at('k', 104).value.set(4)
    assert.equal(states.at('k', 110).value.get(), 4)
  })

  test(`${name}, ttl in event time: times before 1970, fractions and the end of input`, () => {
    const states = new Rig(make, { ttl: TTL_MS, time: 'event' })
    states.at('k', -1000.5).value.set(1)
    assert.equal(states.pass(-991).at('k', -991).value.get(), 1)
    assert.equal(states.pass(Infinity).at('k', Infinity).value.get(), 1)
    states.value.set(2)
    const [put] = states.snapshot(1)
    assert.equal(put.touch, 2 ** 47 - 991)
    assert.equal(states.pass(-981).at('k', -981).value.get(), undefined)
  })

  test(`${name}, ttl in event time: what came to it before event time had begun counts from its beginning`, () => {
    const without = new Rig(make, undefined)
    without.at('k').value.set(1)
    const states = new Rig(make, { ttl: TTL_MS, time: 'event' }).restore(without.snapshot(1))
    states.states.eventClock.isUntimed = true
    states.at('l').value.set(2)
    states.states.eventClock.isUntimed = false
    assert.deepEqual(
      states.snapshot(1).map(({ op }) => op),
      [PUT, PUT],
    )
    assert.equal(states.pass(500).at('k', 500).value.get(), 1)
    assert.equal(states.pass(509).at('l', 509).value.get(), 2)
    assert.equal(states.pass(510).sweep().entries, 0)
  })

  test(`${name}, ttl in event time: a record without a timestamp is refused`, () => {
    const states = new Rig(make, { ttl: TTL_MS, time: 'event' })
    assert.throws(() => states.at('k').value.set(1), { code: 'NO_EVENT_TIME', message: /'operator'.*\.eventTime\(/ })
  })
}

// ------------------------------------------------------------------------------------------------------- random programs

type Command =
  | { readonly do: 'set' | 'add' | 'listAdd' | 'listSet' | 'read' | 'clear'; readonly key: number; readonly ts: number }
  | { readonly do: 'mapSet' | 'mapDelete'; readonly key: number; readonly sub: number; readonly ts: number }
  | { readonly do: 'pass' | 'sweep' | 'slice'; readonly n: number }
  | { readonly do: 'freeze'; readonly full: boolean }
  | { readonly do: 'publish' | 'restart' }

function command(): fc.Arbitrary<Command> {
  const key = fc.nat(KEYS.length - 1)
  const sub = fc.nat(SUBS.length - 1)
  // Of the record: some are late, some ahead of the watermark.
  const ts = fc.integer({ min: -12, max: 12 })
  return fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constantFrom('set', 'add', 'listAdd', 'listSet', 'read', 'clear'),
        key,
        ts,
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('mapSet', 'mapSet', 'mapDelete'), key, sub, ts }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('pass'), n: fc.integer({ min: 1, max: 6 }) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('sweep', 'slice'), n: fc.integer({ min: 1, max: 8 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('freeze'), full: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('publish', 'publish', 'restart') }) },
  ) as fc.Arbitrary<Command>
}

interface ModelEntry {
  readonly value: number
  readonly touch: number
}

/** By state and key: its entries, of a list by index, of a map by the number of the sub, else one under 0. */
type Model = Map<string, Map<number, ModelEntry>>

class Program {
  private readonly make: MakeBackend
  private readonly ttl: TtlOptions
  private rig: Rig
  private model: Model = new Map()
  private nowMs = 100
  private nextValue = 1
  private nextId = 1
  private readonly store = new Map<string, Entry>()
  private published: { readonly id: number; readonly model: Model } | undefined
  private pending:
    | { readonly id: number; readonly full: boolean; readonly model: Model; readonly entries: Entry[]; done: boolean }
    | undefined

  constructor(make: MakeBackend, time: Time, onRead: boolean) {
    this.make = make
    this.ttl = { ttl: TTL_MS, time, updateOn: onRead ? 'read-and-write' : 'write' }
    this.rig = new Rig(make, this.ttl).pass(this.nowMs)
  }

  run(commands: readonly Command[]): void {
    for (const next of commands) this.apply(next)
    this.compare()
    this.rig.pass((this.nowMs += 2 * TTL_MS + 12))
    if (this.pending !== undefined) this.publish()
    assert.equal(this.rig.sweep().sweep().entries, 0)
  }

  private apply(next: Command): void {
    const { rig } = this
    if ('key' in next) return this.record(next)
    switch (next.do) {
      case 'pass':
        this.nowMs += next.n
        return void rig.pass(this.nowMs)
      case 'sweep':
        rig.at(KEYS[0])
        return void rig.backend.sweepExpired(next.n)
      case 'slice':
        return this.slice(next.n)
      case 'freeze':
        return this.freeze(next.full)
      case 'publish':
        return this.publish()
      case 'restart':
        return this.restart()
    }
  }

  private record(next: Extract<Command, { key: number }>): void {
    const timestamp = this.nowMs + next.ts
    const rig = this.rig.at(KEYS[next.key], timestamp)
    const touchAt = this.ttl.time === 'event' ? timestamp : this.nowMs
    const value = this.nextValue++
    const of = (state: number) => this.living(state, next.key)
    const put = (entries: Map<number, ModelEntry>, at: number, put: number) =>
      entries.set(at, { value: put, touch: Math.max(entries.get(at)?.touch ?? -Infinity, touchAt) })
    switch (next.do) {
      case 'set':
        rig.value.set(value)
        return void put(of(VALUE), 0, value)
      case 'add':
        rig.sum.add(value)
        return void put(of(REDUCING), 0, (of(REDUCING).get(0)?.value ?? 0) + value)
      case 'listAdd':
        rig.list.add(value)
        // Indexes count on while elements that are expired stay in the list; the order is what matters.
        return void put(of(LIST), value, value)
      case 'listSet':
        rig.list.set([value, -value])
        of(LIST).clear()
        put(of(LIST), value, value)
        return void put(of(LIST), value + 0.5, -value)
      case 'mapSet':
        rig.map.set(SUBS[next.sub], value)
        return void put(of(MAP), next.sub, value)
      case 'mapDelete':
        rig.map.delete(SUBS[next.sub])
        return void of(MAP).delete(next.sub)
      case 'clear':
        for (const state of [rig.value, rig.list, rig.map, rig.sum]) state.clear()
        for (const state of [VALUE, LIST, MAP, REDUCING]) of(state).clear()
        return
      case 'read':
        this.compareKey(next.key)
        if (this.ttl.updateOn === 'write') return
        for (const state of [VALUE, LIST, MAP, REDUCING]) {
          for (const [at, entry] of of(state)) put(of(state), at, entry.value)
        }
    }
  }

  private living(state: number, key: number): Map<number, ModelEntry> {
    const at = `${state}/${key}`
    const entries = this.model.get(at) ?? new Map<number, ModelEntry>()
    this.model.set(at, entries)
    for (const [each, { touch }] of entries) if (this.nowMs - touch >= TTL_MS) entries.delete(each)
    return entries
  }

  private values(state: number, key: number): number[] {
    const entries = [...this.living(state, key)].sort(([a], [b]) => a - b)
    return entries.map(([, { value }]) => value)
  }

  private compareKey(key: number): void {
    const { rig } = this
    assert.equal(rig.value.get(), this.values(VALUE, key)[0])
    assert.equal(rig.sum.get(), this.values(REDUCING, key)[0])
    assert.deepEqual([...rig.list.get()], this.values(LIST, key))
    const entries = [...this.living(MAP, key)].map(([sub, { value }]) => [SUBS[sub], value] as [Key, number])
    entries.sort(([a], [b]) => compareKeys(a, b))
    assert.deepEqual([...rig.map.entries()], entries)
  }

  private compare(): void {
    for (const key of KEYS.keys()) this.record({ do: 'read', key, ts: 0 })
  }

  private freeze(full: boolean): void {
    if (this.pending !== undefined) return
    full ||= this.published === undefined
    const id = this.nextId++
    this.rig.backend.freeze({ checkpointId: id, baseCheckpointId: this.published?.id, full })
    this.pending = { id, full, model: structuredClone(this.model), entries: [], done: false }
  }

  private slice(maxEntries: number): void {
    const { pending } = this
    if (pending === undefined || pending.done) return
    pending.done = this.rig.backend.collect(into(pending.entries), maxEntries)
  }

  private publish(): void {
    const { pending, store } = this
    if (pending === undefined) return
    while (!pending.done) this.slice(3)
    if (pending.full) store.clear()
    for (const entry of pending.entries) keep(store, entry)
    this.rig.backend.published(pending.id)
    this.published = { id: pending.id, model: pending.model }
    this.pending = undefined
  }

  private restart(): void {
    if (this.pending !== undefined && !this.pending.done) this.rig.backend.abandoned()
    this.pending = undefined
    this.rig = new Rig(this.make, this.ttl).pass(this.nowMs)
    this.model = structuredClone(this.published?.model ?? new Map())
    if (this.published !== undefined) load(this.rig.backend, this.store, this.published.id)
    this.compare()
  }
}
