/**
 * `checkOperator`: feeds an operator a script of records, watermarks and clock times and compares what it emits, three times over:
 *
 * - all at once, in one instance;
 * - step by step, and between any two steps what is expired is removed, and the state is snapshotted and restored into a new instance,
 *   nobody has to ask for it;
 * - as the second, but every snapshot is written only after the next step was taken, so that a value changed in place shows.
 *
 * All three must emit the same. Values that are changed in place without `set`, or after they were emitted, are reported as
 * STATE_MUTATED. (Hazelcast Jet's TestSupport is the model: restore always, not when the author thinks of it.)
 */
import assert from 'node:assert/strict'
import { buildGraph, defineJob, type Stream } from '../api/index.ts'
import { MillraceError } from '../base/errors.ts'
import { ByteReader, ByteWriter, decodeKey, describeKey, encodeValue } from '../codec/index.ts'
import type { Sink, SinkWriter } from '../connectors/contract.ts'
import { collection } from '../connectors/index.ts'
import { declarationOf, jobStates, planExecution, planJob, type ExecutionPlan } from '../graph/index.ts'
import { ChainTimes } from '../runtime/chain-times.ts'
import { buildOperators, type Operators } from '../runtime/build.ts'
import { SlotExchange } from '../runtime/exchange/index.ts'
import type { SourceTask } from '../runtime/operators/source-task.ts'
import { Meters } from '../runtime/meters.ts'
import type { Services } from '../runtime/services.ts'
import type { BroadcastEntries } from '../snapshot/manifest-types.ts'
import { enforcedSchema, HeapBackend, type EntryConsumer, type WriterSchemas } from '../state/index.ts'
import { NO_TOUCH } from '../time/index.ts'
import { restoredFrom } from './connector-context.ts'

/**
 * One step of the script. A watermark of Infinity is the end of bounded input; the script's end implies none. It goes to both inputs
 * unless it says `of` which. State with a `ttl` expires by the steps `processingTime`, or in event time by `watermark`.
 */
export type Step<T, U = never> =
  | { readonly record: T; readonly timestamp?: number }
  | { readonly second: U; readonly timestamp?: number }
  | { readonly watermark: number; readonly of?: 'input' | 'second' }
  | { readonly processingTime: number }

export interface OperatorCheck<T, R, U = never> {
  /**
   * The part of a job under test: `stream => stream.keyBy(…).process(…)`, or of two streams: `(stream, second) =>
   * stream.keyBy(…).connect(second.broadcast()).process(…)`. Must not keep state of its own in closures.
   */
  readonly flow: (input: Stream<T>, second: Stream<U>) => Stream<R>
  readonly steps: readonly Step<T, U>[]
  /** Everything that is emitted, in order. */
  readonly emits: readonly R[]
  readonly maxParallelism?: number
}

/** Rejects with an AssertionError when the output differs, with STATE_MUTATED when a value was changed in place. */
export async function checkOperator<T, R, U = never>(check: OperatorCheck<T, R, U>): Promise<void> {
  for (const mode of ['all at once', 'restored between steps', 'snapshot written a step later'] as const) {
    const harness = new Harness(check)
    await harness.open()
    for (const step of check.steps) {
      if (mode === 'all at once') harness.apply(step)
      else if (mode === 'restored between steps') {
        harness.apply(step)
        harness.sweepExpired()
        harness.assertNoSilentChange()
        await harness.restoreInto(harness.lastSnapshot())
      } else {
        // The step is taken twice: once on the old instance while its snapshot is written, once for good on the restored one.
        const written = harness.snapshotWhile(() => harness.applyDiscarding(step))
        await harness.restoreInto(written)
        harness.apply(step)
      }
    }
    assert.deepEqual(harness.output(), check.emits, `emitted (${mode})`)
  }
}

interface Snapshot {
  readonly entries: Map<string, { readonly op: number; readonly value: Uint8Array; readonly touchMs: number }>
  /** By operator, of those that saw one. */
  readonly eventTimes: ReadonlyMap<string, number>
  readonly operatorState: ReadonlyMap<string, { readonly [state: string]: readonly string[] }>
  readonly broadcastState: ReadonlyMap<string, BroadcastEntries>
}

/** Of the two inputs, in the order of the sources. */
type Watermarks = readonly [number, number]

class Harness<T, R, U> {
  private readonly maxParallelism: number
  private readonly plan: ExecutionPlan
  private readonly stateIds: { [operator: string]: { [state: string]: number } } = {}
  private readonly clock = { nowMs: 0 }
  private readonly emitted: { readonly value: R; readonly bytes: string }[] = []
  private collecting = true
  private backend!: HeapBackend
  private operators!: Operators
  private services!: Services
  private watermarks: Watermarks = [-Infinity, -Infinity]
  private checkpointId = 0
  /** What the last snapshot held, to tell what changed without being set. */
  private before: Snapshot['entries'] = new Map()
  private last: Snapshot = {
    entries: new Map(),
    eventTimes: new Map(),
    operatorState: new Map(),
    broadcastState: new Map(),
  }

  constructor(check: OperatorCheck<T, R, U>) {
    this.maxParallelism = check.maxParallelism ?? 8
    const job = defineJob('operator-under-test', flow => {
      const input = flow.source('input', collection<T>([]))
      const second = flow.source('second', collection<U>([]))
      check.flow(input, second).sink('output', this.sink())
    })
    this.plan = planExecution(planJob(buildGraph(job, {})), 1, this.maxParallelism)
    let id = 1
    for (const { name, kind, states } of jobStates(this.plan.job.graph).operators) {
      if (kind === 'process') continue
      for (const state of states) {
        if (state.kind !== 'broadcast') (this.stateIds[name] ??= {})[state.name] = id++
      }
    }
  }

  async open(): Promise<void> {
    this.backend = new HeapBackend(this.maxParallelism, this.clock)
    const log = { info() {}, warn() {} }
    this.services = { chain: { timestamp: NaN, split: 0 }, clock: this.clock, log, meters: new Meters() }
    const context = {
      job: 'test',
      subtask: 0,
      parallelism: 1,
      now: () => this.clock.nowMs,
      count() {},
      log,
      wake() {},
      wakeAt() {},
    }
    this.operators = buildOperators(this.plan, {
      slot: 0,
      exchange: this.exchange(),
      backend: this.backend,
      services: this.services,
      stateIds: this.stateIds,
      sourceHost: { nextSplitNumber: () => 1, fail() {}, ended: () => true },
      sourceContext: ({ name }) => ({ ...context, operator: name }),
      sinkContext: ({ name }) => ({ ...context, operator: name, runId: '00000000', deliver() {} }),
    })
    for (const sink of this.operators.sinks) {
      await sink.open(restoredFrom('00000000', undefined), [])
    }
  }

  private exchange(): SlotExchange {
    const { plan, services } = this
    return new SlotExchange({
      plan,
      slot: 0,
      memory: undefined,
      chain: services.chain,
      chainTimes: new ChainTimes(plan, 0, () => 0),
      wake() {},
      isWritable: () => true,
    })
  }

  // ----------------------------------------------------------------------------------------------------------- steps

  apply(step: Step<T, U>): void {
    const [input, second] = this.operators.sources
    if ('record' in step) this.push(input, step.record, step.timestamp)
    else if ('second' in step) this.push(second, step.second, step.timestamp)
    else if ('watermark' in step) {
      const { watermark, of } = step
      const before = this.watermarks
      this.watermarks = [of === 'second' ? before[0] : watermark, of === 'input' ? before[1] : watermark]
      this.advance(before)
    } else {
      this.clock.nowMs = step.processingTime
      for (const operator of this.operators.keyed) {
        while (operator.nextProcessingTimeMs <= step.processingTime) operator.processingTime(step.processingTime)
      }
    }
  }

  /** As a slot does in the background, only that it does not wait for it to go round. */
  sweepExpired(): void {
    while (!this.backend.sweepExpired(100));
  }

  private push(source: SourceTask, record: T | U, timestamp = NaN): void {
    this.services.chain.timestamp = timestamp
    source.push(record)
    this.services.chain.timestamp = NaN
  }

  /** Tells the inputs their watermarks, as far as they have changed. */
  private advance(before: Watermarks): void {
    for (const [index, time] of this.watermarks.entries()) {
      if (time > before[index]) this.operators.sources[index].watermark(time)
    }
  }

  /** Takes the step on an instance that is about to be replaced. */
  applyDiscarding(step: Step<T, U>): void {
    const { watermarks, clock } = this
    const nowMs = clock.nowMs
    this.collecting = false
    this.apply(step)
    this.collecting = true
    this.watermarks = watermarks
    clock.nowMs = nowMs
  }

  output(): R[] {
    for (const { value, bytes } of this.emitted) {
      if (bytesOf(value) !== bytes) throw mutated('a record was changed after it was emitted')
    }
    return this.emitted.map(({ value }) => value)
  }

  private sink(): Sink<R> {
    const write = (value: R) => {
      if (this.collecting) this.emitted.push({ value, bytes: bytesOf(value) })
    }
    const writer: SinkWriter<R> = {
      write,
      prepareCommit: async () => ({ committables: [] }),
      commit: async () => {},
      close: async () => {},
    }
    return { type: 'test', retracts: true, open: async () => writer }
  }

  // -------------------------------------------------------------------------------------------------------- snapshots

  snapshot(): Snapshot {
    return this.snapshotWhile(() => {})
  }

  lastSnapshot(): Snapshot {
    return this.last
  }

  /** The state at the call; `meanwhile` runs after the barrier and before anything is written. */
  snapshotWhile(meanwhile: () => void): Snapshot {
    const operators = this.operatorSnapshots()
    const base = this.checkpointId === 0 ? undefined : this.checkpointId
    const id = ++this.checkpointId
    this.backend.freeze({ checkpointId: id, baseCheckpointId: base, full: base === undefined })
    meanwhile()
    const entries = base === undefined ? new Map() : new Map(this.before)
    for (const [key, entry] of this.collect()) {
      if (entry.op === TOMBSTONE) entries.delete(key)
      else entries.set(key, entry)
    }
    return { entries, ...operators }
  }

  /** A new instance with the snapshot's state. */
  async restoreInto(snapshot: Snapshot): Promise<void> {
    await this.open()
    for (const { node, eventClock } of this.operators.keyed) {
      eventClock.advance(snapshot.eventTimes.get(node.name) ?? -Infinity)
    }
    this.backend.restoreBegin(this.checkpointId, this.schemas())
    for (const hex of [...snapshot.entries.keys()].sort()) {
      const key = Buffer.from(hex, 'hex')
      const { op, value, touchMs } = snapshot.entries.get(hex)!
      const lastTouchMs = op === PUT_WITH_TOUCH ? touchMs : NO_TOUCH
      this.backend.restore(key.readUInt16BE(2), new ByteReader(key, 4), new ByteReader(value), lastTouchMs)
    }
    this.backend.restoreEnd()
    for (const operator of this.operators.processes) operator.restore(snapshot.operatorState.get(operator.name) ?? {})
    for (const operator of this.operators.broadcasts) {
      operator.restore(snapshot.broadcastState.get(operator.node.name) ?? {})
    }
    this.before = snapshot.entries
    this.advance([-Infinity, -Infinity])
  }

  private schemas(): WriterSchemas {
    const states = this.plan.job.graph.nodes.flatMap(node =>
      Object.entries(this.stateIds[node.name] ?? {}).map(([state, id]) => {
        const declaration = declarationOf(node, state)
        return [id, declaration && enforcedSchema(declaration)] as const
      }),
    )
    return new Map(states.flatMap(([id, schema]) => (schema === undefined ? [] : [[id, schema]])))
  }

  private operatorSnapshots(): Omit<Snapshot, 'entries'> {
    const { keyed, processes, broadcasts } = this.operators
    return {
      eventTimes: new Map(keyed.map(({ node, eventClock }) => [node.name, eventClock.time])),
      operatorState: new Map(processes.map(operator => [operator.name, operator.snapshot()])),
      broadcastState: new Map(broadcasts.map(operator => [operator.node.name, operator.snapshot()])),
    }
  }

  private collect(): Snapshot['entries'] {
    const entries: Snapshot['entries'] = new Map()
    const consumer: EntryConsumer = {
      add(op, key, keyStart, keyEnd, value, valueStart, valueEnd, touchMs) {
        const hex = Buffer.from(key.subarray(keyStart, keyEnd)).toString('hex')
        entries.set(hex, { op, value: new Uint8Array(value.subarray(valueStart, valueEnd)), touchMs })
      },
    }
    while (!this.backend.collect(consumer, 100));
    return entries
  }

  /** The delta over the last snapshot must lead to what is there: else a value was changed in place without set. */
  assertNoSilentChange(): void {
    this.last = this.snapshot()
    const delta = this.last.entries
    this.backend.freeze({ checkpointId: ++this.checkpointId, baseCheckpointId: undefined, full: true })
    const whole = this.collect()
    for (const [hex, { value }] of whole) {
      const said = delta.get(hex)
      if (said !== undefined && Buffer.compare(said.value, value) === 0) continue
      const key = Buffer.from(hex, 'hex')
      const shown = describeKey(decodeKey(new ByteReader(key, 4)))
      throw mutated(
        `a value of ${this.stateName(key.readUInt16BE(2))} under key ${shown} was changed in place without set`,
      )
    }
  }

  private stateName(id: number): string {
    for (const [operator, states] of Object.entries(this.stateIds)) {
      for (const [state, stateId] of Object.entries(states))
        if (stateId === id) return `state '${state}' of operator '${operator}'`
    }
    return `state ${id}`
  }
}

const TOMBSTONE = 1
const PUT_WITH_TOUCH = 2

function bytesOf(value: unknown): string {
  const out = new ByteWriter()
  encodeValue(value, out)
  return Buffer.from(out.view()).toString('latin1')
}

function mutated(what: string): MillraceError {
  return new MillraceError('STATE_MUTATED', `${what}; make a new value, or get, change and set it in one call`)
}
