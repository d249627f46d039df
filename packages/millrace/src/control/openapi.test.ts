/** The description of the API, as whoever generates a client from it reads it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { ENDPOINTS } from './endpoints.ts'
import { openApi } from './openapi.ts'

test('it is a valid OpenAPI 3.1 document', async () => {
  const validator = new Validator()
  const { valid, errors } = await validator.validate(openApi() as Record<string, unknown>)
  assert.ok(valid, JSON.stringify(errors))
  assert.equal(validator.version, '3.1')
})

test('every endpoint is in it, with a summary, its request, its answer and what it may fail with', () => {
  const { paths } = openApi() as any
  for (const [name, { method, path, summary }] of Object.entries(ENDPOINTS)) {
    const operation = paths[path.replaceAll(/:(\w+)/g, '{$1}')][method.toLowerCase()]
    assert.deepEqual([operation.operationId, operation.summary], [name, summary])
    const asked = method === 'POST' ? operation.requestBody.content['application/json'].schema : operation.parameters
    assert.ok(asked, name)
    const ok = operation.responses[method === 'POST' ? 202 : 200].content['application/json'].schema
    assert.ok(Object.keys(ok).length > 0, name)
    for (const status of ['400', '401', '403']) {
      const { schema } = operation.responses[status].content['application/json']
      assert.deepEqual(schema, { $ref: '#/components/schemas/Error' })
    }
  }
  assert.match(paths['/v1/operations/{id}'].get.responses[404].description, /^OPERATION_NOT_FOUND: /)
  assert.match(paths['/v1/stop'].post.responses[409].description, /^JOB_NOT_RUNNING: /)
})

test('what a request must be is said: bounds, patterns, which fields there are, and where each stands', () => {
  const { paths } = openApi() as any
  const rescale = paths['/v1/rescale'].post.requestBody.content['application/json'].schema
  assert.deepEqual(rescale.properties.parallelism, { type: 'integer', minimum: 1, maximum: 32768 })
  assert.deepEqual([rescale.required, rescale.additionalProperties], [['parallelism'], false])
  const [id, wait] = paths['/v1/operations/{id}'].get.parameters
  assert.deepEqual([id.in, id.required, id.schema.type], ['path', true, 'string'])
  assert.deepEqual([wait.in, wait.required, wait.schema.pattern], ['query', false, '^\\d{1,5}$'])
})
