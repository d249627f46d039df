/** State with a schema in whole jobs: what manifests say of it, and what becomes of it when the job's schema is another one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { defineJob, generator, memory, run, type, value, type JobDefinition, type Schema } from '../index.ts'
import { readManifest } from '../snapshot/manifest.ts'
import { memoryStorage } from '../store/memory/index.ts'

interface Total {
  readonly count: number
  readonly sum: number
}

interface Row extends Total {
  readonly key: number
}

const COUNTED = z.object({ count: z.uint32(), sum: z.number() })
const RECORDED = {
  type: 'object',
  properties: {
    count: { type: 'integer', minimum: 0, maximum: 4294967295 },
    sum: { type: 'number' },
  },
  required: ['count', 'sum'],
  additionalProperties: false,
}

function job(schema?: Schema<Total>): JobDefinition<any> {
  return defineJob('totals', flow => {
    flow
      .source('numbers', generator({ rate: 2000, next: i => i }))
      .keyBy(i => i % 100)
      .process('total', {
        emits: type<Row>(),
        state: { total: value<Total>(schema === undefined ? {} : { schema }) },
        onRecord(i, ctx) {
          const { count, sum } = ctx.state.total.get() ?? { count: 0, sum: 0 }
          const total = { count: count + 1, sum: sum + i / 2 }
          ctx.state.total.set(total)
          ctx.emit({ key: ctx.key, ...total })
        },
      })
      .sink('out', memory())
  })
}

test('a schema may come, change and go with the job; what does not fit it is refused, and what was there stays', async () => {
  const storage = memoryStorage()
  const store = storage.job('totals')
  const counts = new Map<number, number>()

  /**
   * Runs until some checkpoints were taken, so that segments of before and after are merged; checks the rows; the recorded schema.
   * `isMixed`: whether those may stand in one list.
   */
  const go = async (schema?: Schema<Total>, isMixed = false) => {
    const before = (await manifests()).at(-1)?.id ?? 0
    const enough = Promise.withResolvers<void>()
    let complete = 0
    const handle = await run(job(schema), {
      storage,
      checkpointing: { interval: 5 },
      onEvent: event => {
        if (event.type === 'checkpoint' && ++complete === 8) enough.resolve()
      },
    })
    await Promise.race([enough.promise, handle.finished])
    await handle.stop()
    assert.equal(await handle.finished, 'stopped')
    for (const { key, count, sum } of handle.rows('out') as Row[]) {
      // A run hands out again what the one before it had committed last.
      if (count > (counts.get(key) ?? 0)) assert.equal(count, (counts.get(key) ?? 0) + 1)
      assert.equal(sum, (count * key) / 2 + 25 * count * (count - 1))
      counts.set(key, Math.max(count, counts.get(key) ?? 0))
    }
    const after = (await manifests()).filter(({ id }) => id > before)
    assert.ok(after.length > 0)
    for (const { segments } of after) {
      assert.ok(segments.length <= 20, `segments of all schemas are merged, ${segments.length} are left`)
      if (!isMixed)
        assert.ok(
          segments.every(({ checkpoint }) => checkpoint > before),
          'rows of two layouts do not mix',
        )
    }
    return after.at(-1)!.operators.find(({ name }) => name === 'total')!.states[0].schema
  }
  const manifests = async () => {
    const names = (await store.list('manifests')).map(({ name }) => name).sort()
    return Promise.all(names.map(name => readManifest(store, 'totals', `manifests/${name}`)))
  }

  assert.equal(await go(), null)
  assert.deepEqual(await go(COUNTED, true), RECORDED)
  const narrow = z.object({ count: z.uint32(), sum: z.number().max(1) })
  await assert.rejects(run(job(narrow), { storage }), {
    code: 'STATE_INCOMPATIBLE',
    message: /state 'total\.total' \(sum its most was unlimited and is 1 now\)/,
  })
  const wide = z.object({ sum: z.number(), count: z.int() })
  assert.deepEqual(((await go(wide)) as any).properties.count.minimum, Number.MIN_SAFE_INTEGER)
  const noted = z.object({ count: z.number(), sum: z.number(), note: z.string().optional() })
  assert.deepEqual(((await go(noted as Schema<Total>)) as any).required, ['count', 'sum'])
  await assert.rejects(run(job(COUNTED), { storage }), {
    message: /count was a number and is an integer now/,
  })
  assert.equal(await go(undefined, true), null)
  await assert.rejects(run(job(narrow), { storage }), {
    code: 'STATE_INCOMPATIBLE',
    message: /state 'total' of 'total' under key \d+ .*property 'sum' is /,
  })
  const bounded = z.object({ sum: z.number().min(0), count: z.uint32() })
  assert.notDeepEqual(await go(bounded, true), RECORDED)
  assert.equal(counts.size, 100)
})

test('a value that does not fit stops the job and names operator, state, property, key and record', async () => {
  const handle = await run(
    defineJob('misfit', flow => {
      flow
        .source('numbers', generator({ count: 10, next: i => i }))
        .keyBy(i => i % 2)
        .process('half', {
          state: { half: value({ schema: z.int32() }) },
          onRecord(i, ctx) {
            ctx.state.half.set(i / 2)
          },
        })
        .sink('out', memory())
    }),
    { restart: { initialDelay: 1, maxDelay: 1 } },
  )
  await assert.rejects(handle.finished, {
    message:
      /operator 'half': the value set in state 'half' does not fit its schema: 0\.5 is not an integer.*key 1, record 1/,
  })
})
