/**
 * A bug for the simulations to find, so that it is known that they find bugs: a channel that stands at a barrier is read on all the same,
 * so records of the next checkpoint get into this one (DESIGN invariant 1). It is put into the running engine from here; the engine
 * itself has no trace of it.
 */
import { ChannelReader } from '../../runtime/exchange/channel-reader.ts'
import { NO_BARRIER } from '../../runtime/exchange/ring.ts'

/** Every channel has the bug until the returned function is called. */
export function plantCanary(): () => void {
  const { read } = ChannelReader.prototype
  ChannelReader.prototype.read = function (this: ChannelReader) {
    const standsAt = this.barrier
    this.barrier = NO_BARRIER
    const found = read.call(this)
    if (standsAt !== NO_BARRIER) this.barrier = standsAt
    return found
  }
  return () => {
    ChannelReader.prototype.read = read
  }
}
