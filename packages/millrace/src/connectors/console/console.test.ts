import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { isMillraceError } from '../../base/errors.ts'
import { restoredFrom, SinkDriver } from '../../testing/connector-context.ts'
import { sinkContract } from '../../testing/sink-contract.ts'
import { console, consoleTo, type ConsoleOptions } from './console.ts'

/** A terminal that takes its time: each write is taken when `take` is called. */
class SlowStream extends Writable {
  text = ''
  private pending: (() => void)[] = []

  constructor() {
    super({ highWaterMark: 16, decodeStrings: false })
  }

  override _write(chunk: string, _encoding: string, callback: () => void): void {
    this.pending.push(() => {
      this.text += chunk
      callback()
    })
  }

  takeAll(): void {
    for (let take = this.pending.shift(); take !== undefined; take = this.pending.shift()) take()
  }
}

class FastStream extends Writable {
  text = ''

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.text += String(chunk)
    callback()
  }
}

sinkContract('console', {
  make: () => {
    const stream = new FastStream()
    return { make: () => consoleTo(stream), visible: () => stream.text.split('\n').slice(0, -1) }
  },
  record: i => `row ${i}`,
  guarantee: 'at-least-once',
})

async function printed(options: ConsoleOptions, ...records: unknown[]): Promise<string> {
  const stream = new FastStream()
  const writer = await consoleTo(stream, options).open(new SinkDriver().context(), restoredFrom('0a1b2c3d', undefined))
  for (const record of records) writer.write(record, 0)
  await writer.close()
  return stream.text
}

test('records are printed at once: strings as they are, others as console.log shows them or as JSON', async () => {
  assert.equal(await printed({}, 'text', { a: [1, 2n] }, null), 'text\n{ a: [ 1, 2n ] }\nnull\n')
  assert.equal(await printed({ format: 'json' }, 'text', { a: [1] }, undefined), '"text"\n{"a":[1]}\nundefined\n')
})

test('a checkpoint waits until everything before it is printed, and a full stream holds the slot back', async () => {
  const stream = new SlowStream()
  let wakes = 0
  const writer = await consoleTo(stream).open(
    new SinkDriver().context({ wake: () => wakes++ }),
    restoredFrom('0a1b2c3d', undefined),
  )
  assert.equal(writer.writable!(), true)
  writer.write('a line of some length', 0)
  assert.equal(writer.writable!(), false)
  let prepared = false
  const preparing = writer.prepareCommit(1, false).then(() => (prepared = true))
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(prepared, false)
  stream.takeAll()
  await new Promise(resolve => setImmediate(resolve))
  stream.takeAll()
  await preparing
  assert.equal(stream.text, 'a line of some length\n')
  assert.equal(writer.writable!(), true)
  assert.ok(wakes > 0)
  await writer.close()
})

test('a stream that breaks is SINK_FAILED', async () => {
  const stream = new FastStream()
  const writer = await consoleTo(stream).open(new SinkDriver().context(), restoredFrom('0a1b2c3d', undefined))
  stream.destroy(new Error('EPIPE: broken pipe'))
  await new Promise(resolve => setImmediate(resolve))
  assert.throws(
    () => writer.write('x', 0),
    error => isMillraceError(error, 'SINK_FAILED') && error.message.includes('EPIPE'),
  )
  await assert.rejects(writer.prepareCommit(1, false), error => isMillraceError(error, 'SINK_FAILED'))
  await writer.close()
})

test('an unknown format is refused', () => {
  assert.throws(
    () => console({ format: 'xml' as 'json' }),
    error => isMillraceError(error, 'OPTION_INVALID'),
  )
})
