/** How far the slots of an attempt are in loading a snapshot. Pure: it is told what they report, and what time it is. */

/** Of blocks as they are stored. What other slots read of a segment is not counted. */
export interface RestoreReading {
  readonly readBytes: number
  readonly totalBytes: number
}

/** Of all slots. */
export interface RestoreProgress extends RestoreReading {
  readonly snapshot: string
  readonly bytesPerSecond: number
}

export class RestoreTally {
  private readonly snapshot: string
  private readonly startedAtMs: number
  private readonly readings: (RestoreReading | undefined)[]

  constructor(snapshot: string, slots: number, startedAtMs: number) {
    this.snapshot = snapshot
    this.readings = Array.from({ length: slots }, () => undefined)
    this.startedAtMs = startedAtMs
  }

  report(slot: number, reading: RestoreReading): void {
    this.readings[slot] = reading
  }

  /** Undefined: there is nothing to tell, since not all slots have said how much they are to read, or none has read any. */
  progress(nowMs: number): RestoreProgress | undefined {
    const known = this.readings.filter(reading => reading !== undefined)
    const readBytes = known.reduce((sum, reading) => sum + reading.readBytes, 0)
    if (known.length < this.readings.length || readBytes === 0) return undefined
    const totalBytes = known.reduce((sum, reading) => sum + reading.totalBytes, 0)
    const elapsedMs = nowMs - this.startedAtMs
    const bytesPerSecond = elapsedMs > 0 ? Math.round((readBytes * 1000) / elapsedMs) : 0
    return { snapshot: this.snapshot, readBytes, totalBytes, bytesPerSecond }
  }
}
