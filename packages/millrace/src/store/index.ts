/** The contract of snapshot stores. Its implementations have doors of their own: `store/local`, `store/memory`. */
export { assertObjectName } from './contract.ts'
export type { ObjectWriter, ReadableStore, SegmentStore, SnapshotStore, Storage, StoredObject } from './contract.ts'
