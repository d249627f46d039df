/** A directory that holds a folder per job. It is made with the first write; reading a storage that is not there finds no jobs. */
import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { MillraceError } from '../../base/errors.ts'
import { assertObjectName, type Storage } from '../contract.ts'
import { errnoOf } from './durable-files.ts'
import { LocalStore } from './local-store.ts'

/**
 * The storage in `directory` (relative to the working directory). Touches nothing yet: a path that cannot be a storage is found by
 * the first call that needs it (`STORAGE_INVALID`).
 */
export function localStorage(directory: string): Storage {
  const location = resolve(directory)
  return {
    kind: 'local',
    location,
    job(name) {
      assertObjectName(name)
      if (name.includes('/')) throw new MillraceError('BAD_REFERENCE', `'${name}' is not the name of a job's folder`)
      return new LocalStore(join(location, name))
    },
    async jobs() {
      const entries = await readdir(location, { withFileTypes: true }).catch((error: unknown) => {
        const errno = errnoOf(error)
        if (errno === 'ENOENT') return []
        if (errno === 'ENOTDIR')
          throw new MillraceError('STORAGE_INVALID', `the storage ${location} is a file, but must be a directory`)
        throw new MillraceError('STORE_FAILED', `could not list ${location}: ${errno ?? 'unknown error'}`, {
          cause: error,
        })
      })
      return entries
        .filter(entry => entry.isDirectory() && /^[a-z0-9][a-z0-9._-]{0,63}$/.test(entry.name))
        .map(entry => entry.name)
        .toSorted()
    },
  }
}
