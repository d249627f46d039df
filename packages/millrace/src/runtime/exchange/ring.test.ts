/** The ring between two threads, one page at a time and at full speed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { BODY_BYTES, IDLE, NO_BARRIER, ringBytes, RingReader, RingWriter } from './ring.ts'

const RING_PAGES = 8

function pair() {
  const place = { memory: new SharedArrayBuffer(ringBytes(RING_PAGES)), offset: 0, pages: RING_PAGES }
  const woken = { reader: 0, writer: 0 }
  return {
    woken,
    writer: new RingWriter(place, () => woken.reader++),
    reader: new RingReader(place, () => woken.writer++),
  }
}

function put(writer: RingWriter, byte: number, flags = 0): void {
  writer.bytes[writer.bodyOffset] = byte
  writer.publish(flags, 1, byte, NO_BARRIER)
}

test('pages arrive in order with what their headers say, round the ring again and again', () => {
  const { writer, reader } = pair()
  for (let n = 0; n < 5 * RING_PAGES; n++) {
    put(writer, n, n % 2 === 0 ? IDLE : 0)
    assert.equal(reader.hasPage(), true)
    assert.deepEqual(
      [reader.flags, reader.bodySize, reader.watermark, reader.barrier, reader.bytes[reader.bodyOffset]],
      [n % 2 === 0 ? IDLE : 0, 1, n, NO_BARRIER, n],
    )
    reader.take()
    assert.equal(reader.hasPage(), false)
  }
})

test('a full ring has no free page until one is taken', () => {
  const { writer, reader } = pair()
  for (let n = 0; n < RING_PAGES; n++) put(writer, n)
  assert.equal(writer.freePages, 0)
  reader.hasPage()
  reader.take()
  assert.equal(writer.freePages, 1)
})

test('each side is woken only when it may be waiting: the reader of an empty ring, the writer of a full one', () => {
  const { writer, reader, woken } = pair()
  for (let n = 0; n < RING_PAGES; n++) put(writer, n)
  assert.deepEqual(woken, { reader: 1, writer: 0 })
  for (let n = 0; n < RING_PAGES; n++) reader.take()
  assert.deepEqual(woken, { reader: 1, writer: 1 })
  put(writer, 0)
  assert.deepEqual(woken, { reader: 2, writer: 1 })
})

const PAGES = 20_000

/** Fills pages with a byte that follows from their number, and sleeps when the ring is full. */
const WRITER = `
import { workerData, parentPort } from 'node:worker_threads'
import { RingWriter, NO_BARRIER } from ${JSON.stringify(new URL('./ring.ts', import.meta.url).href)}
const bells = new Int32Array(workerData.bells)
const ring = (bell) => { Atomics.add(bells, bell, 1); Atomics.notify(bells, bell) }
const writer = new RingWriter(workerData.place, () => ring(0))
for (let n = 0; n < ${PAGES}; n++) {
  for (;;) {
    const seen = Atomics.load(bells, 1)
    if (writer.freePages > 0) break
    Atomics.wait(bells, 1, seen)
  }
  const size = 1 + (n * 7919) % ${BODY_BYTES}
  writer.bytes.fill(n & 0xff, writer.bodyOffset, writer.bodyOffset + size)
  writer.publish(0, size, n, n % 100 === 0 ? n : NO_BARRIER)
}
`

test('between two threads no page is lost, torn or doubled, and nobody sleeps for ever', async () => {
  const place = { memory: new SharedArrayBuffer(ringBytes(RING_PAGES)), offset: 0, pages: RING_PAGES }
  const bells = new SharedArrayBuffer(8)
  const bell = new Int32Array(bells)
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(WRITER)}`), {
    workerData: { place, bells },
  })
  const reader = new RingReader(place, () => {
    Atomics.add(bell, 1, 1)
    Atomics.notify(bell, 1)
  })
  for (let n = 0; n < PAGES; n++) {
    for (;;) {
      const seen = Atomics.load(bell, 0)
      if (reader.hasPage()) break
      const wait = Atomics.waitAsync(bell, 0, seen)
      if (wait.async) await wait.value
    }
    const size = 1 + ((n * 7919) % BODY_BYTES)
    assert.deepEqual([reader.bodySize, reader.watermark, reader.barrier], [size, n, n % 100 === 0 ? n : NO_BARRIER])
    const { bytes, bodyOffset } = reader
    assert.equal(bytes[bodyOffset], n & 0xff)
    assert.equal(bytes[bodyOffset + size - 1], n & 0xff)
    assert.equal(bytes[bodyOffset + (size >>> 1)], n & 0xff)
    reader.take()
  }
  await worker.terminate()
})
