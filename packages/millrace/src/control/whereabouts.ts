/** Where a job's control API is, read from the job's lock. Nothing is asked yet, so nobody may listen there. */
import { networkInterfaces } from 'node:os'
import { inspectLock, type LockView } from '../host/lock.ts'
import { isLoopback } from '../host/loopback.ts'
import { currentProcess } from '../host/process-identity.ts'
import type { SnapshotStore } from '../store/contract.ts'

export type Whereabouts =
  | { readonly kind: 'here'; readonly address: string; readonly pid: number }
  /** Nobody runs the job. */
  | { readonly kind: 'nowhere' }
  /** Somebody does who cannot be asked, or not yet. */
  | { readonly kind: 'never'; readonly why: string }
  | { readonly kind: 'not-yet'; readonly why: string }

const ADDRESS = /^http:\/\/(\d+\.\d+\.\d+\.\d+|\[[0-9a-f:]+\]):\d{1,5}$/

export async function whereIs(store: SnapshotStore): Promise<Whereabouts> {
  const self = currentProcess()
  const lock = await inspectLock(store, self, Date.now())
  return lock === undefined || lock.state === 'free' ? { kind: 'nowhere' } : whereaboutsOf(lock, self.host)
}

function whereaboutsOf({ record }: LockView, thisHost: string): Whereabouts {
  if (record === undefined) return { kind: 'not-yet', why: 'its lock cannot be read' }
  const { pid, host, control } = record
  const owner = `process ${pid} on ${host}`
  if (host !== thisHost)
    return { kind: 'never', why: `it is run by ${owner}, and can be controlled on that host alone` }
  if (control === undefined) return { kind: 'not-yet', why: `${owner}, which runs it, has no control API, or not yet` }
  if (isOfThisMachine(control)) return { kind: 'here', address: control, pid }
  return { kind: 'never', why: `${owner}, which runs it, names no address of this host: '${control.slice(0, 100)}'` }
}

/** A lock is a file that may have come from anywhere: it leads to this machine, or nowhere, and no token goes elsewhere. */
function isOfThisMachine(address: string): boolean {
  const host = ADDRESS.exec(address)?.[1]?.replaceAll(/[[\]]/g, '')
  if (host === undefined) return false
  const own = Object.values(networkInterfaces()).flatMap(each => each ?? [])
  return isLoopback(host) || own.some(each => each.address === host)
}
