/**
 * `millrace inspect SNAPSHOT [OPERATOR [STATE]]`: what a snapshot holds, with no job running.
 *
 * The snapshot alone is told from its manifest. For an operator the segments are read, and what is counted is what a restore would
 * load: the newest entry of every key.
 */
import { MillraceError } from '../base/errors.ts'
import { closest } from '../host/closest.ts'
import { findSnapshot } from '../snapshot/catalogue.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import type { Answer } from './answer.ts'
import { describeOperator, describeState } from './inspect-operator.ts'
import { describeSnapshot } from './inspect-snapshot.ts'
import { countEntries } from './state-count.ts'
import { locateSnapshot, type StorageFlags } from './storage.ts'
import { oneLine } from './table.ts'

export async function inspect(
  snapshot: string,
  operator: string | undefined,
  state: string | undefined,
  flags: StorageFlags,
): Promise<Answer> {
  const place = await locateSnapshot(flags, snapshot)
  const manifest = await findSnapshot(place.store, place.job, place.ref)
  const name = `${place.job}/${formatSnapshotId(manifest.kind, manifest.id)}`
  if (operator === undefined) return describeSnapshot(name, place.store.location, manifest)
  const found = named(manifest.operators, operator, 'operator', name)
  const chosen = state === undefined ? undefined : named(found.states, state, 'keyed state', `operator '${operator}'`)
  const wanted = chosen === undefined ? found.states : [chosen]
  const counts = await countEntries(
    place.store,
    manifest,
    wanted.map(({ id }) => id),
  )
  return chosen === undefined
    ? describeOperator(name, found, counts)
    : describeState(name, found.name, chosen, counts.get(chosen.id)!)
}

function named<T extends { readonly name: string }>(all: readonly T[], name: string, what: string, owner: string): T {
  const found = all.find(each => each.name === name)
  if (found !== undefined) return found
  const names = all.map(each => each.name)
  const meant = closest(name, names)
  const have = names.length === 0 ? 'it has none' : `it has ${names.map(oneLine).join(', ')}`
  throw new MillraceError(
    'USAGE',
    `${owner} has no ${what} '${name}'; ${have}${meant === undefined ? '' : `; did you mean '${meant}'?`}`,
  )
}
