/**
 * The job's own parameters, `params.NAME`. A parameter keeps the type of the weakest source that has it, usually its default in
 * defineJob; texts of the command line and the environment are read as that type.
 */
import type { Json } from '../base/json.ts'
import { shown, type OptionProblem } from './option-problem.ts'
import type { Setting } from './option-settings.ts'

export type ParamValues = { [name: string]: Json }

/** Sets the parameter, over what a weaker source said. */
export function setParam(params: ParamValues, name: string, setting: Setting, problems: OptionProblem[]): void {
  const { path, source, value } = setting
  const like = Object.hasOwn(params, name) ? params[name] : undefined
  const parsed = setting.isText && typeof value === 'string' ? parseParam(value, like) : value
  if (isJson(parsed) && (like === undefined || like === null || typeOf(parsed) === typeOf(like))) {
    params[name] = parsed
    return
  }
  const allowed =
    like === undefined || like === null ? 'a JSON value' : `${typeOf(like)}, as its default ${shown(like)}`
  problems.push({ path, source, found: shown(value), allowed })
}

/** A text as a value of the type of `like`; undefined when it is none. A parameter without a default is a text. */
function parseParam(text: string, like: Json | undefined): unknown {
  if (like === undefined || typeof like === 'string') return text
  try {
    return JSON.parse(text)
  } catch {
    return like === null ? text : undefined
  }
}

function typeOf(value: Json): string {
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

function isJson(value: unknown): value is Json {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (Array.isArray(value)) return value.every(isJson)
  if (typeof value !== 'object') return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return (prototype === Object.prototype || prototype === null) && Object.values(value).every(isJson)
}
