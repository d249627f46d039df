/** What a slot is made from. Plain data: it crosses threads. */
import type { Manifest } from '../snapshot/manifest-types.ts'
import type { SourceShare } from '../snapshot/redistribute.ts'
import type { SegmentDictionary } from '../snapshot/segment-dictionary.ts'
import type { StateId } from '../state/index.ts'

/** Where a slot keeps its working state. */
export type WorkingState = { readonly backend: 'heap' } | ({ readonly backend: 'rocksdb' } & DiskState)

export interface DiskState {
  /** Of the slot's state in memory, as objects. */
  readonly cacheBytes: number
  /** Native memory of the stores of all slots of the process together. */
  readonly memoryBytes: number
  /** Where working files go; undefined: where the operating system keeps temporary files. */
  readonly directory: string | undefined
}

/** One slot of one attempt. */
export interface SlotPlan {
  readonly job: string
  readonly runId: string
  /** Which of how many. */
  readonly slot: number
  readonly parallelism: number
  readonly maxParallelism: number
  /** What the slots of the attempt exchange records in; undefined when there is one. */
  readonly exchange: SharedArrayBuffer | undefined
  readonly workingState: WorkingState
  readonly compression: 'zstd' | 'none'
  readonly stateIds: { readonly [operator: string]: { readonly [state: string]: StateId } }
  readonly dictionary: SegmentDictionary
  /** Undefined: a fresh start. */
  readonly restore: RestoreFrom | undefined
}

export interface RestoreFrom {
  readonly manifest: Manifest
  /** New operator name by the name in the manifest, for operators that were renamed. */
  readonly renamed: { readonly [operator: string]: string }
  /** Output of these runs up to these checkpoints is this attempt's past. */
  readonly past: readonly { readonly runId: string; readonly from: number; readonly through: number }[]
}

/** What the sources of a slot begin with, by name. */
export type SourceShares = { readonly [source: string]: SourceShare }
