/** RocksDB's binding is an optional package, with binaries for some platforms: it is there, or there is a reason why not. */
import { createRequire } from 'node:module'
import type { RocksDb } from '@millrace/rocksdb'

type RocksDbPackage = typeof import('@millrace/rocksdb')

export type LoadedRocksDb = { readonly native: RocksDb } | { readonly missing: string }

export function loadRocksDb(): LoadedRocksDb {
  try {
    const { loadRocksDb } = createRequire(import.meta.url)('@millrace/rocksdb') as RocksDbPackage
    return { native: loadRocksDb() }
  } catch (error) {
    return { missing: reasonOf(error as NodeJS.ErrnoException) }
  }
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  const [firstLine] = message.split('\n')
  if (code !== 'MODULE_NOT_FOUND') return `the binary of @millrace/rocksdb does not load here: ${firstLine}`
  return firstLine.includes('@millrace/rocksdb')
    ? 'the package @millrace/rocksdb is not installed'
    : `@millrace/rocksdb has no binary for ${process.platform}-${process.arch}`
}
