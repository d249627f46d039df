/**
 * Merges a manifest's segments behind the checkpoints, one merge at a time, so that restore reads few of them and space stays bounded.
 *
 *   idle -> merging (`begin`) -> merged -> named by the next manifest (`replaceIn`, `published`) -> idle
 *
 * A merge never changes a manifest that exists: the next one names what it made instead of what it read.
 */
import { MillraceError } from '../base/errors.ts'
import { expiryOf } from '../snapshot/expiry.ts'
import type { KeyedStateInfo, Manifest, SegmentRef } from '../snapshot/manifest-types.ts'
import { planMerge } from '../snapshot/merge-policy.ts'
import { mergeSegments } from '../snapshot/merge-segments.ts'
import { segmentName } from '../snapshot/object-names.ts'
import type { SnapshotStore } from '../store/contract.ts'
import type { SegmentNumbers } from './segment-numbers.ts'

export interface MergerOptions {
  readonly store: SnapshotStore
  readonly segments: SegmentNumbers
  readonly token: number
  readonly compression: 'zstd' | 'none'
  /** Of the job: those with a time to live expire by it. */
  readonly states: readonly KeyedStateInfo[]
  now(): number
  /** Lets the event loop run. */
  yield(): Promise<void>
}

interface Merge {
  readonly inputs: readonly SegmentRef[]
  readonly name: string
  output: SegmentRef | undefined
}

export class SegmentMerger {
  private readonly options: MergerOptions
  private merge: Merge | undefined
  private running: Promise<void> = Promise.resolve()
  private closed = false

  constructor(options: MergerOptions) {
    this.options = options
  }

  /** Resolves when no merge is being written. Never rejects: a merge that fails costs nothing but room, and the next one tries again. */
  idle(): Promise<void> {
    return this.running
  }

  /** Gives up what is under way and begins nothing more. */
  async close(): Promise<void> {
    this.closed = true
    await this.running
  }

  /** Begin a merge if the manifest's segments ask for one and none is under way. */
  begin(manifest: Manifest): void {
    const { segments } = manifest
    const plan = this.merge === undefined && !this.closed ? planMerge(segments) : undefined
    if (plan === undefined) return
    const number = this.options.segments.take()
    const merge: Merge = {
      inputs: segments.slice(plan.from, plan.to),
      name: segmentName(this.options.token, number),
      output: undefined,
    }
    this.merge = merge
    for (const file of filesOf(merge)) this.options.segments.hold(file)
    this.running = this.write(merge, plan.intoBase, number, manifest).then(
      output => {
        merge.output = output
      },
      () => this.end(merge),
    )
  }

  /** The list with merged segments replaced by their merge, if they still stand together. */
  replaceIn(segments: readonly SegmentRef[]): SegmentRef[] {
    const merge = this.merge
    if (merge?.output === undefined) return [...segments]
    const at = segments.findIndex(segment => segment.file === merge.inputs[0].file)
    const stand = at >= 0 && merge.inputs.every((input, i) => segments[at + i]?.file === input.file)
    if (!stand) return [...segments]
    return [...segments.slice(0, at), merge.output, ...segments.slice(at + merge.inputs.length)]
  }

  /** A merge that a manifest names, or that can never be named since its inputs are gone from the list, is over. */
  published({ segments }: Manifest): void {
    const merge = this.merge
    if (merge?.output === undefined) return
    const files = new Set(segments.map(({ file }) => file))
    if (files.has(merge.name) || !files.has(merge.inputs[0].file)) this.end(merge)
  }

  private end(merge: Merge): void {
    this.merge = undefined
    this.options.segments.release(filesOf(merge))
  }

  private write({ inputs, name }: Merge, intoBase: boolean, number: number, manifest: Manifest): Promise<SegmentRef> {
    const { store, compression, states } = this.options
    return mergeSegments({
      store,
      inputs,
      intoBase,
      output: { name, segmentId: number, checkpointId: inputs[0].checkpoint, compression },
      isExpired: expiryOf(states, manifest, () => this.options.now()),
      pause: async () => {
        if (this.closed) throw new MillraceError('JOB_NOT_RUNNING', 'the job has ended; the merge is given up')
        await this.options.yield()
      },
    })
  }
}

function filesOf({ name, inputs }: Merge): string[] {
  return [name, ...inputs.map(({ file }) => file)]
}
