/**
 * What a job is doing as metrics for Prometheus, made of its status when somebody asks. Nothing is counted here: a slot counts in plain
 * fields and reports them five times a second, so a scrape costs the job nothing.
 *
 * Counters of operators begin anew with each attempt, as at a restart of the process; Prometheus takes that for a reset. Whatever has
 * no value yet (a watermark before the first record, a snapshot before the first checkpoint) is left out.
 */
import { collectDefaultMetrics, type Metric, Registry } from 'prom-client'
import type { DistributionCounts } from '../base/distribution.ts'
import type { ByName, SlotTimes } from '../checkpoint/mail.ts'
import type { JobStatus } from '../host/index.ts'
import { sumProgress } from '../host/slot-progress.ts'

interface Sample {
  readonly labels: { readonly [label: string]: string | number }
  readonly value: number
  /** Where it is not that of the family: the parts of a histogram. */
  readonly metricName?: string
}

interface Family {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly values: readonly Sample[]
}

export class Metrics {
  private readonly process = new Registry()
  readonly contentType = this.process.contentType

  constructor() {
    collectDefaultMetrics({ register: this.process })
  }

  /** In the text format of Prometheus. */
  async text(status: JobStatus, nowMs: number): Promise<string> {
    const job = new Registry()
    job.setDefaultLabels({ job_name: status.job })
    for (const family of familiesOf(status, nowMs)) {
      // All that a registry asks of a metric; its own kinds count by themselves, which would be counting twice.
      if (family.values.length > 0) job.registerMetric({ ...family, get: async () => family } as unknown as Metric)
    }
    return `${await job.metrics()}\n${await this.process.metrics()}`
  }
}

function familiesOf(status: JobStatus, nowMs: number): Family[] {
  return [
    ...ofJob(status, nowMs),
    ...ofCheckpoints(status, nowMs),
    ...ofOperators(status, nowMs),
    ...ofChains(status),
    ...ofSlots(status),
  ]
}

function ofJob({ state, parallelism, startedAtMs, restarts }: JobStatus, nowMs: number): Family[] {
  return [
    gauge('millrace_job_state', 'What the job is doing: 1 for that state', [{ labels: { state }, value: 1 }]),
    gauge('millrace_job_parallelism', 'Slots that the job runs in', one(parallelism)),
    gauge('millrace_job_uptime_seconds', 'Since this process took the job', one(seconds(nowMs - startedAtMs))),
    counter('millrace_job_restarts_total', 'Attempts after the first, in this process', one(restarts)),
  ]
}

function ofCheckpoints({ checkpoints, lastCheckpoint, restorableAtMs }: JobStatus, nowMs: number): Family[] {
  const { outcomes, durations, alignments, newBytes } = checkpoints
  const complete = lastCheckpoint?.outcome === 'complete' ? lastCheckpoint : undefined
  const shared = complete && complete.totalBytes - complete.newBytes
  const failed = Object.entries(outcomes).filter(([outcome]) => outcome !== 'complete')
  return [
    counter('millrace_checkpoints_completed_total', 'Checkpoints that are complete', one(outcomes.complete ?? 0)),
    counter(
      'millrace_checkpoints_failed_total',
      'Checkpoints that failed, by reason: a slot declined, the timeout expired, the manifest could not be published',
      failed.map(([reason, value]) => ({ labels: { reason }, value })),
    ),
    histogram('millrace_checkpoint_duration_seconds', 'From the trigger until complete', {}, inSeconds(durations)),
    histogram(
      'millrace_checkpoint_alignment_seconds',
      'The longest that a slot read no source, waiting for the barrier on all its channels',
      {},
      inSeconds(alignments),
    ),
    counter('millrace_checkpoint_written_bytes_total', 'Written by complete checkpoints', one(newBytes)),
    gauge(
      'millrace_checkpoint_bytes',
      'Of the last checkpoint: what it wrote, what it shares with those before it, and both',
      labelled('part', { new: complete?.newBytes, shared, total: complete?.totalBytes }),
    ),
    gauge(
      'millrace_restorable_age_seconds',
      'Age of the newest snapshot that a restart would go on from',
      one(restorableAtMs && seconds(nowMs - restorableAtMs)),
    ),
  ]
}

function ofOperators({ slots }: JobStatus, nowMs: number): Family[] {
  const { sources, operators, stateEntries, counters, histograms } = sumProgress(slots)
  const watermarks = operators.filter(({ watermark = Infinity }) => Math.abs(watermark) < Number.MAX_VALUE)
  const watermark = (of: (timeMs: number) => number): Sample[] =>
    watermarks.map(each => ({ labels: { operator: each.operator }, value: of(each.watermark!) }))
  return [
    counter(
      'millrace_operator_records_in_total',
      'Records that named operators took',
      operators.map(({ operator, recordsIn: value }) => ({ labels: { operator }, value })),
    ),
    counter('millrace_operator_records_out_total', 'Records that sources and named operators sent on', [
      ...sources.map(({ source: operator, records: value }) => ({ labels: { operator }, value })),
      ...operators.map(({ operator, recordsOut: value }) => ({ labels: { operator }, value })),
    ]),
    gauge(
      'millrace_source_read_ratio',
      'How much of a bounded source was read, 0 to 1',
      sources.flatMap(({ source, fraction }) =>
        fraction === undefined ? [] : [{ labels: { source }, value: fraction }],
      ),
    ),
    gauge(
      'millrace_source_pending',
      'What is known to be unread',
      sources.flatMap(({ source, pending }) =>
        pending === undefined ? [] : [{ labels: { source, unit: pending.unit }, value: pending.count }],
      ),
    ),
    gauge(
      'millrace_operator_watermark_seconds',
      'Event time up to which the input is complete, of the subtask that is furthest behind',
      watermark(seconds),
    ),
    gauge(
      'millrace_operator_watermark_lag_seconds',
      'How far that is behind the clock',
      watermark(timeMs => seconds(nowMs - timeMs)),
    ),
    gauge('millrace_state_entries', 'Entries of keyed state', byName(stateEntries, 'state')),
    counter('millrace_operator_counter_total', 'What operators count themselves', byName(counters, 'name')),
    ...histogramsByName('millrace_operator_histogram', 'What operators measure themselves', histograms),
  ]
}

/** What is measured of a chain is said of each of its operators, so that nobody has to know the chains to find an operator. */
function ofChains({ slots }: JobStatus): Family[] {
  return [
    counter(
      'millrace_operator_seconds_total',
      'How the chain of an operator spent its time: busy, idle, or held for want of room in what it writes to',
      slots.flatMap(({ chains }, subtask) =>
        chains.flatMap(({ chain, operators, ...times }) =>
          operators.flatMap(operator => timeSamples({ operator, chain, subtask }, times)),
        ),
      ),
    ),
  ]
}

function ofSlots({ slots }: JobStatus): Family[] {
  return [
    counter(
      'millrace_slot_seconds_total',
      'How a slot spent its time: busy, idle, or asleep for want of room in what it writes to',
      slots.flatMap(({ times }, slot) => timeSamples({ slot }, times)),
    ),
    gauge(
      'millrace_slot_longest_step_seconds',
      'The longest step between the last two reports',
      slots.map(({ longestStepMs }, slot) => ({ labels: { slot }, value: seconds(longestStepMs) })),
    ),
    gauge(
      'millrace_operator_gauge',
      'What operators set themselves',
      slots.flatMap(({ gauges }, slot) =>
        byName(gauges, 'name').map(({ labels, value }) => ({ labels: { ...labels, slot }, value })),
      ),
    ),
  ]
}

// ------------------------------------------------------------------------------------------------------------- samples

function counter(name: string, help: string, values: readonly Sample[]): Family {
  return { name, type: 'counter', help, values }
}

function gauge(name: string, help: string, values: readonly Sample[]): Family {
  return { name, type: 'gauge', help, values }
}

function histogram(name: string, help: string, labels: Sample['labels'], counts: DistributionCounts): Family {
  return { name, type: 'histogram', help, values: histogramSamples(name, labels, counts) }
}

function histogramsByName(name: string, help: string, histograms: ByName<DistributionCounts>): Family[] {
  const values = Object.entries(histograms).flatMap(([operator, own]) =>
    Object.entries(own).flatMap(([of, counts]) => histogramSamples(name, { operator, name: of }, counts)),
  )
  return [{ name, type: 'histogram', help, values }]
}

/** Prometheus wants how many values were at most so large, so each bucket holds those before it. */
function histogramSamples(name: string, labels: Sample['labels'], { bounds, counts, sum }: DistributionCounts) {
  let below = 0
  const buckets = counts.map((count, index) => ({
    metricName: `${name}_bucket`,
    labels: { ...labels, le: bounds[index] ?? '+Inf' },
    value: (below += count),
  }))
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: below },
  ]
}

function one(value: number | undefined): Sample[] {
  return value === undefined ? [] : [{ labels: {}, value }]
}

function labelled(label: string, values: { readonly [value: string]: number | undefined }): Sample[] {
  return Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [{ labels: { [label]: name }, value }],
  )
}

function timeSamples(labels: Sample['labels'], { busyMs, idleMs, backpressuredMs }: SlotTimes): Sample[] {
  return Object.entries({ busy: busyMs, idle: idleMs, backpressured: backpressuredMs }).map(([state, ms]) => ({
    labels: { ...labels, state },
    value: seconds(ms),
  }))
}

function byName(values: ByName<number>, label: 'state' | 'name'): Sample[] {
  return Object.entries(values).flatMap(([operator, own]) =>
    Object.entries(own).map(([name, value]) => ({ labels: { operator, [label]: name }, value })),
  )
}

function seconds(ms: number): number {
  return ms / 1000
}

function inSeconds({ bounds, counts, sum }: DistributionCounts): DistributionCounts {
  return { bounds: bounds.map(seconds), counts, sum: seconds(sum) }
}
