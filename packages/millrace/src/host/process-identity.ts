/**
 * Which process this is, and whether another one of this machine still lives. A pid alone says neither: it is reused, and it means
 * something else in another container or after a reboot. Linux tells boot, pid namespace and start of a process apart in /proc;
 * where that is missing the fields are null, and a lock is judged by its lease alone.
 */
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import type { ProcessIdentity } from '../snapshot/lock-record.ts'

export function currentProcess(): ProcessIdentity {
  return {
    pid: process.pid,
    host: hostname(),
    bootId: attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    pidNamespace: attempt(() => readlinkSync('/proc/self/ns/pid')),
    processStart: attempt(() => startOf(readFileSync('/proc/self/stat', 'utf8'))),
  }
}

/** Whether both lived under the same kernel and count pids alike, so that the pid of one means something to the other. */
export function sharePids(a: ProcessIdentity, b: ProcessIdentity): boolean {
  const isKnown = a.bootId !== null && a.pidNamespace !== null && a.processStart !== null
  return (
    isKnown &&
    a.host === b.host &&
    a.bootId === b.bootId &&
    a.pidNamespace === b.pidNamespace &&
    b.processStart !== null
  )
}

/** Whether this very process lives. Only for one that shares pids with the caller. */
export function isProcessAlive({ pid, processStart }: ProcessIdentity): boolean {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  if (stat !== null) return startOf(stat) === processStart && !'ZX'.includes(stateOf(stat))
  try {
    // Hidden from this user (hidepid), perhaps: then only its existence can be asked for.
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as { readonly code?: string }).code === 'EPERM'
  }
}

/** Fields of /proc/PID/stat after the command, which is in parentheses and may hold spaces and parentheses itself. */
function fieldsOf(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

function stateOf(stat: string): string {
  return fieldsOf(stat)[0] ?? ''
}

/** Field 22: clock ticks between boot and start. */
function startOf(stat: string): string | null {
  return fieldsOf(stat)[19] ?? null
}

function attempt<T>(read: () => T): T | null {
  try {
    return read()
  } catch {
    return null
  }
}
