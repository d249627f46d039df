/**
 * The watermark over several inputs: the lowest of those that are not idle. It only grows. An input that is complete or has ended
 * (Infinity) does not hold it back; it is complete, and ends, itself when all inputs are, not sooner: an idle one may have more to say, or
 * timers of its own to fire.
 *
 * Before the output becomes idle it goes up to the highest of all inputs (Flink: StatusWatermarkValve), also of those that have ended
 * since. Several subtasks that merge the same inputs see them become idle, and end, in different orders; so all of them come equally
 * far, and fire what is due, before nobody downstream waits for them any more.
 */
import type { Input } from './chain.ts'

/**
 * Behind the last record that will ever come, but before the end of input, which all subtasks reach together. A subtask whose splits have
 * ended is complete, not idle: for an idle one nobody downstream would wait, and what it still fires would come too late.
 */
export const COMPLETE = Number.MAX_VALUE

type Watermarks = Pick<Input, 'watermark' | 'idle'>

export class WatermarkMerge {
  private readonly output: Watermarks
  private readonly watermarks: Float64Array
  private readonly idles: boolean[]
  private current = -Infinity
  /** Of all inputs, before their end. */
  private highest = -Infinity
  private isIdle = false

  constructor(inputCount: number, output: Watermarks) {
    this.output = output
    this.watermarks = new Float64Array(inputCount).fill(-Infinity)
    this.idles = Array.from({ length: inputCount }, () => false)
  }

  input(index: number): Watermarks {
    return {
      watermark: time => {
        this.watermarks[index] = time
        if (time > this.highest && time < COMPLETE) this.highest = time
        this.merge()
      },
      idle: isIdle => {
        this.idles[index] = isIdle
        this.merge()
      },
    }
  }

  private merge(): void {
    let lowest = Infinity
    let complete = 0
    for (let i = 0; i < this.watermarks.length; i++) {
      const time = this.watermarks[i]
      if (time >= COMPLETE) complete++
      if (time < lowest && (time === COMPLETE || !this.idles[i])) lowest = time
    }
    const isIdle = lowest >= COMPLETE && complete < this.watermarks.length
    // What fires at the watermark is said by an input that is not idle: nobody waits for an idle one.
    if (this.isIdle && !isIdle) this.output.idle((this.isIdle = false))
    this.advance(isIdle ? this.highest : lowest)
    if (isIdle && !this.isIdle) this.output.idle((this.isIdle = true))
  }

  private advance(time: number): void {
    if (time <= this.current) return
    this.current = time
    this.output.watermark(time)
  }
}
