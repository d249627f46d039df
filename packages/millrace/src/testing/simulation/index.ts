export { turn } from './event-loop.ts'
export { simulate } from './simulation.ts'
export type { SimulationOptions, SimulationReport } from './simulation.ts'
