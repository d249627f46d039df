/** Jobs that describe their state differently than the snapshot they start from: what each kind of state then holds. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toStandardJsonSchema } from '@valibot/to-json-schema'
import { type } from 'arktype'
import * as v from 'valibot'
import * as z from 'zod'
import {
  aggregating,
  broadcast,
  collection,
  defineJob,
  list,
  map,
  memory,
  reducing,
  run,
  unionList,
  value,
  type Flow,
  type JobDefinition,
  type Schema,
  type StateOptions,
  type Stream,
} from '../index.ts'
import { findSnapshot } from '../snapshot/catalogue.ts'
import type { Manifest } from '../snapshot/manifest-types.ts'
import { memoryStorage } from '../store/memory/index.ts'
import type { Storage } from '../store/contract.ts'

/** What the test puts into every kind of state, and what it then finds there. */
interface Held {
  value?: unknown
  list?: unknown
  map?: unknown
  reducing?: unknown
  aggregating?: unknown
  split?: unknown
  union?: unknown
  broadcast?: unknown
}

type Options = Omit<StateOptions, 'ttl'>

const RUNS = ['first', 'second', 'third'] as const
type Run = (typeof RUNS)[number]

/** Each run has the sources of those before it, whose records were read, and one of its own. */
function recordsOf(flow: Flow, at: Run, items: number[]): Stream<number> {
  const [first, ...more] = RUNS.slice(0, RUNS.indexOf(at) + 1).map(name => flow.source(name, collection(items)))
  return first.union(...more)
}

/** All kinds of state, described by `options`. The first run puts `put` everywhere; each one fills `held` with what it finds first. */
function job(records: Run, options: Options, put: unknown, held: Held, ttl?: '7d'): JobDefinition<any> {
  const all = { ...options, ...(ttl !== undefined && { ttl }) }
  return defineJob('kinds', flow => {
    const numbers = recordsOf(flow, records, [1])
    const keep = <T>(_old: T, next: T): T => next
    numbers
      .process('plain', {
        state: { split: list<unknown>(options), union: unionList<unknown>(options) },
        onRecord(n, ctx) {
          held.split ??= [...ctx.state.split.get()]
          held.union ??= [...ctx.state.union.get()]
          if (put !== undefined) for (const state of [ctx.state.split, ctx.state.union]) state.set([put])
          ctx.emit(n)
        },
      })
      .keyBy(() => 'k')
      .connect(numbers.broadcast())
      .process('keyed', {
        state: {
          value: value<unknown>(all),
          list: list<unknown>(all),
          map: map<string, unknown>(all),
          reducing: reducing<unknown>(keep, all),
          aggregating: aggregating(
            { create: () => undefined as unknown, add: (_a, record: unknown) => record, result: a => a },
            all,
          ),
        },
        broadcastState: { rules: broadcast<string, unknown>(options) },
        onRecord(_, { state, broadcastState }) {
          held.value ??= state.value.get() ?? null
          held.list ??= [...state.list.get()]
          held.map ??= [...state.map.entries()]
          held.reducing ??= state.reducing.get() ?? null
          held.aggregating ??= state.aggregating.get() ?? null
          held.broadcast ??= [...broadcastState.rules.entries()]
          if (put === undefined) return
          state.value.set(put)
          state.list.set([put])
          state.map.set('m', put)
          state.reducing.add(put)
          state.aggregating.add(put)
        },
        onBroadcast(_, { broadcastState }) {
          if (put !== undefined) broadcastState.rules.set('r', put)
        },
      })
      .sink('out', memory())
  })
}

async function go(storage: Storage, definition: JobDefinition<any>): Promise<Manifest> {
  const from = (await storage.job('kinds').list('manifests')).length === 0 ? {} : { from: 'latest' }
  const handle = await run(definition, { storage, ...from, checkpointing: { onFinish: 'retain' } })
  await handle.finished
  return findSnapshot(storage.job('kinds'), 'kinds', { kind: 'latest', job: undefined })
}

const everywhere = (found: unknown): Held => ({
  value: found,
  list: [found],
  map: [['m', found]],
  reducing: found,
  aggregating: found,
  split: [found],
  union: [found],
  broadcast: [['r', found]],
})

/** What is read by the second job of what the first one has put, and once more by a third that is described as the second. */
async function read(before: Options, put: unknown, after: Options, ttl?: '7d'): Promise<Held> {
  const storage = memoryStorage()
  await go(storage, job('first', before, put, {}, ttl))
  const held: Held = {}
  const manifest = await go(storage, job('second', after, undefined, held, ttl))
  assert.ok(manifest.segments.length > 0)
  const again: Held = {}
  await go(storage, job('third', { ...after, migrate: {} }, undefined, again, ttl))
  assert.deepEqual(again, held, 'the snapshot of the second job is one of its own form')
  return held
}

const vb = (schema: any): Schema<any> => toStandardJsonSchema(schema) as Schema<any>

const PAIRS: { readonly [library: string]: readonly [before: Schema<any>, after: Schema<any>] } = {
  zod: [
    z.object({ n: z.int(), s: z.string(), gone: z.boolean() }),
    z.object({ s: z.string().nullable(), unit: z.string().default('m'), n: z.number(), note: z.string().optional() }),
  ],
  arktype: [
    type({ n: 'number.integer', s: 'string', gone: 'boolean' }),
    type({ s: 'string|null', n: 'number', 'note?': 'string', unit: 'string|null' }),
  ],
  valibot: [
    vb(v.object({ n: v.pipe(v.number(), v.integer()), s: v.string(), gone: v.boolean() })),
    vb(v.object({ s: v.nullable(v.string()), n: v.number(), unit: v.optional(v.string(), 'm') })),
  ],
  'JSON Schema': [
    {
      type: 'object',
      properties: { n: { type: 'integer' }, s: { type: 'string' }, gone: { type: 'boolean' } },
      required: ['n', 's', 'gone'],
    },
    {
      type: 'object',
      properties: { s: { type: ['string', 'null'] }, n: { type: 'number' }, unit: { type: 'string', default: 'm' } },
      required: ['n', 's', 'unit'],
    },
  ],
}

for (const [library, [before, after]] of Object.entries(PAIRS)) {
  test(`state of every kind is read under another schema of ${library}`, async () => {
    const unit = library === 'arktype' ? null : 'm'
    const held = await read({ schema: before }, { n: 1, s: 'a', gone: true }, { schema: after })
    assert.deepEqual(held, everywhere({ n: 1, s: 'a', unit }))
  })
}

test('typed rows become values with a text, and values become rows', async () => {
  const rows = z.object({ n: z.int().min(0).max(255), gone: z.boolean() })
  const cells = z.object({ n: z.uint32(), label: z.string().default('new') })
  assert.deepEqual(
    await read({ schema: rows }, { n: 7, gone: true }, { schema: cells }),
    everywhere({ n: 7, label: 'new' }),
  )
  const wide = z.object({ n: z.number(), count: z.int32().default(3) })
  assert.deepEqual(
    await read({ schema: cells }, { n: 7, label: 'x' }, { schema: wide }),
    everywhere({ n: 7, count: 3 }),
  )
  assert.deepEqual(await read({ schema: rows }, { n: 7, gone: true }, { schema: wide }), everywhere({ n: 7, count: 3 }))
})

test('migrations are composed over the versions between, once, whatever the schemas say', async () => {
  const migrate = {
    1: (old: number) => ({ items: [old] }),
    2: (old: { items: number[] }) => ({ total: old.items.length }),
  }
  assert.deepEqual(await read({}, 41, { version: 3, migrate }), everywhere({ total: 1 }))
  assert.deepEqual(await read({ version: 2 }, { items: [1, 2] }, { version: 3, migrate }), everywhere({ total: 2 }))
  const schema = z.object({ total: z.uint32() })
  assert.deepEqual(
    await read({ schema: z.string() }, 'x', {
      version: 2,
      schema,
      migrate: { 1: (old: string) => ({ total: old.length }) },
    }),
    everywhere({ total: 1 }),
  )
})

test('state with a time to live evolves too', async () => {
  const migrate = { 1: (n: number) => n + 1 }
  const { value: found } = await read({}, 1, { version: 2, migrate }, '7d')
  assert.equal(found, 2)
})

async function refusal(before: Options, put: unknown, after: Options): Promise<any> {
  const storage = memoryStorage()
  await go(storage, job('first', before, put, {}))
  return go(storage, job('second', after, undefined, {})).then(
    () => assert.fail('it was not refused'),
    (error: unknown) => error,
  )
}

test('what is refused is named by operator, state and the path within its values', async () => {
  const cart = (id: z.ZodType) => z.object({ items: z.array(z.object({ id })) })
  const put = { items: [{ id: 'x' }] }
  const { code, message } = await refusal({ schema: cart(z.string()) }, put, { schema: cart(z.int()) })
  assert.equal(code, 'STATE_INCOMPATIBLE')
  assert.match(message, /state 'keyed\.value' \(items\[\]\.id was a string and is an integer now\)/)
  assert.match(message, /state 'plain\.union' \(items\[\]\.id/)
  assert.match(message, /state 'keyed\.rules' \(items\[\]\.id/)
})

test('a version without a migration, and one that the job does not know yet, are refused', async () => {
  const gap = await refusal({}, 1, { version: 3, migrate: { 2: (n: number) => n } })
  assert.match(gap.message, /it has version 1 and is version 3 now, without a migration from 1/)
  assert.match((await refusal({ version: 2 }, 1, {})).message, /it has version 2, and the job knows it up to version 1/)
})

test('values that had no schema are read if they fit the new one; one that does not is named by its key', async () => {
  const schema = z.object({ n: z.int(), s: z.string() })
  assert.deepEqual(await read({}, { n: 1, s: 'a' }, { schema }), everywhere({ n: 1, s: 'a' }))
  const { code, message } = await refusal({}, { n: 1, s: 2 }, { schema })
  assert.equal(code, 'STATE_INCOMPATIBLE')
  assert.match(
    message,
    /value of state '\w+' of 'keyed' under key "k" cannot be read: .* property 's': 2 is not a string/,
  )
})

test('a migration that throws, or makes what does not fit, stops the start and is named', async () => {
  const thrown = await refusal({}, 1, {
    version: 2,
    migrate: {
      1: () => {
        throw new Error('no such currency')
      },
    },
  })
  assert.match(thrown.message, /of 'keyed' under key "k" .*the migration from version 1 threw: no such currency/)
  const misfit = await refusal({}, 1, {
    version: 2,
    schema: z.object({ n: z.string() }),
    migrate: { 1: (n: number) => ({ n }) },
  })
  assert.match(misfit.message, /does not fit the state's schema: property 'n': 1 is not a string/)
})

function counting(key: (n: number) => any, schema: Schema<any> | undefined, records: Run): JobDefinition<any> {
  return defineJob('kinds', flow => {
    recordsOf(flow, records, [1, 2])
      .keyBy(key, schema === undefined ? {} : { schema })
      .process('counts', {
        state: { n: value<number>({ default: 0 }) },
        onRecord(_, ctx) {
          ctx.state.n.set(ctx.state.n.get() + 1)
        },
      })
      .sink('out', memory())
  })
}

test('keys of another type are refused where the job says what they are; a schema that lets more through is not', async () => {
  const storage = memoryStorage()
  await go(
    storage,
    counting(n => n, z.int(), 'first'),
  )
  await go(
    storage,
    counting(n => n, z.number(), 'second'),
  )
  await assert.rejects(go(storage, counting(String, z.string(), 'third')), {
    code: 'STATE_INCOMPATIBLE',
    message: /state 'counts\.n' \(its keys: the value was a number and is a string now\)/,
  })
  const pairs = (second: z.ZodType) => z.tuple([z.string(), second])
  const other = memoryStorage()
  await go(
    other,
    counting(n => ['a', n], pairs(z.int()), 'first'),
  )
  await assert.rejects(
    go(
      other,
      counting(n => ['a', String(n)], pairs(z.string()), 'second'),
    ),
    {
      message: /its keys: \[1\] was an integer and is a string now/,
    },
  )
})

test('keys that had no schema are checked against the one that the job has now', async () => {
  const storage = memoryStorage()
  await go(
    storage,
    counting(n => n, undefined, 'first'),
  )
  await assert.rejects(go(storage, counting(String, z.string(), 'second')), {
    code: 'STATE_INCOMPATIBLE',
    message: /the snapshot's key \d of 'counts' does not fit the schema of its keyBy: \d is not a string/,
  })
  await go(
    storage,
    counting(n => n, z.int(), 'second'),
  )
})
