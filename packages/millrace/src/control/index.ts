/** What a program that runs jobs uses of this layer. */
export { run } from './run.ts'
