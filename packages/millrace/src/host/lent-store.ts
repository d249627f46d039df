/**
 * A store of this thread, lent to a slot's thread that cannot open it itself: one in memory. Each call is a message and each answer
 * another one; objects in the making are known by number.
 */
import type { MessagePort } from 'node:worker_threads'
import { assert } from '../base/assert.ts'
import type { CarriedError } from '../checkpoint/mail.ts'
import { carry, uncarry } from '../runtime/carried-error.ts'
import type { ObjectWriter, SegmentStore } from '../store/contract.ts'

type Request =
  | { readonly method: 'create'; readonly name: string }
  | { readonly method: 'read'; readonly name: string; readonly offset?: number; readonly length?: number }
  | { readonly method: 'size'; readonly name: string }
  | { readonly method: 'write'; readonly writer: number; readonly bytes: Uint8Array }
  | { readonly method: 'finish' | 'abandon'; readonly writer: number }

type Call = Request & { readonly call: number }
type Answer = { readonly call: number } & ({ readonly result: unknown } | { readonly error: CarriedError })

/** Answers calls that come in at the port, until it is closed. */
export function lendStore(store: SegmentStore, port: MessagePort): void {
  const writers = new Map<number, ObjectWriter>()
  let created = 0
  const end = (writer: number): ObjectWriter => {
    const ended = writers.get(writer)!
    writers.delete(writer)
    return ended
  }
  const perform = async (request: Request): Promise<unknown> => {
    switch (request.method) {
      case 'create': {
        const writer = ++created
        writers.set(writer, await store.create(request.name))
        return writer
      }
      case 'read':
        return alone(await store.read(request.name, request.offset, request.length))
      case 'size':
        return store.size(request.name)
      case 'write':
        return writers.get(request.writer)!.write(request.bytes)
      case 'finish':
        return end(request.writer).finish()
      case 'abandon':
        return end(request.writer).abandon()
    }
  }
  const answer = (message: Answer): void => port.postMessage(message)
  port.on('message', (request: Call) => {
    const { call } = request
    perform(request).then(
      result => answer({ call, result }),
      error => answer({ call, error: carry(error) }),
    )
  })
}

/** The store behind the other end of the port. */
export class BorrowedStore implements SegmentStore {
  readonly location: string
  private readonly port: MessagePort
  private readonly waiting: Map<number, PromiseWithResolvers<any>> = new Map()
  private calls = 0

  constructor(location: string, port: MessagePort) {
    this.location = location
    this.port = port
    port.on('message', (answer: Answer) => {
      const waiting = this.waiting.get(answer.call)
      assert(waiting !== undefined, 'a call is answered once')
      this.waiting.delete(answer.call)
      if ('error' in answer) waiting.reject(uncarry(answer.error))
      else waiting.resolve(answer.result)
    })
  }

  async create(name: string): Promise<ObjectWriter> {
    const writer: number = await this.call({ method: 'create', name })
    return {
      write: bytes => this.call({ method: 'write', writer, bytes: alone(bytes) }),
      finish: () => this.call({ method: 'finish', writer }),
      abandon: () => this.call({ method: 'abandon', writer }),
    }
  }

  read(name: string, offset?: number, length?: number): Promise<Uint8Array> {
    return this.call({
      method: 'read',
      name,
      ...(offset !== undefined && { offset }),
      ...(length !== undefined && { length }),
    })
  }

  size(name: string): Promise<number | undefined> {
    return this.call({ method: 'size', name })
  }

  private call<T>(request: Request): Promise<T> {
    const call = this.calls++
    const waiting = Promise.withResolvers<T>()
    this.waiting.set(call, waiting)
    this.port.postMessage({ ...request, call })
    return waiting.promise
  }
}

/** In memory of their own: a message would carry all of the memory that they are a part of. */
function alone(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes)
}
