/** Shows a run while it goes on: messages and a progress line on standard error, or with --json events on standard output. */
import type { SlotProgress } from '../checkpoint/mail.ts'
import { DISCARDED } from '../host/dry-run.ts'
import type { JobEvent, JobOutcome } from '../host/events.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import { paint, warningText, type OutputOptions } from './output.ts'
import { ProgressMeter } from './progress.ts'
import {
  checkpointJson,
  endedJson,
  progressJson,
  restartingJson,
  restoringJson,
  savepointJson,
  startedJson,
} from './run-json.ts'
import {
  checkpointLine,
  endedLine,
  recordsOf,
  restartingLine,
  savepointLine,
  startedLines,
  type RunSummary,
} from './run-report.ts'
import { StatusLine } from './status-line.ts'

const REDRAW_EVERY_MS = 200
const JSON_PROGRESS_EVERY_MS = 1000

export interface RunDisplayOptions extends OutputOptions {
  readonly job: string
  /** The snapshot was named with --from. */
  readonly isFrom: boolean
  readonly isDryRun: boolean
}

export class RunDisplay {
  private readonly options: RunDisplayOptions
  private readonly startedAtMs = Date.now()
  private readonly meter = new ProgressMeter(0)
  private readonly line = new StatusLine()
  private redrawing: NodeJS.Timeout | undefined
  private starts = 0
  private recordsAtStart = 0
  private checkpoints = 0
  private snapshot: string | undefined
  private discarded = 0
  private jsonProgressDueMs = 0

  constructor(options: RunDisplayOptions) {
    this.options = options
  }

  receive(event: JobEvent): void {
    const nowMs = Date.now()
    switch (event.type) {
      case 'started':
        return this.started(event, nowMs)
      case 'checkpoint':
        return this.checkpoint(event)
      case 'savepoint':
        return this.tell(
          () => savepointJson(event),
          () => {
            const line = savepointLine(event.outcome)
            return event.outcome.error === undefined ? line : warningText(line)
          },
        )
      case 'progress':
        return this.progress(event, nowMs)
      case 'restoring':
        return this.restoring(event, nowMs)
      case 'restarting':
        return this.tell(
          () => restartingJson(event),
          () => warningText(restartingLine(event)),
        )
      case 'log':
        return this.tell(
          () => event,
          () => (event.level === 'warn' ? warningText(event.message) : event.message),
        )
      case 'already-finished':
      case 'ended':
        // Told by `ended`, once the run has come to its end.
        return
    }
  }

  stopping(): void {
    this.tell(
      () => ({ type: 'stopping' }),
      () => 'stopping: final checkpoint…',
    )
  }

  ended(outcome: JobOutcome): void {
    this.close()
    const text = endedLine(outcome, this.summary())
    this.tell(
      () => endedJson(outcome, this.summary()),
      () => (outcome === 'finished' ? paint('green', text) : text),
    )
  }

  /** The terminal is as it was before. */
  close(): void {
    clearInterval(this.redrawing)
    this.line.clear()
  }

  private started(event: Extract<JobEvent, { type: 'started' }>, nowMs: number): void {
    const records = recordsOf(event.manifest)
    const how = this.starts > 0 ? 'restarted' : this.options.isFrom ? 'started' : 'resumed'
    if (this.starts++ === 0) this.recordsAtStart = records
    if (event.decision.kind === 'restore') {
      this.snapshot = formatSnapshotId(event.decision.snapshot.kind, event.decision.snapshot.id)
    }
    this.meter.restart(records)
    this.tell(
      () => startedJson(this.options.job, event, nowMs),
      () => startedLines(event, how, nowMs).join('\n'),
    )
    this.draw()
  }

  /** From now on, until it is closed. */
  private draw(): void {
    if (this.options.json || this.redrawing !== undefined) return
    this.line.makeWayFor(process.stdout)
    this.redrawing = setInterval(() => this.line.show(this.meter.text(Date.now())), REDRAW_EVERY_MS)
    this.redrawing.unref()
  }

  private restoring(event: Extract<JobEvent, { type: 'restoring' }>, nowMs: number): void {
    this.meter.restoring = event.progress
    this.draw()
    this.printProgress(() => restoringJson(event), nowMs)
  }

  private checkpoint(event: Extract<JobEvent, { type: 'checkpoint' }>): void {
    const { outcome } = event
    const isComplete = outcome.outcome === 'complete'
    if (isComplete) {
      this.checkpoints++
      this.meter.lastCheckpoint = outcome
      this.snapshot = formatSnapshotId('checkpoint', outcome.id)
    }
    if (isComplete && !this.options.json && !this.options.verbose) return
    this.tell(
      () => checkpointJson(event),
      () => (isComplete ? checkpointLine(outcome) : warningText(checkpointLine(outcome))),
    )
  }

  private progress(event: Extract<JobEvent, { type: 'progress' }>, nowMs: number): void {
    this.meter.report(event.progress, nowMs)
    this.discarded = discardedIn(event.progress)
    this.printProgress(() => progressJson(event, this.meter), nowMs)
  }

  private printProgress(json: () => object, nowMs: number): void {
    if (!this.options.json || nowMs < this.jsonProgressDueMs) return
    this.jsonProgressDueMs = nowMs + JSON_PROGRESS_EVERY_MS
    process.stdout.write(`${JSON.stringify(json())}\n`)
  }

  private summary(): RunSummary {
    const { records } = this.meter
    return {
      job: this.options.job,
      records,
      newRecords: records - this.recordsAtStart,
      elapsedMs: Date.now() - this.startedAtMs,
      checkpoints: this.checkpoints,
      snapshot: this.snapshot,
      discarded: this.options.isDryRun ? this.discarded : undefined,
    }
  }

  private tell(json: () => object, text: () => string): void {
    if (this.options.json) process.stdout.write(`${JSON.stringify(json())}\n`)
    else this.line.print(text())
  }
}

/** What the sinks of a dry run have dropped since the job started. */
function discardedIn({ counters }: SlotProgress): number {
  return Object.values(counters).reduce((sum, counter) => sum + (counter[DISCARDED] ?? 0), 0)
}
