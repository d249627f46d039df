export { localStorage } from './local-storage.ts'
export { LocalStore } from './local-store.ts'
export type { FileOperations } from './durable-files.ts'
