import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isMillraceError } from '../base/errors.ts'
import { SEALED_SIZE_LIMIT, sealJson, unsealJson } from './sealed-json.ts'

const isDamaged = (error: unknown): boolean =>
  isMillraceError(error, 'SNAPSHOT_DAMAGED') && error.message.startsWith('manifests/a.json ')
const unseal = (bytes: Uint8Array): unknown => unsealJson(bytes, 'manifests/a.json')

test('what was sealed is read again, whatever it holds', () => {
  const value = fc.dictionary(
    fc.string().filter(name => name !== 'checksum'),
    fc.jsonValue(),
    { minKeys: 1, noNullPrototype: true },
  )
  fc.assert(
    fc.property(value, object => {
      const plain: unknown = JSON.parse(JSON.stringify(object))
      assert.deepEqual(unseal(sealJson(object)), plain)
    }),
  )
})

test('sealed JSON is readable, and its last field is the checksum', () => {
  const text = new TextDecoder().decode(sealJson({ a: 1, b: ['x'] }))
  assert.match(text, /^\{\n {2}"a": 1,\n {2}"b": \[\n {4}"x"\n {2}\],\n {2}"checksum": \d+\n\}\n$/)
})

test('every changed byte and every truncation is noticed', () => {
  const sealed = sealJson({ format: 'x', list: [1, 2, { deep: 'äöü € 😀' }], empty: {} })
  for (let i = 0; i < sealed.length; i += 1) {
    assert.throws(() => unseal(sealed.subarray(0, i)), isDamaged, `cut at ${i}`)
    for (const flip of [0x01, 0x10, 0x20, 0x80, 0xff]) {
      const changed = sealed.slice()
      changed[i] ^= flip
      assert.throws(() => unseal(changed), isDamaged, `byte ${i} ^ ${flip}`)
    }
  }
  assert.throws(() => unseal(new Uint8Array([...sealed, 0x0a])), isDamaged)
})

test('a file that is too long is refused unread', () => {
  assert.throws(() => unseal(new Uint8Array(SEALED_SIZE_LIMIT + 1)), /limit/)
})

test('bytes with a right checksum that are no JSON object are damage too', () => {
  // Sealed by hand: a list, and a text cut inside, with the checksum that belongs to it.
  const sealed = new TextDecoder().decode(sealJson({ a: 1 }))
  assert.throws(() => unseal(new TextEncoder().encode(sealed.replace('{', '['))), isDamaged)
})
