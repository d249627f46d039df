/** Every workload at full size: how much there is of it, and the checksum that every engine gets. WORKLOADS.md says where those come from. */
import type { Options } from './args.ts'

export const W1 = {
  bytes: 200_000_000,
  md5: 'cd96d736a70520e4ff060cbfa5e1d5fa',
  checksum: '32a0b6034ecb33e8-100000',
}

export const QUERIES: { readonly [query: string]: { readonly events: number; readonly checksum: string } } = {
  q1: { events: 20_000_000, checksum: '7860d68e0e975ed7-18400000' },
  q2: { events: 20_000_000, checksum: '85d5903fe0476e00-152510' },
  q3: { events: 20_000_000, checksum: '1cdc3a5cbbedc427-118122' },
  q5: { events: 5_000_000, checksum: 'bbe77c1380c9af2b-262' },
  q7: { events: 5_000_000, checksum: '5df1e1b66edd56f6-50' },
  q8: { events: 20_000_000, checksum: '756b993a450cf811-168140' },
  q11: { events: 5_000_000, checksum: '9bda905fb37a2892-99918' },
}

export const W3 = {
  keys: 10_000_000,
  events: 20_000_000,
  uniform: 'a0271d98109736e3-20000000',
  skewed: '0d5f454dbbbc2c73-20000000',
}

export const W4 = {
  keys: 1_000_000,
  events: 20_000_000,
  checksum: 'c61d9fbaaedc379d-20000000',
}

/** Of a text with this MD5; undefined when its checksum is not known. */
export function expectedW1(md5: string): string | undefined {
  return md5 === W1.md5 ? W1.checksum : undefined
}

export function expectedQuery(query: string, events: number): string | undefined {
  return events === QUERIES[query].events ? QUERIES[query].checksum : undefined
}

export function expectedW3({ zipf, keys = W3.keys, events = W3.events }: Options): string | undefined {
  if (keys !== W3.keys || events !== W3.events) return undefined
  return zipf ? W3.skewed : W3.uniform
}

export function expectedW4({ keys = W4.keys, events = W4.events }: Options): string | undefined {
  return keys === W4.keys && events === W4.events ? W4.checksum : undefined
}
