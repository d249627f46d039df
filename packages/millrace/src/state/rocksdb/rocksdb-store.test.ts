import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { diskStoreContract } from '../../testing/disk-store-contract.ts'
import { loadRocksDb } from './load-rocksdb.ts'
import { RocksDbStore } from './rocksdb-store.ts'

const loaded = loadRocksDb()

test('the binary is there where it must be', { skip: 'missing' in loaded && !isRequired() && loaded.missing }, () => {
  assert.ok('native' in loaded, `${(loaded as { missing: string }).missing}; npm run build -w packages/rocksdb`)
})

if ('native' in loaded) {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-rocksdb-'))
  after(() => rmSync(directory, { recursive: true, force: true }))
  let opened = 0
  diskStoreContract('rocksdb', () => new RocksDbStore(loaded.native, join(directory, String(opened++)), 16 << 20), {
    runs: 60,
  })
}

function isRequired(): boolean {
  return process.env['MILLRACE_REQUIRE_ROCKSDB'] === '1'
}
