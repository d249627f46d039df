import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { diskStoreContract } from '../../testing/disk-store-contract.ts'
import { Packing } from '../disk/packed.ts'
import { SqliteStore } from './sqlite-store.ts'

const directory = mkdtempSync(join(tmpdir(), 'millrace-sqlite-'))
after(() => rmSync(directory, { recursive: true, force: true }))
let opened = 0
const open = () => new SqliteStore(join(directory, String(opened++)), 4 << 20)

diskStoreContract('sqlite', open, { runs: 60 })

test('a batch that is refused in the middle leaves nothing', () => {
  const store = open()
  const batch = new Packing()
  batch.put(Buffer.from('a'), Buffer.from('first'))
  batch.put(Buffer.from('b'), Buffer.from('second'))
  assert.throws(() => store.write(batch.bytes.subarray(0, batch.length - 3)))
  assert.equal(store.get(Buffer.from('a')), undefined)
  store.write(batch.bytes)
  assert.equal(Buffer.from(store.get(Buffer.from('b'))!).toString(), 'second')
  store.close()
})
