/**
 * Holds everything that is about to happen in a simulation (a step of a slot, a mail on its way, an operation of the store, a timer) and
 * draws what happens next. Time stands still while an action runs, and goes on only as an action of its own.
 *
 * What is pending belongs to an owner: a process, or a slot of one. Nothing of an owner that is dead happens any more, and nothing of
 * one that is paused until it goes on.
 */
import type { Chance } from './chance.ts'
import type { Trace } from './trace.ts'

export class Owner {
  readonly name: string
  private readonly parent: Owner | undefined
  private isDead = false
  paused = false

  constructor(name: string, parent?: Owner) {
    this.name = name
    this.parent = parent
  }

  get lives(): boolean {
    return !this.isDead && this.parent?.lives !== false
  }

  /** What it has pending may happen. */
  get acts(): boolean {
    return !this.isDead && !this.paused && this.parent?.acts !== false
  }

  die(): void {
    this.isDead = true
  }
}

export interface Pending {
  readonly owner: Owner
  readonly label: string
  /** How likely it is to come next, against others. */
  readonly weight: number
  readonly run: () => void
  /** Its owner died before it came: what was under way outside may happen all the same, or in part. */
  readonly orphaned?: () => void
}

export interface SchedulerOptions {
  readonly startMs: number
  /** Of the passing of time, while other things are pending. */
  readonly clockWeight: number
  /** Most that passes at once. */
  readonly tickMs: number
}

interface Timer extends Pending {
  readonly atMs: number
}

/** Of all actions, while things are calm: what waits for time gets it even beside a slot that is never idle, but hardly anything expires. */
const CALM_CLOCK_SHARE = 0.002

export class Scheduler {
  readonly startMs: number
  nowMs: number
  actions = 0
  /** Time passes when nothing else is left to do, mostly. */
  calm = false
  private readonly options: SchedulerOptions
  private readonly chance: Chance
  private readonly trace: Trace
  private pending: Pending[] = []
  private timers: Timer[] = []

  constructor(options: SchedulerOptions, chance: Chance, trace: Trace) {
    this.options = options
    this.chance = chance
    this.trace = trace
    this.startMs = options.startMs
    this.nowMs = options.startMs
  }

  add(pending: Pending): void {
    this.pending.push(pending)
  }

  /** Not before that time; the result cancels it. */
  addTimer(atMs: number, pending: Pending): () => void {
    const timer: Timer = { ...pending, atMs }
    this.timers.push(timer)
    return () => {
      this.timers = this.timers.filter(each => each !== timer)
    }
  }

  /** Does the next thing. False: nothing is pending, not even with time. */
  act(): boolean {
    const due = this.timers.filter(timer => timer.atMs <= this.nowMs && timer.owner.acts)
    const next = this.draw([...this.pending.filter(({ owner }) => owner.acts), ...due])
    if (next === undefined || next === 'time') return this.tick()
    this.pending = this.pending.filter(each => each !== next)
    this.timers = this.timers.filter(each => each !== next)
    this.note(`${next.owner.name}: ${next.label}`)
    next.run()
    return true
  }

  /** Writes down what happens now. */
  note(text: string): void {
    this.actions++
    this.trace.add(`${this.actions} @${this.nowMs - this.startMs} ${text}`)
  }

  /** An owner died: forgets what the dead had pending. */
  bury(): void {
    const orphans = this.pending.filter(({ owner }) => !owner.lives)
    this.pending = this.pending.filter(({ owner }) => owner.lives)
    this.timers = this.timers.filter(({ owner }) => owner.lives)
    for (const { orphaned } of orphans) orphaned?.()
  }

  private draw(candidates: readonly Pending[]): Pending | 'time' | undefined {
    if (candidates.length === 0) return undefined
    const weight = candidates.reduce((sum, each) => sum + each.weight, 0)
    let left = this.chance.next() * (weight + (this.calm ? weight * CALM_CLOCK_SHARE : this.options.clockWeight))
    for (const candidate of candidates) {
      left -= candidate.weight
      if (left < 0) return candidate
    }
    return 'time'
  }

  private tick(): boolean {
    const next = this.timers.reduce((least, { atMs, owner }) => (owner.acts ? Math.min(least, atMs) : least), Infinity)
    const isIdle = !this.pending.some(({ owner }) => owner.acts)
    if (isIdle && next === Infinity) return false
    const jumps = next > this.nowMs && next < Infinity && (isIdle || (!this.calm && this.chance.odds(0.1)))
    this.nowMs = jumps ? next : this.nowMs + (this.calm ? 1 : this.chance.between(1, this.options.tickMs))
    this.note('time passes')
    return true
  }
}
