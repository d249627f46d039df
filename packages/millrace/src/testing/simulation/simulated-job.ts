/** The job of a simulation, as its plan says: sources, stages in a row, sinks. Every stage passes every record on exactly once. */
import {
  aggregating,
  broadcast,
  count as countOf,
  defineJob,
  list,
  map,
  outputTag,
  reducing,
  type,
  value,
  type JobDefinition,
  type KeyedProcessContext,
  type Stream,
} from '../../api/index.ts'
import { tumbling } from '../../time/index.ts'
import { idsAt, keyAt, LATE, marked, twinIds, type Item } from './items.ts'
import type { StagePlan } from './plan.ts'
import { simulatedSink } from './simulated-sinks.ts'
import { simulatedSource } from './simulated-source.ts'
import { mayThrow, type Site } from './site.ts'

export const JOB = 'simulated'

export function simulatedJob(site: Site): JobDefinition {
  const { plan } = site
  return defineJob(JOB, flow => {
    const streams = plan.sources.map(({ name, parallelism }, index) => {
      const stream = flow.source(name, simulatedSource(site, index), options(parallelism))
      if (!plan.isTimed) return stream
      const { outOfOrdernessMs: outOfOrderness, idleAfterMs: idleAfter } = plan
      return stream.eventTime(item => item.at, { outOfOrderness, ...(idleAfter !== undefined && { idleAfter }) })
    })
    let stream = streams.length === 1 ? streams[0] : streams[0].union(...streams.slice(1))
    for (const [number, stage] of plan.stages.entries()) stream = addStage(site, stream, stage, number)
    for (const sink of plan.sinks) stream.sink(sink.name, simulatedSink(site, sink), options(sink.parallelism))
  })
}

function options(parallelism: number | undefined): { parallelism?: number } {
  return parallelism === undefined ? {} : { parallelism }
}

function addStage(site: Site, stream: Stream<Item>, stage: StagePlan, number: number): Stream<Item> {
  switch (stage.kind) {
    case 'map':
      return stream.map(item => {
        mayThrow(site, 'map')
        return item
      })
    case 'rebalance':
      return stream.rebalance()
    case 'diamond': {
      const [left, right] = [0, 1].map(side => stream.map(item => ({ ...item, id: twinIds(item.id)[side] })))
      return left.rebalance().union(right)
    }
    case 'broadcast':
      return addBroadcast(site, stream, stage, number)
    case 'count':
      return addCount(site, stream, stage, number)
    case 'batch':
      return addBatch(site, stream, stage, number)
    case 'timers':
      return addTimers(site, stream, stage, number)
    case 'window':
      return addWindow(site, stream, stage, number)
  }
}

/** Counts the records of each key in four kinds of state. */
function addCount(site: Site, stream: Stream<Item>, { keys, parallelism }: StagePlan, number: number): Stream<Item> {
  const watch = watermarkWatch(site, number)
  return stream
    .keyBy(item => keyAt(number, item.id, keys))
    .process(
      `stage-${number}`,
      {
        emits: type<Item>(),
        state: {
          count: value({ default: 0 }),
          sum: reducing((a: number, b: number) => a + b),
          kinds: map<number, number>(),
          typed: aggregating(countOf()),
        },
        onRecord(item, ctx) {
          mayThrow(site, 'onRecord')
          watch(ctx)
          const { count, sum, kinds, typed } = ctx.state
          typed.add(item)
          count.set(count.get() + 1)
          sum.add(item.id)
          kinds.set(item.id % 3, (kinds.get(item.id % 3) ?? 0) + 1)
          const inKinds = [...kinds.values()].reduce((a, b) => a + b, 0)
          ctx.emit(marked(item, [number, item.id, ctx.key, count.get(), inKinds, typed.get(), sum.get()!]))
        },
      },
      options(parallelism),
    )
}

/** Every subtask gets to know all ids, of the same records that it gets some of by key. */
function addBroadcast(
  site: Site,
  stream: Stream<Item>,
  { keys, parallelism }: StagePlan,
  number: number,
): Stream<Item> {
  const { plan, input } = site
  const ids = stream.map(item => item.id).broadcast()
  return stream
    .keyBy(item => keyAt(number, item.id, keys))
    .connect(ids)
    .process(
      `stage-${number}`,
      {
        emits: type<Item>(),
        state: { count: value({ default: 0 }) },
        broadcastState: { ids: broadcast<number, boolean>() },
        onRecord(item, ctx) {
          mayThrow(site, 'onRecord')
          const { count } = ctx.state
          count.set(count.get() + 1)
          if (plan.isBounded) ctx.timers.onEventTime(Infinity)
          ctx.emit(marked(item, [number, item.id, ctx.key, count.get()]))
        },
        onBroadcast(id, ctx) {
          mayThrow(site, 'onBroadcast')
          const { ids: known } = ctx.broadcastState
          if (known.has(id)) site.violation(`stage ${number} is told the id ${id} twice`)
          known.set(id, true)
        },
        onTimer(_, ctx) {
          const count = [...ctx.broadcastState.ids.keys()].length
          const all = idsAt(plan, input, number).size
          if (count !== all) site.violation(`stage ${number} was told ${count} of ${all} ids`)
        },
      },
      options(parallelism),
    )
}

/** Keeps records in operator state, and lets them go some at a time. */
function addBatch(site: Site, stream: Stream<Item>, { size, parallelism }: StagePlan, number: number): Stream<Item> {
  return stream.process(
    `stage-${number}`,
    {
      emits: type<Item>(),
      state: { held: list<Item>() },
      onRecord(item, ctx) {
        mayThrow(site, 'onRecord')
        const { held } = ctx.state
        held.add(item)
        const items = [...held.get()]
        if (items.length < size) return
        held.clear()
        for (const each of items) ctx.emit(each)
      },
      onEnd(ctx) {
        for (const item of ctx.state.held.get()) ctx.emit(item)
        ctx.state.held.clear()
      },
    },
    options(parallelism),
  )
}

/** Keeps records until a timer of their key: in event time if there is one, else by the clock, and at the end of input. */
function addTimers(
  site: Site,
  stream: Stream<Item>,
  { keys, size, parallelism }: StagePlan,
  number: number,
): Stream<Item> {
  const { isTimed } = site.plan
  const watch = watermarkWatch(site, number)
  return stream
    .keyBy(item => keyAt(number, item.id, keys))
    .process(
      `stage-${number}`,
      {
        emits: type<Item>(),
        state: { held: list<Item>(), flushes: value({ default: 0 }) },
        onRecord(item, ctx) {
          mayThrow(site, 'onRecord')
          watch(ctx)
          ctx.state.held.add(item)
          if (isTimed) return ctx.timers.onEventTime((Math.floor(ctx.timestamp / size) + 1) * size)
          ctx.timers.onProcessingTime((Math.floor(site.scheduler.nowMs / size) + 1) * size)
          ctx.timers.onEventTime(Infinity)
        },
        onTimer(time, ctx) {
          mayThrow(site, 'onTimer')
          const { held, flushes } = ctx.state
          const items = [...held.get()]
          if (items.length === 0) return
          flushes.set(flushes.get() + 1)
          held.clear()
          for (const item of items) {
            ctx.emit(marked(item, [number, item.id, ctx.key, flushes.get(), items.length, isTimed ? time : 0]))
          }
        },
      },
      options(parallelism),
    )
}

function addWindow(
  site: Site,
  stream: Stream<Item>,
  { keys, size, parallelism }: StagePlan,
  number: number,
): Stream<Item> {
  const late = outputTag<Item>('late')
  const results = stream
    .keyBy(item => keyAt(number, item.id, keys))
    .window(tumbling(size))
    .lateOutput(late)
    .process<Item>(
      `stage-${number}`,
      (items, ctx) => {
        mayThrow(site, 'a window')
        for (const item of items) {
          ctx.emit(marked(item, [number, item.id, ctx.key, ctx.window.start, items.length]))
        }
      },
      options(parallelism),
    )
  const tooLate = results
    .sideOutput(late)
    .map(item => marked(item, [number, item.id, keyAt(number, item.id, keys), LATE, 0]))
  return results.union(tooLate)
}

/** Watermarks only grow, and no record is behind one unless a split may be idle. One context is one subtask of one attempt. */
function watermarkWatch(site: Site, number: number): (ctx: KeyedProcessContext<any, any, any>) => void {
  const { isTimed, idleAfterMs } = site.plan
  if (!isTimed) return () => undefined
  const highest = new WeakMap<object, number>()
  return ctx => {
    const { watermark, timestamp } = ctx
    const before = highest.get(ctx) ?? -Infinity
    if (watermark < before) site.violation(`the watermark of stage ${number} goes back from ${before} to ${watermark}`)
    highest.set(ctx, watermark)
    if (idleAfterMs === undefined && timestamp <= watermark) {
      site.violation(`stage ${number} gets a record of ${timestamp} behind its watermark ${watermark}`)
    }
  }
}
