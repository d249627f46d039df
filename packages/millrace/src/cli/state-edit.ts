/** `millrace state edit SNAPSHOT OPERATOR STATE`: a new savepoint with one state edited, by keys or by a function over its entries. */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf, MillraceError } from '../base/errors.ts'
import { editSnapshot, type EditedSnapshot, type EditEntry, type StateEdit } from '../reading/index.ts'
import { manifestName } from '../snapshot/object-names.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import type { Answer } from './answer.ts'
import { parseAssignment, parseKey, type StateArguments } from './state-arguments.ts'
import { locateSnapshot, type StorageFlags } from './storage.ts'
import { formatNumberOf } from './units.ts'

export interface EditFlags extends StorageFlags {
  readonly set: readonly string[]
  readonly delete: readonly string[]
  readonly with?: string
  readonly to?: string
}

export async function stateEdit([snapshot, operator, state]: StateArguments, flags: EditFlags): Promise<Answer> {
  const edit = await editOf(flags)
  const to = flags.to === undefined ? {} : { to: resolve(flags.to) }
  const place = await locateSnapshot(flags, snapshot)
  const edited = await editSnapshot(place, { operator, state, edit, ...to })
  if (edited === undefined)
    return { json: { savepoint: null }, text: '', notes: ['nothing would change, so nothing was written'] }
  return answerOf(edited, flags.to)
}

async function editOf({ set, delete: deleted, with: file }: EditFlags): Promise<StateEdit> {
  const hasKeys = set.length + deleted.length > 0
  if (hasKeys === (file !== undefined)) {
    throw new MillraceError('USAGE', 'an edit is keys with --set and --delete, or a function with --with', {
      hint: `For example --set '"user-1"=5', or --with edit.ts whose default export takes an entry and returns one.`,
    })
  }
  if (file !== undefined) return importFunction(file)
  return { set: set.map(parseAssignment), delete: deleted.map(text => parseKey(text, '--delete')) }
}

async function importFunction(file: string): Promise<EditEntry> {
  let module: { readonly default?: unknown }
  try {
    module = await import(pathToFileURL(resolve(file)).href)
  } catch (cause) {
    throw new MillraceError('USAGE', `${file} could not be imported: ${messageOf(cause)}`, { cause })
  }
  if (typeof module.default === 'function') return module.default as EditEntry
  throw new MillraceError('USAGE', `${file} has no function as its default export`)
}

function answerOf({ manifest, folder, puts, deletes, isFinished }: EditedSnapshot, to: string | undefined): Answer {
  const name = formatSnapshotId(manifest.kind, manifest.id)
  const place = to ?? `${manifest.job}/${name}`
  const from = to ?? name
  return {
    json: { savepoint: place, job: manifest.job, id: manifest.id, folder, file: manifestName(manifest), puts, deletes },
    text: `wrote savepoint ${place}: ${formatNumberOf(puts, 'put')}, ${formatNumberOf(deletes, 'delete')}\n`,
    notes: [
      to === undefined && !isFinished
        ? 'the next run starts from it'
        : `${isFinished ? 'the job has finished: ' : ''}start from it with run --from ${from}`,
    ],
  }
}
