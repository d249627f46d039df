/** Union: records pass straight through; the watermark is the lowest of the inputs that are not idle. */
import type { Input } from '../chain.ts'
import type { Output } from '../output.ts'
import { WatermarkMerge } from '../watermark-merge.ts'

export function unionInputs(inputCount: number, output: Output): Input[] {
  const merge = new WatermarkMerge(inputCount, output)
  return Array.from({ length: inputCount }, (_, index) => ({ push: output.push, ...merge.input(index) }))
}
