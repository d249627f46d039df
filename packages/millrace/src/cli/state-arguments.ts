/** What the `state` commands are given: keys and values as JSON, which entries, and of which state. */
import { MillraceError } from '../base/errors.ts'
import { type Json, parseJson } from '../base/json.ts'
import { ByteWriter, encodeKey, type Key, type KeyGroupRange } from '../codec/index.ts'
import {
  type EntryFilter,
  openSnapshot,
  type SnapshotReader,
  type StateReader,
  valueFromJson,
} from '../reading/index.ts'
import { locateSnapshot, type StorageFlags } from './storage.ts'

export interface FilterFlags {
  readonly key?: string
  readonly prefix?: string
  readonly keyGroups?: string
}

/** KEY is JSON: `'"user-1"'`, `7`, `'["a",1]'`, `'{"$bigint":"7"}'`. @throws USAGE */
export function parseKey(text: string, what = 'KEY'): Key {
  const key = parseValue(text, what)
  try {
    encodeKey(key as Key, new ByteWriter())
  } catch (cause) {
    throw new MillraceError('USAGE', `${what} ${text} is no key: ${(cause as Error).message}`, { cause })
  }
  return key as Key
}

/** VALUE is JSON, with docs/state.md's forms for what JSON lacks. @throws USAGE */
export function parseValue(text: string, what: string): unknown {
  const json = parseJson(text)
  if (json !== undefined) return valueFromJson(json as Json, what)
  throw new MillraceError('USAGE', `${what} ${text.slice(0, 200)} is not JSON`, {
    hint: `A text stands in double quotes, and those in single ones for the shell: '${JSON.stringify(text.slice(0, 200))}'.`,
  })
}

/** KEY=VALUE: whatever JSON stands before an equals sign is the key; one inside of a text is the text's. @throws USAGE */
export function parseAssignment(text: string): readonly [Key, unknown] {
  for (let at = text.indexOf('='); at !== -1; at = text.indexOf('=', at + 1)) {
    if (parseJson(text.slice(0, at)) === undefined) continue
    return [parseKey(text.slice(0, at)), parseValue(text.slice(at + 1), 'VALUE')]
  }
  throw new MillraceError('USAGE', `--set ${text.slice(0, 200)} is not KEY=VALUE with a KEY that is JSON`, {
    hint: `A text stands in double quotes, and all in single ones for the shell: --set '"user-1"={"total":5}'.`,
  })
}

/** @throws USAGE */
export function parseFilter({ key, prefix, keyGroups }: FilterFlags): EntryFilter {
  return {
    ...(key !== undefined && { key: parseKey(key, '--key') }),
    ...(prefix !== undefined && { keyPrefix: parsePrefix(prefix) }),
    ...(keyGroups !== undefined && { keyGroups: parseKeyGroups(keyGroups) }),
  }
}

function parsePrefix(text: string): string | readonly Key[] {
  const prefix = parseKey(text, '--prefix')
  if (typeof prefix === 'string' || Array.isArray(prefix)) return prefix as string | readonly Key[]
  throw new MillraceError('USAGE', `--prefix ${text} is neither a text nor a list, and nothing else has a beginning`)
}

/** `5`, or `5-9` with both. */
function parseKeyGroups(text: string): KeyGroupRange {
  const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? []
  if (first === undefined || Number(last) < Number(first)) {
    throw new MillraceError(
      'USAGE',
      `--key-groups ${text} is neither a key group, such as 5, nor a range, such as 0-63`,
    )
  }
  return [Number(first), Number(last) + 1]
}

/** Opens the snapshot for as long as `use` takes. */
export async function withSnapshot<T>(
  flags: StorageFlags,
  snapshot: string,
  use: (reader: SnapshotReader) => Promise<T>,
): Promise<T> {
  await using reader = await openSnapshot(await locateSnapshot(flags, snapshot))
  return await use(reader)
}

export async function withState<T>(
  flags: StorageFlags,
  [snapshot, operator, state]: StateArguments,
  use: (state: StateReader, snapshot: SnapshotReader) => Promise<T>,
): Promise<T> {
  return withSnapshot(flags, snapshot, reader => use(reader.operator(operator).state(state), reader))
}

/** SNAPSHOT OPERATOR STATE */
export type StateArguments = readonly [snapshot: string, operator: string, state: string]
