import { MillraceError } from '../../base/errors.ts'
import { assertObjectName, type Storage } from '../contract.ts'
import { MemoryStore } from './memory-store.ts'

export interface MemoryStorageOptions {
  readonly location?: string
  /** Epoch milliseconds, for `modifiedAtMs`. Default: always 0. */
  readonly now?: () => number
}

/** A storage that lives as long as the object. Asking for a job twice gives the same store; one without objects is not listed. */
export function memoryStorage(options: MemoryStorageOptions = {}): Storage {
  const { location = 'memory', now = () => 0 } = options
  const stores = new Map<string, MemoryStore>()
  return {
    kind: 'memory',
    location,
    job(name) {
      assertObjectName(name)
      if (name.includes('/')) throw new MillraceError('BAD_REFERENCE', `'${name}' is not the name of a job's folder`)
      const store = stores.get(name) ?? new MemoryStore(`${location}/${name}`, now)
      stores.set(name, store)
      return store
    },
    async jobs() {
      return [...stores].flatMap(([name, store]) => (store.isEmpty ? [] : [name])).toSorted()
    },
  }
}
