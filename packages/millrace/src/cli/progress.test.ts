import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SlotProgress, SourceProgress } from '../checkpoint/mail.ts'
import { NO_PROGRESS } from '../host/slot-progress.ts'
import { ProgressMeter } from './progress.ts'

function progressOf(...sources: Partial<SourceProgress>[]): SlotProgress {
  const full = sources.map((source, i) => ({ source: `s${i}`, records: 0, fraction: undefined, ...source }))
  return { ...NO_PROGRESS, sources: full }
}

const checkpoint = {
  id: 42,
  trigger: 'interval',
  outcome: 'complete',
  startedAtMs: 1000,
  durationMs: 12,
  newBytes: 0,
  totalBytes: 0,
  alignmentMs: 0,
  error: undefined,
} as const

test('records are those of all sources, and the part done is their mean', () => {
  const meter = new ProgressMeter(0)
  meter.report(progressOf({ records: 1000, fraction: 0.5 }, { records: 234, fraction: 0.999 }), 0)
  assert.equal(meter.text(0), '1,234 records  0/s  74 %')
})

test('a source without an end leaves out the percentage', () => {
  const meter = new ProgressMeter(0)
  meter.report(progressOf({ fraction: 0.5 }, {}), 0)
  assert.equal(meter.fraction, undefined)
})

test('the rate is that of the last two seconds', () => {
  const meter = new ProgressMeter(0)
  for (let second = 0; second <= 10; second++)
    meter.report(progressOf({ records: second < 8 ? 0 : (second - 8) * 500 }), second * 1000)
  assert.equal(meter.recordsPerSecond, 500)
})

test('a restart from a snapshot forgets the rate and goes back to its records', () => {
  const meter = new ProgressMeter(0)
  meter.report(progressOf({ records: 0 }), 0)
  meter.report(progressOf({ records: 900 }), 1000)
  meter.restart(300)
  meter.report(progressOf({ records: 310 }), 1100)
  assert.equal(meter.text(1100), '310 records  0/s')
})

test('while a snapshot is loaded nothing else is told', () => {
  const meter = new ProgressMeter(0)
  const mib = 1024 ** 2
  const progress = { snapshot: 'chk-7', readBytes: 40 * mib, totalBytes: 401 * mib, bytesPerSecond: 20 * mib }
  meter.restoring = progress
  assert.equal(meter.text(0), 'loading chk-7: 40 MiB of 401 MiB  9 %  20 MiB/s')
  meter.restart(5)
  assert.equal(meter.text(0), '5 records  0/s')
})

test('the last checkpoint is shown with its age in whole seconds and its duration', () => {
  const meter = new ProgressMeter(7)
  meter.lastCheckpoint = checkpoint
  assert.equal(meter.text(1500), '7 records  0/s  chk-42 just now (took 12 ms)')
  assert.equal(meter.text(4999), '7 records  0/s  chk-42 3 s ago (took 12 ms)')
})
