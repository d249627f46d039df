/** What a simulation did, action by action: the last ones as text for a report, all of them as a hash that two equal runs share. */
import { crc32 } from 'node:zlib'

/** Enough to see what led to a violation. */
const KEPT = 120

export class Trace {
  /** Over all lines so far. */
  hash = 0
  private readonly onLine: ((line: string) => void) | undefined
  private kept: string[] = []

  constructor(onLine?: (line: string) => void) {
    this.onLine = onLine
  }

  add(line: string): void {
    this.hash = crc32(line, this.hash)
    this.onLine?.(line)
    this.kept.push(line)
    if (this.kept.length >= 2 * KEPT) this.kept = this.kept.slice(KEPT)
  }

  last(): string[] {
    return this.kept.slice(-KEPT)
  }
}
