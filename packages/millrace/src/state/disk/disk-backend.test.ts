import { collect, count } from '../../api/index.ts'
import { stateContract } from '../../testing/state-contract.ts'
import { DiskBackend } from './disk-backend.ts'
import { MemoryDiskStore } from './memory-disk-store.ts'

const AGGREGATORS = { count: count(), collect: collect() as never }

function backend(maxParallelism: number, cacheBytes: number, nearTimers?: number): DiskBackend {
  const store = new MemoryDiskStore()
  return new DiskBackend({ maxParallelism, clock: { nowMs: 0 }, store, cacheBytes, nearTimers })
}

stateContract('disk, all in memory', groups => backend(groups, 1 << 20), AGGREGATORS)
stateContract('disk, a few cells in memory', groups => backend(groups, 2500, 3), AGGREGATORS)
stateContract('disk, one cell in memory', groups => backend(groups, 1, 1), AGGREGATORS)
