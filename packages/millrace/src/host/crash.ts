/** Crash tests name a failpoint and how often it may be passed; the process then dies there, as by `kill -9`. */
import { FAILPOINTS, onFailpoint } from '../base/failpoint.ts'

/** `MILLRACE_FAILPOINT=manifest.after-link:3`: die at the third time. Threads count for themselves. */
export function installFailpoints(environment: NodeJS.ProcessEnv = process.env): void {
  const setting = environment['MILLRACE_FAILPOINT']
  if (setting === undefined) return
  const [name, count = '1'] = setting.split(':')
  if (!FAILPOINTS.includes(name as never)) throw new Error(`MILLRACE_FAILPOINT names no failpoint: ${name}`)
  let left = Number(count)
  onFailpoint(reached => {
    if (reached === name && --left === 0) process.kill(process.pid, 'SIGKILL')
  })
}
