/**
 * A snapshot in a folder of its own, which needs nothing else and may be moved anywhere. It is laid out as a job's folder:
 *
 *     segments/0-1.seg                 all entries that live, in one base; absent when there are none
 *     manifests/sp-<id, 12 digits>.json
 *
 * No lock has the token 0, so a job that is run in the folder itself never makes a segment of that name. The manifest comes last: without it there is no snapshot, so one that is half written is never taken for one.
 */
import { MillraceError } from '../base/errors.ts'
import { failpoint } from '../base/failpoint.ts'
import type { SegmentStore, SnapshotStore } from '../store/contract.ts'
import { encodeManifest } from './manifest.ts'
import type { Manifest, SegmentRef } from './manifest-types.ts'
import { mergeSegments } from './merge-segments.ts'
import { manifestName, segmentName } from './object-names.ts'
import { layersOf } from './segment-layers.ts'

const TOKEN = 0
const SEGMENT_NUMBER = 1

export interface SelfContainedRequest {
  /** Where the segments of `manifest` are; they must stay until this is done. */
  readonly source: SegmentStore
  readonly manifest: Manifest
  /** Empty. */
  readonly target: SnapshotStore
  readonly compression: 'zstd' | 'none'
  /** Called at least every 2 ms of work or so; what it returns is awaited. Throwing gives the copy up. */
  readonly pause: () => Promise<void>
  /** How much has been read, 0 to 1. */
  readonly onProgress?: ((fraction: number) => void) | undefined
}

/**
 * Resolves, with its manifest, once the folder is durable. Memory is bounded by that of a merge.
 * @throws SNAPSHOT_DAMAGED, STORE_FAILED, STORE_POISONED; then there is no manifest, but there may be other files
 */
export async function writeSelfContained(request: SelfContainedRequest): Promise<Manifest> {
  const { manifest, target } = request
  const segments = manifest.segments.length === 0 ? [] : [await mergeAll(request)]
  const written: Manifest = { ...manifest, segments }
  failpoint('savepoint.before-folder-publish')
  const outcome = await target.publish(manifestName(written), encodeManifest(written))
  if (outcome === 'created') return written
  throw new MillraceError('STORE_FAILED', `${target.location} holds another snapshot of this name already`)
}

async function mergeAll({
  source,
  manifest,
  target,
  compression,
  pause,
  onProgress,
}: SelfContainedRequest): Promise<SegmentRef> {
  const inputs = liveSegments(manifest)
  const totalBytes = inputs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  let readBytes = 0
  const store: SegmentStore = {
    location: target.location,
    create: name => target.create(name),
    size: name => source.size(name),
    async read(name, offset, length) {
      const bytes = await source.read(name, offset, length)
      readBytes += bytes.length
      return bytes
    },
  }
  return mergeSegments({
    store,
    inputs,
    intoBase: true,
    output: {
      name: segmentName(TOKEN, SEGMENT_NUMBER),
      segmentId: SEGMENT_NUMBER,
      checkpointId: inputs[0].checkpoint,
      compression,
    },
    async pause() {
      // Index and footer are read twice, so that it may come to a little more.
      onProgress?.(Math.min(1, readBytes / totalBytes))
      await pause()
    },
  })
}

/** Down to the base: what lies below it is hidden. A job that began without state has none. */
function liveSegments({ segments }: Manifest): readonly SegmentRef[] {
  return segments.slice(0, layersOf(segments).find(layer => layer.base)?.to)
}
