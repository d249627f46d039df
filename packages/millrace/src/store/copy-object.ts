/** Copying an object from one store to another that knows nothing of it, in pieces of bounded size. */
import type { SnapshotStore } from './contract.ts'

/** Held in memory at a time. */
const PIECE_BYTES = 4 * 1024 * 1024

/** @throws OBJECT_MISSING, STORE_FAILED; nothing of that name is there then */
export async function copyObject(
  source: Pick<SnapshotStore, 'read'>,
  from: string,
  target: Pick<SnapshotStore, 'create'>,
  name: string,
): Promise<void> {
  // Read before anything is made, so that a missing object leaves nothing behind.
  let piece = await source.read(from, 0, PIECE_BYTES)
  const writer = await target.create(name)
  try {
    for (let done = 0; piece.length > 0; piece = await source.read(from, done, PIECE_BYTES)) {
      await writer.write(piece)
      done += piece.length
    }
  } catch (error) {
    await writer.abandon()
    throw error
  }
  await writer.finish()
}
