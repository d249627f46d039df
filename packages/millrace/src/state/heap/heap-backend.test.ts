import { collect, count } from '../../api/index.ts'
import { stateContract } from '../../testing/state-contract.ts'
import { HeapBackend } from './heap-backend.ts'

stateContract('heap', maxParallelism => new HeapBackend(maxParallelism, { nowMs: 0 }), {
  count: count(),
  collect: collect() as never,
})
