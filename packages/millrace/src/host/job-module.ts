/** Importing a job: the module's default export, made by defineJob. */
import { fileURLToPath } from 'node:url'
import { isJobDefinition, type JobDefinition } from '../api/index.ts'
import { isMillraceError, messageOf, MillraceError } from '../base/errors.ts'

/** `url` is a file URL. Throws JOB_MODULE_INVALID. */
export async function importJob(url: string): Promise<JobDefinition> {
  const file = fileURLToPath(url)
  let module: { readonly default?: unknown }
  try {
    module = await import(url)
  } catch (error) {
    if (isMillraceError(error)) throw error
    throw new MillraceError('JOB_MODULE_INVALID', `the job file ${file} could not be imported: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const job = module.default
  if (!isJobDefinition(job)) {
    throw new MillraceError(
      'JOB_MODULE_INVALID',
      `the job file ${file} has no default export made by defineJob(name, flow => { … })`,
    )
  }
  return job
}
