/**
 * Numbers of the segments that this process makes, never reused under its token, and which segments no sweep may take though no
 * manifest names them yet: those being written, those being merged, and the merges.
 */
import { segmentName } from '../snapshot/object-names.ts'

export class SegmentNumbers {
  private next = 1
  private readonly held = new Set<string>()

  take(): number {
    return this.next++
  }

  /** The name of the next segment, which is held. */
  takeName(token: number): string {
    const file = segmentName(token, this.take())
    this.hold(file)
    return file
  }

  hold(file: string): void {
    this.held.add(file)
  }

  /** A manifest names them now, or they are given up. */
  release(files: readonly string[]): void {
    for (const file of files) this.held.delete(file)
  }

  /** What was being written by an attempt that has ended is garbage. */
  releaseAll(): void {
    this.held.clear()
  }

  get live(): ReadonlySet<string> {
    return this.held
  }
}
