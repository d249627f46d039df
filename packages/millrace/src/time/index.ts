export { formatDuration, parseDuration } from './duration.ts'
export type { Duration } from './duration.ts'
export { global, tumbling, tumblingStart } from './windows.ts'
export type { GlobalAssigner, TumblingAssigner, Window, WindowAssigner } from './windows.ts'
