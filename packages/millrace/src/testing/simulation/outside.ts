/**
 * Calls to the world outside: the disk, the system that sinks write to, what sources read from. A call takes effect when the scheduler
 * says so, and is answered later still. It may fail before it has taken effect, or after: then only its answer is lost. When the caller
 * dies in between, what was under way has happened or not.
 */
import type { Chance } from './chance.ts'
import type { Owner, Scheduler } from './scheduler.ts'

/** Every fault that a simulation makes says so, and every failure of a job must come from one. */
export const PLANTED = 'planted'

export interface OutsideOptions {
  readonly weight: number
  /** Of all calls, how many fail without effect, and how many lose their answer. */
  readonly failureRate: number
  readonly lostAnswerRate: number
}

export interface OutsideCall<T> {
  readonly owner: Owner
  readonly label: string
  /** Takes effect before its first await. */
  readonly effect: () => Promise<T>
  readonly error: (what: string) => Error
  /** It may not fail: its contract says so. */
  readonly isSafe?: boolean
}

export class Outside {
  private readonly options: OutsideOptions
  private readonly scheduler: Scheduler
  private readonly chance: Chance

  constructor(options: OutsideOptions, scheduler: Scheduler, chance: Chance) {
    this.options = options
    this.scheduler = scheduler
    this.chance = chance
  }

  call<T>(call: OutsideCall<T>): Promise<T> {
    const { scheduler, chance } = this
    const { weight } = this.options
    const { owner, label, effect } = call
    return new Promise<T>((resolve, reject) => {
      const run = (): void => {
        const fault = this.drawFault(call)
        if (fault === 'failed') return reject(call.error(`${PLANTED}: ${label} failed`))
        const done = effect()
        done.catch(() => undefined)
        const answer = (): void => {
          if (fault === undefined) void done.then(resolve, reject)
          else done.then(() => reject(call.error(`${PLANTED}: the answer to ${label} was lost`)), reject)
        }
        if (chance.odds(0.5)) answer()
        else scheduler.add({ owner, label: `answer to ${label}`, weight, run: answer })
      }
      const orphaned = (): void => {
        if (chance.odds(0.5)) effect().catch(() => undefined)
      }
      scheduler.add({ owner, label, weight, run, orphaned })
    })
  }

  private drawFault({ isSafe }: OutsideCall<unknown>): 'failed' | 'lost' | undefined {
    const { failureRate, lostAnswerRate } = this.options
    if (this.scheduler.calm || isSafe === true) return undefined
    const drawn = this.chance.next()
    if (drawn < failureRate) return 'failed'
    return drawn < failureRate + lostAnswerRate ? 'lost' : undefined
  }
}
