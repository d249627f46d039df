/**
 * `MILLRACE_DISK_STORE=… node workload.ts KEYS`: keys of 16 bytes and values of 100 random ones, in a store with 256 MB of native memory. They are
 * loaded in order, then read and overwritten at random, all with the same probability. Reads are asked for as a page of records asks: 256 at
 * a time; `get` one by one. Prints one line of JSON: nanoseconds an entry (`…Ns`), of processor time of all threads (`…CpuNs`), and megabytes.
 */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Packing, type DiskStore } from '../../packages/millrace/src/state/index.ts'
import { openDiskStore } from '../../packages/millrace/src/state/rocksdb/open-disk-store.ts'
import { random } from '../arithmetic.ts'
import { withDirectory } from '../directory.ts'

const MEMORY_BYTES = 256 << 20
const VALUE_BYTES = 100
const BATCH = 256
const LOAD_BATCH = 1000
const SCAN_BYTES = 32 * 1024
const READS_MAX = 500_000
const END = new Uint8Array(17).fill(255)

class Workload {
  private readonly store: DiskStore
  private readonly keys: number
  private readonly key = Buffer.alloc(16)
  private readonly value = Buffer.alloc(VALUE_BYTES)
  private readonly packing = new Packing()
  private readonly reads: number
  private drawn = 0

  constructor(store: DiskStore, keys: number) {
    this.store = store
    this.keys = keys
    this.reads = Math.min(READS_MAX, keys)
  }

  run(): { readonly [measure: string]: number } {
    return {
      ...this.measure('load', this.keys, () => this.load()),
      ...this.measure('get', this.reads, () => this.get()),
      ...this.measure('multiGet', this.reads, () => this.multiGet()),
      ...this.measure('write', this.keys, () => this.write()),
      ...this.measure('getAfter', this.reads, () => this.get()),
      ...this.measure('multiGetAfter', this.reads, () => this.multiGet()),
      ...this.measure('scan', this.keys, () => this.scan()),
      diskMb: Math.round(this.store.usage().diskBytes / 1e6),
      peakRssMb: statusMb('VmHWM'),
      rssMb: statusMb('VmRSS'),
    }
  }

  private measure(name: string, entries: number, work: () => void): { readonly [measure: string]: number } {
    const cpu = process.cpuUsage()
    const startedMs = performance.now()
    work()
    const tookNs = (performance.now() - startedMs) * 1e6
    const { user, system } = process.cpuUsage(cpu)
    return {
      [`${name}Ns`]: Math.round(tookNs / entries),
      [`${name}CpuNs`]: Math.round(((user + system) * 1000) / entries),
    }
  }

  private load(): void {
    const { packing, store } = this
    for (let n = 0; n < this.keys; n++) {
      packing.put(this.keyOf(n), this.valueOf(n))
      if (packing.count < LOAD_BATCH && n < this.keys - 1) continue
      store.load(packing.bytes)
      packing.reset()
    }
    store.endLoad()
  }

  private get(): void {
    for (let i = 0; i < this.reads; i++) {
      if (this.store.get(this.draw())?.length !== VALUE_BYTES) throw new Error('a value is wrong')
    }
  }

  private multiGet(): void {
    const { packing } = this
    for (let i = 0; i < this.reads; i += BATCH) {
      packing.reset()
      for (let k = 0; k < BATCH; k++) packing.string(this.draw())
      if (this.store.multiGet(packing.bytes, BATCH).length !== BATCH * (VALUE_BYTES + 4))
        throw new Error('a value is wrong')
    }
  }

  private write(): void {
    const { packing } = this
    packing.reset()
    for (let i = 0; i < this.keys; i++) {
      packing.put(this.draw(), this.valueOf(i + this.keys))
      if (packing.count < BATCH) continue
      this.store.write(packing.bytes)
      packing.reset()
    }
  }

  private scan(): void {
    let from = new Uint8Array(0)
    for (;;) {
      const piece = this.store.scan(from, END, SCAN_BYTES)
      if (piece.length === 0) return
      const last = piece.length - (4 + VALUE_BYTES) - 16
      from = new Uint8Array(17)
      from.set(piece.subarray(last, last + 16))
    }
  }

  /** Ascends with `n`. */
  private keyOf(n: number): Uint8Array {
    this.key.writeUInt32BE(n, 4)
    this.key.writeUInt32BE(random(n, 1), 12)
    return this.key
  }

  private draw(): Uint8Array {
    return this.keyOf(random(this.drawn++, 2) % this.keys)
  }

  private valueOf(n: number): Uint8Array {
    for (let at = 0; at < VALUE_BYTES; at += 4) this.value.writeUInt32LE(random(n, at + 3), at)
    return this.value
  }
}

function statusMb(field: string): number {
  const [, kilobytes] = new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))!
  return Math.round(Number(kilobytes) / 1000)
}

await withDirectory(async base => {
  const directory = join(base, 'store')
  mkdirSync(directory)
  const store = openDiskStore({ directory, memoryBytes: MEMORY_BYTES, storeCount: 1 })
  console.log(JSON.stringify(new Workload(store, Number(process.argv[2])).run()))
  store.close()
})
