/**
 * Entries of a state as rows of a Parquet file. Which columns there are follows from the state alone: what its kind has beside the
 * value; the value as one column, or for values with a schema of fixed width a typed column for each property. Keys and values of any
 * other shape are columns of the JSON type, written as `state scan` prints them.
 */
import { ByteWriter, parquetWriteRows } from 'hyparquet-writer'
import { type Column, fixedSchemaOfJson } from '../codec/index.ts'
import { type StateEntry, type StateReader, valueToJson } from '../reading/index.ts'
import type { ObjectWriter } from '../store/index.ts'

/** Rows that are in memory at a time. */
const ROW_GROUP_ROWS = 10_000

interface ParquetColumn {
  readonly name: string
  readonly type: 'INT32' | 'INT64' | 'DOUBLE' | 'BOOLEAN' | 'JSON' | 'TIMESTAMP'
  readonly of: (entry: StateEntry) => unknown
}

/** Writes all rows to the object, which the caller finishes. How many there are. */
export async function writeParquet(
  object: ObjectWriter,
  state: StateReader,
  entries: AsyncIterable<StateEntry>,
): Promise<number> {
  const columns = columnsOf(state)
  let count = 0
  async function* rows(): AsyncGenerator<Record<string, unknown>> {
    for await (const entry of entries) {
      count++
      yield Object.fromEntries(columns.map(({ name, of }) => [name, of(entry)]))
    }
  }
  await parquetWriteRows({
    writer: writerTo(object),
    rows: rows(),
    columns: columns.map(({ name, type }) => ({ name, type })),
    rowGroupSize: ROW_GROUP_ROWS,
    createdBy: 'millrace',
  })
  return count
}

/** What the library gathers goes to the object after every row group. */
function writerTo(object: ObjectWriter): ByteWriter {
  const writer = new ByteWriter()
  const drain = async (): Promise<void> => {
    const bytes = new Uint8Array(writer.buffer.slice(0, writer.index))
    writer.index = 0
    await object.write(bytes)
  }
  return Object.assign(writer, { flush: drain, finish: drain })
}

/** Of what stands beside the value, by the kind of the state. */
const BESIDE: { readonly [kind: string]: readonly ParquetColumn[] } = {
  list: [{ name: 'index', type: 'INT32', of: ({ index }) => index }],
  map: [{ name: 'map_key', type: 'JSON', of: ({ mapKey }) => valueToJson(mapKey) }],
  timers: [{ name: 'time', type: 'DOUBLE', of: ({ time }) => time }],
  window: [{ name: 'window', type: 'JSON', of: ({ window }) => valueToJson(window) }],
}

const KEY: ParquetColumn = { name: 'key', type: 'JSON', of: ({ key }) => valueToJson(key) }
const KEY_GROUP: ParquetColumn = { name: 'key_group', type: 'INT32', of: ({ keyGroup }) => keyGroup }
const LAST_TOUCH: ParquetColumn = {
  name: 'last_touch',
  type: 'TIMESTAMP',
  of: ({ lastTouchMs }) => (lastTouchMs === undefined ? undefined : new Date(lastTouchMs)),
}
const SUBTASK: ParquetColumn = { name: 'subtask', type: 'INT32', of: ({ subtask }) => subtask }

function columnsOf(state: StateReader): ParquetColumn[] {
  const values = valueColumns(state)
  if (state.kind === 'operator list') return [SUBTASK, ...BESIDE['list'], ...values]
  if (state.kind === 'broadcast') return [KEY, ...values]
  const beside = BESIDE[state.kind.startsWith('window-') ? 'window' : state.kind] ?? []
  return [KEY_GROUP, KEY, ...beside, ...values, LAST_TOUCH]
}

function valueColumns({ schema }: StateReader): ParquetColumn[] {
  const fixed = fixedSchemaOfJson(schema)
  if (fixed === undefined) return [{ name: 'value', type: 'JSON', of: ({ value }) => valueToJson(value) }]
  return fixed.columns.map(column => {
    const { name } = column
    const type = typeOf(column)
    const held = (value: unknown): unknown => (name === undefined ? value : (value as Record<string, unknown>)[name])
    const of = ({ value }: StateEntry): unknown => (type === 'INT64' ? BigInt(held(value) as number) : held(value))
    return { name: name === undefined ? 'value' : `value.${name}`, type, of }
  })
}

function typeOf({ storage }: Column): ParquetColumn['type'] {
  if (storage === 'bool') return 'BOOLEAN'
  if (storage === 'f64') return 'DOUBLE'
  // Parquet's integers are signed.
  return storage === 'u32' ? 'INT64' : 'INT32'
}
