/** What is asked of a running job, and what comes of it. */

export interface Rescaled {
  readonly parallelism: number
  /** The checkpoint between the two parallelisms. */
  readonly checkpointId: number
  /** From its trigger until records flow again. */
  readonly pauseMs: number
}

export interface SavepointOptions {
  /** What its owner calls it: 1 to 200 characters on one line. */
  readonly label?: string | undefined
  /**
   * Write it to this folder too, where it needs nothing else and from where it may be moved anywhere. The folder must be empty, or not
   * there yet, and lie outside the storage.
   */
  readonly to?: string | undefined
  /** How much of the folder is written, 0 to 1. */
  readonly onProgress?: ((fraction: number) => void) | undefined
}

export interface Savepoint {
  /** `sp-43`: in the job's own folder, where it stays until its owner deletes it. */
  readonly id: string
  /** `chk-42`: the checkpoint that it pins. */
  readonly checkpoint: string
  /** The folder that was asked for, absolute. */
  readonly path: string | undefined
}

export interface StopOptions {
  /** First the final watermark: windows and event-time timers fire, as at the end of input. */
  readonly drain?: boolean | undefined
  /** The final snapshot is a savepoint too. */
  readonly savepoint?: boolean | SavepointOptions | undefined
  /** The job ends in any case: when its final snapshot fails, it has failed. Otherwise it goes on then. */
  readonly mustEnd?: boolean | undefined
}

export interface Stopped {
  /** The one that was asked for. */
  readonly savepoint: Savepoint | undefined
}
