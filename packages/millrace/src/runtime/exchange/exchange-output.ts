/**
 * Where a producer's records leave for the subtasks of a reader: by the hash of their key, by turns, or each to all of them. The
 * reader's subtask in the own slot is called directly; nothing is encoded for it.
 */
import { hashKeyInt32, keyGroupOfHash, subtaskOfKeyGroup } from '../../codec/index.ts'
import type { Exchange } from '../../graph/index.ts'
import {
  broadcastLink,
  hashLink,
  privateCopy,
  rebalanceLink,
  type ChainContext,
  type Fail,
  type Input,
  type Push,
} from '../chain.ts'
import type { ChannelWriter } from './channel-writer.ts'

export interface OutputOptions {
  readonly exchange: Exchange
  readonly slot: number
  readonly maxParallelism: number
  readonly chain: ChainContext
  /** By subtask of the reader; undefined for the own slot. */
  readonly writers: readonly (ChannelWriter | undefined)[]
  /** The reader's subtask in this slot, if it has one. */
  readonly direct: Input | undefined
  /** Of a hash exchange. */
  readonly keyBy: ((record: any) => any) | undefined
  readonly fail: Fail
}

export class ExchangeOutput implements Input {
  readonly push: Push
  private readonly writers: readonly ChannelWriter[]
  private readonly direct: Input | undefined

  constructor(options: OutputOptions) {
    this.writers = options.writers.filter(writer => writer !== undefined)
    this.direct = options.direct
    this.push = LINKS[options.exchange.partitioning](options)
  }

  watermark(time: number): void {
    for (let i = 0; i < this.writers.length; i++) this.writers[i].setWatermark(time)
    this.direct?.watermark(time)
  }

  idle(isIdle: boolean): void {
    for (let i = 0; i < this.writers.length; i++) this.writers[i].setIdle(isIdle)
    this.direct?.idle(isIdle)
  }

  writeBarrier(id: number): void {
    for (const writer of this.writers) writer.writeBarrier(id)
  }

  hasRoom(): boolean {
    for (let i = 0; i < this.writers.length; i++) if (!this.writers[i].hasRoom()) return false
    return true
  }

  sendOverdraft(): void {
    for (let i = 0; i < this.writers.length; i++) this.writers[i].sendOverdraft()
  }

  flush(): void {
    for (let i = 0; i < this.writers.length; i++) this.writers[i].flush()
  }
}

function byHash({ exchange, slot, maxParallelism, chain, writers, direct, keyBy, fail }: OutputOptions): Push {
  const owners = new Uint16Array(maxParallelism)
  for (let group = 0; group < maxParallelism; group++) {
    owners[group] = subtaskOfKeyGroup(group, exchange.toSubtasks, maxParallelism)
  }
  const own = direct === undefined ? -1 : slot
  const pushKeyed = direct?.pushKeyed ?? (() => undefined)
  return privateCopy(hashLink)(
    keyBy!,
    hashKeyInt32,
    keyGroupOfHash,
    maxParallelism,
    owners,
    own,
    pushKeyed,
    writers as readonly ChannelWriter[],
    chain,
    fail,
  )
}

function byTurns({ slot, chain, writers, direct, exchange, fail }: OutputOptions): Push {
  const own = direct === undefined ? -1 : slot
  const push = direct?.push ?? (() => undefined)
  // Begins with another subtask in every slot, so that few records are spread evenly too.
  const first = slot % exchange.toSubtasks
  return privateCopy(rebalanceLink)(
    exchange.toSubtasks,
    first,
    own,
    push,
    writers as readonly ChannelWriter[],
    chain,
    fail,
  )
}

function toAll({ chain, writers, direct, fail }: OutputOptions): Push {
  const others = writers.filter(writer => writer !== undefined)
  return privateCopy(broadcastLink)(direct?.push ?? (() => undefined), others, chain, fail)
}

const LINKS: { readonly [P in Exchange['partitioning']]: (options: OutputOptions) => Push } = {
  hash: byHash,
  rebalance: byTurns,
  broadcast: toAll,
}
