/** A source over given records: it is slow and has pauses as its plan says, and fails when it is planted to. */
import type { Json } from '../../base/json.ts'
import type { ReadResult, Source, SourceContext, SourceOutput, Split, SplitReader } from '../../connectors/contract.ts'
import type { Item } from './items.ts'
import type { SourcePlan } from './plan.ts'
import { mayThrow, type Site } from './site.ts'

/** Of an unbounded source: a split more is there after so long. */
const SPLIT_APPEARS_MS = 40
const DISCOVER_EVERY_MS = 100

export function simulatedSource(site: Site, index: number): Source<Item> {
  const { plan, input } = site
  const source = plan.sources[index]
  const call = <T>(label: string, effect: () => Promise<T>): Promise<T> =>
    site.systems.call({
      owner: site.owner,
      label: `${label} of ${source.name}`,
      effect,
      error: what => new Error(what),
    })
  const startMs = site.scheduler.startMs
  return {
    type: 'simulated',
    bounded: plan.isBounded,
    ...(!plan.isBounded && { discoverEveryMs: DISCOVER_EVERY_MS }),
    enumerate: () =>
      call('enumerate splits', async () => {
        const visible = plan.isBounded ? Infinity : 1 + (site.scheduler.nowMs - startMs) / SPLIT_APPEARS_MS
        return input[index].slice(0, visible).map((_, split): Split => ({ id: `split-${split}`, detail: split }))
      }),
    open: (split, position, context) =>
      call(`open ${split.id}`, async () => {
        const items = input[index][split.detail as number]
        return new SimulatedReader(site, source, split, items, (position ?? 0) as number, context)
      }),
  }
}

class SimulatedReader implements SplitReader<Item> {
  private readonly site: Site
  private readonly source: SourcePlan
  private readonly split: Split
  private readonly items: readonly Item[]
  private readonly context: SourceContext
  private next: number

  constructor(
    site: Site,
    source: SourcePlan,
    split: Split,
    items: readonly Item[],
    position: number,
    context: SourceContext,
  ) {
    this.site = site
    this.source = source
    this.split = split
    this.items = items
    this.next = position
    this.context = context
  }

  read(output: SourceOutput<Item>, maxRecords: number): ReadResult {
    const { site, source, items } = this
    const { chance } = site
    mayThrow(site, 'a source')
    const there = this.countThere()
    const count = Math.min(maxRecords, chance.between(1, source.readMost), there - this.next)
    for (let i = 0; i < count; i++) output.record(items[this.next++])
    if (this.next === items.length) return site.plan.isBounded ? 'end' : 'caught-up'
    if (this.next < there && !chance.odds(source.blockedRate)) return 'more'
    site.scheduler.add({
      owner: site.owner,
      label: `data for ${source.name} ${this.split.id}`,
      weight: site.scheduler.calm ? 1 : source.dataWeight,
      run: () => this.context.wake(),
    })
    return chance.pick(['blocked', 'caught-up'])
  }

  /** Records that have come so far. What was read before a restart is there at once. */
  private countThere(): number {
    const { scheduler, plan } = this.site
    const share = scheduler.calm ? 1 : scheduler.actions / (plan.inputShare * plan.disturbedActions)
    return Math.max(this.next, Math.min(this.items.length, Math.ceil(share * this.items.length)))
  }

  position(): Json {
    return this.next
  }

  async close(): Promise<void> {}
}
