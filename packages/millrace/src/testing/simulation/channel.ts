/** Mails on their way from one thread to another: they arrive in order, each when the scheduler says so. */
import type { Owner, Scheduler } from './scheduler.ts'

export interface ChannelOptions<T> {
  readonly scheduler: Scheduler
  /** Who receives. */
  readonly owner: Owner
  readonly weight: number
  /** For the trace. */
  readonly describe: (mail: T) => string
  readonly deliver: (mail: T) => void
}

export class Channel<T> {
  private readonly options: ChannelOptions<T>
  private readonly mails: T[] = []

  constructor(options: ChannelOptions<T>) {
    this.options = options
  }

  send(mail: T): void {
    this.mails.push(mail)
    if (this.mails.length === 1) this.announce()
  }

  private announce(): void {
    const { scheduler, owner, weight, describe } = this.options
    scheduler.add({ owner, label: `gets ${describe(this.mails[0])}`, weight, run: () => this.arrive() })
  }

  private arrive(): void {
    const mail = this.mails.shift()!
    if (this.mails.length > 0) this.announce()
    this.options.deliver(mail)
  }
}
