/**
 * One simulation: a job under processes that come and go on one disk, everything in one thread, in an order that a seed determines.
 *
 *   disturbed (faults, crashes, stops, rescales, rivals) -> calm (the job must come to its end) -> over (everything is checked)
 *
 * The host and the engine are real; simulated are the clock, the threads, the disk, and the systems that sources and sinks talk to.
 * Between two actions everything that was awaited runs (`turn`), so an action is the smallest thing that anything can come between.
 */
import type { MillraceError } from '../../base/errors.ts'
import type { JobOutcome } from '../../host/events.ts'
import { fsck } from '../../snapshot/fsck.ts'
import type { StartRequest } from '../../snapshot/recover.ts'
import { Chance } from './chance.ts'
import { Disturber } from './disturber.ts'
import { idsAt, makeInput, type Input } from './items.ts'
import { isExpectedAnswer, isExpectedEnd } from './judgement.ts'
import { Ledger } from './ledger.ts'
import { problemOf } from './output-checker.ts'
import { Outside } from './outside.ts'
import { drawPlan, type Plan } from './plan.ts'
import { Scheduler, type Owner } from './scheduler.ts'
import { JOB } from './simulated-job.ts'
import { SimulatedProcess } from './simulated-process.ts'
import { Disk } from './simulated-store.ts'
import type { Site } from './site.ts'
import { SnapshotChecker } from './snapshot-checker.ts'
import { Trace } from './trace.ts'

export interface SimulationOptions {
  readonly seed: number
  /** Resolves once all has run that can without a further action. */
  turn(): Promise<void>
  /** Each action, as it happens. */
  readonly onLine?: (line: string) => void
}

export interface SimulationReport {
  readonly seed: number
  /** What must not be; undefined: nothing was found. */
  readonly violation: string | undefined
  readonly actions: number
  /** Equal in two simulations of a seed. */
  readonly hash: number
  readonly processes: number
  readonly checkpoints: number
  /** The last actions. */
  readonly trace: readonly string[]
}

/** Undisturbed, a job comes to its end in far fewer, but where timers wait for a clock that was ahead, and every tick has a checkpoint: 157,000. */
const CALM_ACTIONS_MAX = 400_000
const START_MS = 1_700_000_000_000

export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  return new Simulation(options).run()
}

export class Simulation {
  readonly plan: Plan
  readonly chance: Chance
  readonly scheduler: Scheduler
  readonly disk: Disk
  readonly disks: Outside
  readonly snapshots: SnapshotChecker
  /** Those that live. */
  processes: readonly SimulatedProcess[] = []
  private readonly options: SimulationOptions
  private readonly trace: Trace
  private readonly input: Input
  /** At every sink. */
  private readonly expectedRows: number
  private readonly systems: Outside
  private readonly ledger: Ledger
  private readonly disturber: Disturber
  private readonly stopping = new WeakSet<SimulatedProcess>()
  private started = 0
  /** The process that began the last run. */
  private lastToBegin: Owner | undefined
  private violated: string | undefined
  /** A process has come to the end of the job. */
  private isFinished = false

  constructor(options: SimulationOptions) {
    const chance = new Chance(options.seed)
    const plan = drawPlan(chance)
    const trace = new Trace(options.onLine)
    const { weights, tickMs, diskFailureRate, diskLostAnswerRate, sinkFailureRate } = plan
    const scheduler = new Scheduler({ startMs: START_MS, clockWeight: weights.clock, tickMs }, chance, trace)
    const disks = { weight: weights.disk, failureRate: diskFailureRate, lostAnswerRate: diskLostAnswerRate }
    const systems = { weight: weights.sink, failureRate: sinkFailureRate, lostAnswerRate: sinkFailureRate }
    const violation = (what: string): void => this.violation(what)
    this.options = options
    this.chance = chance
    this.plan = plan
    this.trace = trace
    this.scheduler = scheduler
    this.disks = new Outside(disks, scheduler, chance)
    this.systems = new Outside(systems, scheduler, chance)
    this.disk = new Disk('disk', () => scheduler.nowMs)
    this.ledger = new Ledger({ isNamed: id => this.snapshots.isNamed(id), violation })
    this.snapshots = new SnapshotChecker({
      isPlainStart: () => this.isPlainStart(),
      isCommitted: id => this.ledger.isCommitted(id),
      violation,
    })
    this.disk.witness = this.snapshots
    this.input = makeInput(plan, options.seed)
    this.expectedRows = idsAt(plan, this.input, plan.stages.length).size
    this.disturber = new Disturber(this)
    trace.add(JSON.stringify(plan))
  }

  async run(): Promise<SimulationReport> {
    try {
      await this.disturb()
      await this.calmDown()
      await this.clearUp()
    } catch (error) {
      if (!(error instanceof Violated)) throw error
    }
    for (const process of this.processes) this.end(process)
    return {
      seed: this.options.seed,
      violation: this.violated,
      actions: this.scheduler.actions,
      hash: this.trace.hash,
      processes: this.started,
      checkpoints: this.snapshots.published.size,
      trace: this.trace.last(),
    }
  }

  // ---------------------------------------------------------------------------------------------------------- phases

  private async disturb(): Promise<void> {
    while (this.scheduler.actions < this.plan.disturbedActions && !this.isFinished) {
      this.disturber.maybe()
      await this.act()
    }
  }

  /** From here on nothing goes wrong any more, so the job must come to its end. */
  private async calmDown(): Promise<void> {
    this.scheduler.calm = true
    this.scheduler.note('calm')
    for (const { owner } of this.processes) owner.paused = false
    await this.actUntil(() => this.isFinished)
    this.check(this.outputProblem())
    for (const process of this.processes) this.end(process)
  }

  /** A last start finds the job finished (or stops it again), and clears up what crashes have left. */
  private async clearUp(): Promise<void> {
    this.start()
    await this.actUntil(() => this.processes.length === 0)
    this.check(this.outputProblem())
    const { findings } = await fsck(this.disk, JOB)
    this.check(findings[0] && `${findings[0].file}: ${findings[0].message}`)
    this.check(this.snapshots.retentionProblem(this.plan.checkpointing.retain))
  }

  private async actUntil(isOver: () => boolean): Promise<void> {
    const end = this.scheduler.actions + CALM_ACTIONS_MAX
    while (!isOver()) {
      if (this.processes.length === 0) this.start()
      if (!this.plan.isBounded && this.isComplete()) this.stopAll()
      if (this.scheduler.actions > end) this.check(`the job does not come to its end: ${this.outputProblem()}`)
      await this.act()
    }
  }

  private async act(): Promise<void> {
    if (!this.scheduler.act()) this.violation('nothing is left that could happen')
    await this.options.turn()
    this.check(this.violated)
  }

  // ------------------------------------------------------------------------------------------------------- processes

  siteOf(owner: Owner): Site {
    const { plan, input, chance, scheduler, systems, ledger } = this
    const isReplaced = (): boolean => this.lastToBegin !== owner
    const violation = (what: string): void => this.violation(what)
    return { owner, plan, input, chance, scheduler, systems, ledger, isReplaced, violation }
  }

  isAlive(number: number): boolean {
    return this.processes.some(process => process.options.number === number)
  }

  start(request: StartRequest = {}): void {
    const { chance, plan } = this
    const maxParallelism = chance.pick(plan.maxParallelisms)
    const parallelism = chance.pick(plan.parallelisms)
    const process = new SimulatedProcess(this, { number: ++this.started, parallelism, maxParallelism, request })
    this.processes = [...this.processes, process]
    this.scheduler.note(`${process.owner.name} starts at ${parallelism}/${maxParallelism} ${JSON.stringify(request)}`)
    process.runner.start().then(
      () => (process.hasStarted = true),
      error => this.failed(process, error),
    )
    process.runner.finished.then(
      outcome => this.ended(process, outcome),
      error => this.failed(process, error),
    )
  }

  /** It is gone, whatever it was doing. */
  end(process: SimulatedProcess): void {
    this.processes = this.processes.filter(each => each !== process)
    process.crash()
  }

  private ended(process: SimulatedProcess, outcome: JobOutcome): void {
    if (!this.processes.includes(process)) return
    this.scheduler.note(`${process.owner.name} is over: ${outcome}`)
    if (outcome === 'finished' || outcome === 'already-finished') this.isFinished = true
    if (outcome === 'stopped' && this.scheduler.calm && !this.plan.isBounded) this.isFinished ||= this.isComplete()
    this.end(process)
  }

  private failed(process: SimulatedProcess, error: MillraceError): void {
    if (!this.processes.includes(process)) return
    this.scheduler.note(`${process.owner.name} is over: ${error.code} ${error.message}`)
    // What it was asked to start from may have gone meanwhile.
    if (error.code !== 'SNAPSHOT_NOT_FOUND' || process.options.request.from === undefined) this.judgeEnd(error)
    this.end(process)
  }

  private stopAll(): void {
    for (const process of this.processes) {
      if (this.stopping.has(process) || !process.hasStarted) continue
      this.stopping.add(process)
      process.runner.stop().catch(error => this.judgeAnswer(error))
    }
  }

  /** A run begins: its process is that whose call takes effect. */
  private isPlainStart(): boolean {
    const process = this.processes.find(({ owner }) => owner === this.disk.actor)
    const isPlain = process === undefined || process.hasBegun || Object.keys(process.options.request).length === 0
    if (process !== undefined) process.hasBegun = true
    this.lastToBegin = this.disk.actor
    return isPlain
  }

  // -------------------------------------------------------------------------------------------------------- verdicts

  /** The first one counts; the simulation ends with the action under way. */
  violation(what: string): void {
    this.violated ??= what
  }

  /** An error that ended an attempt or a process. */
  judgeEnd(error: MillraceError): void {
    if (!isExpectedEnd(error, this.started > 1)) this.violation(`${error.code}: ${error.stack ?? error.message}`)
  }

  /** An error that the job's program was answered. */
  judgeAnswer(error: MillraceError): void {
    if (!isExpectedAnswer(error, this.started > 1)) this.violation(`${error.code}: ${error.stack ?? error.message}`)
  }

  private check(problem: string | undefined): void {
    if (problem === undefined) return
    this.violation(problem)
    throw new Violated()
  }

  private isComplete(): boolean {
    const { plan, ledger, snapshots } = this
    return plan.sinks.every(({ name }) => ledger.committedOf(name, snapshots.lastRunId).length >= this.expectedRows)
  }

  private outputProblem(): string | undefined {
    const { plan, input, ledger } = this
    for (const sink of plan.sinks) {
      const problem = problemOf(plan, input, sink, ledger.committedOf(sink.name, this.snapshots.lastRunId))
      if (problem !== undefined) return `${sink.name}: ${problem}`
    }
    return undefined
  }
}

class Violated extends Error {}
