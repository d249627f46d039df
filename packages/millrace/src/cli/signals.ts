/**
 * SIGINT and SIGTERM: the first one asks for an end, another one more than a second later leaves at once, with 130 or 143. One that
 * comes sooner is the same Ctrl-C delivered twice, by the terminal and by npm.
 */
import { constants } from 'node:os'

const SAME_SIGNAL_MS = 1000
const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** `onFirst` is called once; `onLeave` right before the process is left. */
export function onStopSignals(onFirst: () => void, onLeave: () => void): void {
  let firstMs: number | undefined
  const receive = (signal: (typeof SIGNALS)[number]): void => {
    const nowMs = performance.now()
    if (firstMs === undefined) {
      firstMs = nowMs
      onFirst()
    } else if (nowMs - firstMs > SAME_SIGNAL_MS) {
      onLeave()
      process.exit(128 + constants.signals[signal])
    }
  }
  for (const signal of SIGNALS) process.on(signal, receive)
}
