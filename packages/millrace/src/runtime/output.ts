/** Where an operator sends its records: all readers of its main output, and of each side output. */
import { countLink, fanOut, privateCopy, type Input, type Push } from './chain.ts'

export class Output {
  readonly push: Push
  private readonly inputs: readonly Input[]

  /** @param counter of what is sent; left out where something else counts */
  constructor(inputs: readonly Input[], counter?: { records: number }) {
    this.inputs = inputs
    const push = fanOut(inputs.map(input => input.push))
    this.push = counter === undefined ? push : privateCopy(countLink)(push, counter)
  }

  watermark(time: number): void {
    for (let i = 0; i < this.inputs.length; i++) this.inputs[i].watermark(time)
  }

  idle(isIdle: boolean): void {
    for (let i = 0; i < this.inputs.length; i++) this.inputs[i].idle(isIdle)
  }
}

/** Side outputs by tag name; watermarks go to their readers as to those of the main output. */
export class Outputs {
  readonly main: Output
  private readonly sides: ReadonlyMap<string, Output>

  constructor(main: Output, sides: ReadonlyMap<string, Output>) {
    this.main = main
    this.sides = sides
  }

  /** A record for a tag that nobody reads is dropped, as in Flink. */
  side(tag: string, value: unknown): void {
    this.sides.get(tag)?.push(value)
  }

  watermark(time: number): void {
    this.main.watermark(time)
    for (const side of this.sides.values()) side.watermark(time)
  }

  idle(isIdle: boolean): void {
    this.main.idle(isIdle)
    for (const side of this.sides.values()) side.idle(isIdle)
  }
}
