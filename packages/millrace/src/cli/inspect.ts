/**
 * `millrace inspect SNAPSHOT [OPERATOR [STATE]]`: what a snapshot holds, with no job running.
 *
 * The snapshot alone is told from its manifest. For an operator the segments are read, and what is counted is what a restore would
 * load: the newest entry of every key.
 */
import { dirname } from 'node:path'
import { openManifest, openSnapshot, type SnapshotReader } from '../reading/index.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import type { Answer } from './answer.ts'
import { describeOperator, describeState, describeUnkeyed } from './inspect-operator.ts'
import { describeSnapshot } from './inspect-snapshot.ts'
import { countEntries } from './state-count.ts'
import { locateSnapshot, type StorageFlags } from './storage.ts'

export async function inspect(
  snapshot: string,
  operator: string | undefined,
  state: string | undefined,
  flags: StorageFlags,
): Promise<Answer> {
  const place = await locateSnapshot(flags, snapshot)
  if (operator === undefined) {
    const manifest = await openManifest(place)
    const name = `${place.job}/${formatSnapshotId(manifest.kind, manifest.id)}`
    return describeSnapshot(name, dirname(place.store.location), manifest)
  }
  await using reader = await openSnapshot(place)
  return state === undefined ? await inspectOperator(reader, operator) : await inspectState(reader, operator, state)
}

async function inspectOperator(reader: SnapshotReader, operator: string): Promise<Answer> {
  const { snapshot } = reader.operator(operator)
  const ids = snapshot.states.map(({ id }) => id)
  return describeOperator(reader.name, snapshot, await countEntries(reader, ids))
}

async function inspectState(reader: SnapshotReader, operator: string, name: string): Promise<Answer> {
  const found = reader.operator(operator)
  const state = found.state(name)
  const keyed = found.snapshot.states.find(each => each.name === state.name)
  if (keyed === undefined) return describeUnkeyed(reader.name, state)
  const counts = await countEntries(reader, [keyed.id])
  return describeState(reader.name, operator, keyed, counts.get(keyed.id)!)
}
