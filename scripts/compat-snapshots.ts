/**
 * Writes the golden snapshots of this version into test/compat/<version>/, once: they are what every later version must read. A version
 * whose snapshots are there keeps them; a change of a format comes with a new version.
 *
 *   npm run compat:write
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from 'millrace'
import { decodeLock, encodeLock } from '../packages/millrace/src/snapshot/lock-record.ts'
import { decodeManifest, encodeManifest } from '../packages/millrace/src/snapshot/manifest.ts'
import type { Manifest } from '../packages/millrace/src/snapshot/manifest-types.ts'
import { lockName, manifestName } from '../packages/millrace/src/snapshot/object-names.ts'
import { compatJob, ITEMS, JOB } from '../test/compat/job.ts'

const root = join(import.meta.dirname, '..')
const { version } = JSON.parse(readFileSync(join(root, 'packages/millrace/package.json'), 'utf8')) as {
  version: string
}
const storage = join(root, 'test/compat', version)

if (existsSync(storage)) {
  console.error(`${storage} is there: the snapshots of a version are written once`)
  process.exit(2)
}
mkdirSync(storage)
const handle = await run(compatJob('write'), { storage, checkpointing: { interval: '1h', retain: 1 } })
let manifest: Manifest
do manifest = manifestOf(await handle.checkpoint())
while (manifest.operators.find(({ name }) => name === 'items')!.source!.records < ITEMS.length)
await handle.cancel()
await handle.finished
// Which process and machine it was is nobody's business.
const lock = join(storage, JOB, lockName(manifest.token))
const anonymous = { pid: 1, host: 'golden', bootId: null, pidNamespace: null, processStart: null }
writeFileSync(lock, encodeLock({ ...decodeLock(readFileSync(lock), manifest.token), ...anonymous }))
const savepoint: Manifest = { ...manifest, kind: 'savepoint', id: manifest.id + 1 }
writeFileSync(join(storage, JOB, manifestName(savepoint)), encodeManifest(savepoint))

function manifestOf({ id }: { readonly id: string }): Manifest {
  const file = manifestName({ kind: 'checkpoint', id: Number(id.slice('chk-'.length)) })
  return decodeManifest(readFileSync(join(storage, JOB, file)), { job: JOB, file })
}
