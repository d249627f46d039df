/** Union: records pass straight through; the watermark is the lowest of the inputs that are not idle. */
import type { Input, Push } from '../chain.ts'
import type { Output } from '../output.ts'

export class UnionOperator {
  private readonly output: Output
  private readonly watermarks: number[]
  private readonly idles: boolean[]
  private current = -Infinity
  private isIdle = false

  constructor(inputCount: number, output: Output) {
    this.output = output
    this.watermarks = Array.from({ length: inputCount }, () => -Infinity)
    this.idles = Array.from({ length: inputCount }, () => false)
  }

  input(index: number): Input {
    const push: Push = this.output.push
    return {
      push,
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
