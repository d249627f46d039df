export { memoryStorage } from './memory-storage.ts'
export { MemoryStore } from './memory-store.ts'
