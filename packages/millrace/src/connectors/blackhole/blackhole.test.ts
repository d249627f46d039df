import { sinkContract } from '../../testing/sink-contract.ts'
import { blackhole } from './blackhole.ts'

sinkContract('blackhole', {
  make: () => ({ make: () => blackhole(), visible: () => [] }),
  record: i => i,
  guarantee: 'none',
})
