import assert from 'node:assert/strict'
import { test } from 'node:test'
import { storeContract } from '../../testing/store-contract.ts'
import { memoryStorage } from './index.ts'

storeContract('MemoryStore', async () => memoryStorage().job('job'))

test('a memory storage lists the jobs that hold something and returns the same store again', async () => {
  const storage = memoryStorage()
  storage.job('empty')
  await storage.job('b').publish('x', new Uint8Array([1]))
  await storage.job('a').publish('x', new Uint8Array([2]))
  assert.deepEqual(await storage.jobs(), ['a', 'b'])
  assert.deepEqual(await storage.job('b').read('x'), new Uint8Array([1]))
})

test('the time of a change comes from the clock that was given', async () => {
  let now = 1000
  const store = memoryStorage({ now: () => now }).job('job')
  await store.publish('a', new Uint8Array())
  now = 2000
  await store.replace('b', new Uint8Array())
  assert.deepEqual(
    (await store.list('')).map(object => object.modifiedAtMs),
    [1000, 2000],
  )
})
