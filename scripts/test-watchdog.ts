/**
 * Loaded into every test process: ends it when it is still alive after TEST_PROCESS_LIMIT_MS, and says what keeps it alive. A test
 * that waits for ever, or leaves a thread or a socket behind, then is a failure with a reason and not a run that never ends.
 */
const limitMs = Number(process.env['TEST_PROCESS_LIMIT_MS'])

setTimeout(() => {
  const resources = process.getActiveResourcesInfo().join(', ')
  console.error(`${process.argv[1]} is still running after ${limitMs / 1000} s; alive are: ${resources}`)
  process.exit(1)
}, limitMs).unref()
