/** A union of a source with the output of a keyed stream, which comes over an exchange while the source's own does not. */
import { count, defineJob, files, generator, reducing, type } from 'millrace'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const COUNT = 4500
const OTHERS = 2500

interface Point {
  readonly team: number
  readonly points: number
}
const playerOf = (i: number) => `player ${draw(i, 400)}`
const bonusOf = (i: number): Point => ({ team: draw(i, 15, 1), points: draw(i, 100, 2) })
const teamOf = (player: string) => Number(player.slice(7)) % 15

export default defineJob(
  'rejoined',
  flow => {
    const { dir, everyMs } = flow.params
    const scored = flow
      .source('goals', slowed(generator({ count: COUNT, splits: 4, next: playerOf }), { records: 8, everyMs }))
      .keyBy(player => player)
      .aggregate('goals-of', count())
      // The n-th goal of a player brings n points.
      .map(({ key, value }): Point => ({ team: teamOf(key), points: value }))
    flow
      .source('bonus', slowed(generator({ count: OTHERS, splits: 3, next: bonusOf }), { records: 30, everyMs }))
      .union(scored)
      .keyBy(point => point.team)
      .process('teams', {
        emits: type<Point>(),
        state: { points: reducing<number>((a, b) => a + b) },
        onRecord({ points }, ctx) {
          ctx.state.points.add(points)
          ctx.timers.onEventTime(Infinity)
        },
        onTimer(_time, ctx) {
          ctx.emit({ team: ctx.key, points: ctx.state.points.get()! })
        },
      })
      .sink('out', files.writeJson(`${dir}/out/teams`))
  },
  { params: PARAMS },
)

export const golden: Golden = {
  expected() {
    const points = new Map<number, number>()
    const add = (team: number, more: number) => points.set(team, (points.get(team) ?? 0) + more)
    const goals = new Map<string, number>()
    for (const player of numbered(COUNT, playerOf)) {
      goals.set(player, (goals.get(player) ?? 0) + 1)
      add(teamOf(player), goals.get(player)!)
    }
    for (const bonus of numbered(OTHERS, bonusOf)) add(bonus.team, bonus.points)
    return { teams: [...points].map(([team, sum]): Point => ({ team, points: sum })) }
  },
}
