import assert from 'node:assert/strict'
import { test } from 'node:test'
import { schemaMisfit } from './schema-check.ts'

const cart = {
  type: 'object',
  properties: {
    items: { type: 'array', items: { $ref: '#/$defs/item' }, maxItems: 2 },
    note: { type: ['string', 'null'], maxLength: 3 },
    by: { additionalProperties: { type: 'integer', minimum: 0, exclusiveMaximum: 10 }, type: 'object' },
  },
  required: ['items'],
  $defs: { item: { type: 'object', properties: { id: { type: 'string', pattern: '^[a-z]+$' } }, required: ['id'] } },
}

test('a value that fits has no misfit; what is undefined is missing', () => {
  for (const value of [
    { items: [] },
    { items: [{ id: 'x' }], note: null, by: { a: 9 } },
    { items: [], note: undefined },
  ])
    assert.equal(schemaMisfit(cart, value), undefined)
})

for (const [value, path, reason] of [
  [7, '', /7 is not an object/],
  [new Map(), '', /is not an object/],
  [{}, 'items', /property 'items' is missing/],
  [{ items: undefined }, 'items', /missing/],
  [{ items: [{ id: 'x' }, { id: 'Y' }] }, 'items[1].id', /does not match/],
  [{ items: [1, 2, 3] }, 'items', /3 elements, more than 2/],
  [{ items: [], note: 'long' }, 'note', /longer than 3/],
  [{ items: [], note: 5 }, 'note', /5 is not a string or null/],
  [{ items: [], by: { a: 10 } }, 'by.a', /above 10/],
  [{ items: [], by: { a: NaN } }, 'by.a', /NaN is not an integer/],
  [{ items: [], more: 1 }, 'more', /not in the schema/],
] as const) {
  test(`a misfit is named by its path: '${path}', ${reason.source}`, () => {
    const misfit = schemaMisfit(cart, value)
    assert.equal(misfit?.path, path)
    assert.match(misfit.reason, reason)
  })
}
