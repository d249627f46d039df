import { collect, count } from '../../api/index.ts'
import { stateContract } from '../../testing/state-contract.ts'
import type { MakeBackend } from '../../testing/state-ttl-contract.ts'
import { DiskBackend } from './disk-backend.ts'
import { MemoryDiskStore } from './memory-disk-store.ts'

const AGGREGATORS = { count: count(), collect: collect() as never }

function backends(cacheBytes: number, nearTimers?: number): MakeBackend {
  return (maxParallelism, clock) =>
    new DiskBackend({ maxParallelism, clock, store: new MemoryDiskStore(), cacheBytes, nearTimers })
}

stateContract('disk, all in memory', backends(1 << 20), AGGREGATORS)
stateContract('disk, a few cells in memory', backends(2500, 3), AGGREGATORS)
stateContract('disk, one cell in memory', backends(1, 1), AGGREGATORS)
