import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RowList } from './row-list.ts'

test('a list has every row in the order of adding, over the ends of its chunks', () => {
  const list = new RowList()
  for (let i = 0; i < 20_000; i++) {
    list.push(i * 3)
    assert.equal(list.length, i + 1)
  }
  for (let i = 0; i < 20_000; i++) assert.equal(list.at(i), i * 3)
})
