/**
 * The five-operator chain: what the engine adds to a record. `npm run bench -- chain`
 *
 * source -> map -> filter -> map -> process -> sink, built by the engine's own builder, driven by calling the source's output. Four
 * such chains run in turn in one isolate, since a chain that is alone is easy for V8. `shared` is the same with the factories used
 * as they are; `loop` is the same arithmetic in one plain function.
 */
import { blackhole, collection, defineJob } from 'millrace'
import { buildGraph } from '../packages/millrace/src/api/index.ts'
import { planExecution, planJob } from '../packages/millrace/src/graph/index.ts'
import { buildOperators } from '../packages/millrace/src/runtime/build.ts'
import { ChainTimes } from '../packages/millrace/src/runtime/chain-times.ts'
import { SlotExchange } from '../packages/millrace/src/runtime/exchange/index.ts'
import { usePrivateCopies, type Push } from '../packages/millrace/src/runtime/chain.ts'
import { Meters } from '../packages/millrace/src/runtime/meters.ts'
import { HeapBackend } from '../packages/millrace/src/state/index.ts'
import { restoredFrom } from '../packages/millrace/src/testing/connector-context.ts'
import { median } from './meter.ts'

const CHAINS = 4

interface Event {
  readonly id: number
  readonly price: number
}

/** One chain; every chain has functions of its own, as every job has. */
function chainJob(salt: number) {
  return defineJob(`chain-${salt}`, flow => {
    let sum = 0
    flow
      .source('in', collection<Event>([]))
      .map(event => ({ id: event.id, price: event.price * 908 + salt }))
      .filter(event => event.id % 3 !== 0)
      .map(event => ({ id: event.id, price: event.price, half: event.price / 2 }))
      .process('sum', {
        onRecord(event, ctx) {
          sum = (sum + event.half) | 0
          ctx.emit(sum)
        },
      })
      .sink('out', blackhole())
  })
}

async function chain(salt: number): Promise<Push> {
  const log = { info() {}, warn() {} }
  const meters = new Meters()
  const context = {
    job: 'chain',
    subtask: 0,
    parallelism: 1,
    now: () => 0,
    count() {},
    log,
    wake() {},
    wakeAt() {},
    runId: '00000000',
    deliver() {},
  }
  const services = { chain: { timestamp: NaN, split: 0 }, clock: { nowMs: 0 }, log, meters }
  const plan = planExecution(planJob(buildGraph(chainJob(salt), {})), 1, 128)
  const operators = buildOperators(plan, {
    slot: 0,
    exchange: new SlotExchange({
      plan,
      slot: 0,
      memory: undefined,
      chain: services.chain,
      chainTimes: new ChainTimes(plan, 0, () => 0),
      wake() {},
      isWritable: () => true,
    }),
    backend: new HeapBackend(128, { nowMs: 0 }),
    services,
    stateIds: {},
    sourceHost: { nextSplitNumber: () => 1, fail() {}, ended: () => true },
    sourceContext: ({ name }) => ({ ...context, operator: name }),
    sinkContext: ({ name }) => ({ ...context, operator: name }),
  })
  for (const sink of operators.sinks) await sink.open(restoredFrom('00000000', undefined), [])
  return operators.sources[0].push
}

function loop(salt: number): Push {
  let sum = 0
  return (event: Event) => {
    const a = { id: event.id, price: event.price * 908 + salt }
    if (a.id % 3 === 0) return
    const b = { id: a.id, price: a.price, half: a.price / 2 }
    sum = (sum + b.half) | 0
  }
}

function measure(pushes: readonly Push[], records: number): number {
  const round = 1024
  const start = process.hrtime.bigint()
  for (let n = 0; n < records; n += round) {
    const push = pushes[(n / round) % pushes.length]
    for (let i = n; i < n + round; i++) push({ id: i, price: i & 1023 })
  }
  return Number(process.hrtime.bigint() - start) / records
}

export interface ChainResult {
  readonly privateNs: number
  readonly sharedNs: number
  readonly loopNs: number
}

/** Medians of five rounds, nanoseconds a record. */
export async function benchChain(records: number): Promise<ChainResult> {
  const salts = Array.from({ length: CHAINS }, (_, i) => i)
  usePrivateCopies(true)
  const own = await Promise.all(salts.map(chain))
  usePrivateCopies(false)
  const shared = await Promise.all(salts.map(chain))
  usePrivateCopies(true)
  const loops = salts.map(loop)
  const samples = { privateNs: [] as number[], sharedNs: [] as number[], loopNs: [] as number[] }
  for (let round = 0; round < 6; round++) {
    samples.privateNs.push(measure(own, records))
    samples.sharedNs.push(measure(shared, records))
    samples.loopNs.push(measure(loops, records))
  }
  const afterWarmUp = (values: number[]) => median(values.slice(1))
  return {
    privateNs: afterWarmUp(samples.privateNs),
    sharedNs: afterWarmUp(samples.sharedNs),
    loopNs: afterWarmUp(samples.loopNs),
  }
}
