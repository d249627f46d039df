/**
 * What the sources of options say, as a flat list of settings: one path, one value, one place it came from. Nothing is judged here
 * except what has no path at all.
 */
import { OPTIONS, camelCase, upperSnake } from './option-table.ts'

/** `params.x` for a parameter, else the path of an option. */
export interface Setting {
  readonly path: string
  readonly value: unknown
  /** For messages: 'command line', '--set', 'MILLRACE_STORAGE', 'millrace.config.ts', 'defineJob'. */
  readonly source: string
  /** Whether a text may stand for a value of another type, as on a command line. */
  readonly isText: boolean
}

export const ENV_PREFIX = 'MILLRACE_'
const PARAMS = 'params.'
/** Of crash tests (crash.ts), of the choice between disk stores (open-disk-store.ts), and of its tests. */
const NO_OPTIONS = ['MILLRACE_FAILPOINT', 'MILLRACE_DISK_STORE', 'MILLRACE_REQUIRE_ROCKSDB']

/** Nested objects, or dotted paths, or both; undefined values say nothing. A parameter's value may itself be an object. */
export function settingsOf(options: object, source: string, isText = false): Setting[] {
  const settings: Setting[] = []
  const walk = (value: unknown, path: string): void => {
    if (value === undefined) return
    if (isPlainObject(value) && !path.startsWith(PARAMS)) {
      for (const [name, inner] of Object.entries(value)) walk(inner, path === '' ? name : `${path}.${name}`)
    } else settings.push({ path, value, source, isText })
  }
  walk(options, '')
  return settings
}

function isPlainObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `--set PATH=VALUE`, in order. A text without `=` comes back as it is in `malformed`. */
export function settingsOfSet(texts: readonly string[]): { settings: Setting[]; malformed: string[] } {
  const malformed = texts.filter(text => !/^[^=]+=/s.test(text))
  const settings = texts
    .filter(text => !malformed.includes(text))
    .map(text => {
      const at = text.indexOf('=')
      return { path: text.slice(0, at).trim(), value: text.slice(at + 1), source: '--set', isText: true }
    })
  return { settings, malformed }
}

/**
 * `MILLRACE_CHECKPOINTING_MIN_PAUSE=1s`. A variable that is empty says nothing. `MILLRACE_PARAMS_…` is the parameter in `params` whose
 * name it is in upper snake case, or else a new one in camel case. Variables that are no option are returned in `unknown`.
 */
export function settingsOfEnv(
  env: { readonly [name: string]: string | undefined },
  params: Iterable<string>,
): { settings: Setting[]; unknown: string[] } {
  const paths = new Map(Object.keys(OPTIONS).map(path => [upperSnake(path), path]))
  for (const param of params) paths.set(upperSnake(PARAMS + param), PARAMS + param)
  const settings: Setting[] = []
  const unknown: string[] = []
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(ENV_PREFIX) || NO_OPTIONS.includes(name) || value === undefined || value === '') continue
    const rest = name.slice(ENV_PREFIX.length)
    const path = paths.get(rest) ?? paramPath(rest)
    if (path === undefined) unknown.push(name)
    else settings.push({ path, value, source: name, isText: true })
  }
  return { settings, unknown }
}

function paramPath(rest: string): string | undefined {
  const name = /^PARAMS_(.+)$/.exec(rest)?.[1]
  return name === undefined ? undefined : PARAMS + camelCase(name)
}

/** The parameter a path names, or undefined when it names none. */
export function paramOf(path: string): string | undefined {
  return path.startsWith(PARAMS) && path.length > PARAMS.length ? path.slice(PARAMS.length) : undefined
}
