/** One call of an endpoint over HTTP, and what can go wrong on the way. */
import {
  Agent,
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request as httpRequest,
} from 'node:http'
import * as v from 'valibot'
import { messageOf, MillraceError } from '../base/errors.ts'
import { parseJson } from '../base/json.ts'
import { type Answer, type EndpointName, ENDPOINTS, ErrorAnswer, type RequestText } from './endpoints.ts'
import { errorOfAnswer } from './error-answer.ts'

export interface CallOptions {
  readonly timeoutMs: number
  readonly token: string | undefined
}

/** No call came through, or no answer back: it may or may not have been heard. */
export class Unanswered extends Error {}

/** An agent of our own: the global one may be told to go through a proxy. */
const AGENT = new Agent({ keepAlive: false })

/**
 * @throws Unanswered; MillraceError as the server answers it; CONTROL_UNREACHABLE when something else answers
 */
export async function call<Name extends EndpointName>(
  address: string,
  name: Name,
  request: RequestText<Name>,
  { timeoutMs, token }: CallOptions,
): Promise<Answer<Name>> {
  const { method, path, response } = ENDPOINTS[name]
  const fields = new Map(Object.entries(request as { readonly [field: string]: string | number | undefined }))
  const url = new URL(
    path.replaceAll(/:(\w+)/g, (_, field: string) => encodeURIComponent(String(take(fields, field)))),
    address,
  )
  if (method === 'GET') for (const [field, value] of fields) url.searchParams.set(field, String(value))
  const body = method === 'POST' ? JSON.stringify(Object.fromEntries(fields)) : undefined
  const { status, text } = await exchange(url, { method, headers: headersOf(body, token) }, body, timeoutMs)
  const json = parseJson(text)
  const expected = status < 400 ? v.safeParse(response, json) : v.safeParse(ErrorAnswer, json)
  if (!expected.success) throw notOurs(url, status)
  if (status >= 400) throw errorOfAnswer(expected.output as v.InferOutput<typeof ErrorAnswer>)
  return expected.output as Answer<Name>
}

function headersOf(body: string | undefined, token: string | undefined): OutgoingHttpHeaders {
  return {
    ...(body !== undefined && { 'content-type': 'application/json' }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  }
}

function take(fields: Map<string, unknown>, field: string): unknown {
  const value = fields.get(field)
  fields.delete(field)
  return value
}

function exchange(
  url: URL,
  options: { readonly method: string; readonly headers: OutgoingHttpHeaders },
  body: string | undefined,
  timeoutMs: number,
): Promise<{ readonly status: number; readonly text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>()
  const fail = (error: unknown): void => reject(new Unanswered(`${url.host} does not answer: ${messageOf(error)}`))
  const sent: ClientRequest = httpRequest(url, { ...options, agent: AGENT }, (answer: IncomingMessage) => {
    let text = ''
    answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    answer.on('error', fail).on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
  })
  const timeout = setTimeout(() => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
  sent.on('error', fail).end(body)
  return promise.finally(() => clearTimeout(timeout))
}

function notOurs(url: URL, status: number): MillraceError {
  return new MillraceError(
    'CONTROL_UNREACHABLE',
    `${url.host} answers ${status} with something that is not of a control API`,
    {
      context: { address: url.origin, status },
    },
  )
}
