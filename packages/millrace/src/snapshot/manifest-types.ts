/**
 * What a snapshot is made of, as facts. A manifest is readable JSON, checksummed, and names everything by relative references.
 */
import type { Json } from '../base/json.ts'
import type { KeyGroupRange } from '../codec/index.ts'
import type { TouchTime } from '../time/index.ts'

export type SnapshotKind = 'checkpoint' | 'savepoint'

export interface Manifest {
  readonly format: 'millrace-manifest'
  readonly version: 1
  /** Grows for ever within a job, never reused. */
  readonly id: number
  readonly kind: SnapshotKind
  readonly job: string
  /** Where it comes from, if it was taken over from another folder: all but run, lineage and names of segments is as it was there. */
  readonly forkedFrom?: AdoptedSnapshot
  /** The run (runs/NNNNNN.json) that made it, that run's id and lineage, and the lock token it held. */
  readonly run: number
  readonly runId: string
  readonly lineage: number
  readonly token: number
  readonly createdAtMs: number
  /** From trigger to every acknowledgement. */
  readonly durationMs: number
  /** Of a savepoint: 'interval' for a periodic one, else whoever asked for it owns it. */
  readonly trigger: 'interval' | 'user' | 'stop' | 'finish' | 'rescale'
  /** What the owner of a savepoint calls it. */
  readonly label?: string
  readonly millrace: string
  readonly parallelism: number
  readonly maxParallelism: number
  readonly hashVersion: 1
  /** State ids are never reused in a job; this is the next free one. */
  readonly nextStateId: number
  readonly operators: readonly OperatorSnapshot[]
  /**
   * Newest first: of two entries with the same key, the one in the earlier segment wins. Those of one checkpoint, one per slot, stand
   * together and share no key (segment-layers.ts).
   */
  readonly segments: readonly SegmentRef[]
  /** Event time reached, per event-time transformation and split (checkpoint/compose.ts says which). */
  readonly watermarks: { readonly [transformation: string]: { readonly [split: string]: number | null } }
}

/** A snapshot of another folder, as it is called there. */
export interface AdoptedSnapshot {
  readonly job: string
  readonly kind: SnapshotKind
  readonly id: number
}

export interface OperatorSnapshot {
  readonly name: string
  readonly kind: string
  /** Names of the operators whose records it reads, those without a name between them passed over. Older manifests have none. */
  readonly inputs?: readonly string[]
  /** How many subtasks it had, in slots 0 to before this. */
  readonly parallelism: number
  readonly states: readonly KeyedStateInfo[]
  /** Of keyed process operators: the watermark of its slowest subtask. What expires in event time does so by it. Absent: it saw none. */
  readonly watermark?: number
  /** JSON Schema of its keys, where the job said it. */
  readonly keySchema?: Json
  /** Another one when the function that makes its keys was. */
  readonly keyCode?: string
  /** Of state without keys, operator and broadcast: what its values are, where there is something to say. By state name. */
  readonly forms?: { readonly [state: string]: StoredForm }
  /** Sources: every split with its position; the reading turns. */
  readonly source?: SourceSnapshot
  /** Sinks: the state of each subtask, and every committable whose commit was not acknowledged. */
  readonly sink?: SinkSnapshot
  /** Operator state of process operators, by state name: one list per subtask (values in the value codec, base64). */
  readonly operatorState?: { readonly [state: string]: readonly (readonly string[])[] }
  /**
   * Broadcast state, by state name: its entries, each a [key, value] in the value codec, base64, in the order of their keys. All
   * subtasks have the same at a barrier, so that it is written once, by subtask 0, and all take it over.
   */
  readonly broadcastState?: BroadcastEntries
}

export type BroadcastEntries = { readonly [state: string]: readonly string[] }

/** What values of a state were when they were written. */
export interface StoredForm {
  /** JSON Schema; null: nothing is known of them. */
  readonly schema: Json
  /** As their author counts; absent: 1. */
  readonly version?: number
}

/** How long entries of a state live, by the last touch that is stored with each (state/ttl.ts). */
export interface StoredTtl {
  /** Absent: for ever, and they have no touch. */
  readonly ttlMs?: number
  /** Which time touches are of. Absent: processing time. */
  readonly ttlTime?: TouchTime
}

export interface KeyedStateInfo extends StoredForm, StoredTtl {
  readonly id: number
  readonly name: string
  readonly kind: string
  /** Also says how their rows are read, if its values have a fixed width; null when they describe themselves. */
  readonly schema: Json
}

export interface SourceSnapshot {
  readonly splits: readonly (SplitSnapshot & { readonly subtask: number })[]
  /** Records handed out since the fresh start, by all subtasks. */
  readonly records: number
  /** By subtask. */
  readonly turns: readonly Turn[]
}

/** The order of reading survives a restart. */
export interface Turn {
  /** Index of the split being read, among the subtask's own in the order of the list. */
  readonly split: number
  /** How many records its turn still has. */
  readonly remaining: number
  /** Whether it is this source's turn among the sources of the slot. */
  readonly active: boolean
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
  /** By subtask, null where one has none; empty when none has. */
  readonly states: readonly Json[]
  readonly committables: readonly CarriedCommittable[]
}

export interface CarriedCommittable {
  /** The checkpoint whose barrier prepared it. */
  readonly checkpoint: number
  readonly value: Json
}

/** What one subtask of an operator contributes to an OperatorSnapshot. */
export interface SubtaskSnapshot {
  readonly name: string
  readonly watermark?: number
  readonly source?: SubtaskSource
  readonly sink?: SubtaskSink
  /** By state name: its elements (value codec, base64). */
  readonly operatorState?: { readonly [state: string]: readonly string[] }
  /** Of subtask 0. */
  readonly broadcastState?: BroadcastEntries
}

export interface SubtaskSource {
  readonly splits: readonly SplitSnapshot[]
  readonly records: number
  readonly turn: Turn
}

export interface SubtaskSink {
  readonly type: string
  readonly retracts: boolean
  readonly state?: Json
  readonly committables: readonly CarriedCommittable[]
}

export interface SegmentRef {
  /** Relative: `segments/<token>-<number>.seg`. */
  readonly file: string
  readonly sizeBytes: number
  readonly entries: number
  readonly tombstones: number
  /** crc32 of the footer and index, so that a swapped file is noticed. */
  readonly checksum: number
  /** Those of a base's checkpoint hold everything: no segment after them in the list is needed. */
  readonly base: boolean
  /** The checkpoint that wrote it (for a merge: the newest one merged). */
  readonly checkpoint: number
  readonly maxParallelism: number
  /** All its keys lie in these key groups. */
  readonly keyGroups: KeyGroupRange
}
