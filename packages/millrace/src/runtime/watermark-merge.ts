/** The watermark over several inputs: the lowest of those that are not idle. It only grows, and is idle while all inputs are. */
import type { Input } from './chain.ts'

type Watermarks = Pick<Input, 'watermark' | 'idle'>

export class WatermarkMerge {
  private readonly output: Watermarks
  private readonly watermarks: Float64Array
  private readonly idles: boolean[]
  private current = -Infinity
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
        this.merge()
      },
      idle: isIdle => {
        this.idles[index] = isIdle
        const all = this.idles.every(Boolean)
        if (all !== this.isIdle) this.output.idle((this.isIdle = all))
        this.merge()
      },
    }
  }

  private merge(): void {
    let lowest = Infinity
    let any = false
    for (let i = 0; i < this.watermarks.length; i++) {
      if (this.idles[i] && this.watermarks[i] !== Infinity) continue
      any = true
      lowest = Math.min(lowest, this.watermarks[i])
    }
    if (!any || lowest <= this.current) return
    this.current = lowest
    this.output.watermark(lowest)
  }
}
