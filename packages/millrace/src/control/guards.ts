/**
 * Which requests are looked at at all. With a token, those that know it. Without one, whoever may connect to this machine's loopback may
 * control the job. A web page in a browser of this machine may connect too, and must not control it:
 *
 * - its requests say where they come from (Origin), so a foreign origin is refused, and no header ever allows one;
 * - a name of its own that it has pointed to 127.0.0.1 (DNS rebinding) stands in Host, so any name but those of the loopback is refused;
 *   (Beyond the loopback the names of this machine are not known. There is a token then, which such a page does not have.)
 * - what it may send without asking first is a form or plain text, so a POST must be application/json.
 */
import type { Context, MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { HTTPException } from 'hono/http-exception'
import { MillraceError } from '../base/errors.ts'
import { isJsonObject, type JsonObject, parseJson } from '../base/json.ts'
import type { ErrorStatus } from './error-answer.ts'
import { isSameToken } from './token.ts'

const LARGEST_BODY_BYTES = 64 * 1024
const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]']

/** On any address: no web page but one that this server itself has sent. */
export const onlySameOrigin: MiddlewareHandler = async (c, next) => {
  const origin = c.req.header('origin')?.toLowerCase()
  const host = c.req.header('host')?.toLowerCase()
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) throw foreign(origin)
  await next()
}

/** On the loopback. `port` is asked for with each request: it is known only once the server listens. */
export function onlyFromHere(port: () => number): MiddlewareHandler {
  return async (c, next) => {
    // As clients write it: without the port if that is HTTP's own.
    const hosts = LOOPBACK.map(name => new URL(`http://${name}:${port()}`).host)
    const host = c.req.header('host')?.toLowerCase()
    if (host === undefined || !hosts.includes(host)) throw refused(403, `Host is ${shown(host)}, not ${hosts[0]}`)
    const origin = c.req.header('origin')?.toLowerCase()
    if (origin !== undefined && !hosts.some(each => origin === `http://${each}`)) throw foreign(origin)
    await next()
  }
}

export function onlyWithToken(token: string): MiddlewareHandler {
  return async (c, next) => {
    const given = /^Bearer +(\S+) *$/i.exec(c.req.header('authorization') ?? '')?.[1]
    if (given !== undefined && isSameToken(given, token)) return next()
    c.header('www-authenticate', 'Bearer')
    const found = given === undefined ? 'no token' : 'another token than the job'
    throw new MillraceError('UNAUTHORIZED', `the request has ${found}`)
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

function foreign(origin: string): HTTPException {
  return refused(403, `Origin is ${shown(origin)}; a web page of another origin may not control a job`)
}

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
