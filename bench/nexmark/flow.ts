/** What the queries share: the source, and its parameters. */
import { generator, type Flow, type Stream } from 'millrace'
import { eventOf, type Auction, type Bid, type Event, type Person } from './events.ts'

export const OPTIONS = { params: { events: 20_000_000, splits: 1 } }

export function events(flow: Flow<typeof OPTIONS.params>): Stream<Event> {
  const { events: count, splits } = flow.params
  return flow.source('events', generator({ count, splits, next: eventOf }))
}

/** Event time is a property of the events, and they are in order in each split. */
export function timed<E extends Event>(stream: Stream<E>): Stream<E> {
  return stream.eventTime(event => event.time)
}

export function isBid(event: Event): event is Bid {
  return event.kind === 'bid'
}

/** The person that it is about: who came, or who sells. */
export function personIn(event: Person | Auction): number {
  return event.kind === 'person' ? event.id : event.seller
}

/** Of the tumbling window that the time lies in. */
export function windowEndOf(time: number, sizeMs: number): number {
  return (Math.floor(time / sizeMs) + 1) * sizeMs
}
