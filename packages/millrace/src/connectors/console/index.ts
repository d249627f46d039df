export { console } from './console.ts'
export type { ConsoleOptions } from './console.ts'
