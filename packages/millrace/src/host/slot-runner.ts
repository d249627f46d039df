/** In a slot's thread: imports the job, builds the graph again, and runs the slot until it is told to close. */
import { parentPort, workerData } from 'node:worker_threads'
import { MillraceError } from '../base/errors.ts'
import { buildGraph } from '../api/index.ts'
import { planJob, type JobGraph } from '../graph/index.ts'
import { carry } from '../runtime/carried-error.ts'
import { Slot } from '../runtime/slot.ts'
import type { SlotPlan, SourceShares } from '../runtime/slot-plan.ts'
import type { FromSlot } from '../checkpoint/mail.ts'
import type { SegmentStore } from '../store/contract.ts'
import { localStorage } from '../store/local/index.ts'
import { installFailpoints } from './crash.ts'
import { onRing, ring } from './doorbell.ts'
import { withDrySinks } from './dry-run.ts'
import { importJob } from './job-module.ts'
import { NodePlatform } from './node-platform.ts'
import { SlotDriver } from './slot-driver.ts'
import { BorrowedStore } from './lent-store.ts'
import type { Answered, FromThread, SlotThreadData, StoreOfThread, ToThread } from './slot-messages.ts'

const data = workerData as SlotThreadData
const port = parentPort!
installFailpoints()

const post = (message: FromThread): void => port.postMessage(message)
const mail = (message: FromSlot): void => post({ type: 'mail', mail: message })

let slot: Slot | undefined
let platform: NodePlatform | undefined
let driver: SlotDriver | undefined

async function load(): Promise<JobGraph> {
  const job = await importJob(data.module)
  const described = buildGraph({ ...job, name: data.job }, data.params)
  const graph = planJob(data.isDryRun ? withDrySinks(described) : described)
  if (graph.fingerprint !== data.fingerprint) {
    throw new MillraceError(
      'GRAPH_NOT_DETERMINISTIC',
      `job '${data.job}' described another graph in the slot's thread than in the coordinator; its build function must depend on flow.params alone`,
    )
  }
  return graph
}

/** Begun before anybody asks: a rescale starts threads while the ones before still run. */
const loading = load()
answer('load', loading)

async function restore(plan: SlotPlan): Promise<void> {
  const graph = await loading
  const { exchange } = plan
  platform = new NodePlatform(openStore(data.store), peer => ring(exchange!, peer))
  if (exchange !== undefined) onRing(exchange, plan.slot, () => platform!.wake())
  slot = new Slot(graph, plan, platform, mail)
  await slot.restore()
}

function openStore(store: StoreOfThread): SegmentStore {
  if (store.kind === 'local') return localStorage(store.storage).job(data.job)
  return new BorrowedStore(store.location, store.port)
}

async function start(shares: SourceShares): Promise<void> {
  await slot!.start(shares)
  driver = new SlotDriver(slot!, platform!, mail)
  driver.start()
}

async function close(): Promise<void> {
  await (driver?.close() ?? slot?.close())
}

function perform(message: Exclude<ToThread, { type: 'mail' }>): Promise<void> {
  switch (message.type) {
    case 'restore':
      return restore(message.plan)
    case 'start':
      return start(message.shares)
    case 'close':
      return close()
  }
}

function answer(of: Answered, promise: Promise<unknown>): void {
  promise.then(
    () => post({ type: 'done', of }),
    error => post({ type: 'error', of, error: carry(error) }),
  )
}

port.on('message', (message: ToThread) => {
  if (message.type === 'mail') return slot!.receive(message.mail)
  answer(message.type, perform(message))
})
