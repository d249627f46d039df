/** `millrace state get SNAPSHOT OPERATOR STATE KEY`: what one key has. */
import { valueToJson } from '../reading/index.ts'
import type { Answer } from './answer.ts'
import { parseKey, type StateArguments, withState } from './state-arguments.ts'
import type { StorageFlags } from './storage.ts'

export async function stateGet(from: StateArguments, keyText: string, flags: StorageFlags): Promise<Answer> {
  const key = parseKey(keyText)
  return withState(flags, from, async (state, { name: snapshot }) => {
    const value = await state.get(key)
    const found = value !== undefined || (await isThere(state.entries({ key })))
    const json = found ? valueToJson(value) : null
    return {
      json: { snapshot, operator: state.operator, state: state.name, key: valueToJson(key), found, value: json },
      text: found ? `${JSON.stringify(json)}\n` : '',
      notes: found ? [] : [`${snapshot} has nothing under ${keyText} in '${state.name}' of '${state.operator}'`],
    }
  })
}

/** A value may be undefined and yet be there. */
async function isThere(entries: AsyncIterable<unknown>): Promise<boolean> {
  for await (const _ of entries) return true
  return false
}
