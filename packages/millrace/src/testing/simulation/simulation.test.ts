/** A few hundred simulations, the same ones every time; `npm run simulate` runs others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plantCanary } from './canary.ts'
import { simulate, turn } from './index.ts'

const SEEDS = 300
/** One of twelve finds it: that none of these does is one to ten thousand. */
const CANARY_SEEDS = 110

test(`in ${SEEDS} simulated jobs every record counts once, and nothing that is needed is missing or left over`, async () => {
  for (let seed = 0; seed < SEEDS; seed++) {
    const { violation, trace, actions } = await simulate({ seed, turn })
    const repeat = `npm run simulate -- --seed ${seed} --trace`
    assert.equal(violation, undefined, `seed ${seed}, action ${actions}; ${repeat}\n${trace.join('\n')}`)
  }
})

test('a seed is one simulation, action by action', async () => {
  for (const seed of [7, 77]) {
    const [first, second] = [await simulate({ seed, turn }), await simulate({ seed, turn })]
    assert.equal(first.hash, second.hash)
    assert.equal(first.actions, second.actions)
  }
})

test('simulations find a bug that lets records of the next checkpoint into this one', async context => {
  const remove = plantCanary()
  context.after(remove)
  for (let seed = 0; seed < CANARY_SEEDS; seed++) {
    const { violation } = await simulate({ seed, turn })
    if (violation !== undefined) return context.diagnostic(`seed ${seed}: ${violation}`)
  }
  assert.fail(`${CANARY_SEEDS} seeds found nothing`)
})
