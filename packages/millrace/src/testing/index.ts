/**
 * The door `millrace/testing`: the operator harness for jobs' own operators, contract suites for connectors and stores
 * of one's own, and stores that fail on purpose. It uses node:test and node:assert; nothing of it is needed to run a job.
 */
export { checkOperator } from './operator-harness.ts'
export type { OperatorCheck, Step } from './operator-harness.ts'
export { migrateSnapshot } from './snapshot-migration.ts'
export type { MigratedValue, SnapshotMigration } from './snapshot-migration.ts'
export { sourceContract } from './source-contract.ts'
export { sinkContract } from './sink-contract.ts'
export type { SinkFixture } from './sink-contract.ts'
export { storeContract } from './store-contract.ts'
export { FaultyStorage, FaultyStore } from './faulty-store.ts'
export { memoryStorage } from '../store/memory/index.ts'
export type { SnapshotStore, Storage } from '../store/contract.ts'
