/**
 * The 336,776 flights that left New York's three airports in 2013, as a stream. Two results:
 *
 *   daily        per airport and day: departures, cancellations, mean and worst departure delay
 *   turnarounds  per aircraft: departures that were late after the same aircraft had arrived late with its leg before
 *
 *   npm exec -- millrace run examples/flights/flights.ts
 *
 * reads data/, writes out/ in the working directory; `npm run demo` kills it on the way and verifies the rows.
 *
 * Event time is the scheduled departure. The file gives it in New York's local time, which is read here as if it were UTC: a window
 * of one day then is a day in New York. (An interval across one of the two changes of the clock is off by an hour.)
 *
 * The file is in order of days. Within a day flights come roughly as they left, and the cancelled ones last: the worst comes 22 h 53 min
 * after a younger one. So no flight is more than 24 hours out of order, which is what the watermark allows.
 */
import { join } from 'node:path'
import { avg, compose, defineJob, files, map, max, sum, tumbling, type, value } from 'millrace'

interface Flight {
  /** Scheduled departure, epoch milliseconds. */
  readonly scheduled: number
  readonly origin: string
  readonly destination: string
  /** Carrier and number. */
  readonly flight: string
  /** Tail number. Unknown of some cancelled flights. */
  readonly aircraft: string | undefined
  /** Minutes, negative when it left early. Undefined: cancelled. */
  readonly departureDelay: number | undefined
  /** Minutes. Undefined: cancelled, or it landed elsewhere. */
  readonly arrivalDelay: number | undefined
}

/** A flight that took place, so its aircraft is known. */
type Leg = Flight & { readonly aircraft: string; readonly departureDelay: number }

interface Turnaround {
  readonly aircraft: string
  /** The leg that arrived late. */
  readonly from: { readonly flight: string; readonly destination: string; readonly arrivalDelay: number }
  /** The aircraft's next departure from New York. */
  readonly to: { readonly flight: string; readonly scheduled: string; readonly departureDelay: number }
}

const DAY_MS = 24 * 60 * 60_000
const LATE_MINUTES = 15

export default defineJob(
  'flights',
  flow => {
    const { data, out } = flow.params

    const flights = flow
      .source('flights', files.csv(data))
      .map(parseFlight)
      .eventTime(flight => flight.scheduled, { outOfOrderness: '24h' })

    flights
      .keyBy(flight => flight.origin)
      .window(tumbling('1d'))
      .aggregate(
        'by-day',
        compose({
          departures: sum((flight: Flight) => (flight.departureDelay === undefined ? 0 : 1)),
          cancelled: sum((flight: Flight) => (flight.departureDelay === undefined ? 1 : 0)),
          meanDelay: avg((flight: Flight) => flight.departureDelay),
          worstDelay: max((flight: Flight) => flight.departureDelay),
        }),
      )
      .map(({ key: origin, window, value }) => ({
        day: new Date(window.start).toISOString().slice(0, 10),
        origin,
        departures: value.departures,
        cancelled: value.cancelled,
        meanDelay: value.meanDelay === undefined ? null : Math.round(value.meanDelay * 10) / 10,
        worstDelay: value.worstDelay ?? null,
      }))
      .sink('daily', files.writeJson(`${out}/daily`))

    /*
     * A leg that arrived at least 15 minutes late, and the same aircraft's next departure scheduled within 24 hours, which left at
     * least 15 minutes late too. The data has only departures from New York: in between, the aircraft flew back unseen.
     *
     * "Next" is by scheduled departure, not by arrival of the record. So each leg waits in state until the watermark, and with it
     * the leg's timer, says that no earlier one can come any more.
     */
    flights
      .filter(tookPlace)
      .keyBy(leg => leg.aircraft)
      .process('by-aircraft', {
        emits: type<Turnaround>(),
        state: {
          /** By scheduled departure. There is more than one at a time only where the data has the same aircraft twice. */
          waiting: map<number, readonly Leg[]>(),
          previous: value<Leg>(),
        },
        onRecord(leg, ctx) {
          const { waiting } = ctx.state
          waiting.set(leg.scheduled, [...(waiting.get(leg.scheduled) ?? []), leg])
          ctx.timers.onEventTime(leg.scheduled)
        },
        onTimer(time, ctx) {
          const { waiting, previous } = ctx.state
          for (const leg of waiting.get(time)!) {
            const before = previous.get()
            if (before !== undefined && isLateAgain(before, leg)) ctx.emit(turnaround(before, leg))
            previous.set(leg)
          }
          waiting.delete(time)
        },
      })
      .sink('turnarounds', files.writeJson(`${out}/turnarounds`))
  },
  {
    params: { data: join(import.meta.dirname, 'data/flights-2013.csv.gz'), out: 'out' },
    checkpointing: { interval: '1s' },
  },
)

function parseFlight(row: Record<string, string>): Flight {
  const { year, month, day, hour, minute } = row
  return {
    scheduled: Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute)),
    origin: row.origin,
    destination: row.dest,
    flight: `${row.carrier}${row.flight}`,
    aircraft: row.tailnum === 'NA' ? undefined : row.tailnum,
    departureDelay: minutes(row.dep_delay),
    arrivalDelay: minutes(row.arr_delay),
  }
}

function minutes(text: string): number | undefined {
  return text === 'NA' ? undefined : Number(text)
}

function tookPlace(flight: Flight): flight is Leg {
  return flight.aircraft !== undefined && flight.departureDelay !== undefined
}

function isLateAgain(before: Leg, leg: Leg): before is Leg & { arrivalDelay: number } {
  return (
    before.arrivalDelay !== undefined &&
    before.arrivalDelay >= LATE_MINUTES &&
    leg.departureDelay >= LATE_MINUTES &&
    leg.scheduled - before.scheduled <= DAY_MS
  )
}

function turnaround(before: Leg & { arrivalDelay: number }, leg: Leg): Turnaround {
  const { flight, destination, arrivalDelay } = before
  const scheduled = new Date(leg.scheduled).toISOString().slice(0, 16)
  return {
    aircraft: leg.aircraft,
    from: { flight, destination, arrivalDelay },
    to: { flight: leg.flight, scheduled, departureDelay: leg.departureDelay },
  }
}
