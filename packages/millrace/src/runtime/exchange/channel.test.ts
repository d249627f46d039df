/** A channel from end to end: what is written, in what order, and what waits. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RowReader, RowWriter } from '../../codec/index.ts'
import { ChannelReader } from './channel-reader.ts'
import { ChannelWriter } from './channel-writer.ts'
import { BODY_BYTES, ringBytes, RingReader, RingWriter } from './ring.ts'

const PAGES = 2
const ROWS = { hash: true, timestamp: true }

function channel() {
  const place = { memory: new SharedArrayBuffer(ringBytes(PAGES)), offset: 0, pages: PAGES }
  const heard: unknown[] = []
  const writer = new ChannelWriter(new RingWriter(place, () => undefined), new RowWriter(ROWS))
  const reader = new ChannelReader(new RingReader(place, () => undefined), new RowReader(ROWS), {
    records: (rows, count) => {
      for (let i = 0; i < count; i++) heard.push([rows.next(), rows.hash, rows.timestamp])
    },
    watermark: time => heard.push(time),
    idle: isIdle => heard.push(isIdle ? 'idle' : 'active'),
  })
  return { writer, reader, heard }
}

/** Everything that can be read, the writer sending what waits in between. */
function readAll({ writer, reader }: ReturnType<typeof channel>): void {
  for (;;) {
    writer.sendOverdraft()
    if (!reader.read()) return
  }
}

test('records come first, then the watermark that was set behind them', () => {
  const ends = channel()
  ends.writer.add('a', 7, 1)
  ends.writer.setWatermark(5)
  ends.writer.add('b', -8, 6)
  ends.writer.flush()
  readAll(ends)
  assert.deepEqual(ends.heard, [['a', 7, 1], ['b', -8, 6], 5])
})

test('nothing is sent when there is nothing new to say', () => {
  const ends = channel()
  ends.writer.setWatermark(5)
  ends.writer.flush()
  ends.writer.flush()
  assert.equal(ends.reader.read(), true)
  assert.equal(ends.reader.read(), false)
})

test('a channel is idle only when all it had to say was heard, and active before it says more', () => {
  const ends = channel()
  ends.writer.add('a', 0, 1)
  ends.writer.setWatermark(1)
  ends.writer.setIdle(true)
  ends.writer.setIdle(false)
  ends.writer.add('b', 0, 2)
  ends.writer.setWatermark(2)
  ends.writer.setIdle(true)
  ends.writer.flush()
  readAll(ends)
  assert.deepEqual(ends.heard, [['a', 0, 1], 1, 'idle', 'active', ['b', 0, 2], 2, 'idle'])
})

test('what is behind a barrier is not read before it is released', () => {
  const ends = channel()
  ends.writer.add('before', 0, 0)
  ends.writer.writeBarrier(7)
  ends.writer.add('behind', 0, 0)
  ends.writer.flush()
  readAll(ends)
  assert.deepEqual(ends.heard, [['before', 0, 0]])
  assert.equal(ends.reader.barrier, 7)
  ends.reader.release(6)
  readAll(ends)
  assert.equal(ends.heard.length, 1, 'the barrier of another checkpoint is released, not this one')
  ends.reader.release(7)
  readAll(ends)
  assert.deepEqual(ends.heard.at(-1), ['behind', 0, 0])
})

test('records above a page, and more of them than the ring holds, arrive whole and in order', () => {
  const ends = channel()
  const large = Array.from({ length: 5 }, (_, n) => String(n).repeat(BODY_BYTES * (n + 1)))
  for (const text of large) ends.writer.add(text, 0, 0)
  ends.writer.writeBarrier(1)
  readAll(ends)
  assert.deepEqual(
    ends.heard.map(record => (record as [string])[0]),
    large,
  )
  assert.equal(ends.reader.barrier, 1)
})

test('a reader that is slow stops the writer: there is room for no more than the ring, and for what one step overruns it by', () => {
  const ends = channel()
  let written = 0
  while (ends.writer.hasRoom()) ends.writer.add(`record ${written++}`, written, written)
  const sizeOfRing = PAGES * BODY_BYTES
  assert.ok(written * 10 < sizeOfRing * 2, `${written} records went into ${sizeOfRing} bytes`)
  for (let i = 0; i < 10_000; i++) ends.writer.add(`overrun ${i}`, i, i)
  assert.equal(ends.writer.hasRoom(), false)
  ends.reader.read()
  ends.writer.sendOverdraft()
  assert.equal(ends.writer.hasRoom(), false, 'what overran goes first')
  ends.writer.flush()
  readAll(ends)
  assert.equal(ends.heard.length, written + 10_000)
  assert.equal(ends.writer.hasRoom(), true)
})

test('a record that cannot be carried is refused, and those before and after it arrive', () => {
  const ends = channel()
  ends.writer.add(1, 0, 0)
  assert.throws(() => ends.writer.add({ fn: () => 1 }, 0, 0), { code: 'VALUE_UNSUPPORTED' })
  ends.writer.add(2, 0, 0)
  ends.writer.flush()
  readAll(ends)
  assert.deepEqual(
    ends.heard.map(record => (record as [number])[0]),
    [1, 2],
  )
})
