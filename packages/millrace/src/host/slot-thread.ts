/** Entry of a slot's thread. What follows is imported late, so that it comes out of the compile cache. */
import { enableCompileCache } from 'node:module'

enableCompileCache()
await import('./slot-runner.ts')
