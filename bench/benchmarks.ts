/** All benchmarks by name, in lower case. What they need is loaded when they run: the engine is compiled from a cache that index.ts opens. */
import type { Options } from './args.ts'
import { QUERIES } from './full-size.ts'
import type { Result } from './meter.ts'

type Workload = (options: Options) => Promise<Result>

function query(name: string): Workload {
  return async options => (await import('./nexmark/index.ts')).benchQuery(name, options)
}

export const WORKLOADS: { readonly [name: string]: Workload } = {
  w1: async options => (await import('./w1/index.ts')).benchW1(options),
  ...Object.fromEntries(Object.keys(QUERIES).map(name => [name, query(name)])),
  w3: async options => (await import('./w3/index.ts')).benchW3(options),
  w4: async options => (await import('./w4/index.ts')).benchW4(options),
}

/** The same by a plain loop. */
export async function benchPlain(name: string, options: Options): Promise<Result> {
  return (await import('./baseline.ts')).benchPlain(name, options)
}

/** `{ a: { b: 1 } }` as `{ 'a.b': 1 }`. */
function flat(nested: { readonly [kind: string]: object }): { readonly [measure: string]: number } {
  const entries = Object.entries(nested).flatMap(([kind, times]) =>
    Object.entries(times).map(([measure, value]) => [`${kind}.${measure}`, value] as const),
  )
  return Object.fromEntries(entries)
}

/** Parts of the engine by themselves: nanoseconds unless the file says otherwise, by what was measured. */
export const MICRO: {
  readonly [name: string]: (options: Options) => Promise<{ readonly [measure: string]: number }>
} = {
  chain: async ({ events }) => ({ ...(await (await import('./chain.ts')).benchChain(events ?? 4_000_000)) }),
  rows: async ({ events }) => flat((await import('./rows.ts')).benchRows(events ?? 200_000)),
  savepoint: async ({ keys }) => (await import('./savepoint/index.ts')).benchSavepoint(keys ?? 1_000_000),
  'disk-store': async ({ keys }) => (await import('./disk-store/index.ts')).benchDiskStore(keys ?? 1_000_000),
  codec: async ({ events }) => ({ ...(await import('./codec.ts')).benchCodec(events ?? 1_000_000) }),
}
