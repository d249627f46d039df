/**
 * What a golden job is: a job file whose output, as a multiset of lines, is a function of its input alone, at any parallelism and
 * however often it is interrupted; and that says itself, by a plain computation, what the output must be.
 */

/** Of every golden job: where its `input` and `out` lie, and its pace (see test/crash/pace.ts). */
export const PARAMS = { dir: '.', everyMs: 0 }

/** What a job's module exports as `golden`, beside the job. */
export interface Golden {
  /** Writes the files that the job reads into the directory `input`. */
  makeInput?(dir: string): void
  /** By directory below `out`, one for each sink: the rows it must hold. A string is a line, anything else its JSON. */
  expected(): { readonly [output: string]: readonly unknown[] }
}

/** A whole number from 0 up to `below`, which the other arguments determine: records are functions of their number. */
export function draw(i: number, below: number, salt = 0): number {
  let mixed = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(salt + 1, 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x7feb352d)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b)
  return Math.floor((((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32) * below)
}

/** The records of a source that are numbered from 0. */
export function numbered<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i))
}
