/**
 * Which requests are looked at at all. The API has no password: whoever may connect to this machine's loopback may control the job. A web
 * page in a browser of this machine may connect too, and must not control it:
 *
 * - its requests say where they come from (Origin), so a foreign origin is refused, and no header ever allows one;
 * - a name of its own that it has pointed to 127.0.0.1 (DNS rebinding) stands in Host, so any name but those of the loopback is refused;
 * - what it may send without asking first is a form or plain text, so a POST must be application/json.
 */
import type { Context, MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { HTTPException } from 'hono/http-exception'
import { MillraceError } from '../base/errors.ts'
import { isJsonObject, type JsonObject, parseJson } from '../base/json.ts'
import type { ErrorStatus } from './error-answer.ts'

const LARGEST_BODY_BYTES = 64 * 1024
const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]']

/** `port` is asked for with each request: it is known only once the server listens. */
export function onlyFromHere(port: () => number): MiddlewareHandler {
  return async (c, next) => {
    // As clients write it: without the port if that is HTTP's own.
    const hosts = LOOPBACK.map(name => new URL(`http://${name}:${port()}`).host)
    const host = c.req.header('host')?.toLowerCase()
    if (host === undefined || !hosts.includes(host)) throw refused(403, `Host is ${shown(host)}, not ${hosts[0]}`)
    const origin = c.req.header('origin')?.toLowerCase()
    if (origin !== undefined && !hosts.some(each => origin === `http://${each}`)) {
      throw refused(403, `Origin is ${shown(origin)}; a web page of another origin may not control a job`)
    }
    await next()
  }
}

export const onlyJson: MiddlewareHandler = async (c, next) => {
  const type = c.req.header('content-type')
  if (c.req.method === 'POST' && !/^application\/json\s*(;|$)/i.test(type ?? '')) {
    throw refused(415, `content-type is ${shown(type)}, not application/json`)
  }
  await next()
}

export const onlySmall: MiddlewareHandler = bodyLimit({
  maxSize: LARGEST_BODY_BYTES,
  onError: () => {
    throw refused(413, `the body has more than ${LARGEST_BODY_BYTES / 1024} KiB`)
  },
})

/** The JSON object in the body. @throws HTTPException with REQUEST_INVALID */
export async function bodyOf(c: Context): Promise<JsonObject> {
  const text = await c.req.text()
  const value = parseJson(text)
  if (isJsonObject(value)) return value
  throw refused(400, `the body is not a JSON object: ${shown(text)}`)
}

export function refused(status: ErrorStatus, message: string, context: object = {}): HTTPException {
  return new HTTPException(status, {
    cause: new MillraceError('REQUEST_INVALID', message, { context: { ...context } }),
  })
}

function shown(text: string | undefined): string {
  return text === undefined ? 'missing' : JSON.stringify(text.slice(0, 100))
}
