import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from './crc.ts'

test('crc32 gives the published check value, whole and in parts', () => {
  assert.equal(crc32(Buffer.from('123456789')), 0xcbf43926)
  assert.equal(crc32(Buffer.from('6789'), crc32(Buffer.from('12345'))), 0xcbf43926)
})
