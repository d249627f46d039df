/** Where a line reader gets its bytes from: a plain file, block by block, or a decompressed one. */
import type { ReadResult } from '../contract.ts'

export interface ByteStream {
  /** The next bytes (at least one), which stay as they are until the next call; or why there are none. `end` is final. */
  next(): Buffer | Exclude<ReadResult, 'more'>
  /** Bytes of the file on disk. */
  progress(): { readonly done: number; readonly total: number | undefined }
  close(): Promise<void>
}
