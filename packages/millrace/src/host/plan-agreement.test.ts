/**
 * What the plan says is what a restore does: for random pairs of jobs the second is planned on the snapshot of the first, then started
 * from it. It starts if and only if the plan accepts, and every state then holds what its verdict says: what the first job had left
 * there, or nothing.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { buildGraph } from '../api/index.ts'
import { isMillraceError } from '../base/errors.ts'
import { planJob } from '../graph/index.ts'
import {
  aggregating,
  collection,
  count,
  defineJob,
  list,
  map,
  memory,
  reducing,
  run,
  value,
  type JobDefinition,
  type StateOptions,
} from '../index.ts'
import { findSnapshot } from '../snapshot/catalogue.ts'
import { planRestore, type RestorePlan } from '../snapshot/restore-plan.ts'
import { memoryStorage } from '../store/memory/index.ts'
import { plannedJob } from './planned-job.ts'

const PAIRS = 1200
const RECORDS = [1, 2, 3, 4, 5, 6, 7]

/** A value that counts in a property. */
function valued(options: StateOptions<{ n: number }>) {
  return {
    declare: () => value(options),
    add: (state: any) => state.set({ ...state.get(), n: (state.get()?.n ?? 0) + 1 }),
    count: (state: any) => state.get()?.n ?? 0,
  }
}

function counted(n: object, more: object = {}): object {
  return { type: 'object', properties: { n, ...more }, required: ['n'] }
}

/** What a state of the kind is, how it takes a record, and what is in it. Each kind counts the records of the key in its own way. */
const KINDS = {
  value: valued({}),
  small: valued({ schema: counted({ type: 'integer', minimum: 0, maximum: 255 }) }),
  large: valued({ schema: counted({ type: 'number' }) }),
  labelled: valued({ schema: counted({ type: 'integer' }, { label: { type: 'string' } }) }),
  filled: valued({ schema: counted({ type: 'integer' }, { unit: { type: 'string', default: 'm' } }) }),
  second: valued({ schema: counted({ type: 'integer' }), version: 2, migrate: { 1: ({ n }) => ({ n }) } }),
  unmigrated: valued({ version: 2 }),
  list: {
    declare: () => list<number>(),
    add: (state: any) => state.add(1),
    count: (state: any) => [...state.get()].length,
  },
  map: {
    declare: () => map<string, number>(),
    add: (state: any) => state.set('n', (state.get('n') ?? 0) + 1),
    count: (state: any) => state.get('n') ?? 0,
  },
  reducing: {
    declare: () => reducing((a: any, b: any) => a + b),
    add: (state: any) => state.add(1),
    count: (state: any) => state.get() ?? 0,
  },
  aggregating: {
    declare: () => aggregating(count()),
    add: (state: any) => state.add(1),
    count: (state: any) => state.get(),
  },
} as const

type Kind = keyof typeof KINDS

interface OperatorSpec {
  readonly name: string
  readonly renamedFrom: string | undefined
  readonly keyed: boolean
  readonly states: readonly { readonly name: string; readonly kind: Kind }[]
  /** Stateless operators before it. */
  readonly maps: number
}

interface JobSpec {
  readonly source: string
  readonly operators: readonly OperatorSpec[]
  readonly sink: string
  readonly maxParallelism: number
}

const NAMES = ['a', 'b', 'c', 'd']
const name = fc.constantFrom(...NAMES)

const operatorSpec: fc.Arbitrary<OperatorSpec> = fc.record({
  name,
  renamedFrom: fc.option(name, { nil: undefined, freq: 3 }),
  keyed: fc.constantFrom(true, true, true, false),
  states: fc.uniqueArray(
    fc.record({ name: fc.constantFrom('x', 'y'), kind: fc.constantFrom(...(Object.keys(KINDS) as Kind[])) }),
    { selector: state => state.name, maxLength: 2 },
  ),
  maps: fc.nat(2),
})

const jobSpec: fc.Arbitrary<JobSpec> = fc
  .record({
    source: fc.constantFrom('numbers', 'numbers', 'records'),
    operators: fc.uniqueArray(operatorSpec, { selector: operator => operator.name, maxLength: 3 }),
    sink: fc.constantFrom('out', 'rows'),
    maxParallelism: fc.constantFrom(128, 64),
  })
  .map(job => ({ ...job, operators: job.operators.map(withValidRename) }))

/** A job that takes one name over twice, or from an operator that it still has, is refused before anything is planned. */
function withValidRename(operator: OperatorSpec, index: number, all: readonly OperatorSpec[]): OperatorSpec {
  const { renamedFrom } = operator
  const isTaken =
    all.some(other => other.name === renamedFrom) ||
    all.slice(0, index).some(earlier => earlier.renamedFrom === renamedFrom)
  return isTaken ? { ...operator, renamedFrom: undefined } : operator
}

const VALUES = ['value', 'small', 'large', 'labelled', 'filled', 'second', 'unmigrated'] as const

/** The same job with its operators in another order, perhaps one renamed, and values described differently. */
function changed(before: JobSpec): fc.Arbitrary<JobSpec> {
  return fc
    .record({ kinds: fc.infiniteStream(fc.constantFrom(...VALUES)), isReversed: fc.boolean(), isRenamed: fc.boolean() })
    .map(({ kinds, isReversed, isRenamed }) => {
      const operators = before.operators.map((operator, index) => ({
        ...operator,
        ...(isRenamed && index === 0 ? { name: 'renamed', renamedFrom: operator.name } : { renamedFrom: undefined }),
        states: operator.states.map(state => ({
          ...state,
          kind: (VALUES as readonly Kind[]).includes(state.kind) ? (kinds.next().value as Kind) : state.kind,
        })),
      }))
      return { ...before, operators: isReversed ? operators.toReversed() : operators }
    })
}

const pair = jobSpec.chain(before => fc.tuple(fc.constant(before), fc.oneof(jobSpec, changed(before), changed(before))))

/** By `operator.state` and key: how many records the state knew of when the first one came. */
type Seen = Map<string, number>

/** A state of an operator without keys takes no other kind than a list. */
function statesOf({ keyed, states }: OperatorSpec): OperatorSpec['states'] {
  return keyed ? states : states.map(state => ({ ...state, kind: 'list' as const }))
}

/** `seen` is filled while it runs. What a source has read it does not read again: the second job has one more, `after`. */
function jobOf(spec: JobSpec, records: 'before' | 'after', seen: Seen): JobDefinition<any> {
  const { source, operators, sink } = spec
  return defineJob('pair', flow => {
    let stream = flow.source('before', collection(RECORDS)).union(flow.source(source, collection<number>([])))
    if (records === 'after') stream = stream.union(flow.source('after', collection(RECORDS)))
    for (const operator of operators) {
      for (let i = 0; i < operator.maps; i++) stream = stream.map(n => n)
      const states = statesOf(operator)
      const options = operator.renamedFrom === undefined ? {} : { renamedFrom: operator.renamedFrom }
      const onRecord = (n: number, ctx: any): void => {
        for (const state of states) {
          const place = `${operator.name}.${state.name}/${operator.keyed ? ctx.key : ''}`
          const handle = ctx.state[state.name]
          if (!seen.has(place)) seen.set(place, KINDS[state.kind].count(handle))
          KINDS[state.kind].add(handle)
        }
        ctx.emit(n)
      }
      const state: any = Object.fromEntries(states.map(({ name: id, kind }) => [id, KINDS[kind].declare()]))
      stream = operator.keyed
        ? stream.keyBy(n => n % 3).process(operator.name, { state, onRecord }, options)
        : stream.process(operator.name, { state, onRecord }, options)
    }
    stream.sink(sink, memory())
  })
}

/** Records of the key that one job sees. */
const recordsOf = (key: string): number => RECORDS.filter(n => key === '' || String(n % 3) === key).length

function expected(plan: RestorePlan, place: string): number {
  const [state, key] = place.split('/')
  const entry = plan.entries.find(
    each => each.what === 'state' && `${each.operator}.${each.state}` === state && each.verdict !== 'dropped',
  )
  assert.ok(entry, `${place} is in the plan`)
  return entry.verdict === 'new' ? 0 : recordsOf(key)
}

test(`plan and restore agree for ${PAIRS} random pairs of jobs`, async () => {
  const outcomes = { accepted: 0, migrated: 0, STATE_INCOMPATIBLE: 0, STATE_DROPPED: 0 }
  await fc.assert(
    fc.asyncProperty(pair, fc.boolean(), async ([before, after], allowDroppedState) => {
      const storage = memoryStorage()
      const common = { storage, checkpointing: { onFinish: 'retain' } } as const
      const first = await run(jobOf(before, 'before', new Map()), { ...common, maxParallelism: before.maxParallelism })
      await first.finished

      const seen: Seen = new Map()
      const job = jobOf(after, 'after', seen)
      const manifest = await findSnapshot(storage.job('pair'), 'pair', { kind: 'latest', job: undefined })
      const plan = planRestore(manifest, plannedJob(planJob(buildGraph(job, {}))), { allowDroppedState })
      const options = { ...common, maxParallelism: after.maxParallelism, from: 'latest', allowDroppedState }
      try {
        const second = await run(job, options)
        await second.finished
      } catch (error) {
        assert.ok(isMillraceError(error), String(error))
        const isDropped = !plan.accepted && !plan.entries.some(({ verdict }) => verdict === 'refused')
        assert.equal(error.code, isDropped ? 'STATE_DROPPED' : 'STATE_INCOMPATIBLE')
        assert.equal(plan.accepted, false)
        outcomes[error.code as keyof typeof outcomes]++
        return
      }
      assert.equal(plan.accepted, true)
      outcomes.accepted++
      if (plan.entries.some(({ verdict }) => verdict === 'migrated')) outcomes.migrated++
      for (const [place, found] of seen) assert.equal(found, expected(plan, place), place)
    }),
    { numRuns: PAIRS },
  )
  for (const [outcome, times] of Object.entries(outcomes)) assert.ok(times > PAIRS / 100, `${outcome}: ${times} times`)
})
