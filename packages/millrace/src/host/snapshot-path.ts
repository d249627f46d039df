/** A snapshot by its path: a manifest file in a `manifests/` folder, or a self-contained folder, which has exactly one manifest. Reads only. */
import { realpathSync, statSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { MillraceError } from '../base/errors.ts'
import type { AdoptionSource } from '../snapshot/adopt.ts'
import { decodeManifest, readSealed } from '../snapshot/manifest.ts'
import { MANIFESTS, parseManifestName } from '../snapshot/object-names.ts'
import { LocalStore } from '../store/local/index.ts'

export interface SnapshotFile {
  /** Absolute, of the folder that holds `manifests/` and `segments/`. */
  readonly folder: string
  /** Within the folder. */
  readonly file: string
}

/** @throws SNAPSHOT_NOT_FOUND when there is none, or more than one */
export async function snapshotAtPath(text: string): Promise<SnapshotFile> {
  const path = resolve(text)
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats?.isDirectory()) return { folder: path, file: await onlyManifest(path) }
  if (!stats?.isFile()) throw notFound(`there is no file or folder ${path}`)
  const folder = dirname(path)
  if (basename(folder) !== MANIFESTS || parseManifestName(basename(path)) === undefined)
    throw notFound(`${path} is not a manifest in a folder ${MANIFESTS}`)
  return { folder: dirname(folder), file: `${MANIFESTS}/${basename(path)}` }
}

/** @throws SNAPSHOT_NOT_FOUND when it is gone, and why it cannot be read */
export async function readSnapshotFile({ folder, file }: SnapshotFile): Promise<AdoptionSource> {
  const store = new LocalStore(folder)
  if ((await store.size(file)) === undefined) throw notFound(`there is no file ${resolve(folder, file)}`)
  return { store, manifest: decodeManifest(await readSealed(store, file), { job: undefined, file }) }
}

/** Whether two paths lead to the same folder. */
export function isSameFolder(a: string, b: string): boolean {
  const [real, other] = [a, b].map(path =>
    statSync(path, { throwIfNoEntry: false }) === undefined ? undefined : realpathSync(path),
  )
  return real !== undefined && real === other
}

async function onlyManifest(folder: string): Promise<string> {
  const names = (await new LocalStore(folder).list(MANIFESTS)).map(({ name }) => name)
  const manifests = names.filter(name => parseManifestName(name) !== undefined)
  if (manifests.length === 1) return `${MANIFESTS}/${manifests[0]}`
  if (manifests.length === 0) throw notFound(`the folder ${folder} holds no snapshot`)
  throw notFound(
    `the folder ${folder} holds ${manifests.length} snapshots; name one, such as ${resolve(folder, MANIFESTS, manifests.at(-1)!)}`,
  )
}

function notFound(message: string): MillraceError {
  return new MillraceError('SNAPSHOT_NOT_FOUND', message)
}
