import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { collection, defineJob, list, map, memory, run, type, value } from '../index.ts'
import { memoryStorage } from '../store/memory/index.ts'
import { migrateSnapshot } from './index.ts'

const storage = memoryStorage()
const shop = { storage, job: 'shop' }

test.before(async () => {
  const handle = await run(
    defineJob('shop', flow => {
      flow
        .source('numbers', collection([1, 2, 3]))
        .process('all', {
          emits: type<number>(),
          state: { seen: list<number>() },
          onRecord(n, ctx) {
            ctx.state.seen.add(n)
            ctx.emit(n)
          },
        })
        .keyBy(n => n % 2)
        .process('carts', {
          state: { cart: value<{ items: number[] }>(), prices: map<string, number>() },
          onRecord(n, { state }) {
            state.cart.set({ items: [...(state.cart.get()?.items ?? []), n] })
            state.prices.set(`p${n}`, n)
          },
        })
        .sink('out', memory())
    }),
    { storage, checkpointing: { onFinish: 'retain' } },
  )
  await handle.finished
})

test('every value of a state is given as it is and as the changed job would load it', async () => {
  const declaration = value({
    version: 2,
    migrate: { 1: (old: { items: number[] }) => ({ count: old.items.push(0) }) },
  })
  const carts = await migrateSnapshot({ ...shop, operator: 'carts', state: 'cart', declaration })
  assert.deepEqual(
    carts.toSorted((a, b) => Number(a.key) - Number(b.key)),
    [
      { key: 0, before: { items: [2] }, after: { count: 2 } },
      { key: 1, before: { items: [1, 3] }, after: { count: 3 } },
    ],
  )
  const seen = list({ version: 2, migrate: { 1: String } })
  assert.deepEqual(await migrateSnapshot({ ...shop, operator: 'all', state: 'seen', declaration: seen }), [
    { key: undefined, before: 1, after: '1' },
    { key: undefined, before: 2, after: '2' },
    { key: undefined, before: 3, after: '3' },
  ])
  const prices = await migrateSnapshot({ ...shop, operator: 'carts', state: 'prices', declaration: map() })
  assert.deepEqual(
    prices.map(({ after }) => after).sort((a, b) => Number(a) - Number(b)),
    [1, 2, 3],
  )
})

test('what the job would refuse is refused, with operator, state and key', async () => {
  const declaration = value({ schema: z.object({ items: z.array(z.string()) }) })
  await assert.rejects(migrateSnapshot({ ...shop, operator: 'carts', state: 'cart', declaration }), {
    code: 'STATE_INCOMPATIBLE',
    message: /state 'cart' of 'carts' under key \d cannot be read: .*items\[0\]': \d is not a string/,
  })
  await assert.rejects(migrateSnapshot({ ...shop, operator: 'carts', state: 'card', declaration }), /no state 'card'/)
})
