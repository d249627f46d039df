/** millrace.config.ts of the working directory: options of every job that is run from there. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf, MillraceError } from '../base/errors.ts'
import { isJsonObject } from '../base/json.ts'
import { ENV_PREFIX } from '../host/option-settings.ts'
import { upperSnake } from '../host/option-table.ts'
import { readToken } from '../control/token.ts'

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

/** A text option from the environment, else from millrace.config.ts: for commands that start no job. Other options are not looked at. */
export async function commandOption(name: 'storage' | 'token' | 'tokenFile'): Promise<string | undefined> {
  const fromEnvironment = process.env[ENV_PREFIX + upperSnake(name)]
  if (fromEnvironment !== undefined && fromEnvironment !== '') return fromEnvironment
  const config = await loadConfig()
  const value = isJsonObject(config) ? config[name] : undefined
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** Of the job's control API, from where the job has it too. @throws OPTION_INVALID */
export async function commandToken(): Promise<string | undefined> {
  return readToken({ token: await commandOption('token'), tokenFile: await commandOption('tokenFile') })
}
