/** The benchmarks at smoke size: they run, and what they compute is right. Times are never asserted. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fnv, random, RowSum } from './arithmetic.ts'
import { benchChain } from './chain.ts'
import { benchCodec } from './codec.ts'
import { benchNexmark, QUERIES } from './nexmark/index.ts'
import { benchRows } from './rows.ts'
import { benchState } from './state/index.ts'
import { benchW1 } from './w1/index.ts'
import { ensureText } from './w1/text.ts'

test('W1 at smoke size: Millrace and a plain script count the same words', t => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const text = ensureText(join(dir, 'text'), 300_000)
  assert.deepEqual(ensureText(join(dir, 'text'), 300_000), text)
  const result = benchW1(text, 1, 20)
  assert.equal(result.tokens, 36_520)
  assert.equal(result.checksum, result.plainChecksum)
  assert.match(result.checksum, /^[0-9a-f]{16}-\d+$/)
})

/** Of 100,000 events, computed by a plain script that shares nothing with these jobs. */
const CHECKSUMS: { readonly [query: string]: string } = {
  q1: '827d06681be4a2dd-92000',
  q2: '8f2e6d8384aa72e5-370',
  q3: '8287fd95213ea7e2-532',
  q5: '2ac6fda72e623bbf-9',
  q7: '5d3cf773dec677dc-1',
  q8: '67332867bde80d06-936',
  q11: '2e3f61aac8e9be72-1923',
}

for (const query of Object.keys(QUERIES)) {
  test(`Nexmark ${query} at smoke size gives the checksum that a plain script gives`, () => {
    const result = benchNexmark(query, 100_000, 50)
    assert.equal(result.checksum, CHECKSUMS[query])
    assert.ok(result.checkpoints > 0)
  })
}

test('the chain benchmark measures all three ways', async () => {
  const result = await benchChain(20_480)
  assert.ok(result.privateNs > 0 && result.sharedNs > 0 && result.loopNs > 0)
})

test('the codec benchmark measures values, keys and key groups', () => {
  assert.ok(Object.values(benchCodec(1)).every(ns => ns > 0))
})

test('the benchmark of rows measures every kind of record', () => {
  for (const { encodeNs, decodeNs, sizeBytes } of Object.values(benchRows(1)))
    assert.ok(encodeNs >= 0 && decodeNs >= 0 && sizeBytes > 16)
})

test('the state benchmark kills a process and sees the restored one go on', async () => {
  const result = await benchState(2000, 1_000_000, 1, 20)
  assert.equal(result.with.length, 1)
  assert.ok(result.with[0].checkpoints > 1)
  assert.ok(result.restartToFirstRowMs[0] > 0 && result.restoreMs[0] >= 0)
})

test('the checksum does not depend on the order of rows, but on every row', () => {
  const sum = (rows: number[][]) => {
    const all = new RowSum()
    for (const row of rows) all.add(...row)
    return String(all)
  }
  assert.equal(
    sum([
      [1, 2],
      [3, 4],
    ]),
    sum([
      [3, 4],
      [1, 2],
    ]),
  )
  assert.notEqual(sum([[1, 2]]), sum([[2, 1]]))
  assert.equal(fnv('abc'), 0x1a47e90b | 0)
  assert.ok(random(1, 2) !== random(2, 1))
})
