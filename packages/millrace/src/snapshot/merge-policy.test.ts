import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { MAX_SEGMENTS, type MergeCandidate, planMerge } from './merge-policy.ts'

const MB = 1024 * 1024

function delta(sizeBytes: number, tombstones = 0): MergeCandidate {
  return { sizeBytes, entries: Math.max(tombstones, Math.ceil(sizeBytes / 100)), tombstones, base: false }
}

function base(sizeBytes: number): MergeCandidate {
  return { ...delta(sizeBytes), base: true }
}

describe('the merge policy', () => {
  it('leaves a base, and a few deltas over a large base, alone', () => {
    assert.equal(planMerge([]), undefined)
    assert.equal(planMerge([base(100 * MB)]), undefined)
    assert.equal(planMerge([delta(MB), delta(MB), delta(MB), base(100 * MB)]), undefined)
  })

  it('merges the newest run of at least four deltas within three times in size of each other', () => {
    const big = base(1000 * MB)
    assert.deepEqual(planMerge([delta(MB), delta(3 * MB), delta(2 * MB), delta(MB), big]), {
      from: 0,
      to: 4,
      intoBase: false,
    })
    assert.deepEqual(planMerge([delta(3 * MB), delta(MB), delta(MB), delta(MB), delta(MB), big]), {
      from: 0,
      to: 5,
      intoBase: false,
    })
    assert.deepEqual(planMerge([delta(9 * MB), delta(MB), delta(MB), delta(MB), delta(2 * MB), big]), {
      from: 1,
      to: 5,
      intoBase: false,
    })
    assert.equal(planMerge([delta(4 * MB), delta(MB), delta(MB), delta(MB), big]), undefined)
  })

  it('merges everything into a new base when the deltas are larger than it', () => {
    assert.deepEqual(planMerge([delta(3 * MB), delta(98 * MB), base(100 * MB)]), { from: 0, to: 3, intoBase: true })
    assert.equal(planMerge([delta(2 * MB), delta(97 * MB), base(100 * MB)]), undefined)
  })

  it('merges everything into a new base when tombstones bury half of it', () => {
    const big = base(100 * MB)
    assert.deepEqual(planMerge([delta(2 * MB, big.entries / 2), big]), { from: 0, to: 2, intoBase: true })
    assert.equal(planMerge([delta(2 * MB, big.entries / 3), big]), undefined)
  })

  it('does not merge at every checkpoint because a small state changes as a whole', () => {
    assert.equal(planMerge([delta(2000), delta(2000), base(2000)]), undefined)
  })

  it('never takes in a segment below the base', () => {
    const list = [delta(110 * MB), base(100 * MB), delta(MB), base(900 * MB)]
    assert.deepEqual(planMerge(list), { from: 0, to: 2, intoBase: true })
  })

  it('takes the oldest segment for the base when none is called one', () => {
    assert.deepEqual(planMerge([delta(110 * MB), delta(100 * MB)]), { from: 0, to: 2, intoBase: true })
  })

  it('always shortens a full list, at the cheapest neighbours if there is no run', () => {
    const list = [1, 4, 16, 64, 256, 1024, 4096].map(size => delta(size * MB))
    assert.deepEqual(planMerge([...list, base(20_000 * MB)]), { from: 0, to: 2, intoBase: false })
    assert.deepEqual(planMerge([...list.toReversed(), base(20_000 * MB)]), { from: 5, to: 7, intoBase: false })
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 200, max: 1e9 }), { minLength: MAX_SEGMENTS, maxLength: MAX_SEGMENTS }),
        sizes => {
          const plan = planMerge(sizes.map((size, i) => (i === sizes.length - 1 ? base(size) : delta(size))))
          assert.ok(plan !== undefined && plan.to - plan.from >= 2)
          assert.equal(plan.intoBase, plan.to === sizes.length)
        },
      ),
    )
  })
})

/** Large, so that a few thousand keys are far above the size below which space does not count. */
const ENTRY_BYTES = 4000
const TOMBSTONE_BYTES = 40
/** Header, dictionary, footer. */
const SEGMENT_BYTES = 400
/** What small lists may take, whatever lives. */
const SLACK_BYTES = 8 * MB

/** A segment as a set of keys: true is a put, false a tombstone. */
type Keys = Map<number, boolean>

function describeSegment(keys: Keys, isBase: boolean): MergeCandidate {
  let tombstones = 0
  for (const isPut of keys.values()) if (!isPut) tombstones++
  const sizeBytes = SEGMENT_BYTES + (keys.size - tombstones) * ENTRY_BYTES + tombstones * TOMBSTONE_BYTES
  return { sizeBytes, entries: keys.size, tombstones, base: isBase }
}

/** Runs checkpoints over a model of the state, merging as planned before the next one, and returns what it cost. */
function simulate(checkpoints: readonly { readonly puts: readonly number[]; readonly deletes: readonly number[] }[]): {
  readonly longest: number
  readonly worstSpace: number
  readonly writeAmplification: number
} {
  const live = new Set<number>()
  let list: { keys: Keys; facts: MergeCandidate }[] = []
  let [longest, worstSpace, checkpointBytes, mergeBytes] = [0, 0, 0, 0]
  const make = (keys: Keys, isBase: boolean): (typeof list)[number] => ({ keys, facts: describeSegment(keys, isBase) })
  for (const { puts, deletes } of checkpoints) {
    const keys: Keys = new Map(puts.map(key => [key, true]))
    for (const key of puts) live.add(key)
    for (const key of deletes) if (live.delete(key)) keys.set(key, false)
    const written = make(keys, list.length === 0)
    checkpointBytes += written.facts.sizeBytes
    list = [written, ...list]
    longest = Math.max(longest, list.length)
    for (
      let plan = planMerge(list.map(({ facts }) => facts));
      plan !== undefined;
      plan = planMerge(list.map(({ facts }) => facts))
    ) {
      const merged: Keys = new Map(
        list
          .slice(plan.from, plan.to)
          .toReversed()
          .flatMap(segment => [...segment.keys]),
      )
      if (plan.intoBase) for (const [key, isPut] of merged) if (!isPut) merged.delete(key)
      const result = make(merged, plan.intoBase)
      mergeBytes += result.facts.sizeBytes
      list = list.toSpliced(plan.from, plan.to - plan.from, result)
    }
    const totalBytes = list.reduce((sum, { facts }) => sum + facts.sizeBytes, 0)
    worstSpace = Math.max(worstSpace, (totalBytes - SLACK_BYTES) / Math.max(MB, live.size * ENTRY_BYTES))
  }
  return { longest, worstSpace, writeAmplification: (checkpointBytes + mergeBytes) / checkpointBytes }
}

describe('a job with background merging', () => {
  /** Deterministic, since a benchmark line is printed of it. */
  function random(seed: number): () => number {
    let state = seed
    return () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state / 2 ** 32
    }
  }

  const some = (count: number, of: number, next: () => number): number[] =>
    Array.from({ length: count }, () => Math.floor(next() * of))

  const workloads: readonly [name: string, keyCount: number, checkpoints: number, puts: number, deletes: number][] = [
    ['hot keys of a large state', 60_000, 2000, 60, 0],
    ['bursts', 30_000, 400, 3000, 100],
    ['as many deletes as puts', 30_000, 1000, 500, 500],
    ['everything changes', 5000, 200, 20_000, 0],
  ]

  for (const [name, keyCount, checkpoints, puts, deletes] of workloads) {
    it(`keeps at most ${MAX_SEGMENTS} segments and about twice the live bytes: ${name}`, test => {
      const next = random(7)
      const burst = (): number => Math.ceil(puts * 2 * next() ** 3)
      const first = { puts: Array.from({ length: keyCount }, (_, i) => i), deletes: [] }
      const rest = Array.from({ length: checkpoints }, () => ({
        puts: some(burst(), keyCount, next),
        deletes: some(Math.ceil(deletes * next()), keyCount, next),
      }))
      const { longest, worstSpace, writeAmplification } = simulate([first, ...rest])
      test.diagnostic(
        `space ${worstSpace.toFixed(2)}x, write amplification ${writeAmplification.toFixed(2)}x, at most ${longest} segments`,
      )
      assert.ok(longest <= MAX_SEGMENTS, `${longest} segments`)
      assert.ok(worstSpace <= 2.2, `${worstSpace} times the live bytes`)
      assert.ok(writeAmplification <= 12, `wrote ${writeAmplification} times what changed`)
    })
  }

  it('keeps to that while its state shrinks to nothing and grows again', () => {
    const all = Array.from({ length: 60_000 }, (_, i) => i)
    const steps = Array.from({ length: 60 }, (_, i) => ({ puts: [], deletes: all.slice(i * 1000, (i + 1) * 1000) }))
    const { longest, worstSpace } = simulate([
      { puts: all, deletes: [] },
      ...steps,
      { puts: all, deletes: [] },
      ...steps,
    ])
    assert.ok(longest <= MAX_SEGMENTS && worstSpace <= 2.2, `${longest} segments, ${worstSpace} times the live bytes`)
  })

  it('keeps to that whatever the sizes are', () => {
    const step = fc.record({
      puts: fc.array(fc.nat(500), { maxLength: 80 }),
      deletes: fc.array(fc.nat(500), { maxLength: 40 }),
    })
    // Keys stand for 40 each, so that sizes pass the limit below which space does not count.
    const scaled = (keys: readonly number[]): number[] =>
      keys.flatMap(key => Array.from({ length: 40 }, (_, i) => key * 40 + i))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const { longest, worstSpace } = simulate(
          steps.map(({ puts, deletes }) => ({ puts: scaled(puts), deletes: scaled(deletes) })),
        )
        assert.ok(
          longest <= MAX_SEGMENTS && worstSpace <= 2.2,
          `${longest} segments, ${worstSpace} times the live bytes`,
        )
      }),
      { numRuns: 40 },
    )
  })
})
