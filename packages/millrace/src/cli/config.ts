/** millrace.config.ts of the working directory: options of every job that is run from there. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf, MillraceError } from '../base/errors.ts'

const CONFIG_FILE = 'millrace.config.ts'

/** Its default export; undefined when there is no such file. @throws OPTION_INVALID when it cannot be imported or exports nothing */
export async function loadConfig(): Promise<unknown> {
  const file = resolve(CONFIG_FILE)
  if (!existsSync(file)) return undefined
  let config: { readonly default?: unknown }
  try {
    config = await import(pathToFileURL(file).href)
  } catch (cause) {
    throw new MillraceError('OPTION_INVALID', `${file} could not be imported: ${messageOf(cause)}`, { cause })
  }
  if (config.default === undefined) {
    throw new MillraceError('OPTION_INVALID', `${file} has no default export; it must be an object of options`)
  }
  return config.default
}
