/** Loads the binding that was built for this platform. */
import { createRequire } from 'node:module'

const platform = `${process.platform}-${process.arch}`

/** @throws when there is none, or it does not load here */
export function loadRocksDb() {
  return createRequire(import.meta.url)(`./prebuilds/${platform}/binding.node`)
}
