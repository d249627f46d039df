/**
 * The clock of change tracking, shared by all tables of a slot. It advances by one at every barrier.
 *
 * An entry carries `epoch`, the epoch of its last change, and `written`, the epoch of the last snapshot it was serialised for
 * (NEVER if none). While a snapshot is active it holds exactly the entries with base < epoch <= frozen as they were at the barrier;
 * an entry that is touched before its turn is serialised first.
 */
export const NEVER = -1

export class Epochs {
  /** Of changes made now. Restored entries have epoch and written 0. */
  current = 1
  /** Of the snapshot being written. */
  frozen = 0
  /** Changes up to this epoch are in the base; those of later epochs are in the delta. */
  base = 0
  /** A snapshot is being written. */
  active = false
  /** The snapshot being written holds every entry, whatever its epoch. */
  full = false
}
