/** Numbers for people. */
import { formatDuration } from '../time/index.ts'

const COUNT = new Intl.NumberFormat('en-US')
const BYTE_UNITS = ['KiB', 'MiB', 'GiB', 'TiB']

/** 1,234,567 */
export function formatCount(count: number): string {
  return COUNT.format(Math.round(count))
}

/** 1 record, 2 records */
export function formatNumberOf(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`
}

/** 512 B, 1.5 KiB, 23 MiB */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  let value = bytes / 1024
  let unit = 0
  // 1023.5 would be shown as 1024.
  for (; value >= 1023.5 && unit < BYTE_UNITS.length - 1; unit++) value /= 1024
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${BYTE_UNITS[unit]}`
}

/** 42 ms, 4.2 s, 3 min 20 s: finer than formatDuration where seconds matter. */
export function formatElapsed(ms: number): string {
  return ms < 1000 || ms >= 59_950 ? formatDuration(ms) : `${(ms / 1000).toFixed(1)} s`
}

/** How long ago; clocks of two machines may disagree, so nothing is in the future. */
export function formatAge(atMs: number, nowMs: number): string {
  return formatDuration(Math.max(0, nowMs - atMs))
}
