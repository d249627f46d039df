/**
 * The control API as an OpenAPI 3.1 document, made of the table of endpoints: nothing about an endpoint is said here that the table does
 * not say.
 */
import { type ConversionConfig, toJsonSchema } from '@valibot/to-json-schema'
import { ERRORS, type ErrorCode } from '../base/errors.ts'
import { VERSION } from '../host/version.ts'
import { DOCUMENTS, type Endpoint, ENDPOINTS, ErrorAnswer, type Schema } from './endpoints.ts'
import { statusOf } from './error-answer.ts'

type JsonSchema = Omit<ReturnType<typeof toJsonSchema>, '$schema'>
type Responses = { readonly [status: string]: object }

/** What the guards refuse, whatever the endpoint. */
const REFUSED = {
  GET: [400, 403],
  POST: [400, 403, 413, 415, 429],
} as const

export function openApi(): object {
  const paths: { [path: string]: { [method: string]: object } } = {}
  for (const [name, endpoint] of Object.entries<Endpoint<Schema, Schema>>(ENDPOINTS)) {
    const path = endpoint.path.replaceAll(/:(\w+)/g, '{$1}')
    ;(paths[path] ??= {})[endpoint.method.toLowerCase()] = operationOf(name, endpoint)
  }
  for (const [operationId, { path, summary, type }] of Object.entries(DOCUMENTS)) {
    const responses = { 200: { description: summary, content: { [type]: {} } }, ...errorResponses('GET', []) }
    paths[path] = { get: { operationId, summary, responses } }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Control API of a running Millrace job', version: VERSION, license: { name: 'Apache-2.0' } },
    paths,
    components: {
      schemas: { Error: schemaOf(ErrorAnswer, 'output') },
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'If the job was started with one' } },
    },
    security: [{}, { token: [] }],
  }
}

function operationOf(operationId: string, endpoint: Endpoint<Schema, Schema>): object {
  const { method, summary, request, response, errors } = endpoint
  const asked = schemaOf(request, 'input')
  const answered = { description: summary, content: jsonOf(schemaOf(response, 'output')) }
  return {
    operationId,
    summary,
    ...(method === 'POST'
      ? { requestBody: { required: true, content: jsonOf(asked) } }
      : { parameters: parametersOf(endpoint.path, asked) }),
    responses: { [method === 'POST' ? 202 : 200]: answered, ...errorResponses(method, errors) },
  }
}

function parametersOf(path: string, { properties = {}, required = [] }: JsonSchema): object[] {
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: path.includes(`:${name}`) ? 'path' : 'query',
    required: required.includes(name),
    schema,
  }))
}

function errorResponses(method: Endpoint<Schema, Schema>['method'], errors: readonly ErrorCode[]): Responses {
  const codes: (readonly [number, ErrorCode])[] = [
    ...REFUSED[method].map(status => [status, 'REQUEST_INVALID'] as const),
    ...(['UNAUTHORIZED', ...errors] as const).map(code => [statusOf(code), code] as const),
  ]
  const byStatus = Map.groupBy(codes, ([status]) => status)
  const responses = [...byStatus].map(([status, each]) => {
    const description = each.map(([, code]) => `${code}: ${ERRORS[code].title}`).join(' ')
    return [status, { description, content: jsonOf({ $ref: '#/components/schemas/Error' }) }]
  })
  return Object.fromEntries(responses)
}

function jsonOf(schema: object): object {
  return { 'application/json': { schema } }
}

/** Checks that JSON Schema cannot say are left to the server; its regular expressions say what matters. */
function schemaOf(schema: Schema, typeMode: ConversionConfig['typeMode']): JsonSchema {
  const { $schema: _, ...json } = toJsonSchema(schema, { target: 'draft-2020-12', ...(typeMode && { typeMode }) })
  return json
}
