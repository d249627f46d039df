/** Jobs with a broadcast stream, one of them by parameter: threads import one job a module. */
import { broadcast, collection, defineJob, generator, memory, type, value, type Flow } from 'millrace'

export const RULES = 2_000
export const RECORDS = 20_000
export const KEYS = 60
export const RULE_IDS = 7

export interface Row {
  readonly key: number
  readonly records: number
  readonly rules: readonly (readonly [number, number])[]
}

/** At the end each key says how many records it had, and how often its subtask has seen each rule. With 0 seconds as fast as it can. */
function audit(flow: Flow, seconds: number): void {
  const generated = (count: number, splits: number, next: (i: number) => number) =>
    generator({ count, splits, next, ...(seconds > 0 && { rate: count / seconds }) })
  const rules = flow.source(
    'rules',
    generated(RULES, 3, i => i % RULE_IDS),
  )
  flow
    .source(
      'records',
      generated(RECORDS, 5, i => i % KEYS),
    )
    .keyBy(key => key)
    .connect(rules.broadcast())
    .process('audit', {
      emits: type<Row>(),
      state: { records: value<number>({ default: 0 }) },
      broadcastState: { seen: broadcast<number, number>() },
      onRecord(_key, { state, timers }) {
        state.records.set(state.records.get() + 1)
        timers.onEventTime(Infinity)
      },
      onBroadcast(id, { broadcastState: { seen } }) {
        seen.set(id, (seen.get(id) ?? 0) + 1)
      },
      onTimer(_time, ctx) {
        const rulesSeen = [...ctx.broadcastState.seen.entries()]
        ctx.emit({ key: ctx.key, records: ctx.state.records.get(), rules: rulesSeen })
      },
    })
    .sink('out', memory())
}

export const SETTINGS = 5_000

/** Every subtask checks that no setting is left out, doubled or out of order, and says so at the last one. */
function ordered(flow: Flow): void {
  const settings = flow.source('settings', generator({ count: SETTINGS, next: i => i }), { parallelism: 1 })
  flow
    .source('in', collection([1]))
    .keyBy(n => n)
    .connect(settings.broadcast())
    .process('check', {
      emits: type<number>(),
      broadcastState: { last: broadcast<'i', number>() },
      onRecord() {},
      onBroadcast(i, ctx) {
        const { last } = ctx.broadcastState
        if (i !== (last.get('i') ?? -1) + 1) throw new Error(`${i} after ${last.get('i')}`)
        last.set('i', i)
        if (i === SETTINGS - 1) ctx.emit(i)
      },
    })
    .sink('out', memory())
}

/** Each record sets a timer for 10 later: it fires if the rules, of which the second is far off, do not hold back the watermark. */
function idle(flow: Flow): void {
  const rules = flow
    .source('rules', generator({ rate: 0.001, next: i => i }), { parallelism: 1 })
    .eventTime(i => i, { idleAfter: 1 })
  flow
    .source('in', generator({ rate: 5_000, next: i => i }))
    .eventTime(n => n)
    .keyBy(n => n)
    .connect(rules.broadcast())
    .process('wait', {
      emits: type<number>(),
      onRecord: (n, ctx) => ctx.timers.onEventTime(n + 10),
      onBroadcast() {},
      onTimer: (time, ctx) => ctx.emit(time),
    })
    .sink('out', memory())
}

const JOBS = { audit, ordered, idle }

export default defineJob<{ which: string; seconds: number }>(
  'broadcast',
  flow => JOBS[flow.params.which as keyof typeof JOBS](flow, flow.params.seconds),
  { params: { which: 'audit', seconds: 0 } },
)
