import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError, type ErrorCode } from '../base/errors.ts'
import { memoryStorage } from '../store/memory/index.ts'
import { FaultyStorage, FaultyStore } from './faulty-store.ts'
import { storeContract } from './store-contract.ts'

const failsWith = (code: ErrorCode) => (error: unknown) => isMillraceError(error, code)
const bytes = new Uint8Array([1, 2, 3, 4])
const makeStore = (): FaultyStore => new FaultyStorage(memoryStorage()).job('job')

storeContract('FaultyStore without faults', async () => makeStore())

test('the n-th call of an operation fails once, with the error of the disk', async () => {
  const store = makeStore()
  store.fail('publish', { call: 2, error: 'ENOSPC', nameIncludes: 'manifests/' })
  await store.publish('manifests/a', bytes)
  await store.publish('runs/b', bytes)
  const error: unknown = await store.publish('manifests/b', bytes).catch((e: unknown) => e)
  assert.ok(isMillraceError(error, 'STORE_FAILED') && error.message.includes('ENOSPC'))
  assert.equal(await store.size('manifests/b'), undefined)
  assert.equal(await store.publish('manifests/b', bytes), 'created')
})

test('a full disk fails all writes until it heals; reads and removals go on', async () => {
  const store = makeStore()
  await store.publish('a', bytes)
  const writer = await store.create('b')
  store.failWrites('ENOSPC')
  for (const call of [
    () => store.publish('c', bytes),
    () => store.replace('a', bytes),
    () => store.append('l', bytes),
    () => store.create('d'),
    () => writer.write(bytes),
    () => writer.finish(),
  ]) {
    await assert.rejects(call, failsWith('STORE_FAILED'))
  }
  assert.deepEqual(await store.read('a'), bytes)
  await store.remove('a')
  store.heal()
  assert.equal(await store.publish('a', bytes), 'created')
})

test('a read-only disk does not remove either', async () => {
  const store = makeStore()
  await store.publish('a', bytes)
  store.failWrites('EROFS')
  await assert.rejects(store.remove('a'), failsWith('STORE_FAILED'))
})

test('a torn write leaves half of the bytes', async () => {
  const store = makeStore()
  store.tear('append')
  await assert.rejects(store.append('log', bytes), failsWith('STORE_FAILED'))
  assert.equal(await store.size('log'), 2)
  store.tear('write')
  const writer = await store.create('a')
  await assert.rejects(writer.write(bytes), failsWith('STORE_FAILED'))
  await writer.finish()
  assert.equal(await store.size('a'), 2)
  store.tear('publish')
  await assert.rejects(store.publish('b', bytes), failsWith('STORE_FAILED'))
  assert.equal(await store.size('b'), undefined)
})

test('a publish whose reply is lost has happened', async () => {
  const store = makeStore()
  store.losePublishReply()
  await assert.rejects(store.publish('a', bytes), failsWith('STORE_FAILED'))
  assert.equal(await store.publish('a', bytes), 'exists')
  assert.deepEqual(store.calls, ['publish a', 'publish a'])
})

test('a poisoned store takes no writes', async () => {
  const store = makeStore()
  store.poison()
  await assert.rejects(store.publish('a', bytes), failsWith('STORE_POISONED'))
  assert.deepEqual(await store.list(''), [])
})
