/**
 * What a snapshot is made of, as facts. A manifest is readable JSON, checksummed, and names everything by relative references.
 */
import type { Json } from '../base/json.ts'

export type SnapshotKind = 'checkpoint' | 'savepoint'

export interface Manifest {
  readonly format: 'millrace-manifest'
  readonly version: 1
  /** Grows for ever within a job, never reused. */
  readonly id: number
  readonly kind: SnapshotKind
  readonly job: string
  /** The run (runs/NNNNNN.json) that made it, that run's id and lineage, and the lock token it held. */
  readonly run: number
  readonly runId: string
  readonly lineage: number
  readonly token: number
  readonly createdAtMs: number
  /** From trigger to every acknowledgement. */
  readonly durationMs: number
  readonly trigger: 'interval' | 'user' | 'stop' | 'finish'
  readonly millrace: string
  readonly parallelism: number
  readonly maxParallelism: number
  readonly hashVersion: 1
  /** State ids are never reused in a job; this is the next free one. */
  readonly nextStateId: number
  readonly operators: readonly OperatorSnapshot[]
  /** Newest first: of two entries with the same key, the one in the earlier segment wins. */
  readonly segments: readonly SegmentRef[]
  /** Event time reached, per event-time transformation and split (see runtime/event-time). */
  readonly watermarks: { readonly [transformation: string]: { readonly [split: string]: number | null } }
}

export interface OperatorSnapshot {
  readonly name: string
  readonly kind: string
  readonly states: readonly KeyedStateInfo[]
  /** Sources: every split with its position; the reading turn. */
  readonly source?: SourceSnapshot
  /** Sinks: one state per subtask that has one, and every committable whose commit was not acknowledged. */
  readonly sink?: SinkSnapshot
  /** Operator state of process operators, by state name: one list per subtask (values in the value codec, base64). */
  readonly operatorState?: { readonly [state: string]: readonly (readonly string[])[] }
}

export interface KeyedStateInfo {
  readonly id: number
  readonly name: string
  readonly kind: string
  /** Writer schema; null for self-describing values. */
  readonly schema: Json
  readonly ttlMs?: number
}

export interface SourceSnapshot {
  readonly splits: readonly SplitSnapshot[]
  /** Records handed out since the fresh start. */
  readonly records: number
  /**
   * Which split is being read and how many records its turn still has, and whether it is this source's turn among the sources of
   * the slot: the order of reading survives a restart.
   */
  readonly turn: { readonly split: number; readonly remaining: number; readonly active: boolean }
}

export interface SplitSnapshot {
  readonly id: string
  readonly detail: Json
  readonly position: Json
  readonly ended: boolean
}

export interface SinkSnapshot {
  readonly type: string
  readonly retracts: boolean
  readonly states: readonly Json[]
  readonly committables: readonly CarriedCommittable[]
}

export interface CarriedCommittable {
  /** The checkpoint whose barrier prepared it. */
  readonly checkpoint: number
  readonly value: Json
}

export interface SegmentRef {
  /** Relative: `segments/<token>-<number>.seg`. */
  readonly file: string
  readonly sizeBytes: number
  readonly entries: number
  readonly tombstones: number
  /** crc32 of the footer and index, so that a swapped file is noticed. */
  readonly checksum: number
  /** A base holds everything: no segment after it in the list is needed. */
  readonly base: boolean
  /** The checkpoint that wrote it (for a merge: the newest one merged). */
  readonly checkpoint: number
  readonly maxParallelism: number
}
