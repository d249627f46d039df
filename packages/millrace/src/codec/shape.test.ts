import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeShape, ShapesByName, ShapesByRun, type Shape } from './shape.ts'

const shapeOf = (...names: string[]): Shape => makeShape(names, Buffer.from(names.join()))

test('a shape is found by the names of an object in their order', () => {
  const shapes = new ShapesByName()
  const [ab, ba, abc, none] = [shapeOf('a', 'b'), shapeOf('b', 'a'), shapeOf('a', 'b', 'c'), shapeOf()]
  for (const shape of [ab, ba, abc, none]) shapes.add(shape)
  assert.equal(shapes.find({ a: 1, b: 2 }), ab)
  assert.equal(shapes.find({ b: 1, a: 2 }), ba)
  assert.equal(shapes.find({ a: 1, b: 2, c: 3 }), abc)
  assert.deepEqual(shapes.find({})?.names, [])
  assert.equal(shapes.find({ a: 1 }), undefined)
  assert.equal(shapes.find({ a: 1, c: 2 }), undefined)
})

test('a cache of names that is full begins anew, and does not keep dictionaries', () => {
  const shapes = new ShapesByName()
  for (let i = 0; i < 5000; i++) shapes.add(shapeOf(`n${i}`))
  assert.equal(shapes.find({ n0: 1 }), undefined)
  assert.deepEqual(shapes.find({ n4999: 1 })?.names, ['n4999'])
  const names = Array.from({ length: 65 }, (_, i) => `m${i}`)
  shapes.add(shapeOf(...names))
  assert.equal(shapes.find(Object.fromEntries(names.map(name => [name, 1]))), undefined)
})

test('of the names that begin alike the latest are kept', () => {
  const shapes = new ShapesByName()
  for (let i = 0; i < 100; i++) shapes.add(shapeOf('id', `n${i}`))
  assert.equal(shapes.find({ id: 1, n0: 1 }), undefined)
  for (let i = 84; i < 100; i++) assert.deepEqual(shapes.find({ id: 1, [`n${i}`]: 1 })?.names, ['id', `n${i}`])
})

test('a shape is found by its bytes, four that look alike are kept, and a fifth replaces the oldest', () => {
  const shapes = new ShapesByRun()
  const alike = Array.from({ length: 5 }, (_, i) => makeShape([`${i}`], Buffer.from([i, 7, 7])))
  const find = (shape: Shape) => shapes.find(Buffer.concat([Buffer.from([9]), shape.run, Buffer.from([9])]), 1, 3)
  for (const shape of alike.slice(0, 4)) shapes.add(shape)
  assert.deepEqual(alike.map(find), [...alike.slice(0, 4), undefined])
  shapes.add(alike[4])
  assert.deepEqual(alike.map(find), [undefined, ...alike.slice(1)])
})
