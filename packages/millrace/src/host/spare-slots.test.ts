/** Slots that wait for the attempt that takes them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FromSlot } from '../checkpoint/mail.ts'
import { SpareSlots } from './spare-slots.ts'

const DIED: FromSlot = { type: 'source-ended', source: 'stands for any mail' }

function slots(ready = Promise.resolve()) {
  const made: { parallelism: number; closed: number; say(mail: FromSlot): void }[] = []
  const spare = new SpareSlots((parallelism, onMail) => {
    const group = { parallelism, closed: 0, say: (mail: FromSlot) => onMail(0, mail) }
    made.push(group)
    return Array.from({ length: parallelism }, () => ({
      ready,
      restore: async () => undefined,
      start: async () => undefined,
      send: () => undefined,
      close: async () => void group.closed++,
    }))
  })
  return { spare, made }
}

test('prepared slots are handed out once, to the attempt of their number', async () => {
  const { spare, made } = slots()
  await spare.prepare(2)
  assert.equal(spare.take(3, () => undefined).length, 3)
  assert.equal(spare.take(2, () => undefined).length, 2)
  assert.equal(spare.take(2, () => undefined).length, 2)
  assert.deepEqual(
    made.map(({ parallelism }) => parallelism),
    [2, 3, 2],
  )
})

test('what a slot said before it was taken is heard once it is, and what it says later at once', async () => {
  const { spare, made } = slots()
  await spare.prepare(1)
  made[0].say(DIED)
  const heard: FromSlot[] = []
  spare.take(1, (_slot, mail) => heard.push(mail))
  assert.deepEqual(heard, [])
  await Promise.resolve()
  assert.deepEqual(heard, [DIED])
  made[0].say(DIED)
  assert.equal(heard.length, 2)
})

test('slots that cannot be made ready are closed, and so are those that nobody takes', async () => {
  const failing = slots(Promise.reject(new Error('no such module')))
  await assert.rejects(failing.spare.prepare(2), /no such module/)
  assert.equal(failing.made[0].closed, 2)
  const unused = slots()
  await unused.spare.prepare(3)
  await unused.spare.discard()
  assert.equal(unused.made[0].closed, 3)
})

test('slots that were being made ready for another number are closed, and do not take the place of the newer ones', async () => {
  const { spare, made } = slots()
  const former = spare.prepare(3)
  await spare.prepare(2)
  await former
  assert.deepEqual(
    made.map(({ closed }) => closed),
    [3, 0],
  )
  spare.take(2, () => undefined)
  assert.equal(made.length, 2)
})
