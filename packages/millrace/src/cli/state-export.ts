/**
 * `millrace state export SNAPSHOT OPERATOR STATE --to FILE`: the entries of a state as a file of NDJSON or Parquet. The file appears when
 * it is complete, and replaces none.
 */
import { existsSync } from 'node:fs'
import { basename, dirname, extname, resolve } from 'node:path'
import { MillraceError } from '../base/errors.ts'
import { entriesToJson, type StateEntry, type StateReader } from '../reading/index.ts'
import type { ObjectWriter } from '../store/index.ts'
import { LocalStore } from '../store/local/index.ts'
import type { Answer } from './answer.ts'
import { writeJsonLines } from './json-lines.ts'
import { type FilterFlags, parseFilter, type StateArguments, withState } from './state-arguments.ts'
import type { StorageFlags } from './storage.ts'
import { formatNumberOf } from './units.ts'

export interface ExportFlags extends StorageFlags, FilterFlags {
  readonly to: string
  readonly format?: string
}

type Format = 'ndjson' | 'parquet'

export async function stateExport(from: StateArguments, flags: ExportFlags): Promise<Answer> {
  const file = newFile(flags.to)
  const format = formatOf(flags.format ?? extname(file).slice(1))
  const filter = parseFilter(flags)
  return withState(flags, from, async (state, { name: snapshot }) => {
    const object = await new LocalStore(dirname(file)).create(basename(file))
    try {
      const entries = state.entries(filter)
      const count = format === 'parquet' ? await parquet(object, state, entries) : await ndjson(object, entries)
      await object.finish()
      return {
        json: { snapshot, operator: state.operator, state: state.name, file, format, entries: count },
        text: `wrote ${formatNumberOf(count, 'row')} to ${file}\n`,
      }
    } catch (error) {
      await object.abandon()
      throw error
    }
  })
}

function newFile(path: string): string {
  const file = resolve(path)
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/.test(basename(file))) {
    throw new MillraceError(
      'USAGE',
      `the file of --to is called '${basename(file)}'; its name may have letters, digits and . _ -`,
    )
  }
  if (existsSync(file))
    throw new MillraceError('USAGE', `${file} exists already, and is not replaced`, {
      hint: 'Remove it, or name another file.',
    })
  return file
}

function formatOf(text: string): Format {
  if (text === 'ndjson' || text === 'parquet') return text
  throw new MillraceError('USAGE', `'${text}' is no format of an export; it is ndjson or parquet`, {
    hint: 'Say --format, or let the name of the file end in .ndjson or .parquet.',
  })
}

async function parquet(object: ObjectWriter, state: StateReader, entries: AsyncIterable<StateEntry>): Promise<number> {
  const { writeParquet } = await import('./parquet-file.ts')
  return writeParquet(object, state, entries)
}

async function ndjson(object: ObjectWriter, entries: AsyncIterable<StateEntry>): Promise<number> {
  return writeJsonLines(entriesToJson(entries), text => object.write(Buffer.from(text)))
}
