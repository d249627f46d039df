/** State that expires, as an operator sees it: through the harness, so also restored between steps. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { list, map, type, value, type StateOptions, type Stream } from '../../index.ts'
import { checkOperator, type Step } from '../../testing/operator-harness.ts'

const at = <T>(timestamp: number, record: T): Step<T> => ({ record, timestamp })

/** Emits what the states hold, then sets them. */
function held(options: StateOptions) {
  return (records: Stream<number>) =>
    records
      .keyBy(() => 'k')
      .process('held', {
        emits: type<(number | null)[]>(),
        state: { last: value<number>(options), all: list<number>(options), by: map<string, number>(options) },
        onRecord(n, { emit, state }) {
          emit([state.last.get() ?? null, ...state.all.get(), ...state.by.values()])
          if (n === 0) return
          state.last.set(n)
          state.all.add(n)
          state.by.set('n', n)
        },
      })
}

test('by the clock state expires when it has not been written for so long', async () => {
  await checkOperator<number, (number | null)[]>({
    flow: held({ ttl: 10 }),
    steps: [
      { record: 1 },
      { processingTime: 9 },
      { record: 2 },
      { processingTime: 18 },
      { record: 0 },
      { processingTime: 19 },
      { record: 0 },
    ],
    emits: [[null], [1, 1, 1], [2, 2, 2], [null]],
  })
})

test('a read is a touch where the ttl says so', async () => {
  await checkOperator<number, (number | null)[]>({
    flow: held({ ttl: { ttl: 10, updateOn: 'read-and-write' } }),
    steps: [
      { record: 1 },
      { processingTime: 9 },
      { record: 0 },
      { processingTime: 18 },
      { record: 0 },
      { processingTime: 28 },
      { record: 0 },
    ],
    emits: [[null], [1, 1, 1], [1, 1, 1], [null]],
  })
})

test('in event time it expires by the watermark, whatever the clock and the records say', async () => {
  await checkOperator<number, (number | null)[]>({
    flow: held({ ttl: { ttl: 10, time: 'event' } }),
    steps: [
      at(100, 1),
      { processingTime: 1_000_000 },
      at(5000, 0),
      { watermark: 109 },
      at(109, 0),
      { watermark: 110 },
      at(110, 0),
      at(110, 2),
      { watermark: Infinity },
      at(200, 0),
    ],
    emits: [[null], [1, 1, 1], [1, 1, 1], [null], [null], [2, 2, 2]],
  })
})

test('a timer finds what was alive at its time, however far the watermark went; what it writes is of its time', async () => {
  await checkOperator<number, string>({
    flow: records =>
      records
        .keyBy(() => 'k')
        .process('timed', {
          emits: type<string>(),
          state: { last: value<number>({ ttl: { ttl: 10, time: 'event' } }) },
          onRecord(n, { state, timers, timestamp }) {
            state.last.set(n)
            for (const after of [9, 11, 20, 22]) timers.onEventTime(timestamp + after)
          },
          onTimer(time, { emit, state }) {
            emit(`${time}: ${state.last.get()}`)
            if (time === 111) state.last.set(time)
          },
        }),
    steps: [at(100, 1), { watermark: 105 }, { watermark: Infinity }],
    emits: ['109: 1', '111: undefined', '120: 111', '122: undefined'],
  })
})

test('a timer by the clock touches at the watermark', async () => {
  await checkOperator<number, string>({
    flow: records =>
      records
        .keyBy(() => 'k')
        .process('timed', {
          emits: type<string>(),
          state: { last: value<number>({ ttl: { ttl: 10, time: 'event' } }) },
          onRecord(n, { emit, state, timers }) {
            emit(`record: ${state.last.get()}`)
            if (n > 0) timers.onProcessingTime(n)
          },
          onTimer: (time, { state }) => state.last.set(time),
        }),
    steps: [
      { watermark: 100 },
      at(150, 5),
      { processingTime: 5 },
      { watermark: 109 },
      at(100, 10),
      { watermark: 110 },
      at(110, 0),
      { processingTime: 10 },
      { watermark: 119 },
      at(110, 0),
      { watermark: 120 },
      at(110, 0),
    ],
    emits: ['undefined', '5', 'undefined', '10', 'undefined'].map(last => `record: ${last}`),
  })
})

test('without event time a touch is refused', async () => {
  const check = checkOperator<number, (number | null)[]>({
    flow: held({ ttl: { ttl: 10, time: 'event' } }),
    steps: [{ record: 1 }],
    emits: [],
  })
  await assert.rejects(check, { code: 'NO_EVENT_TIME', message: /'held'/ })
})
