/**
 * Where the records of an exchange arrive in a slot: a channel from every subtask of the producer, the own one a direct call. The
 * watermark is the lowest over the channels that are not idle.
 */
import type { RowReader } from '../../codec/index.ts'
import type { Exchange } from '../../graph/index.ts'
import { keyedPageLink, pageLink, privateCopy, type ChainContext, type Fail, type Input } from '../chain.ts'
import { WatermarkMerge } from '../watermark-merge.ts'
import type { ChannelReader, ChannelTarget } from './channel-reader.ts'
import { NO_BARRIER } from './ring.ts'

export interface InputOptions {
  readonly exchange: Exchange
  readonly slot: number
  readonly chain: ChainContext
  readonly reader: Input
  /** Of a hash exchange. */
  readonly keyBy: ((record: any) => any) | undefined
  readonly fail: Fail
  readonly openChannel: (from: number, target: ChannelTarget) => ChannelReader
}

export class ExchangeInput {
  readonly exchange: Exchange
  /** From the other slots. */
  readonly channels: readonly ChannelReader[]
  /** For the producer in the own slot; undefined when it has no subtask here. */
  readonly direct: Input | undefined
  private turn = 0

  constructor({ exchange, slot, chain, reader, keyBy, fail, openChannel }: InputOptions) {
    this.exchange = exchange
    const merge = new WatermarkMerge(exchange.fromSubtasks, reader)
    const records: (rows: RowReader, count: number) => void =
      keyBy === undefined
        ? privateCopy(pageLink)(reader.push, chain)
        : privateCopy(keyedPageLink)(keyBy, reader.pushKeyed!, chain, fail)
    const channels: ChannelReader[] = []
    for (let from = 0; from < exchange.fromSubtasks; from++) {
      if (from !== slot) channels.push(openChannel(from, { records, ...merge.input(from) }))
    }
    this.channels = channels
    if (slot < exchange.fromSubtasks) {
      const keyed = reader.pushKeyed === undefined ? {} : { pushKeyed: reader.pushKeyed }
      this.direct = { push: reader.push, ...keyed, ...merge.input(slot) }
    }
  }

  /** Processes up to `maxPages` of each channel, by turns; true if there were any. */
  read(maxPages: number, releasedThrough: number, mayGoOn: () => boolean): boolean {
    const { channels } = this
    let found = false
    for (let tried = 0; tried < channels.length; tried++) {
      this.turn = (this.turn + 1) % channels.length
      const channel = channels[this.turn]
      for (let page = 0; page < maxPages && mayGoOn() && channel.read(); page++) {
        channel.release(releasedThrough)
        found = true
      }
    }
    return found
  }

  /** Whether a channel is not read since a barrier has come over it. */
  get waitsAtBarrier(): boolean {
    return this.channels.some(channel => channel.barrier !== NO_BARRIER)
  }

  release(through: number): void {
    for (const channel of this.channels) channel.release(through)
  }

  standsAt(barrier: number): boolean {
    return this.channels.every(channel => channel.barrier === barrier)
  }
}
