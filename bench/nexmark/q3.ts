/** q3: who sells in category 10 from three states: a join of auctions and persons over their whole history, whichever comes first. */
import { defineJob, list, type, value } from 'millrace'
import { fnv } from '../arithmetic.ts'
import { checksum } from '../checksum-sink.ts'
import type { Auction, Event, Person } from './events.ts'
import { events, OPTIONS, personIn } from './flow.ts'

const STATES = new Set(['OR', 'ID', 'CA'])

function isWanted(event: Event): event is Person | Auction {
  if (event.kind === 'auction') return event.category === 10
  return event.kind === 'person' && STATES.has(event.state)
}

interface Seller {
  readonly name: string
  readonly city: string
  readonly state: string
}

export default defineJob(
  'q3',
  flow =>
    events(flow)
      .filter(isWanted)
      .keyBy(personIn)
      .process('join', {
        emits: type<readonly number[]>(),
        state: { seller: value<Seller>(), waiting: list<number>() },
        onRecord(event, ctx) {
          const { state } = ctx
          const rowOf = ({ name, city, state }: Seller, auction: number) => [fnv(name), fnv(city), fnv(state), auction]
          if (event.kind === 'auction') {
            const seller = state.seller.get()
            if (seller === undefined) state.waiting.add(event.id)
            else ctx.emit(rowOf(seller, event.id))
            return
          }
          const { name, city, state: home } = event
          const seller = { name, city, state: home }
          state.seller.set(seller)
          for (const auction of state.waiting.get()) ctx.emit(rowOf(seller, auction))
          state.waiting.clear()
        },
      })
      .sink('rows', checksum()),
  OPTIONS,
)
