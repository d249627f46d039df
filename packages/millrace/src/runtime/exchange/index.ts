export { allocateExchangeMemory, doorbellOf } from './memory.ts'
export { SlotExchange } from './slot-exchange.ts'
