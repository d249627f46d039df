/** Sessions by event-time timers that are set and deleted with every record. Event time goes at another speed in every split. */
import { defineJob, files, generator, type, value } from 'millrace'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const COUNT = 6000
const SPLITS = 5
const GAP_MS = 2000

interface Visit {
  readonly user: string
  readonly at: number
}
interface Session {
  readonly user: string
  readonly from: number
  readonly to: number
  readonly visits: number
}

/** A user's visits all come from one split, and within a split time only goes on. */
function visitOf(i: number): Visit {
  const split = i % SPLITS
  const at = 1_700_000_000_000 + Math.floor(i / SPLITS) * 40 * (1 + split) + draw(i, 40)
  return { user: `${split}-${draw(i, 25, 1)}`, at }
}

const begun = (visit: Visit): Session => ({ user: visit.user, from: visit.at, to: visit.at, visits: 1 })
const continued = (session: Session, visit: Visit): Session => ({
  ...session,
  to: visit.at,
  visits: session.visits + 1,
})

export default defineJob(
  'sessions',
  flow => {
    const { dir, everyMs } = flow.params
    flow
      .source('visits', slowed(generator({ count: COUNT, splits: SPLITS, next: visitOf }), { records: 8, everyMs }))
      .eventTime(visit => visit.at)
      .keyBy(visit => visit.user)
      .process('sessions', {
        emits: type<Session>(),
        state: { open: value<Session>() },
        onRecord(visit, ctx) {
          const session = ctx.state.open.get()
          // Other splits may hold the timer back.
          const isOver = session !== undefined && visit.at > session.to + GAP_MS
          if (session !== undefined) ctx.timers.deleteEventTime(session.to + GAP_MS)
          if (isOver) ctx.emit(session)
          ctx.state.open.set(session === undefined || isOver ? begun(visit) : continued(session, visit))
          ctx.timers.onEventTime(visit.at + GAP_MS)
        },
        onTimer(_time, ctx) {
          ctx.emit(ctx.state.open.get()!)
          ctx.state.open.clear()
        },
      })
      .sink('out', files.writeJson(`${dir}/out/sessions`))
  },
  { params: PARAMS },
)

export const golden: Golden = {
  expected() {
    const open = new Map<string, Session>()
    const closed: Session[] = []
    for (const visit of numbered(COUNT, visitOf)) {
      const session = open.get(visit.user)
      const isOver = session !== undefined && visit.at > session.to + GAP_MS
      if (isOver) closed.push(session)
      open.set(visit.user, session === undefined || isOver ? begun(visit) : continued(session, visit))
    }
    return { sessions: [...closed, ...open.values()] }
  },
}
