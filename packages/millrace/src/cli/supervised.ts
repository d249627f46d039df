/**
 * The supervised process, seen from inside: what it tells the process that supervises it and hears from there, over node's channel
 * between a process and its child. The channel also tells that the supervisor is gone, however it went.
 */
import type { ResolvedRestart } from '../host/options.ts'

/** Set for the supervised process: a channel alone may be that of somebody else's program. */
export const SUPERVISED = 'MILLRACE_SUPERVISED'

/** The field is ours: code of the job may use the channel too. */
export type FromSupervised =
  /** From here on it stops when it is told to. `restart`: the options that it resolved. */
  | { readonly millrace: 'ready'; readonly restart: ResolvedRestart }
  /** The choice of what to start from is durable. */
  | { readonly millrace: 'started' }

export interface ToSupervised {
  readonly millrace: 'stop'
}

export interface Supervisor {
  tell(message: FromSupervised): void
  /** `act` is called when the supervisor says so, or is gone; perhaps more than once. */
  onStop(act: () => void): void
}

/** Undefined: nobody supervises this process. To be called once, before code of the job runs, which need not know of this. */
export function findSupervisor(): Supervisor | undefined {
  const isSupervised = process.env[SUPERVISED] !== undefined
  // Whatever the job starts is not supervised.
  delete process.env[SUPERVISED]
  return isSupervised && process.send !== undefined ? SUPERVISOR : undefined
}

const SUPERVISOR: Supervisor = {
  tell(message) {
    // That it is gone is heard of by `disconnect`.
    process.send!(message, undefined, undefined, () => undefined)
  },

  onStop(act) {
    process.on('message', (message: Partial<ToSupervised> | undefined) => {
      if (message?.millrace === 'stop') act()
    })
    process.on('disconnect', act)
    // Listeners keep the process alive, which is to end as any other.
    process.channel?.unref()
    if (!process.connected) act()
  },
}
