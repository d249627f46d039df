/** Segments for tests: written from plain entries into a store in memory, and read back as plain entries. */
import { Buffer } from 'node:buffer'
import type { KeyGroupRange } from '../codec/index.ts'
import { MemoryStore } from '../store/memory/index.ts'
import type { SnapshotStore } from '../store/index.ts'
import type { SegmentRef } from './manifest-types.ts'
import type { SegmentDictionary, SegmentState } from './segment-dictionary.ts'
import { ENTRY_PUT, ENTRY_PUT_TOUCHED, ENTRY_TOMBSTONE, type EntryOp } from './segment-format.ts'
import { type Compression, SegmentWriter } from './segment-writer.ts'

export interface SampleEntry {
  readonly op: EntryOp
  readonly key: Buffer
  readonly value: Buffer
  readonly lastTouchMs: number
}

export interface SampleSegment {
  readonly entries: readonly SampleEntry[]
  readonly file?: string
  readonly compression?: Compression
  readonly base?: boolean
  readonly checkpoint?: number
  readonly maxParallelism?: number
  readonly keyGroups?: KeyGroupRange
}

export const SAMPLE_STATES: { readonly [id: number]: SegmentState } = {
  0: { operator: 'counts', state: 'count', kind: 'aggregating', schema: { type: 'number' } },
  1: { operator: 'counts', state: 'seen', kind: 'map', schema: null },
  300: { operator: 'späte', state: 'timers', kind: 'timers', schema: null },
}

export function sampleDictionary(maxParallelism = 128): SegmentDictionary {
  return { maxParallelism, hashVersion: 1, states: SAMPLE_STATES }
}

export function sampleKey(keyGroup: number, stateId: number, key: string | Uint8Array): Buffer {
  const prefix = Buffer.alloc(4)
  prefix.writeUInt16BE(keyGroup, 0)
  prefix.writeUInt16BE(stateId, 2)
  return Buffer.concat([prefix, Buffer.from(key as Uint8Array)])
}

export function put(key: Buffer, value: string | Uint8Array): SampleEntry {
  return { op: ENTRY_PUT, key, value: Buffer.from(value as Uint8Array), lastTouchMs: 0 }
}

export function touched(key: Buffer, value: string | Uint8Array, lastTouchMs: number): SampleEntry {
  return { op: ENTRY_PUT_TOUCHED, key, value: Buffer.from(value as Uint8Array), lastTouchMs }
}

export function tombstone(key: Buffer): SampleEntry {
  return { op: ENTRY_TOMBSTONE, key, value: Buffer.alloc(0), lastTouchMs: 0 }
}

export function sampleStore(): MemoryStore {
  return new MemoryStore('memory', () => 0)
}

/** Sorts the entries, keeps the last of each key, and writes them. */
export async function writeSample(store: SnapshotStore, segment: SampleSegment): Promise<SegmentRef> {
  const { file = 'segments/1-1.seg', compression = 'zstd', base = true, checkpoint = 7, maxParallelism = 128 } = segment
  const { keyGroups = [0, maxParallelism] } = segment
  const writer = new SegmentWriter({
    segmentId: 1,
    checkpointId: checkpoint,
    compression,
    dictionary: sampleDictionary(maxParallelism),
  })
  const object = await store.create(file)
  for (const { op, key, value, lastTouchMs } of sorted(segment.entries)) {
    writer.add(op, key, 0, key.length, value, 0, value.length, lastTouchMs)
    for (const bytes of writer.takeReady()) await object.write(bytes)
  }
  const summary = writer.end()
  for (const bytes of writer.takeReady()) await object.write(bytes)
  await object.finish()
  return { file, ...summary, base, checkpoint, maxParallelism, keyGroups }
}

export function sorted(entries: readonly SampleEntry[]): SampleEntry[] {
  const last = new Map(entries.map(entry => [entry.key.toString('latin1'), entry]))
  return [...last.values()].toSorted((a, b) => Buffer.compare(a.key, b.key))
}

/** Everything that a SegmentScan or an EntryMerge hands out. */
export async function drain(entries: {
  advance(): boolean
  readonly needsRefill: boolean
  refill(): Promise<void>
  readonly entry: {
    readonly op: EntryOp
    readonly bytes: Uint8Array
    readonly keyStart: number
    readonly keyEnd: number
    readonly valueStart: number
    readonly valueEnd: number
    readonly lastTouchMs: number
  }
}): Promise<SampleEntry[]> {
  const found: SampleEntry[] = []
  for (;;) {
    while (entries.advance()) {
      const { op, bytes, keyStart, keyEnd, valueStart, valueEnd, lastTouchMs } = entries.entry
      const key = Buffer.from(bytes.subarray(keyStart, keyEnd))
      found.push({ op, key, value: Buffer.from(bytes.subarray(valueStart, valueEnd)), lastTouchMs })
    }
    if (!entries.needsRefill) return found
    await entries.refill()
  }
}
