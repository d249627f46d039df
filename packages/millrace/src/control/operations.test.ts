import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError, MillraceError } from '../base/errors.ts'
import { MOST_KEPT, Operations } from './operations.ts'

const NOW = AbortSignal.abort()

test('what is asked for twice under one id happens once', async () => {
  const operations = new Operations()
  let acts = 0
  const act = async (): Promise<object> => ({ act: ++acts })
  const first = operations.start('checkpoint', { id: 'a' }, act)
  const again = operations.start('checkpoint', { id: 'a' }, act)
  assert.deepEqual([first, again?.state, acts], [again, 'running', 1])
  await operations.idle()
  assert.deepEqual(operations.start('checkpoint', { id: 'a' }, act), { ...first, state: 'done', result: { act: 1 } })
  assert.equal(acts, 1)
})

test('an id stands for one thing: another kind or another request under it is refused', () => {
  const operations = new Operations()
  const act = async (): Promise<void> => undefined
  const rescale = (parallelism: number): { id: string; parallelism: number } => ({ id: 'a', parallelism })
  operations.start('rescale', rescale(2), act)
  assert.equal(operations.start('rescale', rescale(2), act)?.state, 'running')
  for (const other of [
    () => operations.start('rescale', rescale(3), act),
    () => operations.start('stop', { id: 'a' }, act),
  ])
    assert.throws(other, error => isMillraceError(error, 'REQUEST_INVALID') && /another operation/.test(error.message))
})

test('without an id every request is one of its own', () => {
  const operations = new Operations()
  const act = async (): Promise<void> => undefined
  assert.notEqual(operations.start('stop', {}, act)?.id, operations.start('stop', {}, act)?.id)
})

test('a failure is an outcome that can be asked for, whatever was thrown', async () => {
  const operations = new Operations()
  const full = new MillraceError('CHECKPOINT_FAILED', 'no room', { hint: 'make room', context: { id: 7 } })
  operations.start('checkpoint', { id: 'a' }, async () => Promise.reject(full))
  operations.start('checkpoint', { id: 'b' }, async () => Promise.reject(new TypeError('oh')))
  await operations.idle()
  const [a, b] = [await operations.wait('a', NOW), await operations.wait('b', NOW)]
  assert.deepEqual(a.state === 'failed' && a.error, {
    code: 'CHECKPOINT_FAILED',
    message: 'no room',
    hint: 'make room',
    context: { id: 7 },
  })
  assert.deepEqual(b.state === 'failed' && b.error, { code: 'INTERNAL', message: 'oh', context: {} })
})

test('waiting ends with the operation, or when whoever waits has had enough, which ends nothing', async () => {
  const operations = new Operations()
  const { promise, resolve } = Promise.withResolvers<object>()
  operations.start('stop', { id: 'a' }, () => promise)
  const patience = new AbortController()
  const impatient = operations.wait('a', patience.signal)
  const patient = operations.wait('a', new AbortController().signal)
  patience.abort()
  assert.equal((await impatient).state, 'running')
  resolve({})
  assert.equal((await patient).state, 'done')
  await assert.rejects(operations.wait('b', NOW), error => isMillraceError(error, 'OPERATION_NOT_FOUND'))
})

test('the newest of those that ended are kept; with too many running nothing new is begun', async () => {
  const operations = new Operations()
  for (let i = 0; i < MOST_KEPT + 5; i++) {
    operations.start('checkpoint', { id: `${i}` }, async () => i)
    await operations.idle()
  }
  for (const gone of [0, 4]) await assert.rejects(operations.wait(`${gone}`, NOW))
  for (const kept of [5, MOST_KEPT + 4]) assert.equal((await operations.wait(`${kept}`, NOW)).state, 'done')

  const { promise, resolve } = Promise.withResolvers<object>()
  for (let i = 0; i < MOST_KEPT; i++) operations.start('stop', { id: `running-${i}` }, () => promise)
  assert.equal(
    operations.start('stop', { id: 'more' }, () => assert.fail('it was begun')),
    undefined,
  )
  resolve({})
  await operations.idle()
  assert.equal(operations.start('stop', { id: 'more' }, async () => ({}))?.state, 'running')
})
