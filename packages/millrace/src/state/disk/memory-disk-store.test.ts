import { diskStoreContract } from '../../testing/disk-store-contract.ts'
import { MemoryDiskStore } from './memory-disk-store.ts'

diskStoreContract('memory', () => new MemoryDiskStore())
