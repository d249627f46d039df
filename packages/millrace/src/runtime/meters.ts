/**
 * What a slot measures of its operators. Plain fields on the hot path; they are read a few times a second (`SlotProgress`), and made
 * into metrics when somebody asks (control/metrics.ts).
 */
import { Distribution } from '../base/distribution.ts'
import type { ByName, MeterReadings } from '../checkpoint/mail.ts'

/** What the engine counts of one subtask since its attempt began. A source's output is counted by the source itself. */
export class OperatorMeter {
  readonly input = { records: 0 }
  readonly output = { records: 0 }
  /** Undefined: the operator sees no watermarks. */
  watermark: number | undefined
}

export class Meters {
  private readonly operators = new Map<string, OperatorMeter>()
  private readonly counters = new Registry<Counter>()
  private readonly gauges = new Registry<Gauge>()
  private readonly histograms = new Registry<Histogram>()

  /** Of the operator of that name; the same one every time. */
  of(operator: string): OperatorMeter {
    let meter = this.operators.get(operator)
    if (meter === undefined) this.operators.set(operator, (meter = new OperatorMeter()))
    return meter
  }

  // What operators count for themselves, by names of their own: `ctx.metrics`, and what connectors count.

  counter(operator: string, name: string): Counter {
    return this.counters.get(operator, name, () => new Counter())
  }

  gauge(operator: string, name: string): Gauge {
    return this.gauges.get(operator, name, () => new Gauge())
  }

  /** `bounds` are those of the first call. */
  histogram(operator: string, name: string, bounds: readonly number[] = HISTOGRAM_BOUNDS): Histogram {
    return this.histograms.get(operator, name, () => new Histogram(bounds))
  }

  read(): MeterReadings {
    return {
      operators: [...this.operators].map(([operator, { input, output, watermark }]) => ({
        operator,
        recordsIn: input.records,
        recordsOut: output.records,
        watermark,
      })),
      counters: this.counters.read(counter => counter.value),
      gauges: this.gauges.read(gauge => gauge.value),
      histograms: this.histograms.read(histogram => histogram.read()),
    }
  }
}

/** Sizes and milliseconds of most kinds. */
const HISTOGRAM_BOUNDS: readonly number[] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000]

class Registry<Meter> {
  private readonly byOperator = new Map<string, Map<string, Meter>>()

  get(operator: string, name: string, make: () => Meter): Meter {
    let meters = this.byOperator.get(operator)
    if (meters === undefined) this.byOperator.set(operator, (meters = new Map()))
    let meter = meters.get(name)
    if (meter === undefined) meters.set(name, (meter = make()))
    return meter
  }

  read<Value>(valueOf: (meter: Meter) => Value): ByName<Value> {
    return Object.fromEntries(
      [...this.byOperator].map(([operator, meters]) => [
        operator,
        Object.fromEntries([...meters].map(([name, meter]) => [name, valueOf(meter)])),
      ]),
    )
  }
}

export class Counter {
  value = 0

  add(by = 1): void {
    this.value += by
  }
}

export class Gauge {
  value = 0

  set(value: number): void {
    this.value = value
  }
}

export class Histogram extends Distribution {}
