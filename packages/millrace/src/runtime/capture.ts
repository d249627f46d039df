/** What a slot's operators contribute to a snapshot at the barrier: everything but sinks and the entries of keyed state. */
import { SHARED_SPLIT } from '../checkpoint/compose.ts'
import type { SlotSnapshot } from '../checkpoint/mail.ts'
import type { SubtaskSnapshot } from '../snapshot/manifest-types.ts'
import type { Operators } from './build.ts'

/** `sourceTurn`: which source is to be read next. */
export function capture(
  { sources, keyed, processes, broadcasts, eventTimes }: Operators,
  sourceTurn: number,
  slot: number,
): Pick<SlotSnapshot, 'operators' | 'watermarks'> {
  const operators: SubtaskSnapshot[] = []
  for (const [index, source] of sources.entries()) {
    operators.push({ name: source.node.name, source: source.snapshot(index === sourceTurn) })
  }
  for (const operator of processes) operators.push({ name: operator.name, operatorState: operator.snapshot() })
  for (const operator of keyed) {
    const { name } = operator.node
    const { time } = operator.eventClock
    const broadcast = slot === 0 ? broadcasts.find(({ node }) => node.name === name) : undefined
    operators.push({
      name,
      ...(time !== -Infinity && { watermark: time }),
      ...(broadcast !== undefined && { broadcastState: broadcast.snapshot() }),
    })
  }
  const watermarks: { [id: string]: { [split: string]: number | null } } = {}
  for (const eventTime of eventTimes) {
    const splits = sources
      .filter(source => source.eventTimes.includes(eventTime))
      .flatMap(source => source.watermarks(eventTime))
    const shared = eventTime.sharedHighest()
    if (shared !== undefined) splits.push({ split: SHARED_SPLIT, highest: shared })
    watermarks[eventTime.plan.id] = Object.fromEntries(splits.map(({ split, highest }) => [split, highest]))
  }
  return { operators, watermarks }
}
