/** Metrics as Prometheus reads them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SlotProgress } from '../checkpoint/mail.ts'
import { NO_PROGRESS } from '../host/slot-progress.ts'
import { FakeJob } from './fake-job.ts'
import { Metrics } from './metrics.ts'

/** Lines of one family, without the label that all have. */
async function lines(job: FakeJob, family: string, change: object = {}): Promise<string[]> {
  const text = await new Metrics().text({ ...job.status(), ...change }, 61_000)
  return text
    .split('\n')
    .filter(line => line.startsWith(family))
    .map(line => line.replace(/,?job_name="shop"/, '').replace('{}', ''))
}

function slotOf(progress: Partial<SlotProgress>): SlotProgress {
  return { ...NO_PROGRESS, ...progress }
}

test('the job, and the process that runs it', async () => {
  const text = await new Metrics().text(new FakeJob('shop').status(), 61_000)
  assert.match(text, /^# TYPE millrace_job_restarts_total counter\nmillrace_job_restarts_total\{job_name="shop"\} 1$/m)
  assert.match(text, /^millrace_job_uptime_seconds\{job_name="shop"\} 60$/m)
  assert.match(text, /^millrace_job_state\{state="running",job_name="shop"\} 1$/m)
  assert.match(text, /^process_resident_memory_bytes \d+$/m)
})

test('every family has a help and a type, and is there once', async () => {
  const text = await new Metrics().text(new FakeJob('shop').status(), 0)
  const names = [...text.matchAll(/^# TYPE (\S+) (?:counter|gauge|histogram|summary)$/gm)].map(([, name]) => name)
  assert.ok(names.length > 20)
  assert.equal(new Set(names).size, names.length)
  assert.deepEqual(
    [...text.matchAll(/^# HELP (\S+) \S/gm)].map(([, name]) => name),
    names,
  )
})

test('checkpoints: how long, how large, how many failed and why, and how old what a restart would get', async () => {
  const job = new FakeJob('shop')
  const outcome = {
    id: 4,
    trigger: 'interval',
    outcome: 'complete',
    startedAtMs: 0,
    durationMs: 90,
    newBytes: 10,
    totalBytes: 110,
    alignmentMs: 3,
    error: undefined,
  } as const
  job.checkpoints.add(outcome)
  job.checkpoints.add({ ...outcome, durationMs: 400_000, newBytes: 5 })
  job.checkpoints.add({ ...outcome, outcome: 'expired' })
  const seen = (family: string) => lines(job, family, { lastCheckpoint: outcome, restorableAtMs: 56_000 })
  const durations = await seen('millrace_checkpoint_duration_seconds')
  assert.ok(durations.includes('millrace_checkpoint_duration_seconds_bucket{le="0.05"} 0'))
  assert.ok(durations.includes('millrace_checkpoint_duration_seconds_bucket{le="0.1"} 1'))
  assert.ok(durations.includes('millrace_checkpoint_duration_seconds_bucket{le="300"} 1'))
  assert.deepEqual(durations.slice(-3), [
    'millrace_checkpoint_duration_seconds_bucket{le="+Inf"} 2',
    'millrace_checkpoint_duration_seconds_sum 400.09',
    'millrace_checkpoint_duration_seconds_count 2',
  ])
  assert.deepEqual(await seen('millrace_checkpoints_'), [
    'millrace_checkpoints_completed_total 2',
    'millrace_checkpoints_failed_total{reason="expired"} 1',
  ])
  assert.deepEqual(await seen('millrace_checkpoint_written_bytes_total'), [
    'millrace_checkpoint_written_bytes_total 15',
  ])
  assert.deepEqual(await seen('millrace_checkpoint_bytes'), [
    'millrace_checkpoint_bytes{part="new"} 10',
    'millrace_checkpoint_bytes{part="shared"} 100',
    'millrace_checkpoint_bytes{part="total"} 110',
  ])
  assert.deepEqual(await seen('millrace_restorable_age_seconds'), ['millrace_restorable_age_seconds 5'])
})

test('operators: records add up over slots, the watermark is that of the slowest, and what is not known is left out', async () => {
  const job = new FakeJob('shop')
  const reading = { operator: 'counts', recordsIn: 5, recordsOut: 2, watermark: 1000 }
  job.slots = [
    slotOf({
      operators: [reading, { ...reading, operator: 'out', watermark: Infinity }],
      sources: [{ source: 'in', records: 6, fraction: 0.5, pending: { count: 30, unit: 'bytes' } }],
      stateEntries: { counts: { total: 3 } },
    }),
    slotOf({
      operators: [{ ...reading, recordsIn: 1, watermark: 31_000 }],
      sources: [{ source: 'in', records: 1, fraction: 1 }],
      stateEntries: { counts: { total: 4 } },
    }),
  ]
  assert.deepEqual(await lines(job, 'millrace_operator_records'), [
    'millrace_operator_records_in_total{operator="counts"} 6',
    'millrace_operator_records_in_total{operator="out"} 5',
    'millrace_operator_records_out_total{operator="in"} 7',
    'millrace_operator_records_out_total{operator="counts"} 4',
    'millrace_operator_records_out_total{operator="out"} 2',
  ])
  assert.deepEqual(await lines(job, 'millrace_operator_watermark'), [
    'millrace_operator_watermark_seconds{operator="counts"} 1',
    'millrace_operator_watermark_lag_seconds{operator="counts"} 60',
  ])
  assert.deepEqual(await lines(job, 'millrace_source'), [
    'millrace_source_read_ratio{source="in"} 0.75',
    'millrace_source_pending{source="in",unit="bytes"} 30',
  ])
  assert.deepEqual(await lines(job, 'millrace_state'), ['millrace_state_entries{operator="counts",state="total"} 7'])
})

test('chains: how each spends its time in each slot, said of all its operators', async () => {
  const job = new FakeJob('shop')
  const chain = { chain: 'in', operators: ['in', 'parse'], busyMs: 1500, idleMs: 20, backpressuredMs: 300 }
  job.slots = [
    slotOf({ chains: [chain] }),
    slotOf({ chains: [{ ...chain, operators: ['in'], busyMs: 0, backpressuredMs: 0 }] }),
  ]
  assert.deepEqual(await lines(job, 'millrace_operator_seconds_total'), [
    'millrace_operator_seconds_total{operator="in",chain="in",subtask="0",state="busy"} 1.5',
    'millrace_operator_seconds_total{operator="in",chain="in",subtask="0",state="idle"} 0.02',
    'millrace_operator_seconds_total{operator="in",chain="in",subtask="0",state="backpressured"} 0.3',
    'millrace_operator_seconds_total{operator="parse",chain="in",subtask="0",state="busy"} 1.5',
    'millrace_operator_seconds_total{operator="parse",chain="in",subtask="0",state="idle"} 0.02',
    'millrace_operator_seconds_total{operator="parse",chain="in",subtask="0",state="backpressured"} 0.3',
    'millrace_operator_seconds_total{operator="in",chain="in",subtask="1",state="busy"} 0',
    'millrace_operator_seconds_total{operator="in",chain="in",subtask="1",state="idle"} 0.02',
    'millrace_operator_seconds_total{operator="in",chain="in",subtask="1",state="backpressured"} 0',
  ])
})

test('slots: how each spends its time', async () => {
  const job = new FakeJob('shop')
  job.slots = [slotOf({ times: { busyMs: 1500, idleMs: 20, backpressuredMs: 300 } })]
  assert.deepEqual(await lines(job, 'millrace_slot_seconds_total'), [
    'millrace_slot_seconds_total{slot="0",state="busy"} 1.5',
    'millrace_slot_seconds_total{slot="0",state="idle"} 0.02',
    'millrace_slot_seconds_total{slot="0",state="backpressured"} 0.3',
  ])
})

test("a user's counters and histograms add up over slots, gauges do not, and any name will do", async () => {
  const job = new FakeJob('shop')
  const own = (n: number) =>
    slotOf({
      counters: { counts: { 'too "late"': n } },
      gauges: { counts: { open: n } },
      histograms: { counts: { total: { bounds: [10], counts: [n, 1], sum: 20 } } },
    })
  job.slots = [own(1), own(2)]
  assert.deepEqual(await lines(job, 'millrace_operator_'), [
    'millrace_operator_counter_total{operator="counts",name="too \\"late\\""} 3',
    'millrace_operator_histogram_bucket{operator="counts",name="total",le="10"} 3',
    'millrace_operator_histogram_bucket{operator="counts",name="total",le="+Inf"} 5',
    'millrace_operator_histogram_sum{operator="counts",name="total"} 40',
    'millrace_operator_histogram_count{operator="counts",name="total"} 5',
    'millrace_operator_gauge{operator="counts",name="open",slot="0"} 1',
    'millrace_operator_gauge{operator="counts",name="open",slot="1"} 2',
  ])
})
