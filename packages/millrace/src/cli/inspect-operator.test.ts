/** What `inspect` prints of an operator that the commands' own tests have no job for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeOperator } from './inspect-operator.ts'

test('broadcast state is listed with its number of entries, beside keyed state', () => {
  const operator = {
    name: 'large',
    kind: 'keyedBroadcastProcess',
    parallelism: 4,
    states: [{ id: 1, name: 'count', kind: 'value', schema: null }],
    broadcastState: { limits: ['AAE=', 'AAI='], names: [] },
  }
  const counts = new Map([[1, { entries: 7, keyBytes: 1, valueBytes: 1, keyGroups: new Map() }]])
  const { text, json } = describeOperator('job/chk-1', operator, counts)
  assert.match(text, /\nSTATE \(broadcast\) +ENTRIES\nlimits +2\nnames +0\n/)
  assert.match(text, /\ncount +1 +value +7 /)
  assert.deepEqual((json as { operator: typeof operator }).operator.broadcastState, operator.broadcastState)
})
