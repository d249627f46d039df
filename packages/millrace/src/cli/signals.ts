/**
 * SIGINT and SIGTERM: the first one asks for an end, another one more than a second later leaves at once, with 130 or 143. One that
 * comes sooner is the same Ctrl-C delivered twice, by the terminal and by npm.
 */
import { constants } from 'node:os'

const SAME_SIGNAL_MS = 1000
export const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const
export type StopSignal = (typeof STOP_SIGNALS)[number]

/** Exit status of a process that left at once, as shells count: 130, 143. */
export function statusOfSignal(signal: StopSignal): number {
  return 128 + constants.signals[signal]
}

/**
 * `onFirst` is called once; `onLeave` right before the process is left. The function returned asks for the end as a first signal does:
 * a signal that comes later is then a second one, but the call itself never is.
 */
export function onStopSignals(onFirst: () => void, onLeave: () => void): () => void {
  let firstMs: number | undefined
  const ask = (): void => {
    if (firstMs !== undefined) return
    firstMs = performance.now()
    onFirst()
  }
  const receive = (signal: StopSignal): void => {
    if (firstMs === undefined) ask()
    else if (performance.now() - firstMs > SAME_SIGNAL_MS) {
      onLeave()
      process.exit(statusOfSignal(signal))
    }
  }
  for (const signal of STOP_SIGNALS) process.on(signal, receive)
  return ask
}
