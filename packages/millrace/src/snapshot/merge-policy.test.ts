import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isRewriteBetter, MAX_LAYERS, type MergePlan, planMerge } from './merge-policy.ts'
import { layersOf, type LayeredSegment } from './segment-layers.ts'

const MB = 1024 * 1024

type Facts = Omit<LayeredSegment, 'checkpoint'>

function delta(sizeBytes: number, tombstones = 0): Facts {
  return { sizeBytes, entries: Math.max(tombstones, Math.ceil(sizeBytes / 100)), tombstones, base: false }
}

function base(sizeBytes: number): Facts {
  return { ...delta(sizeBytes), base: true }
}

/** A list of segments of one checkpoint each. */
function numbered(newestFirst: readonly Facts[]): LayeredSegment[] {
  return newestFirst.map((facts, age) => ({ ...facts, checkpoint: newestFirst.length - age }))
}

const plan = (newestFirst: readonly Facts[]): MergePlan | undefined => planMerge(numbered(newestFirst))

describe('the merge policy', () => {
  it('leaves a base, and a few deltas over a large base, alone', () => {
    assert.equal(plan([]), undefined)
    assert.equal(plan([base(100 * MB)]), undefined)
    assert.equal(plan([delta(MB), delta(MB), delta(MB), base(100 * MB)]), undefined)
  })

  it('merges the newest run of at least four deltas within three times in size of each other', () => {
    const big = base(1000 * MB)
    assert.deepEqual(plan([delta(MB), delta(3 * MB), delta(2 * MB), delta(MB), big]), {
      from: 0,
      to: 4,
      intoBase: false,
    })
    assert.deepEqual(plan([delta(3 * MB), delta(MB), delta(MB), delta(MB), delta(MB), big]), {
      from: 0,
      to: 5,
      intoBase: false,
    })
    assert.deepEqual(plan([delta(9 * MB), delta(MB), delta(MB), delta(MB), delta(2 * MB), big]), {
      from: 1,
      to: 5,
      intoBase: false,
    })
    assert.equal(plan([delta(4 * MB), delta(MB), delta(MB), delta(MB), big]), undefined)
  })

  it('merges everything into a new base when the deltas are larger than it', () => {
    assert.deepEqual(plan([delta(3 * MB), delta(98 * MB), base(100 * MB)]), { from: 0, to: 3, intoBase: true })
    assert.equal(plan([delta(2 * MB), delta(97 * MB), base(100 * MB)]), undefined)
  })

  it('merges everything into a new base when tombstones bury half of it', () => {
    const big = base(100 * MB)
    assert.deepEqual(plan([delta(2 * MB, big.entries / 2), big]), { from: 0, to: 2, intoBase: true })
    assert.equal(plan([delta(2 * MB, big.entries / 3), big]), undefined)
  })

  it('does not merge at every checkpoint because a small state changes as a whole', () => {
    assert.equal(plan([delta(2000), delta(2000), base(2000)]), undefined)
  })

  it('never takes in a segment below the base', () => {
    const list = [delta(110 * MB), base(100 * MB), delta(MB), base(900 * MB)]
    assert.deepEqual(plan(list), { from: 0, to: 2, intoBase: true })
  })

  it('takes the oldest segment for the base when none is called one', () => {
    assert.deepEqual(plan([delta(110 * MB), delta(100 * MB)]), { from: 0, to: 2, intoBase: true })
  })

  it('always shortens a full list, at the cheapest neighbours if there is no run', () => {
    const list = [1, 4, 16, 64, 256, 1024, 4096].map(size => delta(size * MB))
    assert.deepEqual(plan([...list, base(20_000 * MB)]), { from: 0, to: 2, intoBase: false })
    assert.deepEqual(plan([...list.toReversed(), base(20_000 * MB)]), { from: 5, to: 7, intoBase: false })
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 200, max: 1e9 }), { minLength: MAX_LAYERS, maxLength: MAX_LAYERS }),
        sizes => {
          const found = plan(sizes.map((size, i) => (i === sizes.length - 1 ? base(size) : delta(size))))
          assert.ok(found !== undefined && found.to - found.from >= 2)
          assert.equal(found.intoBase, found.to === sizes.length)
        },
      ),
    )
  })

  it('merges whole layers, as if each were one segment', () => {
    const layer = fc.array(fc.integer({ min: 200, max: 1e9 }), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(fc.array(layer, { maxLength: MAX_LAYERS + 2 }), fc.boolean(), (layers, hasBase) => {
        const isBase = (age: number) => hasBase && age === layers.length - 1
        const segments = layers.flatMap((sizes, age) =>
          sizes.map(size => ({ ...(isBase(age) ? base(size) : delta(size)), checkpoint: layers.length - age })),
        )
        const whole = layersOf(segments)
        assert.deepEqual(
          whole.map(({ from, to }) => to - from),
          layers.map(sizes => sizes.length),
        )
        const expected = plan(whole)
        const found = planMerge(segments)
        assert.equal(found?.intoBase, expected?.intoBase)
        if (expected === undefined) return
        assert.deepEqual([found!.from, found!.to], [whole[expected.from].from, whole[expected.to - 1].to])
      }),
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

function describeSegment(keys: Keys, isBase: boolean, checkpoint: number): LayeredSegment {
  let tombstones = 0
  for (const isPut of keys.values()) if (!isPut) tombstones++
  const sizeBytes = SEGMENT_BYTES + (keys.size - tombstones) * ENTRY_BYTES + tombstones * TOMBSTONE_BYTES
  return { sizeBytes, entries: keys.size, tombstones, base: isBase, checkpoint }
}

/** Runs checkpoints over a model of the state, merging as planned before the next one, and returns what it cost. */
function simulate(
  checkpoints: readonly { readonly puts: readonly number[]; readonly deletes: readonly number[] }[],
  slots = 1,
): {
  readonly longest: number
  readonly worstSpace: number
  readonly writeAmplification: number
} {
  const live = new Set<number>()
  let list: { keys: Keys; facts: LayeredSegment }[] = []
  let [longest, worstSpace, checkpointBytes, mergeBytes] = [0, 0, 0, 0]
  const make = (keys: Keys, isBase: boolean, checkpoint: number): (typeof list)[number] => ({
    keys,
    facts: describeSegment(keys, isBase, checkpoint),
  })
  for (const [checkpoint, { puts, deletes }] of checkpoints.entries()) {
    const keys: Keys = new Map(puts.map(key => [key, true]))
    for (const key of puts) live.add(key)
    for (const key of deletes) if (live.delete(key)) keys.set(key, false)
    const isFirst = list.length === 0
    const layer = Array.from({ length: slots }, (_, slot) => {
      const own: Keys = new Map([...keys].filter(([key]) => key % slots === slot))
      return make(own, isFirst, checkpoint)
    }).filter(segment => slots === 1 || segment.keys.size > 0)
    checkpointBytes += layer.reduce((sum, { facts }) => sum + facts.sizeBytes, 0)
    list = [...layer, ...list]
    longest = Math.max(longest, layersOf(list.map(({ facts }) => facts)).length)
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
      const result = make(merged, plan.intoBase, list[plan.from].facts.checkpoint)
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

  type Workload = [name: string, keyCount: number, checkpoints: number, puts: number, deletes: number, slots?: number]
  const workloads: readonly Workload[] = [
    ['hot keys of a large state', 60_000, 2000, 60, 0],
    ['bursts', 30_000, 400, 3000, 100],
    ['bursts in many slots', 30_000, 400, 3000, 100, 7],
    ['as many deletes as puts', 30_000, 1000, 500, 500],
    ['everything changes', 5000, 200, 20_000, 0],
  ]

  for (const [name, keyCount, checkpoints, puts, deletes, slots] of workloads) {
    it(`keeps at most ${MAX_LAYERS} layers and about twice the live bytes: ${name}`, test => {
      const next = random(7)
      const burst = (): number => Math.ceil(puts * 2 * next() ** 3)
      const first = { puts: Array.from({ length: keyCount }, (_, i) => i), deletes: [] }
      const rest = Array.from({ length: checkpoints }, () => ({
        puts: some(burst(), keyCount, next),
        deletes: some(Math.ceil(deletes * next()), keyCount, next),
      }))
      const { longest, worstSpace, writeAmplification } = simulate([first, ...rest], slots)
      test.diagnostic(
        `space ${worstSpace.toFixed(2)}x, write amplification ${writeAmplification.toFixed(2)}x, at most ${longest} layers`,
      )
      assert.ok(longest <= MAX_LAYERS, `${longest} layers`)
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
    assert.ok(longest <= MAX_LAYERS && worstSpace <= 2.2, `${longest} layers, ${worstSpace} times the live bytes`)
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
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 4 }), (steps, slots) => {
        const { longest, worstSpace } = simulate(
          steps.map(({ puts, deletes }) => ({ puts: scaled(puts), deletes: scaled(deletes) })),
          slots,
        )
        assert.ok(longest <= MAX_LAYERS && worstSpace <= 2.2, `${longest} layers, ${worstSpace} times the live bytes`)
      }),
      { numRuns: 40 },
    )
  })
})

describe('a rewrite', () => {
  const better = (newestFirst: readonly Facts[]): boolean => isRewriteBetter(numbered(newestFirst))

  it('is better than a delta that is half as large as the base, in entries, and only that', () => {
    assert.equal(better([delta(50 * MB), base(100 * MB)]), true)
    assert.equal(better([delta(49 * MB), base(100 * MB)]), false)
    assert.equal(better([delta(30 * MB), delta(80 * MB), base(100 * MB)]), false)
    assert.equal(
      better([
        { sizeBytes: 1, entries: 10, tombstones: 10, base: false },
        { ...base(MB), entries: 20 },
      ]),
      true,
    )
  })

  it('does not follow another one, nor is there one without a base', () => {
    assert.equal(better([base(100 * MB)]), false)
    assert.equal(better([]), false)
    assert.equal(better([delta(MB)]), false)
  })
})
