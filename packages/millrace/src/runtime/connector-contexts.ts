/** What sources and sinks are given of the slot they run in. */
import type { FromSlot } from '../checkpoint/mail.ts'
import { ByteWriter, encodeValue } from '../codec/index.ts'
import type { ConnectorContext, SinkContext, SourceContext } from '../connectors/contract.ts'
import type { NodeId } from '../graph/index.ts'
import type { Subtask } from '../snapshot/redistribute.ts'
import type { Platform } from './platform.ts'
import type { Services } from './services.ts'

export interface ContextsOptions {
  readonly job: string
  readonly runId: string
  readonly platform: Pick<Platform, 'now' | 'wake'>
  readonly services: Services
  readonly subtaskOf: (node: NodeId) => Subtask
  /** Steps the slot at this time at the latest. */
  readonly wakeAt: (timeMs: number) => void
  readonly post: (mail: FromSlot) => void
}

type Operator = { readonly id: NodeId; readonly name: string }

export class ConnectorContexts {
  private readonly options: ContextsOptions

  constructor(options: ContextsOptions) {
    this.options = options
  }

  ofSource(operator: Operator): SourceContext {
    const { platform, wakeAt } = this.options
    return { ...this.of(operator), wake: () => platform.wake(), wakeAt }
  }

  ofSink(operator: Operator): SinkContext {
    const { runId, platform, post } = this.options
    return {
      ...this.of(operator),
      runId,
      wake: () => platform.wake(),
      deliver: (committable, rows) => {
        const out = new ByteWriter()
        encodeValue(rows, out)
        post({ type: 'rows', sink: operator.name, committable, rows: out.copy() })
      },
    }
  }

  private of({ id, name }: Operator): ConnectorContext {
    const { job, platform, services, subtaskOf } = this.options
    return {
      job,
      operator: name,
      ...subtaskOf(id),
      now: () => platform.now(),
      count: (counter, by) => services.meters.counter(name, counter).add(by),
      log: services.log,
    }
  }
}
