/** What becomes of a job when something breaks while it is starting or changing; the test plays its slots. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as immediate } from 'node:timers/promises'
import { buildGraph, defineJob } from '../api/index.ts'
import { isMillraceError, MillraceError } from '../base/errors.ts'
import type { FromSlot, ToSlot } from '../checkpoint/mail.ts'
import type { Source } from '../connectors/contract.ts'
import { collection } from '../connectors/collection/index.ts'
import { blackhole } from '../connectors/blackhole/index.ts'
import { planJob } from '../graph/index.ts'
import { carry } from '../runtime/carried-error.ts'
import type { SlotPlan } from '../runtime/slot-plan.ts'
import { memoryStorage } from '../store/memory/index.ts'
import { FaultyStore } from '../testing/faulty-store.ts'
import type { JobEvent } from './events.ts'
import { JobRunner } from './job-runner.ts'
import { resolveOptions } from './options.ts'
import type { SlotPort } from './slot-port.ts'
import { systemWorld, type HostWorld } from './world.ts'

/** Does as it is told; `restore` and `start` wait for the test where it has said so. */
class PlayedSlot implements SlotPort {
  readonly ready = Promise.resolve()
  readonly mails: ToSlot[] = []
  plan: SlotPlan | undefined
  restored: Promise<void> = Promise.resolve()
  started: Promise<void> = Promise.resolve()
  mayClose: Promise<void> = Promise.resolve()
  closed = false
  private readonly onMail: (mail: FromSlot) => void

  constructor(onMail: (mail: FromSlot) => void) {
    this.onMail = onMail
  }

  restore(plan: SlotPlan): Promise<void> {
    this.plan = plan
    return this.restored
  }

  start(): Promise<void> {
    return this.started
  }

  send(mail: ToSlot): void {
    this.mails.push(mail)
  }

  async close(): Promise<void> {
    await this.mayClose
    this.closed = true
  }

  post(mail: FromSlot): void {
    if (!this.closed) this.onMail(mail)
  }

  die(): void {
    this.post({ type: 'failed', error: carry(new MillraceError('INTERNAL', 'the thread died')), records: -1 })
  }

  /** Answers what it was sent with a checkpoint that has nothing in it. */
  answer(): void {
    for (const mail of this.mails.splice(0)) {
      if (mail.type === 'trigger') {
        const { checkpointId } = mail.trigger
        const turn = { split: 0, remaining: 512, active: true }
        const operators = [
          { name: 'in', source: { splits: [], records: 0, turn } },
          { name: 'out', sink: { type: 'blackhole', retracts: true, committables: [] } },
        ]
        const part = { operators, watermarks: {}, segment: undefined, alignmentMs: 0 }
        this.post({ type: 'acknowledged', checkpointId, part })
      } else if (mail.type === 'complete') this.post({ type: 'committed', checkpointId: mail.checkpointId })
    }
  }
}

const NEVER = new Promise<void>(() => undefined)

/** A job of two slots. `attempts`: the slots of each attempt so far. */
function makeJob(
  prepare: (slots: readonly PlayedSlot[], attempt: number) => void = () => undefined,
  source: Source<unknown> = collection([1]),
) {
  const job = defineJob('played', flow => flow.source('in', source).sink('out', blackhole()))
  const store = new FaultyStore(memoryStorage().job('played'))
  const attempts: PlayedSlot[][] = []
  const timers: (() => void)[] = []
  const events: JobEvent[] = []
  const world: HostWorld = {
    ...systemWorld,
    schedule(delayMs, callback) {
      // A lock that is renewed, or a checkpoint that is due, is none of the test's business.
      if (delayMs <= 1) timers.push(callback)
      return () => undefined
    },
  }
  const restarts = { initialDelay: 1, maxDelay: 1, jitter: 0 }
  const options = resolveOptions({ run: { parallelism: 2, restart: restarts } })
  const runner = new JobRunner({
    job: 'played',
    graph: planJob(buildGraph(job, {})),
    options,
    request: {},
    allowDroppedState: false,
    store,
    slots: (parallelism, onMail) => {
      const slots = Array.from({ length: parallelism }, (_, index) => new PlayedSlot(mail => onMail(index, mail)))
      attempts.push(slots)
      prepare(slots, attempts.length)
      return slots
    },
    world,
    onEvent: event => void events.push(event),
  })
  const restart = async (): Promise<void> => {
    await until(() => timers.length > 0)
    timers.shift()!()
  }
  return { runner, store, attempts, events, restart }
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000 && !condition(); turn++) await immediate()
  assert.ok(condition(), condition.toString())
}

test('a run that could not begin has no end', async () => {
  const { runner, store } = makeJob(() => store.fail('list', { nameIncludes: 'locks' }))
  await assert.rejects(runner.start(), { code: 'STORE_FAILED' })
  assert.deepEqual(await store.list('runs'), [])
})

test('a slot that dies before the run has begun fails the start', async () => {
  const { runner, attempts } = makeJob(slots => {
    slots[1].restored = NEVER
    setImmediate(() => slots[0].die())
  })
  await assert.rejects(runner.start(), error => isMillraceError(error, 'INTERNAL'))
  assert.ok(attempts[0].every(({ closed }) => closed))
  assert.equal(runner.status().state, 'ended')
})

test('a slot that dies while another one is starting restarts the job', async () => {
  const { runner, attempts, restart } = makeJob((slots, attempt) => {
    if (attempt === 1) slots[1].started = NEVER
  })
  const started = runner.start()
  await until(() => runner.status().state === 'running')
  await immediate()
  attempts[0][0].die()
  await started
  assert.equal(runner.status().state, 'restarting')
  await restart()
  await until(() => runner.status().state === 'running')
  assert.equal(attempts.length, 2)
  await runner.cancel()
})

test('how much of its snapshot a job has loaded is told while it loads it', async () => {
  const gate = Promise.withResolvers<void>()
  const { runner, attempts, events } = makeJob((slots, attempt) => {
    if (attempt === 2) slots[0].restored = gate.promise
  })
  await runner.start()
  const rescaled = runner.rescale(1)
  for (let answered = 0; answered < 2; answered++) {
    await until(() => attempts[0].every(({ mails }) => mails.length > 0))
    for (const slot of attempts[0]) slot.answer()
  }
  const [slot] = attempts[1]
  await until(() => slot.plan !== undefined)
  slot.post({ type: 'restoring', readBytes: 0, totalBytes: 70 })
  assert.equal(runner.status().restoring, undefined, 'it may not take long')
  slot.post({ type: 'restoring', readBytes: 30, totalBytes: 70 })
  const { restoring: progress } = runner.status()
  const { bytesPerSecond, ...loaded } = progress!
  assert.deepEqual(loaded, { snapshot: 'chk-1', readBytes: 30, totalBytes: 70 })
  assert.ok(bytesPerSecond >= 0)
  gate.resolve()
  await rescaled
  assert.equal(runner.status().restoring, undefined)
  assert.deepEqual(
    events.filter(({ type }) => type === 'restoring'),
    [{ type: 'restoring', progress }],
  )
  await runner.cancel()
})

test('what is being started when the job ends begins no run', async () => {
  const gate = Promise.withResolvers<void>()
  const { runner, store, attempts, restart } = makeJob((slots, attempt) => {
    if (attempt === 2) slots[0].restored = gate.promise
  })
  await runner.start()
  attempts[0][0].die()
  await restart()
  await until(() => attempts.length === 2)
  const cancelled = runner.cancel()
  gate.resolve()
  await cancelled
  assert.ok(attempts[1].every(({ closed }) => closed))
  assert.deepEqual(
    (await store.list('runs')).map(({ name }) => name),
    ['000001.end.json', '000001.json'],
  )
})

test('a job that was rescaled as its sources ended has not finished before the new slots have', async () => {
  const { runner, attempts, store, restart } = makeJob()
  await runner.start()
  const rescaled = assert.rejects(runner.rescale(1), { code: 'STORE_FAILED' })
  await until(() => attempts[0].every(({ mails }) => mails.length > 0))
  for (const slot of attempts[0]) slot.post({ type: 'finished' })
  for (const slot of attempts[0]) slot.answer()
  await until(() => attempts[0].every(({ mails }) => mails.length > 0))
  store.fail('list', { nameIncludes: 'runs' })
  for (const slot of attempts[0]) slot.answer()
  await rescaled
  await restart()
  await until(() => runner.status().state === 'running')
  await runner.cancel()
})

test('what is asked of a job while it makes its final checkpoint is told that it is ending', async () => {
  const { runner, attempts } = makeJob()
  await runner.start()
  for (const slot of attempts[0]) slot.post({ type: 'finished' })
  await until(() => runner.status().state === 'ending')
  for (const asked of [runner.savepoint(), runner.checkpoint(), runner.rescale(1)]) {
    await assert.rejects(asked, { code: 'JOB_NOT_RUNNING', message: /'played' is ending/ })
  }
  for (let mail = 0; mail < 2; mail++) {
    await until(() => attempts[0].every(({ mails }) => mails.length > 0))
    for (const slot of attempts[0]) slot.answer()
  }
  assert.equal(await runner.finished, 'finished')
})

test('a rescale whose checkpoint fails leaves the job as it was', async () => {
  const { runner, attempts, restart } = makeJob()
  await runner.start()
  const rescaled = assert.rejects(runner.rescale(1), { code: 'CHECKPOINT_FAILED' })
  await until(() => attempts[0].every(({ mails }) => mails.length > 0))
  const error = carry(new MillraceError('STORE_FAILED', 'the disk is full'))
  attempts[0][1].post({ type: 'declined', checkpointId: 1, error })
  await rescaled
  await restart()
  await until(() => runner.status().state === 'running')
  assert.equal(runner.status().parallelism, 2)
  await runner.cancel()
})

test('a job that is cancelled while the slots before a rescale are closing begins no other run', async () => {
  const gate = Promise.withResolvers<void>()
  const { runner, attempts, store } = makeJob((slots, attempt) => {
    if (attempt === 1) slots[0].mayClose = gate.promise
  })
  await runner.start()
  const rescaled = assert.rejects(runner.rescale(1), { code: 'JOB_NOT_RUNNING' })
  for (let mail = 0; mail < 2; mail++) {
    await until(() => attempts[0].every(({ mails }) => mails.length > 0))
    for (const slot of attempts[0]) slot.answer()
  }
  await until(() => attempts[0][1].closed)
  const cancelled = runner.cancel()
  gate.resolve()
  await rescaled
  await cancelled
  assert.ok(attempts.flat().every(({ closed }) => closed))
  assert.deepEqual(
    (await store.list('runs')).map(({ name }) => name),
    ['000001.end.json', '000001.json'],
  )
})

test('a job is cancelled while its source is still asked for its splits', async () => {
  const source: Source<unknown> = { ...collection([1]), enumerate: () => new Promise(() => undefined) }
  const { runner, attempts } = makeJob(undefined, source)
  const started = runner.start()
  await until(() => runner.status().state === 'running')
  await runner.cancel()
  await started
  assert.ok(attempts[0].every(({ closed }) => closed))
})

test('the end of a run knows of a checkpoint that was published but not yet complete', async () => {
  const { runner, attempts, store } = makeJob()
  await runner.start()
  const checkpoint = assert.rejects(runner.checkpoint())
  await until(() => attempts[0].every(({ mails }) => mails.length > 0))
  for (const slot of attempts[0]) slot.answer()
  const cancelled = runner.cancel()
  await checkpoint
  await cancelled
  assert.equal((await store.list('manifests')).length, 1)
  const end = JSON.parse(new TextDecoder().decode(await store.read('runs/000001.end.json')))
  assert.equal(end.lastCheckpointId, 1)
})

/** Of the trigger under way, by all slots but one, which declines. */
function declineOf(slots: readonly PlayedSlot[], message: string): void {
  const [mail] = slots[1].mails
  assert.ok(mail.type === 'trigger')
  const error = carry(new MillraceError('STORE_FAILED', message))
  slots[1].post({ type: 'declined', checkpointId: mail.trigger.checkpointId, error })
}

test('a stop whose final checkpoint fails says so, and the job goes on; another one may succeed', async () => {
  const { runner, attempts, restart } = makeJob()
  await runner.start()
  const stopped = assert.rejects(runner.stop(), {
    code: 'STOP_FAILED',
    message: "job 'played' was not stopped, and goes on: the disk is full",
  })
  await until(() => attempts[0].every(({ mails }) => mails.length > 0))
  assert.equal(runner.status().state, 'stopping')
  declineOf(attempts[0], 'the disk is full')
  await stopped
  await restart()
  await until(() => runner.status().state === 'running')
  const again = runner.stop()
  await until(() => attempts[1].every(({ mails }) => mails.length > 0))
  for (const slot of attempts[1]) slot.answer()
  await until(() => attempts[1].every(({ mails }) => mails.length > 0))
  for (const slot of attempts[1]) slot.answer()
  assert.deepEqual(await again, { savepoint: undefined })
  assert.equal(await runner.finished, 'stopped')
})

test('a stop that must end the job ends it: its failure is the job’s', async () => {
  const { runner, attempts } = makeJob()
  await runner.start()
  const stopped = assert.rejects(runner.stop({ mustEnd: true }), { code: 'CHECKPOINT_FAILED' })
  await until(() => attempts[0].every(({ mails }) => mails.length > 0))
  declineOf(attempts[0], 'the disk is full')
  await stopped
  await assert.rejects(runner.finished, { code: 'CHECKPOINT_FAILED' })
})

test('two stops are one; and of one that fails the other is tried', async () => {
  const { runner, attempts } = makeJob()
  await runner.start()
  const first = assert.rejects(runner.stop(), { code: 'STOP_FAILED' })
  const second = runner.stop({ mustEnd: true })
  await until(() => attempts[0].every(({ mails }) => mails.length > 0))
  declineOf(attempts[0], 'the disk is full')
  await first
  // Between two attempts there is nothing newer than the latest checkpoint.
  await second
  assert.equal(await runner.finished, 'stopped')
})

test('a slot that dies while the job is being stopped restarts it, and the stop says that it goes on', async () => {
  const { runner, attempts, restart } = makeJob()
  await runner.start()
  const stopped = assert.rejects(runner.stop({ drain: true, savepoint: true }), {
    code: 'STOP_FAILED',
    message: /goes on: the thread died/,
  })
  await until(() => attempts[0].every(({ mails }) => mails.length > 0))
  attempts[0][1].die()
  await stopped
  await restart()
  await until(() => runner.status().state === 'running')
  await runner.cancel()
})

test('a job that is cancelled while it is being stopped is cancelled', async () => {
  const { runner, attempts } = makeJob()
  await runner.start()
  const stopped = assert.rejects(runner.stop(), { code: 'JOB_NOT_RUNNING' })
  await until(() => attempts[0].every(({ mails }) => mails.length > 0))
  await runner.cancel()
  await stopped
  assert.equal(await runner.finished, 'cancelled')
})

test('between two attempts a plain stop ends the job, and one that wants more of it is refused', async () => {
  const { runner, attempts } = makeJob()
  await runner.start()
  attempts[0][0].die()
  await until(() => runner.status().state === 'restarting')
  for (const options of [{ drain: true }, { savepoint: true }])
    await assert.rejects(runner.stop(options), { code: 'JOB_NOT_RUNNING' })
  await assert.rejects(runner.savepoint(), { code: 'JOB_NOT_RUNNING' })
  await runner.stop()
  assert.equal(await runner.finished, 'stopped')
})
