/**
 * The memory that the slots of an attempt share: a doorbell per slot, then a ring per channel between two different slots, ordered by
 * exchange, writing slot and reading slot. Untouched pages of a ring take no room in RAM.
 */
import { assert } from '../../base/assert.ts'
import type { Exchange, ExecutionPlan } from '../../graph/index.ts'
import { ringBytes, type RingPlace } from './ring.ts'

/** About 10,000 small records: enough to bridge the turns of two threads, little enough that a barrier behind them is there in a millisecond. */
const RING_PAGES = 8
/** There are as many rings as pairs of slots: with 128 slots 16,256 for an exchange, which would be 4 GB. */
const MANY_SLOTS = 16
const RING_PAGES_OF_MANY = 2

/** A doorbell is an i32 with a cache line to itself: a count of how often the slot was woken. */
const DOORBELL_BYTES = 64

export function allocateExchangeMemory(plan: ExecutionPlan): SharedArrayBuffer {
  const rings = plan.exchanges.reduce((sum, exchange) => sum + ringsOf(exchange), 0)
  return new SharedArrayBuffer(plan.parallelism * DOORBELL_BYTES + rings * ringBytes(ringPages(plan)))
}

export function doorbellOf(memory: SharedArrayBuffer, slot: number): Int32Array {
  return new Int32Array(memory, slot * DOORBELL_BYTES, 1)
}

/** The ring of a channel. */
export function ringPlace(
  plan: ExecutionPlan,
  memory: SharedArrayBuffer,
  exchange: Exchange,
  from: number,
  to: number,
): RingPlace {
  assert(from !== to, 'the channel to the own slot is a direct call')
  let ring = 0
  for (let id = 0; id < exchange.id; id++) ring += ringsOf(plan.exchanges[id])
  for (let slot = 0; slot < from; slot++) ring += targetsOf(exchange, slot)
  ring += to - (from < to ? 1 : 0)
  const pages = ringPages(plan)
  return { memory, offset: plan.parallelism * DOORBELL_BYTES + ring * ringBytes(pages), pages }
}

function ringPages({ parallelism }: ExecutionPlan): number {
  return parallelism <= MANY_SLOTS ? RING_PAGES : RING_PAGES_OF_MANY
}

function ringsOf(exchange: Exchange): number {
  let rings = 0
  for (let slot = 0; slot < exchange.fromSubtasks; slot++) rings += targetsOf(exchange, slot)
  return rings
}

/** Other slots that a writing slot has a channel to. */
function targetsOf({ toSubtasks }: Exchange, from: number): number {
  return from < toSubtasks ? toSubtasks - 1 : toSubtasks
}
