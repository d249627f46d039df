/**
 * How slots in different threads wake each other: an i32 per slot in shared memory, which counts the wakes. A slot waits for its own
 * without blocking its event loop, since mails and I/O come that way.
 */
import { doorbellOf } from '../runtime/exchange/index.ts'

/** Rings another slot's doorbell. */
export function ring(memory: SharedArrayBuffer, slot: number): void {
  const bell = doorbellOf(memory, slot)
  Atomics.add(bell, 0, 1)
  Atomics.notify(bell, 0)
}

/** Calls back after every ring, once for several in a row, as long as the thread lives. */
export function onRing(memory: SharedArrayBuffer, slot: number, callback: () => void): void {
  const bell = doorbellOf(memory, slot)
  let seen = Atomics.load(bell, 0)
  const listen = (): void => {
    const wait = Atomics.waitAsync(bell, 0, seen)
    const rang = (): void => {
      seen = Atomics.load(bell, 0)
      callback()
      listen()
    }
    if (wait.async) void wait.value.then(rang)
    else queueMicrotask(rang)
  }
  listen()
}
