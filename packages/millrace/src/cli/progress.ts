/** How far a running job is: records, rate, part done, last checkpoint. Pure: it is told what happened and what time it is. */
import type { CheckpointOutcome } from '../checkpoint/coordinator.ts'
import type { SlotProgress } from '../checkpoint/mail.ts'
import { RecordRate } from '../host/record-rate.ts'
import type { RestoreProgress } from '../host/restore-progress.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import { formatDuration } from '../time/index.ts'
import { formatBytes, formatCount, formatElapsed } from './units.ts'

export class ProgressMeter {
  /** Of all sources, since the fresh start. */
  records: number
  /** 0 to 1; undefined when a source has no end. */
  fraction: number | undefined
  lastCheckpoint: CheckpointOutcome | undefined
  /** While a snapshot is loaded; nothing else goes on then. */
  restoring: RestoreProgress | undefined
  private readonly rate = new RecordRate()

  /** @param records how many the snapshot had read that the job goes on from */
  constructor(records: number) {
    this.records = records
  }

  report({ sources }: SlotProgress, atMs: number): void {
    this.records = sources.reduce((sum, { records }) => sum + records, 0)
    const fractions = sources.flatMap(({ fraction }) => (fraction === undefined ? [] : [fraction]))
    const isBounded = fractions.length === sources.length && sources.length > 0
    this.fraction = isBounded ? fractions.reduce((sum, fraction) => sum + fraction, 0) / fractions.length : undefined
    this.rate.report(this.records, atMs)
  }

  /** Records went back to those of a snapshot. */
  restart(records: number): void {
    this.records = records
    this.restoring = undefined
    this.rate.restart()
  }

  get recordsPerSecond(): number {
    return this.rate.perSecond
  }

  /** `1,234,567 records  245,100/s  37 %  chk-42 3 s ago (took 12 ms)` */
  text(nowMs: number): string {
    if (this.restoring !== undefined) return restoringText(this.restoring)
    const { lastCheckpoint, fraction } = this
    const parts = [`${formatCount(this.records)} records`, `${formatCount(this.recordsPerSecond)}/s`]
    // Rounded down: 100 % is when it is done.
    if (fraction !== undefined) parts.push(`${Math.floor(fraction * 100)} %`)
    if (lastCheckpoint !== undefined) {
      const { id, startedAtMs, durationMs } = lastCheckpoint
      // In whole seconds: a number that changes five times a second cannot be read.
      const ageMs = Math.floor((nowMs - startedAtMs - durationMs) / 1000) * 1000
      const age = ageMs <= 0 ? 'just now' : `${formatDuration(ageMs)} ago`
      parts.push(`${formatSnapshotId('checkpoint', id)} ${age} (took ${formatElapsed(durationMs)})`)
    }
    return parts.join('  ')
  }
}

/** `loading chk-42: 1.2 GiB of 4.0 GiB  30 %  210 MiB/s` */
function restoringText({ snapshot, readBytes, totalBytes, bytesPerSecond }: RestoreProgress): string {
  const part = Math.floor((100 * readBytes) / totalBytes)
  return `loading ${snapshot}: ${formatBytes(readBytes)} of ${formatBytes(totalBytes)}  ${part} %  ${formatBytes(bytesPerSecond)}/s`
}
