/** What a union, and the input of an exchange, tell those behind them of time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { COMPLETE, WatermarkMerge } from './watermark-merge.ts'

function merge(inputs: number) {
  const said: (number | string)[] = []
  const output = {
    watermark: (time: number) => void said.push(time),
    idle: (isIdle: boolean) => void said.push(isIdle ? 'idle' : 'active'),
  }
  const merged = new WatermarkMerge(inputs, output)
  return { said, inputs: Array.from({ length: inputs }, (_, index) => merged.input(index)) }
}

test('the watermark is the lowest of all inputs, and never goes back', () => {
  const { said, inputs } = merge(2)
  inputs[0].watermark(5)
  assert.deepEqual(said, [])
  inputs[1].watermark(3)
  inputs[1].watermark(9)
  assert.deepEqual(said, [3, 5])
})

test('an idle input does not hold it back; back again, it does not take it back', () => {
  const { said, inputs } = merge(2)
  inputs[0].watermark(5)
  inputs[1].idle(true)
  inputs[1].idle(false)
  inputs[1].watermark(2)
  inputs[0].watermark(7)
  assert.deepEqual(said, [5])
  inputs[1].watermark(6)
  assert.deepEqual(said, [5, 6])
})

test('when all inputs are idle so is the output, having come as far as the furthest of them', () => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const { said, inputs } = merge(2)
    inputs[0].watermark(3)
    inputs[1].watermark(8)
    for (const index of order) inputs[index].idle(true)
    inputs[0].idle(false)
    assert.deepEqual(said, [3, 8, 'idle', 'active'])
  }
})

test('an output that becomes idle has come as far as the furthest input came before it ended', () => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const { said, inputs } = merge(2)
    inputs[0].watermark(3)
    inputs[1].watermark(8)
    for (const index of order) {
      if (index === 0) inputs[0].idle(true)
      else inputs[1].watermark(Infinity)
    }
    assert.deepEqual(said, [3, 8, 'idle'])
  }
})

test('an input that has ended holds nothing back', () => {
  const { said, inputs } = merge(2)
  inputs[0].watermark(Infinity)
  inputs[1].watermark(4)
  assert.deepEqual(said, [4])
})

test('it ends when all inputs have ended, not when the last one that is not idle has', () => {
  const { said, inputs } = merge(2)
  inputs[1].idle(true)
  inputs[0].watermark(Infinity)
  assert.deepEqual(said, ['idle'])
  inputs[1].watermark(Infinity)
  assert.deepEqual(said, ['idle', 'active', Infinity])
})

test('a complete input holds nothing back, and does not end the time of one that is only idle', () => {
  const { said, inputs } = merge(2)
  inputs[0].watermark(4)
  inputs[1].watermark(3)
  inputs[1].idle(true)
  inputs[0].watermark(COMPLETE)
  assert.deepEqual(said, [3, 4, 'idle'])
  inputs[1].idle(false)
  inputs[1].watermark(9)
  assert.deepEqual(said, [3, 4, 'idle', 'active', 9])
  inputs[1].watermark(COMPLETE)
  inputs[0].watermark(Infinity)
  inputs[1].watermark(Infinity)
  assert.deepEqual(said.slice(5), [COMPLETE, Infinity])
})
